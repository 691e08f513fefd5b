"""Waking when something in a folder changes."""

import ctypes
import os
import select
from pathlib import Path
from types import TracebackType
from typing import Self

_MODIFY, _CLOSE_WRITE, _MOVED_TO, _CREATE = 0x2, 0x8, 0x80, 0x100


class Watch:
    """Told by the kernel (inotify) when a file in the folder is written, made or closed."""

    def __init__(self, folder: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._file: int | None = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        if self._file is not None and self._file >= 0:
            events = _MODIFY | _CLOSE_WRITE | _MOVED_TO | _CREATE
            libc.inotify_add_watch(self._file, os.fsencode(folder), ctypes.c_uint32(events))
        else:  # too many of them: every wait lasts to its end
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            os.close(self._file)

    @property
    def file(self) -> int | None:
        """The descriptor that can be read when something changed; None: nobody tells."""
        return self._file

    def wait(self, most_s: float) -> bool:
        """Until something changed since the last call, or so long; whether something did."""
        heard = [] if self._file is None else [self._file]
        if not select.select(heard, [], [], most_s)[0]:
            return False
        os.read(heard[0], 1 << 16)
        return True
