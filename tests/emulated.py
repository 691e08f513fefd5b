"""The program at a terminal that is emulated: what a person sees after each key."""

import os
import re
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pexpect  # type: ignore[import-untyped]
import pyte

from tests.fake_openai import FakeOpenAI, Scripted
from tests.program import Program

LIMIT_S = 30.0
ENTER, CTRL_C, CTRL_D, TAB, UP, ALT_ENTER = "\r", "\x03", "\x04", "\t", "\x1b[A", "\x1b\r"
VARIABLES = {
    "TERM": "xterm-256color",
    "AUTOAGENT_MEMORY": "none",
    "AUTOAGENT_WINDOW": "32000",
    "AUTOAGENT_PRICE": "1,1,1",
}
_CHUNK = 65536
_DIM = re.compile(rb"(\x1b\[)((?:\d*;)*)2((?:;\d*)*m)")
"""What is dim; pyte knows no such style, so italics stand for it here."""


def pasted(text: str) -> str:
    """As a terminal sends it."""
    return f"\x1b[200~{text}\x1b[201~"


class Emulated:
    """A person at the terminal; each wait has an end. `scrolled` and `rows` are what stands
    above the screen and on it."""

    def __init__(self, child: "pexpect.spawn[bytes]") -> None:
        self.child = child
        columns, rows = child.getwinsize()[1], child.getwinsize()[0]
        self._screen = pyte.HistoryScreen(columns, rows, history=10_000)
        self._stream = pyte.ByteStream(self._screen)
        self.sent = b""  # all that the program wrote

    @property
    def rows(self) -> list[str]:
        """The screen, without blanks at the ends and without empty rows at its end."""
        return _trimmed([row.rstrip() for row in self._screen.display])

    @property
    def scrolled(self) -> list[str]:
        """What has scrolled off, and the screen."""
        above = [_text(line, self._screen.columns) for line in self._screen.history.top]
        return _trimmed([*above, *(row.rstrip() for row in self._screen.display)])

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows."""
        return self._screen.columns, self._screen.lines

    @property
    def cursor(self) -> tuple[int, int]:
        """Column and row, from 0."""
        return self._screen.cursor.x, self._screen.cursor.y

    @property
    def row(self) -> int:
        """That of the cursor, from the first that has scrolled off."""
        return len(self._screen.history.top) + self._screen.cursor.y

    def cell(self, column: int, row: int) -> "pyte.screens.Char":
        """A character with its colour and weight."""
        return self._screen.buffer[row][column]

    def types(self, text: str) -> None:
        self.child.send(text.encode())

    def waits(self, until: Callable[[list[str]], object]) -> list[str]:
        """Until the rows are so; they then."""
        deadline = time.monotonic() + LIMIT_S
        while not until(self.rows):
            left = deadline - time.monotonic()
            assert left > 0 and self._fed(left), "never seen; what stood there:\n" + "\n".join(
                self.scrolled[-60:]
            )
        return self.rows

    def looks(self, at_most_s: float) -> bool:
        """Take what comes next; whether anything did."""
        return self._fed(at_most_s)

    def sees(self, *texts: str) -> list[str]:
        """Until each text stands on the screen."""
        return self.waits(lambda rows: all(any(t in row for row in rows) for t in texts))

    def answers(self, question: str, typed: str) -> None:
        """Wait until that is the question, or its beginning, then type a line and Enter. One
        that was answered has its answer behind it."""
        asked = question.rstrip()
        self.waits(
            lambda rows: any(
                row == asked or (row.startswith(asked) and row[-1] in ":)") for row in rows[-3:]
            )
        )
        self.types(typed + ENTER)

    def ends(self) -> int:
        """Wait for the end; the exit code."""
        deadline = time.monotonic() + LIMIT_S
        while self._fed(LIMIT_S):
            assert time.monotonic() < deadline, "it goes on:\n" + "\n".join(self.scrolled[-60:])
        self.child.close()
        return int(self.child.exitstatus if self.child.exitstatus is not None else -1)

    def hangs_up(self) -> int:
        """The terminal goes away, and nothing else; the exit code. (pexpect's close sends signals
        of its own.)"""
        process = os.pidfd_open(self.child.pid)
        self.child.ptyproc.fileobj.close()
        self.child.ptyproc.closed = self.child.ptyproc.terminated = True
        try:
            assert select.select([process], [], [], LIMIT_S)[0], "it goes on"
            return os.waitstatus_to_exitcode(os.waitpid(self.child.pid, 0)[1])
        finally:
            os.close(process)

    def resizes(self, columns: int, rows: int) -> None:
        self.child.setwinsize(rows, columns)
        self._screen.resize(rows, columns)
        os.kill(self.child.pid, signal.SIGWINCH)

    def _fed(self, limit_s: float) -> bool:
        """Take what the program wrote; False at its end."""
        number = self.child.child_fd
        if not select.select([number], [], [], limit_s)[0]:
            return False
        try:
            data = os.read(number, _CHUNK)
        except OSError:  # the program has ended
            return False
        self.sent += data
        self._stream.feed(_DIM.sub(rb"\1\g<2>3\3", data))
        return bool(data)


class Seen(Emulated):
    """A person at the program."""

    def __init__(self, child: "pexpect.spawn[bytes]", server: FakeOpenAI, program: Program) -> None:
        super().__init__(child)
        self.server = server
        self.program = program
        self.workspace = program.workspace


@contextmanager
def emulated(
    folder: Path,
    replies: Sequence[Scripted],
    *args: str,
    size: tuple[int, int] = (80, 30),
    **variables: str,
) -> Iterator[Seen]:
    """autoagent at a terminal of so many columns and rows."""
    with FakeOpenAI(replies) as server:
        program = Program(folder, server.base_url, {**VARIABLES, **variables})
        columns, rows = size
        child = pexpect.spawn(
            sys.executable,
            ["-m", "autoagent", *args],
            cwd=str(program.workspace),
            env=program.environment,
            timeout=LIMIT_S,
            dimensions=(rows, columns),
        )
        child.delaybeforesend = None
        child.ptyproc.delayafterclose = 0.0
        try:
            yield Seen(child, server, program)
        finally:
            child.close(force=True)


def _text(line: object, columns: int) -> str:
    return "".join(line[x].data for x in range(columns)).rstrip()  # type: ignore[index]


def _trimmed(rows: list[str]) -> list[str]:
    while rows and not rows[-1]:
        rows.pop()
    return rows
