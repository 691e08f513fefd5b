"""Lines that a person types, read from a terminal so that none is lost or taken for another."""

import os
import re
import select
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_CHUNK = 4096
# What an arrow key sends, and other control characters that nobody means as text.
_KEYS = r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|.)?|[\x00-\x08\x0b-\x1f\x7f]"


class Interrupted(Exception):
    """`Keyboard.wake` was called while a line was awaited."""


class Keyboard:
    """Reads standard input by lines. What was typed before a question is kept apart from it.

    One a process: it keeps the pipe by which it is woken open.
    """

    def __init__(self, descriptor: int = 0) -> None:
        self._descriptor = descriptor
        self._rest = b""
        self._ended = False
        self._woken, self._waker = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(self._waker, False)

    def wake(self) -> None:
        """End the wait for a line, from any thread."""
        with suppress(BlockingIOError):  # it is full: woken often enough
            os.write(self._waker, b"!")

    def forget_wakes(self) -> None:
        """Forget that it was woken: that was meant for what is over."""
        with suppress(BlockingIOError):
            while os.read(self._woken, _CHUNK):
                pass

    @property
    def hung_up(self) -> bool:
        """Whether the input ended because the terminal is gone, not by Ctrl-D."""
        try:
            termios.tcgetattr(self._descriptor)
        except termios.error:
            return self._ended
        return False

    def lines_ahead(self) -> list[str]:
        """Whole lines that are there already."""
        self._read_what_is_there()
        *lines, self._rest = self._rest.split(b"\n")
        return _texts(lines)

    def typed_ahead(self) -> list[str]:
        """All that was typed up to now, a line that was only begun too."""
        with self._line_by_line_off():
            self._read_what_is_there()
        lines, self._rest = self._rest.split(b"\n"), b""
        return _texts(lines)

    def begun(self) -> str:
        """It stays with the terminal, for whoever reads there next."""
        return ""

    def line(self) -> str | None:
        """The next line, without its end; None at the end of input; Interrupted."""
        while b"\n" not in self._rest:
            if self._ended:
                return None
            ready, _, _ = select.select([self._descriptor, self._woken], [], [])
            if self._woken in ready:
                self.forget_wakes()
                raise Interrupted
            self._read()
        first, self._rest = self._rest.split(b"\n", 1)
        return _text(first)

    def _read_what_is_there(self) -> None:
        while not self._ended and select.select([self._descriptor], [], [], 0)[0]:
            self._read()

    def _read(self) -> None:
        try:
            data = os.read(self._descriptor, _CHUNK)
        except OSError:  # the terminal hung up
            data = b""
        self._ended = not data
        self._rest += data

    @contextmanager
    def echo_off(self) -> Iterator[None]:
        """What is typed isn't shown while this lasts; termios.error where it would be."""
        before = termios.tcgetattr(self._descriptor)
        changed = list(before)
        changed[3] &= ~(termios.ECHO | termios.ECHONL)
        termios.tcsetattr(self._descriptor, termios.TCSADRAIN, changed)
        try:
            yield
        finally:
            with suppress(termios.error):  # it hung up
                termios.tcsetattr(self._descriptor, termios.TCSADRAIN, before)

    @contextmanager
    def _line_by_line_off(self) -> Iterator[None]:
        """The kernel gives out a line that has no end yet only while this lasts."""
        try:
            before = termios.tcgetattr(self._descriptor)
            # In the background, changing the terminal would stop the process.
            mine = os.tcgetpgrp(self._descriptor) == os.getpgrp()
        except (termios.error, OSError):
            mine = False
        if not mine:
            yield
            return
        changed = list(before)
        changed[3] &= ~termios.ICANON
        termios.tcsetattr(self._descriptor, termios.TCSANOW, changed)
        try:
            yield
        finally:
            termios.tcsetattr(self._descriptor, termios.TCSANOW, before)


def _texts(lines: list[bytes]) -> list[str]:
    return [text for line in lines if (text := _text(line).strip())]


def _text(line: bytes) -> str:
    return re.sub(_KEYS, "", line.decode("utf-8", "replace"))
