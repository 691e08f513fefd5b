"""Signals made into a cancel, by a thread that reads of them in a pipe."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from types import FrameType
from typing import Any

from commands.cancel import Cancel, Reason

_REASONS: dict[int, Reason] = {
    signal.SIGINT: "interrupt",
    signal.SIGTERM: "terminate",
    signal.SIGHUP: "hangup",
}

_NO_MORE = 0  # is no signal


@contextmanager
def without_interrupts() -> Iterator[None]:
    """Ctrl-C is for another program at this terminal meanwhile; from the main thread alone."""
    before = signal.getsignal(signal.SIGINT)
    if before is None or before == signal.SIG_IGN:
        yield
        return
    signal.signal(signal.SIGINT, lambda *_: None)  # not ignored: the program would inherit that
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def waking() -> Iterator[int]:
    """A descriptor that can be read from as soon as a signal came, to be waited for with others.
    One that came just before a wait begins would else be heeded after it. From the main thread
    alone."""
    read, written = os.pipe()
    os.set_blocking(written, False)
    before = signal.set_wakeup_fd(written, warn_on_full_buffer=False)
    try:
        yield read
    finally:
        signal.set_wakeup_fd(before)
        os.close(written)
        os.close(read)


@contextmanager
def deferred() -> Iterator[None]:
    """What would end the program waits until something is done; from the main thread alone."""
    came: list[int] = []
    before: dict[int, Any] = {}
    for number in _REASONS:
        if signal.getsignal(number) not in (signal.SIG_IGN, None):
            before[number] = signal.signal(number, lambda each, _: came.append(each))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in dict.fromkeys(came):
            signal.raise_signal(number)


class Signals:
    """While it lasts, Ctrl-C, SIGTERM and SIGHUP set `cancel`, from a thread of its own.

    `leave` is called for one that comes while another is still being heeded; `catches` for
    each Ctrl-C: whether somebody has it who is asked something, so that it stops nothing else.
    """

    def __init__(
        self,
        cancel: Cancel,
        leave: Callable[[], None] = lambda: None,
        catches: Callable[[], bool] = lambda: False,
    ) -> None:
        self._cancel = cancel
        self._leave = leave
        self._catches = catches
        self._thread = Thread(target=self._pass_on, name="signals", daemon=True)
        self._before: dict[int, Any] = {}

    def __enter__(self) -> None:
        # Not by the handlers, which run in the main thread alone, and when that next goes on:
        # one that came while the program was stopped may have been another thread's to take.
        self._read, self._written = os.pipe()
        os.set_blocking(self._written, False)
        self._fd_before = signal.set_wakeup_fd(self._written, warn_on_full_buffer=False)
        self._thread.start()
        for number in _REASONS:
            # nohup and background jobs ignore some on purpose.
            if signal.getsignal(number) != signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._heard)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._fd_before)
        os.write(self._written, bytes([_NO_MORE]))
        self._thread.join()
        os.close(self._written)
        os.close(self._read)

    def _heard(self, number: int, _frame: FrameType | None) -> None:
        """The pipe has it already."""

    def _pass_on(self) -> None:
        while (number := os.read(self._read, 1)[0]) != _NO_MORE:
            if signal.getsignal(number) != self._heard:
                continue  # somebody else heeds it for a while
            reason = _REASONS[number]
            if self._cancel.reason is not None:
                self._leave()
            elif reason == "interrupt" and self._catches():
                continue
            self._cancel.set(reason)
