"""The words of an agent on their way to its sub-agent, each given once."""

from collections.abc import Callable, Iterable
from threading import Lock

from autoagent.team.events import Messaged


class Link:
    """Messages as they were journaled by the one side; the other knows how many it had.

    Safe in any thread. `ring` is called for each new one.
    """

    def __init__(self, messages: Iterable[Messaged] = ()) -> None:
        self._lock = Lock()
        self._messages = list(messages)
        self._closed = False
        self.ring: Callable[[], None] = lambda: None

    def put(self, message: Messaged) -> bool:
        """False when the other side has ended, or is just about to."""
        with self._lock:
            if self._closed:
                return False
            self._messages.append(message)
        self.ring()
        return True

    def after(self, number: int) -> list[Messaged]:
        """Those that came after the message of that number, the oldest first."""
        with self._lock:
            return [each for each in self._messages if each.number > number]

    def close(self, number: int) -> bool:
        """Take no more, unless one came after that number: then it must be heard first."""
        with self._lock:
            self._closed = all(each.number <= number for each in self._messages)
            return self._closed

    def end(self) -> None:
        """Take no more, whatever is unheard."""
        with self._lock:
            self._closed = True
