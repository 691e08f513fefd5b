"""How the live screen writes to the terminal."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from prompt_toolkit.data_structures import Size
from prompt_toolkit.output.vt100 import Vt100_Output

USUAL = "\x1b[?2004l\x1b[?7h\x1b[?25h\x1b[0m"
"""No bracketed paste, lines that wrap, a cursor, no style."""


class Batched(Vt100_Output):
    """Writes once for several drawings, so that nothing flickers."""

    def __init__(self, stream: TextIO, term: str | None) -> None:
        def size() -> Size:
            try:
                columns, rows = os.get_terminal_size(stream.fileno())
            except OSError:  # it is gone
                columns, rows = 80, 24
            return Size(rows=rows or 24, columns=columns or 80)

        super().__init__(stream, size, term=term, enable_cpr=False)
        self._holds = False

    @contextmanager
    def batch(self) -> Iterator[None]:
        self._holds = True
        try:
            yield
        finally:
            self._holds = False
            self.flush()

    def erase_down(self) -> None:
        """This row, then those below: erased from the very first cell on, tmux would put what
        stood there into its history."""
        self.write_raw("\x1b7\x1b[K\x1b[B\x1b[J\x1b8")

    def flush(self) -> None:
        if not self._holds:
            super().flush()
