"""Signals made into a cancel: a handler only notes them, since it may run anywhere."""

import signal
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from types import FrameType
from typing import Any

from autoagent.terminal.interactive import Interrupted
from autoagent.terminal.keyboard import Keyboard
from commands.cancel import Reason

_REASONS: dict[int, Reason] = {
    signal.SIGINT: "interrupt",
    signal.SIGTERM: "terminate",
    signal.SIGHUP: "hangup",
}


class Signals:
    """While it lasts, Ctrl-C, SIGTERM and SIGHUP call `cancel` from a thread of its own.

    While a line is awaited in the main thread, Interrupted is raised there instead.
    """

    def __init__(self, cancel: Callable[[Reason], None], keyboard: Keyboard) -> None:
        self._cancel = cancel
        self._keyboard = keyboard
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
        reason = _REASONS[number]
        if self._keyboard.waiting:
            raise Interrupted(reason)
        self._queue.put(reason)

    def _pass_on(self) -> None:
        while (reason := self._queue.get()) is not None:
            self._cancel(reason)
