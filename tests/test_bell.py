"""The bell: when a run that took long asks or ends, at a terminal and nowhere else."""

import os
from pathlib import Path

from autoagent.terminal.output import Output
from autoagent.terminal.ringing import Ringing, Wish
from tests.fake_openai import FakeOpenAI
from tests.program import Program
from tests.screens import ASKS, DONE, WRITE, at_terminal


class Clock:
    """Says what a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def _rung(wish: Wish, term: str = "xterm") -> bytes:
    """What a terminal gets: "?" stands before a question, "." before the end.

    The first question comes after 59 s, is answered 10 s later, the second one at once,
    the third after 60 s, and then the run ends.
    """
    screen, inner = os.openpty()
    clock = Clock()
    with os.fdopen(screen, "rb", 0) as shown, os.fdopen(inner, "w") as stream:
        out = Output(stream)
        ringing = Ringing(out, wish, {"TERM": term}, clock)
        for pause_s in (59.0, 0.0, 60.0):
            clock.now += pause_s
            out.write("?")
            ringing.asks()
            clock.now += 10.0
            ringing.typed()
        out.write(".")
        ringing.ends()
        out.write("end")
        text = b""
        while not text.endswith(b"end"):
            text += shown.read(100)
    return text.removesuffix(b"end")


def test_it_rings_after_a_minute_without_a_key_and_at_the_end_of_a_long_run() -> None:
    """Whoever answered a moment ago needs no bell; the run took more than a minute."""
    assert _rung("auto") == b"???\a.\a"
    assert _rung("always") == b"?\a?\a?\a.\a"
    assert _rung("never") == b"???."


def test_a_terminal_that_can_do_nothing_is_sent_no_bell() -> None:
    """It would show the character."""
    assert _rung("always", term="dumb") == b"???."


def test_always_rings_at_a_question_and_at_the_end_and_auto_not_so_soon(tmp_path: Path) -> None:
    """Through the setting, with the real program."""
    for wish, rung in (("always", True), ("auto", False)):
        with at_terminal(
            *(tmp_path, [WRITE, DONE], "Write"),
            TERM="xterm",
            PYTHONIOENCODING="ascii",  # by lines, not by the live screen
            AUTOAGENT_BELL=wish,
        ) as screen:
            before = screen.shows(ASKS)
            screen.child.sendline("y")
            after = screen.shows("autoagent --resume ", "\r\n")
            assert screen.ends() == 0

            assert ("\a" in before, "\a" in after + str(screen.child.before)) == (rung, rung)


def test_nothing_rings_in_a_pipe(tmp_path: Path) -> None:
    """Whoever reads a log gets no control character."""
    with FakeOpenAI([DONE]) as server:
        program = Program(tmp_path, server.base_url, {"AUTOAGENT_BELL": "always"})

        done = program.run("--goal", "Write")

    assert done.code == 0
    assert "\a" not in done.out + done.err
