"""What goes on and what of it has come so far, in a few lines that change."""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from threading import Lock
from typing import Literal

from autoagent.glimpse import Glimpse
from autoagent.terminal.columns import clipped, wrapped
from autoagent.terminal.escape import escaped
from autoagent.terminal.streaming import so_far
from commands.execution import without_overwritten

_TAIL = 8_000  # characters of output that are looked at
_PROSE = 100  # columns
_SOON_S = 2.0  # before that nobody needs a clock


@dataclass(frozen=True, slots=True)
class Activity:
    """What goes on, and which glimpses belong to it."""

    text: str
    shows: Literal["reply", "output", ""] = ""
    began: float = field(default_factory=time.monotonic)


class Coming:
    """A preview, and marked as such: indented and dim, gone when the whole is there.

    `clean` takes secrets out of a text that goes on. `take` may be called from any thread.
    """

    def __init__(self, clean: Callable[[str], str]) -> None:
        self.clean = clean
        self._lock = Lock()
        self._reply: list[str] = []
        self._output = ""
        self._output_step = 0
        self._pieces = 0  # that came so far
        self._drawn: tuple[object, list[str]] = (None, [])  # the last preview, and what of
        self.activity: Activity | None = None

    def take(self, glimpse: Glimpse) -> None:
        with self._lock:
            self._pieces += 1
            match glimpse.kind:
                case "thinking":
                    self._reply.clear()
                case "reply":
                    self._reply.append(glimpse.text)
                case "output":
                    before = self._output if glimpse.step == self._output_step else ""
                    self._output = (before + glimpse.text)[-_TAIL - 1 :]
                    self._output_step = glimpse.step

    def lines(self, width: int, most: int) -> list[str]:
        """At most so many lines, none wider than `width` columns; none when nothing goes on."""
        activity = self.activity
        if activity is None:
            return []
        seconds = time.monotonic() - activity.began
        clock = f" {seconds:.0f} s" if seconds >= _SOON_S else ""
        head = clipped(activity.text, width - len(clock)) + clock
        return [*self._preview(activity, width, most - 1), head]

    def _preview(self, activity: Activity, width: int, most: int) -> list[str]:
        if most <= 0:
            return []
        with self._lock:
            of = (activity.shows, self._pieces, width, most)
            if of == self._drawn[0]:  # one drawing asks several times
                return self._drawn[1]
            self._reply = ["".join(self._reply)]
            reply, output, step = self._reply[0], self._output, self._output_step
        lines: list[str] = []
        match activity.shows:
            case "reply":
                lines = list(self._coming(reply, min(width, _PROSE)))[-most:]
            case "output" if step:
                lines = self._tail(output, width)[-most:]
        self._drawn = of, lines
        return lines

    def _coming(self, raw: str, width: int) -> Iterator[str]:
        coming = so_far(raw)
        for text in filter(str.strip, (coming.thoughts, coming.reasoning)):
            for line in escaped(self.clean(text)).expandtabs().split("\n"):
                for piece in wrapped(line, width - 3):
                    yield f"  {piece}"
        if coming.command:
            about = escaped(self.clean(f"{coming.command} {coming.path}".rstrip()))
            yield clipped(f"  {about}… {coming.size:,} characters", width)

    def _tail(self, output: str, width: int) -> list[str]:
        lines = without_overwritten(self.clean(_whole_lines(output))).removesuffix("\n").split("\n")
        return [f"  | {clipped(escaped(line).expandtabs(), width - 5)}" for line in lines if line]


def _whole_lines(output: str) -> str:
    """Without a line whose beginning was cut off: that may be within a secret."""
    if len(output) <= _TAIL:
        return output
    line_end = re.search(r"[\r\n]", output)
    return output[line_end.end() :] if line_end else ""
