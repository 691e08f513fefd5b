"""The screen that fails, or ends at an awkward moment: the terminal is left as it was."""

import io
import signal
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pexpect  # type: ignore[import-untyped]
import pytest

from autoagent.events import Status, Stopped
from autoagent.inbox import INBOX, Inbox
from autoagent.state import State
from autoagent.terminal.output import Output
from autoagent.terminal.unheard import keep_unheard, unmet
from autoagent.wishes import NewGoal, NewLimit, NewModel
from tests.emulated import CTRL_C, CTRL_D, ENTER, LIMIT_S, Emulated, emulated
from tests.fake_openai import Answer
from tests.program import ROOT
from tests.screens import ASKS, DONE, WRITE

_CRASHES = """
import os, sys
from autoagent.glimpse import Glimpse
from autoagent.terminal.live.coming import Activity
from autoagent.terminal.live.desk import LiveDesk
from autoagent.terminal.live.screen import Screen
from autoagent.terminal.live.typing import Question

def clean(text):
    if WHERE not in text:
        return text
    raise ValueError("no \\x1b[2J such")

screen = Screen(sys.stdin, sys.stderr, os.environ, history=None, words=(), clean=clean, colour=True)
with LiveDesk(screen, sys.stderr, colour=True) as desk:
    desk.out.line("got " + str(desk.prompter.line("First? ")))
    screen.glimpse(Glimpse("output", 1, "line\\n"))
    screen.activity(Activity("running", "output"))
    desk.out.line("got " + str(desk.prompter.line("Second? ")))
    desk.out.line("a line more")
    desk.out.line("got " + str(desk.prompter.line("Third? ")))
"""


def _mode(seen: Emulated) -> tuple[bool, bool, bool]:
    """Whether the terminal gives lines, shows what is typed, and sends signals."""
    flags = termios.tcgetattr(seen.child.child_fd)[3]
    return bool(flags & termios.ICANON), bool(flags & termios.ECHO), bool(flags & termios.ISIG)


def _last(seen: Emulated, on: bytes, off: bytes) -> bytes:
    return max((on, off), key=seen.sent.rfind)


def is_left_as_it_was(seen: Emulated) -> bool:
    """By what the program sent, and what the kernel keeps."""
    return (
        _mode(seen) == (True, True, True)
        and _last(seen, b"\x1b[?2004h", b"\x1b[?2004l") == b"\x1b[?2004l"
        and _last(seen, b"\x1b[?25l", b"\x1b[?25h") == b"\x1b[?25h"
        and _last(seen, b"\x1b[?7l", b"\x1b[?7h") == b"\x1b[?7h"
    )


@contextmanager
def _scripted(program: str) -> Iterator[Emulated]:
    child = pexpect.spawn(
        sys.executable,
        ["-c", program],
        cwd=str(ROOT),
        timeout=LIMIT_S,
        dimensions=(24, 120),
        env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "TERM": "xterm-256color"},
    )
    child.delaybeforesend = None
    try:
        yield Emulated(child)
    finally:
        child.close(force=True)


def test_where_the_screen_fails_it_is_said_and_goes_on_by_lines() -> None:
    """A bug in drawing ends no run, and a question that stands gets its answer."""
    with _scripted(_CRASHES.replace("WHERE", "'line'")) as seen:
        seen.sees("First?")
        seen.types("one" + ENTER)
        seen.sees("got one")
        seen.sees(r"An internal error ended the lines beneath (ValueError: no \x1b[2J such)")
        seen.sees("Second?")
        seen.types("two\n")
        seen.sees("got two", "a line more", "Third?")
        seen.types("three\n")
        seen.sees("got three")

        assert is_left_as_it_was(seen)
        assert seen.ends() == 0


def test_where_a_key_brings_the_screen_down_nobody_waits_for_ever() -> None:
    """The line that was begun is asked for again."""
    with _scripted(_CRASHES.replace("WHERE", "'one'")) as seen:
        seen.sees("First?")
        seen.types("one" + ENTER)
        seen.sees("it goes on by lines.", "First?")
        for number, word in enumerate(("uno", "due", "tre")):
            seen.types(f"{word}\n")
            seen.sees(f"got {word}", *(["Second?", "Third?"][:number]))

        assert is_left_as_it_was(seen)
        assert seen.ends() == 0


