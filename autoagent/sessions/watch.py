"""Waking when something in one of some folders changes."""

import ctypes
import os
import select
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

_MODIFY, _CLOSE_WRITE, _MOVED_TO, _CREATE = 0x2, 0x8, 0x80, 0x100


class Watch:
    """Told by the kernel (inotify) when a file in a folder is written, made or closed."""

    def __init__(self, folder: Path) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._watched: dict[Path, int] = {}
        self._file: int | None = self._libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        if self._file is not None and self._file < 0:
            self._file = None  # too many of them: every wait lasts to its end
        self.only([folder])

    def only(self, folders: Iterable[Path]) -> None:
        """Watch these from now on, and no others; those that can't be are tried again."""
        wanted = set(folders)
        for folder in self._watched.keys() - wanted:
            self._libc.inotify_rm_watch(self._file, self._watched.pop(folder))
        if self._file is None:
            return
        events = ctypes.c_uint32(_MODIFY | _CLOSE_WRITE | _MOVED_TO | _CREATE)
        for folder in wanted - self._watched.keys():
            number = self._libc.inotify_add_watch(self._file, os.fsencode(folder), events)
            if number >= 0:
                self._watched[folder] = number

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
