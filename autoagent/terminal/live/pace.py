"""How often the lines beneath are drawn while much comes."""

import time
from collections.abc import Callable

_FASTEST_S = 0.05  # between two drawings


class Pace:
    """When what came is to be drawn: soon, but not at once again after the last drawing.

    Drawings for a key wait for nothing; `drawn` is told of all. There is no lock, since a
    signal's handler may call `due`: at worst something is drawn twice.
    """

    def __init__(self) -> None:
        self._is_due = False
        self._last_s = 0.0

    def drawn(self) -> None:
        self._last_s = time.monotonic()

    def due(self, draw: Callable[[float], bool]) -> None:
        """Have it drawn in so many seconds, unless it will be anyway; from any thread. `draw`
        says whether it can be; `begun` is to be called before that drawing begins."""
        if self._is_due:
            return
        self._is_due = True
        if not draw(max(0.0, self._last_s + _FASTEST_S - time.monotonic())):
            self._is_due = False

    def begun(self) -> None:
        """What comes from now on needs another drawing."""
        self._is_due = False
