"""Waiting for one of several things that threads, signals and other processes bring about."""

import os
import select
from contextlib import suppress
from pathlib import Path
from threading import Lock

from autoagent.sessions.watch import Watch

_LOOK_S = 30.0  # network file systems tell of no other machine's writing


class Bell:
    """Wakes one thread that waits. `ring` may be called in any thread, also after the end."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._closed = False
        self._heard, self._rung = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def ring(self) -> None:
        with self._lock, suppress(BlockingIOError):  # it rings already
            if not self._closed:  # the number may be another file's by now
                os.write(self._rung, b"!")

    def wait(self, watch: Watch) -> None:
        """Until it rings, something changes in the watched folder, or half a minute went by."""
        files = [self._heard, *([] if watch.file is None else [watch.file])]
        for file in select.select(files, [], [], _LOOK_S)[0]:
            with suppress(BlockingIOError):
                os.read(file, 1 << 16)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            os.close(self._heard)
            os.close(self._rung)


def watching(folder: Path) -> Watch:
    """The folder as the bell's other reason to wake; made where it isn't there."""
    folder.mkdir(mode=0o700, exist_ok=True)
    return Watch(folder)
