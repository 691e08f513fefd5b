"""A Ctrl-C that is for one question alone."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from commands.cancel import Cancel


class Catching:
    """Keeps it from the session while a sub-agent's question stands; `wake` ends the wait for a
    line. One that comes as that ends is for the session again."""

    def __init__(self, cancel: Cancel, wake: Callable[[], None]) -> None:
        self._cancel = cancel
        self._wake = wake
        self._lock = Lock()
        self._stands = False
        self.caught = False

    @contextmanager
    def of(self, agent: str) -> Iterator[None]:
        """While a question of that agent stands; "" the session's own, which catches none."""
        with self._lock:
            self._stands = bool(agent)
        try:
            yield
        finally:
            with self._lock:
                late, self._stands, self.caught = self.caught, False, False
            if late:  # the question had its answer
                self._cancel.set("interrupt")

    def catches(self) -> bool:
        """Whether it is for that question; from any thread."""
        with self._lock:
            if not self._stands or self.caught:
                return False
            self.caught = True
        self._wake()
        return True

    def taken(self) -> bool:
        """Whether one was caught, which is heeded by that."""
        with self._lock:
            caught, self.caught = self.caught, False
        return caught
