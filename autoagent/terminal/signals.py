"""Signals made into a cancel: a handler only notes them, since it may run anywhere."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Thread
from types import FrameType
from typing import Any

from commands.cancel import Cancel, Reason

_REASONS: dict[int, Reason] = {
    signal.SIGINT: "interrupt",
    signal.SIGTERM: "terminate",
    signal.SIGHUP: "hangup",
}


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
        # Its put may be called from a handler that interrupted another put.
        self._queue: SimpleQueue[Reason | None] = SimpleQueue()
        self._thread = Thread(target=self._pass_on, name="signals", daemon=True)
        self._before: dict[int, Any] = {}

    def __enter__(self) -> None:
        self._thread.start()
        for number in _REASONS:
            # nohup and background jobs ignore some on purpose.
            if signal.getsignal(number) != signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._heard)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._queue.put(None)
        self._thread.join()

    def _heard(self, number: int, _frame: FrameType | None) -> None:
        self._queue.put(_REASONS[number])

    def _pass_on(self) -> None:
        while (reason := self._queue.get()) is not None:
            if self._cancel.reason is not None:
                self._leave()
            elif reason == "interrupt" and self._catches():
                continue
            self._cancel.set(reason)
