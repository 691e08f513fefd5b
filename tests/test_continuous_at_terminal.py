"""A run that asks nothing, at a terminal that can redraw: what is typed meanwhile is taken."""

import io
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pexpect  # type: ignore[import-untyped]
import pytest

from autoagent.configuration import options
from autoagent.configuration import settings as setting
from autoagent.events import Fed, Stopped
from autoagent.inbox import INBOX, Inbox
from autoagent.lookups import Lookups
from autoagent.terminal.desk import Desk
from autoagent.terminal.keyboard import Keyboard
from autoagent.terminal.listening import Listening
from autoagent.terminal.output import Output
from autoagent.terminal.plain import voices
from autoagent.terminal.prompter import LinePrompter
from commands.cancel import Cancel
from tests.emulated import CTRL_C, ENTER, LIMIT_S, VARIABLES, Emulated, emulated
from tests.fake_openai import Answer, FakeOpenAI, Scripted
from tests.past import started
from tests.program import Program, of_type, says
from tests.screens import DONE, WRITE
from tests.teams import Troupe
from tests.test_screen_faults import is_left_as_it_was

_FREE = "> words for the agent, or /help"
_LIST = says("list_files")


@contextmanager
def _beneath(folder: Path, shell: str, replies: list[Scripted]) -> Iterator[Emulated]:
    """A shell at the terminal; its command line has the program as "$@"."""
    with FakeOpenAI(replies) as server:
        program = Program(folder, server.base_url, {**VARIABLES, "PS1": ""})
        child = pexpect.spawn(
            "/bin/bash",
            ["--norc", "-c", shell, "bash", sys.executable, "-m", "autoagent"],
            cwd=str(program.workspace),
            env=program.environment,
            timeout=LIMIT_S,
            dimensions=(30, 80),
        )
        child.delaybeforesend = None
        child.ptyproc.delayafterclose = 0.0
        try:
            yield Emulated(child)
        finally:
            child.close(force=True)


def test_words_reach_the_next_prompt_of_a_run_that_asks_nothing(tmp_path: Path) -> None:
    """As those of `autoagent tell` do; until then they are queued."""
    held = Event()
    replies: list[Scripted] = [Answer(WRITE, hold=held), DONE]
    with emulated(tmp_path, replies, "-c", "Write") as seen:
        seen.sees("step 1: thinking…", _FREE)
        seen.types("Use the other file" + ENTER)
        seen.sees("queued: Use the other file", _FREE)
        held.set()
        assert seen.ends() == 0

        said = "[the user says]\nUse the other file\n[end]"
        assert said in seen.server.chats[1]["messages"][-1]["content"]
        rows = seen.scrolled
        assert rows[rows.index("The agent is told:") + 1] == "  | Use the other file"
        assert not any("queued" in row or "didn't get" in row for row in rows)
        assert (seen.workspace / "a.txt").read_text() == "text\n"


def test_after_the_goals_words_are_taken_too(tmp_path: Path) -> None:
    held = Event()
    with emulated(tmp_path, [Answer(_LIST, hold=held), DONE], "-c") as seen:
        seen.sees("What shall be reached?")
        seen.types("Write" + ENTER + ENTER)
        seen.sees("step 1: thinking…", _FREE)
        seen.types("Be brief" + ENTER)
        seen.sees("queued: Be brief")
        held.set()
        assert seen.ends() == 0

        assert "Be brief" in seen.server.chats[1]["messages"][-1]["content"]


def test_a_word_that_tells_is_answered_and_one_that_wishes_says_what_there_is_instead(
    tmp_path: Path,
) -> None:
    held = Event()
    with emulated(tmp_path, [Answer(DONE, hold=held)], "-c", "Write") as seen:
        seen.sees("step 1: thinking…", _FREE)
        seen.types("/status" + ENTER)
        seen.sees("Step 0 of 100,", "step 1: thinking…")
        seen.types("/goal Paint" + ENTER)
        seen.sees("/goal works in a session that asks; say it in words,")
        seen.types("/limit steps 3" + ENTER)
        (session,) = (folder.name for folder in seen.program.sessions)
        seen.sees("/limit works in a session that asks;")
        seen.sees(f"  autoagent --resume {session} -c --max-steps 200")
        seen.types("/help" + ENTER)
        seen.sees("Anything else goes to the agent as your words")
        seen.types("/goa" + ENTER)
        seen.sees("There is no /goa.")
        held.set()
        assert seen.ends() == 0

        named = {found[1] for row in seen.scrolled if (found := re.match(r"  (/[a-z]+)  ", row))}
        telling = {"/status", "/cost", "/plan", "/agents", "/memory"}
        assert telling <= named <= telling | {"/help", "/quit"}, "with what stands behind them"
        assert of_type(seen.program.journal(), "Fed") == []
        assert of_type(seen.program.journal(), "Aimed") == []


