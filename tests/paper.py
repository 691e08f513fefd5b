"""What is written to a terminal of some width, kept; and what a person sees of it."""

import fcntl
import io
import os
import re
import struct
import termios
from collections.abc import Iterator
from contextlib import contextmanager

import pyte

from autoagent.terminal.output import Output

_CODE = re.compile(r"\x1b\[([0-9;]*)m")
_OURS = {"", "0", "1", "2", "31", "32", "35"}  # reset, bold, dim, red, green, magenta


class Paper(io.StringIO):
    """A stream at a pseudo-terminal of that width which keeps what it is given."""

    def __init__(self, terminal: int) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._terminal

    @property
    def text(self) -> str:
        """All of it without its styles, which must be ours."""
        assert set(_CODE.findall(self.getvalue())) <= _OURS
        return _CODE.sub("", self.getvalue())

    def seen(self, columns: int, lines: int = 200) -> list[str]:
        """The lines of a screen of that width that was given it, down to the last."""
        shown = self._screen(columns, lines).display
        return "\n".join(line.rstrip() for line in shown).rstrip().split("\n")

    def places(self, sign: str, columns: int, lines: int = 200) -> list[list[int]]:
        """The cells of each line of that screen in which the sign stands."""
        cells = self._screen(columns, lines).buffer
        rows = (cells[y] for y in range(lines))
        return [[x for x in range(columns) if row[x].data == sign] for row in rows]

    def _screen(self, columns: int, lines: int) -> pyte.Screen:
        screen = pyte.Screen(columns, lines)
        pyte.Stream(screen).feed(self.getvalue().replace("\n", "\r\n"))
        return screen


@contextmanager
def paper(columns: int) -> Iterator[Paper]:
    ours, theirs = os.openpty()
    try:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        yield Paper(theirs)
    finally:
        os.close(ours)
        os.close(theirs)


def printed(paper: Paper, *, colour: bool, plain: bool = False) -> Output:
    return Output(paper, colour=colour, plain=plain)
