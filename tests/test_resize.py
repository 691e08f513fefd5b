"""A terminal that changes its size in the middle of things; by tmux, which wraps what stands."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Event

import pytest

from tests.emulated import emulated
from tests.fake_openai import Answer, FakeOpenAI, Scripted
from tests.program import Program, says
from tests.screens import DONE

pytestmark = pytest.mark.skipif(
    shutil.which("tmux") is None and not os.environ.get("CI"), reason="there is no tmux"
)

_LIMIT_S = 30.0
_LOOK_S = 0.05
_LONG = "To begin with: " + "a long sentence that takes more than one row. " * 4
_LONG_REPLY = json.dumps({"thoughts": _LONG, "command": {"name": "list_files", "args": {}}})


class Pane:
    """A person at a tmux of its own."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def tmux(self, *words: str) -> str:
        done = subprocess.run(
            ["tmux", "-f", os.devnull, "-S", str(self._socket), *words],
            check=True,
            capture_output=True,
            timeout=_LIMIT_S,
        )
        return done.stdout.decode()

    @property
    def rows(self) -> list[str]:
        """What scrolled off, and the screen."""
        return self.tmux("capture-pane", "-p", "-S", "-").rstrip("\n").split("\n")

    def types(self, text: str) -> None:
        self.tmux("send-keys", "-l", text)

    def resizes(self, columns: int, rows: int) -> None:
        self.tmux("resize-window", "-x", str(columns), "-y", str(rows))

    def waits(self, until: Callable[[list[str]], object]) -> list[str]:
        """tmux can only be asked; until the rows are so."""
        deadline = time.monotonic() + _LIMIT_S
        while not until(rows := self.rows):
            assert time.monotonic() < deadline, "never seen; what stood there:\n" + "\n".join(rows)
            Event().wait(_LOOK_S)
        return rows


@contextmanager
def at_tmux(folder: Path, replies: list[Scripted], *args: str) -> Iterator[Pane]:
    with FakeOpenAI(replies) as server:
        # With money the lowest line is long, and shorter where there is less room: so it can be
        # seen whether it was drawn anew.
        variables = {"AUTOAGENT_MEMORY": "none", "AUTOAGENT_PRICE": "1,1,1"}
        program = Program(folder, server.base_url, variables)
        pane = Pane(folder / "tmux")
        environment = [f"{name}={value}" for name, value in program.environment.items()]
        command = ["env", *environment, "TERM=screen-256color", sys.executable, "-m", "autoagent"]
        size = ("-x", "100", "-y", "24")
        at = ("-c", str(program.workspace))
        pane.tmux("new-session", "-d", *size, *at, "--", *command, *args)
        pane.tmux("set-option", "-g", "remain-on-exit", "on")
        try:
            yield pane
        finally:
            pane.tmux("kill-server")


def test_the_lines_beneath_are_drawn_once_at_every_width(tmp_path: Path) -> None:
    """While a question stands and while a reply comes; what stands above keeps its lines."""
    held = Event()
    coming = Answer(_LONG_REPLY, piece=40, hold=held, hold_after=6)
    write = says("write_file", path="a.txt", content="one\n")
    with at_tmux(tmp_path, [write, coming, DONE], "Write") as pane:
        pane.waits(lambda rows: "".join(rows[-2:-1]).startswith("Run it?"))
        above = "longer words go to the agent instead.)"
        for columns in (60, 40, 90, 44, 100, 45):
            pane.resizes(columns, 24)
            pane.waits(partial(_is_set, columns, ("step 1 of", "Run it?"), above))
        pane.types("y\r")
        pane.waits(lambda rows: _count(rows, "sentence that takes"))
        once = ("step 1 of", "step 2: thinking…", "> words for the agent", "To begin with:")
        for columns in (70, 50, 100):
            pane.resizes(columns, 24)
            pane.waits(partial(_is_set, columns, once, above))
        held.set()
        rows = pane.waits(lambda rows: any("autoagent --resume" in row for row in rows))
        assert _count(rows, "step 2: thinking…") == 0
        assert _count(rows, "a.txt: new, 1 line, 4 bytes") == 1


def _is_set(columns: int, once: Sequence[str], above: str, rows: list[str]) -> bool:
    """Whether each of the texts stands there once, at that width, and the one above whole. The
    lowest line has room for the tokens from 60 columns on."""
    fits = rows[-1].startswith("step ") and ("tokens" in rows[-1]) == (columns >= 60)
    return fits and all(_count(rows, text) == 1 for text in once) and above in "".join(rows)


def _count(rows: list[str], text: str) -> int:
    return sum(text in row for row in rows)


def test_where_a_terminal_cuts_long_lines_nothing_that_stands_above_is_taken(
    tmp_path: Path,
) -> None:
    """As xterm does, and the emulated one here: a line takes one row at every width."""
    held = Event()
    variables = {"XTERM_VERSION": "XTerm(379)"}
    write = says("write_file", path="a.txt", content="one\n")
    coming = Answer(_LONG_REPLY, piece=40, hold=held, hold_after=6)
    with emulated(tmp_path, [write, coming, DONE], "Write", size=(100, 24), **variables) as seen:
        seen.answers("Run it? y/n/e/d/s/q/?, a = every write_file:", "y")
        seen.sees("sentence that takes")
        for columns in (60, 44, 90, 41, 100, 50):
            seen.resizes(columns, 24)
            seen.waits(partial(_is_cut, columns))
        held.set()
        seen.sees("step 3")
        assert seen.ends() == 0


def _is_cut(columns: int, rows: list[str]) -> bool:
    fits = rows[-1].startswith("step 1 of") and ("tokens" in rows[-1]) == (columns >= 60)
    once = ("(? explains", "  | one", "Run it?", "write_file a.txt", "step 2: thinking…", "> words")
    return fits and all(sum(row.startswith(text) for row in rows) == 1 for text in once)