@pytest.mark.parametrize("typed", ["/quit" + ENTER, CTRL_C], ids=["quit", "ctrl-c"])
def test_leaving_ends_the_run_resumably_and_keeps_what_was_typed(
    typed: str, tmp_path: Path
) -> None:
    """Words that the agent has not read wait for the session to go on; a begun line is shown."""
    asked = Event()

    def silent(_: object) -> Answer:
        asked.set()
        return Answer(DONE, hold=Event())

    with emulated(tmp_path, [silent], "-c", "Write") as seen:
        seen.sees("step 1: thinking…", _FREE)
        assert asked.wait(LIMIT_S)
        seen.types("Mind the gap" + ENTER)
        seen.sees("queued: Mind the gap", _FREE)
        seen.types(typed if typed != CTRL_C else "half a li" + CTRL_C)
        seen.sees("  autoagent --resume ")
        assert is_left_as_it_was(seen)
        assert seen.ends() == 130

        rows = seen.scrolled
        kept = rows.index("The agent didn't get these words; it does when the session goes on:")
        assert rows[kept + 1] == "  | Mind the gap"
        assert ("  | half a li" in rows) == (typed == CTRL_C)
        (folder,) = seen.program.sessions
        assert any(f"autoagent --resume {folder.name}" in row for row in rows)
        inbox = Inbox(folder / INBOX)
        assert [inbox.read(name).text for name in inbox.names()] == ["Mind the gap"]


def test_words_that_come_while_it_waits_for_sub_agents_end_that_wait(tmp_path: Path) -> None:
    held = Event()
    troupe = Troupe(
        tmp_path / "unused",
        main=[
            says("start_agent", name="a", task="a"),
            says("wait_for_agents"),
            says("finish", answer="heard"),
        ],
        a=[Answer(says("finish", answer="one"), hold=held)],
    )
    with emulated(tmp_path, [troupe.answer] * 8, "-c", "main") as seen:
        seen.sees("step 2: wait_for_agents")
        seen.types("Hurry" + ENTER)
        seen.sees("The agent is told:", "  | Hurry")
        held.set()
        assert seen.ends() == 0


def test_steps_look_as_they_do_by_lines(tmp_path: Path) -> None:
    """A line a step with the thought before it, in both; nobody is asked in either."""
    shown = []
    for name, args in (("live", ("-c", "Write")), ("lines", ("--goal", "Write"))):
        (tmp_path / name).mkdir()
        with emulated(tmp_path / name, [_LIST, WRITE, DONE], *args) as seen:
            assert seen.ends() == 0
            rows = seen.scrolled
            assert (b"words for the agent" in seen.sent) == (name == "live")
            first = rows.index("  I list_files.")
            shown.append(rows[first : rows.index("Done by the model's word.")])

    assert "step 2: write_file a.txt: new, 1 line, 5 bytes" in shown[0]
    assert shown[0] == shown[1]


def test_nothing_that_is_typed_while_it_works_is_left_for_the_shell(tmp_path: Path) -> None:
    """It would run there as a command; the terminal is as it was before, too."""
    held = Event()
    line = 'before=$(stty -g); "$@" -c Write; [ "$before" = "$(stty -g)" ] && echo same; cat'
    with _beneath(tmp_path, line, [Answer(_LIST, hold=held), DONE]) as seen:
        seen.sees("step 1: thinking…", _FREE)
        seen.types("rm one" + ENTER + "rm two" + ENTER + "rm thr")
        seen.sees("queued: rm two", "> rm thr")
        held.set()
        seen.sees("same")
        seen.types("the end" + ENTER)
        seen.waits(lambda rows: rows.count("the end") == 2)  # the echo, and that of cat

        rows = seen.scrolled
        assert not any("rm" in row for row in rows[rows.index("same") :])
        assert (
            rows[
                rows.index("Begun and not sent; the arrow up brings it back in the next session:")
                + 1
            ]
            == "  | rm thr"
        )


