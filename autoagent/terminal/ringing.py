"""The terminal's bell, for a person who may have looked away."""

import time
from collections.abc import Callable, Mapping
from typing import Literal

from autoagent.terminal.output import Output

Wish = Literal["auto", "never", "always"]

AWAY_S = 60.0


class Ringing:
    """Rings at a question after a minute in which nothing was typed, and at the end of a run
    of more than a minute; with "always" at each. Never where there is no terminal."""

    def __init__(
        self,
        out: Output,
        wish: Wish,
        environ: Mapping[str, str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._out = out
        self._can = wish != "never" and out.is_terminal and environ.get("TERM") != "dumb"
        self._least_s = 0.0 if wish == "always" else AWAY_S
        self._clock = clock
        self._began = self._typed = clock()

    def typed(self) -> None:
        """The person is there."""
        self._typed = self._clock()

    def asks(self) -> None:
        self._ring(self._typed)

    def ends(self) -> None:
        self._ring(self._began)

    def _ring(self, since: float) -> None:
        if self._can and self._clock() - since >= self._least_s:
            self._out.ring()
