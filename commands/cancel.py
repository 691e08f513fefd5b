"""One way to stop whatever runs: a flag with a reason that wakes those who wait."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition
from typing import Literal

Reason = Literal["interrupt", "terminate", "hangup", "time", "parent"]


class Cancel:
    """Set once by a signal, a deadline or a parent; heard by calls, commands and waits.

    Setting it runs the registered callbacks in the setter's thread, so they must be quick
    and safe there (close a pipe, cancel a future). The first reason stays, but that an
    interruption, which may be answered, gives way to any other.
    """

    def __init__(self) -> None:
        self._changed = Condition()
        self._reason: Reason | None = None
        self._callbacks: list[Callable[[], None]] = []

    @property
    def reason(self) -> Reason | None:
        return self._reason

    def set(self, reason: Reason) -> None:
        """Ask everything to stop. Called from a thread, not from a signal handler itself."""
        with self._changed:
            if self._reason in (None, "interrupt"):
                self._reason = reason
            callbacks = list(self._callbacks)
            self._changed.notify_all()
        for callback in callbacks:
            callback()

    def clear(self) -> None:
        """Go on after an interruption that the person answers; any other reason stays."""
        with self._changed:
            if self._reason == "interrupt":
                self._reason = None

    def wait(self, timeout_s: float) -> bool:
        """Sleep for timeout_s seconds or until set; True when set."""
        with self._changed:
            return self._changed.wait_for(lambda: self._reason is not None, timeout_s)

    @contextmanager
    def calling(self, callback: Callable[[], None]) -> Iterator[None]:
        """Run callback when set, while the block lasts; at once when it is set already."""
        with self._changed:
            self._callbacks.append(callback)
            already = self._reason is not None
        if already:
            callback()
        try:
            yield
        finally:
            with self._changed:
                self._callbacks.remove(callback)
