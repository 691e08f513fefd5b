"""Ctrl-C and signals at a terminal: each is heeded, by what it is for, and none is lost."""

import json
import os
import signal
import termios
from functools import partial
from pathlib import Path
from threading import Event

import pytest

from commands.cancel import Cancel
from tests.emulated import CTRL_C, ENTER, LIMIT_S, Seen, emulated
from tests.fake_openai import Answer, Body
from tests.program import processes_with, says
from tests.screens import ASKS, DONE, WRITE
from tests.teams import Troupe, asker

_SILENT = Answer(DONE, hold=Event())


def _stopped(seen: Seen) -> dict[str, object]:
    (journal,) = seen.program.home.glob("sessions/*/journal.jsonl")
    last: dict[str, object] = json.loads(journal.read_text().splitlines()[-1])
    return last


def _was_asked(seen: Seen, times: int, _: object) -> bool:
    return sum("Stopped. Words for the agent" in row for row in seen.scrolled) == times


def _is_set_right(seen: Seen) -> bool:
    """Lines are given out whole and shown, and a paste is no bracketed one."""
    flags = termios.tcgetattr(seen.child.child_fd)[3]
    on, off = seen.sent.rfind(b"\x1b[?2004h"), seen.sent.rfind(b"\x1b[?2004l")
    return bool(flags & termios.ICANON and flags & termios.ECHO) and on < off


def test_an_interruption_gives_way_to_what_ends_the_run_and_alone_can_be_cleared() -> None:
    cancel = Cancel()

    cancel.set("interrupt")
    cancel.clear()
    cleared = cancel.reason
    cancel.set("interrupt")
    cancel.set("terminate")
    cancel.set("hangup")
    cancel.clear()

    assert (cleared, cancel.reason) == (None, "terminate")


def test_a_ctrl_c_right_behind_the_answer_to_the_last_one_is_heeded(tmp_path: Path) -> None:
    """The answer must not wipe it away."""
    with emulated(tmp_path, [_SILENT] * 20, "Write") as seen:
        for asked in range(1, 12, 2):
            seen.sees("thinking…", "> words for the agent, or /help")
            seen.types(CTRL_C)
            seen.waits(partial(_was_asked, seen, asked))
            seen.types(ENTER + CTRL_C)
            seen.waits(partial(_was_asked, seen, asked + 1))
            seen.types(ENTER)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_comes_while_the_program_is_stopped_ends_it_when_it_goes_on(
    tmp_path: Path, number: signal.Signals
) -> None:
    """As by Ctrl-Z; the kernel may give it to any thread then."""
    with emulated(tmp_path, [WRITE, DONE], "Write") as seen:
        seen.sees(ASKS.rstrip())
        os.kill(seen.child.pid, signal.SIGSTOP)
        os.kill(seen.child.pid, number)
        os.kill(seen.child.pid, signal.SIGCONT)

        assert seen.ends() == 128 + number
        assert _stopped(seen)["status"] == "interrupted"


def test_two_signals_at_the_goals_leave_the_terminal_as_it_was(tmp_path: Path) -> None:
    """As a service manager sends them, one right behind the other."""
    with emulated(tmp_path, []) as seen:
        seen.sees("What shall be reached?")
        os.kill(seen.child.pid, signal.SIGTERM)
        os.kill(seen.child.pid, signal.SIGHUP)
        while seen.looks(LIMIT_S):
            pass

        assert _is_set_right(seen)


def test_a_signal_after_the_end_takes_nothing_of_it_away(tmp_path: Path) -> None:
    """The answer, the receipt and what was to run at the end."""
    ended = tmp_path / "ended"
    answer = says("finish", answer="line\n" * 20_000)
    given = ("-i", "--on-end", f"touch {ended}", "Write")
    with emulated(tmp_path, [answer], *given) as seen:
        seen.waits(lambda rows: rows and rows[-1] == "line")
        os.kill(seen.child.pid, signal.SIGTERM)

        assert seen.ends() == 0
        assert any("autoagent --resume" in row for row in seen.scrolled)
        assert ended.exists()