def test_in_the_background_it_leaves_the_terminal_alone(tmp_path: Path) -> None:
    """Whoever draws or reads there would be stopped until somebody says `fg`."""
    line = 'set -m; "$@" -c Write & wait $!; echo "ended with $?"'
    with _beneath(tmp_path, line, [WRITE, DONE]) as seen:
        seen.sees("ended with 0")

        assert "step 1: write_file a.txt: new, 1 line, 5 bytes" in seen.scrolled


@pytest.mark.parametrize(
    ("args", "variables"),
    [
        (("-c", "--plain", "Write"), {}),
        (("-c", "-q", "Write"), {}),
        (("-c", "--output-format", "json", "Write"), {}),
        (("-c", "Write"), {"TERM": "dumb"}),
    ],
    ids=["plain", "quiet", "json", "dumb"],
)
def test_other_runs_have_no_line_to_type_in(
    args: tuple[str, ...], variables: dict[str, str], tmp_path: Path
) -> None:
    """They behave like any other program."""
    with emulated(tmp_path, [WRITE, DONE], *args, size=(80, 30), **variables) as seen:
        assert seen.ends() == 0

        assert b"words for the agent" not in seen.sent


def test_a_terminal_that_goes_away_ends_it_as_hung_up(tmp_path: Path) -> None:
    with emulated(tmp_path, [Answer(DONE, hold=Event())], "-c", "Write") as seen:
        seen.sees("step 1: thinking…", _FREE)
        assert seen.hangs_up() == 129

        assert seen.program.journal()[-1]["exit_code"] == 129


def test_words_that_are_too_long_are_refused_with_a_reason(tmp_path: Path) -> None:
    held = Event()
    with emulated(
        tmp_path, [Answer(DONE, hold=held)], "-c", "Write", AUTOAGENT_WINDOW="8000"
    ) as seen:
        seen.sees("step 1: thinking…", _FREE)
        seen.types("\x1b[200~" + "long " * 1000 + "\x1b[201~" + ENTER)
        seen.sees("The message is longer than 4,000 bytes", "brings your words back")
        held.set()
        assert seen.ends() == 0


def test_what_is_typed_before_it_begins_reaches_the_agent(tmp_path: Path) -> None:
    with emulated(tmp_path, [_LIST, DONE], "-c", "Write") as seen:
        seen.types("Typed at once" + ENTER)
        assert seen.ends() == 0

        assert [event["text"] for event in of_type(seen.program.journal(), "Fed")] == [
            "Typed at once"
        ]


def test_words_that_came_too_late_for_a_run_that_is_done_are_said_and_kept_nowhere(
    tmp_path: Path,
) -> None:
    """Nobody goes on with it by itself; a goal given next year shall not bring them along."""
    reader, writer = os.pipe()
    work = tmp_path / "work"
    work.mkdir()
    environ = {"HOME": "/nowhere", "AUTOAGENT_HOME": str(tmp_path / "state")}
    settings = setting.load(options.parse([]), environ, cwd=work)
    stream = io.StringIO()
    out = Output(stream)
    keys = Keyboard(reader)
    view = voices(Output(None), watched=False)
    state = view.main.state
    desk = Desk(out, keys, LinePrompter(out, keys))
    listening = Listening(desk, state, Lookups(settings, view), Cancel(), tmp_path, str)
    state.apply(started("one", str(tmp_path)))
    os.write(writer, b"Read in time\nNot read\n")
    listening.look(None)
    inbox = Inbox(tmp_path / INBOX)
    first, _ = inbox.names()
    inbox.remove(first)
    read = Fed("Read in time", told=first)
    state.apply(read)
    listening.look(read)
    os.write(writer, b"Too late\n/quit\n")

    state.apply(Stopped("done", 0, ""))
    listening.ends()

    nowhere = "The agent didn't get these words; they are kept nowhere else:\n"
    assert stream.getvalue() == f"{nowhere}  | Not read\n  | Too late\n"
    assert inbox.names() == []
    for end in (reader, writer):
        os.close(end)
