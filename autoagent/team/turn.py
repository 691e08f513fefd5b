"""A lock between the agents of a session, for which nobody waits longer than they may."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition

from autoagent.model import Cancelled
from commands.cancel import Cancel


class Turn:
    """Held while the workspace is looked through, and while a file is checked and written."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._is_taken = False

    @contextmanager
    def taken(self, cancel: Cancel, grace_s: float = 0.0) -> Iterator[None]:
        """Hold it for the block; Cancelled when it isn't free within `grace_s` of a cancel."""
        self._take(cancel, grace_s)
        try:
            yield
        finally:
            with self._changed:
                self._is_taken = False
                self._changed.notify_all()

    def _take(self, cancel: Cancel, grace_s: float) -> None:
        with cancel.calling(self._wake), self._changed:
            self._changed.wait_for(lambda: not self._is_taken or cancel.reason is not None)
            if not self._changed.wait_for(lambda: not self._is_taken, grace_s):
                raise Cancelled("other agents had the workspace until the run was ended")
            self._is_taken = True

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()
