"""Standard output of a run: where its answer goes, or its events, until nobody takes them."""

import errno
import json
import os
import select

from autoagent.terminal.escape import escaped
from autoagent.terminal.output import Output
from commands.cancel import Cancel

_AT_ONCE = 4096  # bytes that a pipe takes as a whole once it takes any
_LOOK_S = 1.0
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def answer_bytes(text: str) -> bytes:
    """An answer as it is written."""
    return text.encode("utf-8", "replace") + b"\n"


def line_bytes(data: object) -> bytes:
    """A value as it is written: one line of JSON."""
    return json.dumps(data, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"


class StandardOutput:
    """Written at once and without a buffer, which Python would try to write again at its end.

    When it can't be written, or nobody reads it while the run is to stop, `lost` says why,
    the run is cancelled, and nothing more is written.
    """

    def __init__(self, cancel: Cancel) -> None:
        self._cancel = cancel
        self.lost: OSError | None = None

    def answer(self, text: str, screen: Output, *, is_prose: bool) -> None:
        """Set as Markdown where `screen`, which is standard output, can show that."""
        if not screen.is_terminal:
            self._put(answer_bytes(text))
        elif is_prose and screen.sets_type:
            self._put(answer_bytes(_set(text, screen)))
        else:
            self._put(answer_bytes(escaped(text)))

    def line(self, data: object) -> None:
        """One line of JSON."""
        self._put(line_bytes(data))

    def _put(self, data: bytes) -> None:
        rest = memoryview(data)
        try:
            while rest and self.lost is None:
                rest = rest[os.write(1, rest[:_AT_ONCE]) if self._is_taken() else 0 :]
        except OSError as error:
            self._lose(error)

    def _is_taken(self) -> bool:
        """Wait a moment for a reader: a full pipe must not keep the run from its end."""
        if select.select([], [1], [], _LOOK_S)[1]:
            return True
        if self._cancel.reason is not None:
            self._lose(TimeoutError(errno.ETIMEDOUT, "nobody reads it"))
        return False

    def _lose(self, error: OSError) -> None:
        self.lost = error
        self._cancel.set("hangup")

    @property
    def exit_code(self) -> int:
        """Of a run whose output was lost: a full disk, or a reader that hung up."""
        return 8 if self.lost is not None and self.lost.errno in _FULL else 129


def _set(text: str, screen: Output) -> str:
    from autoagent.terminal.live.markdown import set_lines

    lines = set_lines(text, screen.width - 1)
    return escaped(text) if lines is None else "\n".join(map(screen.set_line, lines))
