"""How many sub-agents of a session work at once; the next one waits for its turn."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition

from autoagent.model import Cancelled
from commands.cancel import Cancel


class Slots:
    """So many at once, in the order in which they asked. Safe in any thread."""

    def __init__(self, most: int) -> None:
        self._changed = Condition()
        self._free = most
        self._queue: deque[object] = deque()

    @property
    def busy(self) -> bool:
        """Whether one more would have to wait."""
        with self._changed:
            return self._free <= len(self._queue)

    @contextmanager
    def taken(self, cancel: Cancel) -> Iterator[None]:
        """Have one while the block lasts; Cancelled when that is set before it is one's turn."""
        self._take(cancel)
        try:
            yield
        finally:
            self._give()

    @contextmanager
    def lent(self, cancel: Cancel) -> Iterator[None]:
        """Leave one's own to others while the block lasts, for it only waits; then be the
        next, or at once when it is to end anyway."""
        self._give()
        try:
            yield
        finally:
            self._take(cancel, again=True)

    def _take(self, cancel: Cancel, *, again: bool = False) -> None:
        ticket = object()
        with cancel.calling(self._wake), self._changed:
            (self._queue.appendleft if again else self._queue.append)(ticket)
            self._changed.wait_for(
                lambda: cancel.reason is not None or (self._free > 0 and self._queue[0] is ticket)
            )
            self._queue.remove(ticket)
            self._changed.notify_all()
            if cancel.reason is not None and not again:
                raise Cancelled("cancelled")
            self._free -= 1

    def _give(self) -> None:
        with self._changed:
            self._free += 1
            self._changed.notify_all()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()
