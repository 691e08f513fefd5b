"""A terminal that changes its size in the middle of things; by tmux, which wraps what stands."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Event

import pytest

from tests.fake_openai import Answer, FakeOpenAI, Scripted
from tests.program import Program, says
from tests.screens import DONE

pytestmark = pytest.mark.skipif(
    shutil.which("tmux") is None and not os.environ.get("CI"), reason="there is no tmux"
)

_LIMIT_S = 30.0
_LOOK_S = 0.05


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
        program = Program(folder, server.base_url, {"AUTOAGENT_MEMORY": "none"})
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
    thoughts = "To begin with: " + "a long sentence that takes more than one row. " * 4
    reply = json.dumps({"thoughts": thoughts, "command": {"name": "list_files", "args": {}}})
    coming = Answer(reply, piece=40, hold=held, hold_after=6)
    write = says("write_file", path="a.txt", content="one\n")
    with at_tmux(tmp_path, [write, coming, DONE], "Write") as pane:
        pane.waits(lambda rows: "".join(rows[-2:-1]).startswith("Run it?"))
        for columns in (60, 40, 90, 44):
            pane.resizes(columns, 24)
            rows = pane.waits(partial(_is_set, columns, "step 1 of"))
            assert _count(rows, "step 1 of") == _count(rows, "Run it?") == 1
        pane.types("y\r")
        pane.waits(lambda rows: _count(rows, "sentence that takes"))
        for columns in (70, 50, 100):
            pane.resizes(columns, 24)
            rows = pane.waits(partial(_is_set, columns, "step 1 of"))
            assert _count(rows, "step 2: thinking…") == _count(rows, "> words for the agent") == 1
            assert _count(rows, "To begin with:") == 1
        held.set()
        rows = pane.waits(lambda rows: any("autoagent --resume" in row for row in rows))
        assert _count(rows, "step 2: thinking…") == 0
        assert _count(rows, "a.txt: new, 1 line, 4 bytes") == 1


def _is_set(columns: int, bar: str, rows: list[str]) -> bool:
    """Whether the last row is the bar, as it stands at that width."""
    whole = "step 1 of 100, $0.00"
    return rows[-1].startswith(bar) and len(rows[-1]) < columns and whole[:9] in rows[-1]


def _count(rows: list[str], text: str) -> int:
    return sum(text in row for row in rows)
