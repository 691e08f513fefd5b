"""Lines that a person types, read from a terminal so that none is lost or taken for another."""

import os
import select
from collections.abc import Iterator
from contextlib import contextmanager

_CHUNK = 4096


class Keyboard:
    """Reads standard input by lines. What was typed before a question is kept apart from it.

    A signal handler calls `interrupt` while a line is awaited; the wait then ends.
    """

    def __init__(self, descriptor: int = 0) -> None:
        self._descriptor = descriptor
        self._rest = b""
        self._ended = False
        self.waiting = False

    def typed_ahead(self) -> list[str]:
        """Whole lines that are there already."""
        while not self._ended and self._is_ready():
            self._read()
        *lines, self._rest = self._rest.split(b"\n")
        return [_text(line) for line in lines if line.strip()]

    def line(self) -> str | None:
        """The next line, without its end; None at the end of input."""
        while b"\n" not in self._rest:
            if self._ended:
                return None
            with self._awaited():
                self._read()
        first, self._rest = self._rest.split(b"\n", 1)
        return _text(first)

    def _is_ready(self) -> bool:
        return bool(select.select([self._descriptor], [], [], 0)[0])

    def _read(self) -> None:
        try:
            data = os.read(self._descriptor, _CHUNK)
        except OSError:  # the terminal hung up
            data = b""
        self._ended = not data
        self._rest += data

    @contextmanager
    def _awaited(self) -> Iterator[None]:
        self.waiting = True
        try:
            yield
        finally:
            self.waiting = False


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace").rstrip("\r")