def test_ctrl_c_at_what_a_sub_agent_asks_is_for_that_alone(tmp_path: Path) -> None:
    """The question stands again, and a call that the session's own agent waits for goes on."""
    called, gate = Event(), Event()

    def slow(_: Body) -> Answer:
        called.set()
        return Answer(says("wait_for_agents"), hold=gate)

    troupe = Troupe(
        tmp_path / "unused",
        main=[says("start_agent", name="a", task="a"), slow, says("finish", answer="all is told")],
        a=[says("ask_user", question="red or blue?"), says("finish", answer="one")],
    )
    with emulated(tmp_path, [troupe.answer] * 8, "main") as seen:
        seen.sees("| red or blue?", "Your answer:", "thinking…")
        assert called.wait(LIMIT_S)
        seen.types(CTRL_C)
        seen.sees("Words for agent a (Enter: back, Ctrl-C: leave):")
        seen.types(ENTER)
        seen.answers("Your answer: ", "blue")
        gate.set()
        assert seen.ends() == 0

        asked = [asker(body) for body in seen.server.chats]
        assert sorted(asked) == [("a", 0), ("a", 1), ("main", 0), ("main", 1), ("main", 2)]
        told = [body["messages"][-1]["content"] for body in seen.server.chats]
        assert any("person]\nblue\n" in text for text in told)


def test_a_sub_agent_whose_time_is_over_takes_its_question_along(tmp_path: Path) -> None:
    """An answer would do nothing; the session goes on."""
    troupe = Troupe(
        tmp_path / "unused",
        main=[
            says("start_agent", name="a", task="a"),
            says("wait_for_agents"),
            says("finish", answer="all is told"),
        ],
        a=[WRITE, says("finish", answer="one")],
    )
    with emulated(tmp_path, [troupe.answer] * 8, "--max-time", "8s", "-i", "main") as seen:
        seen.sees(f"a: {ASKS}".rstrip())
        seen.sees("a has ended, and its question with it.")
        assert seen.ends() in (0, 4)  # little time is left for the rest

        assert not (seen.workspace / "a.txt").exists()


def test_words_that_came_while_the_reply_was_written_end_the_wait_that_it_asks_for(
    tmp_path: Path,
) -> None:
    """The agent has not read them when it begins to wait."""
    gate, ends = Event(), Event()

    def again(_: Body) -> str:
        ends.set()
        return says("wait_for_agents")

    troupe = Troupe(
        tmp_path / "unused",
        main=[
            says("start_agent", name="a", task="a"),
            lambda _: Answer(says("wait_for_agents"), hold=gate),
            again,
            says("finish", answer="all is told"),
        ],
        a=[Answer(says("finish", answer="one"), hold=ends)],
    )
    with emulated(tmp_path, [troupe.answer] * 8, "main") as seen:
        seen.sees("step 2: thinking…")
        seen.types("Use the other file" + ENTER)
        seen.sees("queued: Use the other file")
        gate.set()
        assert seen.ends() == 0

        bodies = [body for body in seen.server.chats if asker(body) == ("main", 2)]
        assert "Use the other file" in bodies[0]["messages"][-1]["content"]


def test_an_editor_that_a_script_starts_ends_with_the_run(tmp_path: Path) -> None:
    mark = f"asleep-{os.getpid()}"
    editor = tmp_path / "editor"
    # Its output wakes who looks at the terminal.
    editor.write_text(f"#!/bin/bash\n(exec -a {mark} bash -c 'sleep 1; echo; sleep 300; :')\n")
    editor.chmod(0o700)
    with emulated(tmp_path, [WRITE, DONE], "Write", EDITOR=str(editor)) as seen:
        seen.answers(ASKS, "e")
        seen.waits(lambda _: processes_with(mark))
        os.kill(seen.child.pid, signal.SIGTERM)
        assert seen.ends() == 143

    assert processes_with(mark) == []