@pytest.mark.parametrize(
    ("ends", "code"),
    [(CTRL_C, 130), (CTRL_D, 2), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=["Ctrl-C", "Ctrl-D", "SIGTERM", "SIGHUP"],
)
def test_a_question_for_goals_is_left_in_order(
    ends: str | signal.Signals, code: int, tmp_path: Path
) -> None:
    """Before there is a session to be ended, too."""
    with emulated(tmp_path, []) as seen:
        seen.sees("What shall be reached?", ">")
        assert _mode(seen) == (False, False, False)
        if isinstance(ends, str):
            seen.types(ends)
        else:
            seen.child.kill(ends)
        while b"\x1b[?2004l" not in seen.sent:
            assert seen._fed(LIMIT_S)
        while seen._fed(LIMIT_S):
            pass

        assert _last(seen, b"\x1b[?7l", b"\x1b[?7h") == b"\x1b[?7h"
        seen.child.close()
        assert seen.child.exitstatus == code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_a_question_stands_ends_in_order(
    number: signal.Signals, tmp_path: Path
) -> None:
    with emulated(tmp_path, [WRITE], "Write") as seen:
        seen.sees(ASKS.rstrip())
        seen.child.kill(number)
        assert seen.ends() == 128 + number

        assert _last(seen, b"\x1b[?7l", b"\x1b[?7h") == b"\x1b[?7h"
        assert any("autoagent --resume" in row for row in seen.scrolled)


def test_an_empty_line_for_goals_says_what_is_wanted_and_stays(tmp_path: Path) -> None:
    with emulated(tmp_path, [DONE]) as seen:
        seen.sees("What shall be reached?")
        seen.types(ENTER + ENTER)
        seen.sees("> say what shall be reached; Ctrl-D leaves")
        seen.types("Write" + ENTER + ENTER)
        assert seen.ends() == 0


def test_words_that_came_too_late_are_kept_for_when_it_goes_on(tmp_path: Path) -> None:
    held = Event()
    with emulated(tmp_path, [Answer(WRITE, hold=held), DONE], "Write") as seen:
        seen.sees("step 1: thinking…")
        seen.types("late wor")
        seen.sees("> late wor")
        held.set()
        seen.sees("First your words to the agent")
        seen.types("ds" + ENTER)
        seen.answers(ASKS, "q")
        assert seen.ends() == 130
        rows = "\n".join(seen.scrolled)
        assert "The agent didn't get these words; it does when the session goes on:" in rows
        assert "  | late words\n" in rows

        done = seen.program.run("--resume")
        assert done.code in (0, 6)
        assert "[the user says]\nlate words" in str(seen.server.chats[-1]["messages"]).replace(
            "\\n", "\n"
        )


def test_words_that_nobody_reads_any_more_are_said_where_the_run_is_done(tmp_path: Path) -> None:
    """What is done doesn't go on by itself; anything else does, and finds them then."""
    said = {}
    statuses: tuple[Status, ...] = ("done", "limit")
    for status in statuses:
        state = State(window=32_000)
        state.stopped = Stopped(status, 0, "")
        (tmp_path / status).mkdir()
        stream = io.StringIO()
        keep_unheard(Output(stream), ["too late"], "", tmp_path / status, state, str)
        said[status] = stream.getvalue()

    nowhere = "The agent didn't get these words; they are kept nowhere else:\n  | too late\n"
    later = "The agent didn't get these words; it does when the session goes on:\n  | too late\n"
    assert said == {"done": nowhere, "limit": later}
    assert [len(Inbox(tmp_path / status / INBOX).names()) for status in statuses] == [0, 1]


def test_a_begun_line_that_nobody_reads_any_more_is_said(tmp_path: Path) -> None:
    """The arrow brings the line back next time."""
    verify = "if [ -e begin ]; then touch begun; while [ ! -e go ]; do sleep 0.05; done; fi"
    with emulated(tmp_path, [WRITE, DONE], "--verify", verify, "-i", "Write") as seen:
        seen.sees(ASKS.rstrip())
        (seen.workspace / "begin").touch()
        seen.types("y" + ENTER)
        seen.sees("verifying…")
        seen.types("and half of")
        seen.sees("> and half of")
        (seen.workspace / "go").touch()
        assert seen.ends() == 0

        rows = "\n".join(seen.scrolled)
        assert "Begun and not sent; the arrow up brings it back in the next session:\n" in rows
        assert "and half of" in (seen.program.home / "history").read_text()


def test_wishes_that_came_too_late_to_count_are_said_or_kept_as_words() -> None:
    stream = io.StringIO()

    words = unmet(Output(stream), [NewLimit("tokens", 3e6), NewModel("big"), NewGoal("More.")])

    assert stream.getvalue() == (
        "It ended before this could count: /limit tokens 3000000\n"
        "It ended before this could count: /model big\n"
    )
    assert words == ["One goal more: More."]


def test_a_slash_word_begun_before_a_question_is_no_word_for_the_agent(tmp_path: Path) -> None:
    held = Event()
    with emulated(tmp_path, [Answer(WRITE, hold=held), DONE], "Write") as seen:
        seen.sees("step 1: thinking…")
        seen.types("/stat")
        seen.sees("> /stat")
        held.set()
        seen.sees("First your words to the agent")
        seen.types("us" + ENTER)
        seen.answers(ASKS, "")
        seen.sees("Step 1 of 100")
        seen.types("y" + ENTER)
        assert seen.ends() == 0

        assert "/status" not in str(seen.server.chats[-1]["messages"])


def test_a_secret_is_no_history(tmp_path: Path) -> None:
    with emulated(tmp_path, [WRITE, DONE], "Write") as seen:
        key = seen.program.environment["OPENAI_API_KEY"]
        seen.answers(ASKS, f"use {key} for it")
        assert seen.ends() == 0

        assert key not in (seen.program.home / "history").read_text()
        assert key.encode() not in seen.sent.replace(f"use {key} for it".encode(), b"")


def test_a_history_that_can_t_be_written_ends_nothing(tmp_path: Path) -> None:
    """A full disk, say: what was typed counts all the same, and the terminal is not gone."""
    with emulated(tmp_path, [WRITE, DONE]) as seen:
        seen.sees("What shall be reached?")
        history = seen.program.home / "history"
        history.unlink()
        history.mkdir()
        seen.types("Write it down" + ENTER + ENTER)
        seen.answers(ASKS, "in another file, please")
        assert seen.ends() == 0

        assert "in another file, please" in str(seen.server.chats[1]["messages"])
