"""The lock of a session: one process at a time works on it."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Literal

from autoagent import locking
from autoagent.errors import StateError
from autoagent.sessions.holder import LOCK, birth_of
from commands.atomic import UNSUPPORTED, synced

Need = Literal["locks", "fsync"]


class Lock:
    """Held while a process works on a session; gone with the process, however it ends.

    The file says which process that is (see `holder.py`). `lacks` names what the file
    system of the folder doesn't know. Without locks nothing is held.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / LOCK
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StateError(f"{path} can't be opened: {error.strerror}.") from error
        lacks: list[Need] = []
        try:
            free = locking.take(self._file)
        except OSError as error:
            if error.errno not in UNSUPPORTED:
                os.close(self._file)
                raise StateError(f"{path} can't be locked: {error.strerror}.") from error
            free, lacks = True, ["locks"]
        if not free:
            named = os.pread(self._file, 40, 0).decode("ascii", "replace").split()
            os.close(self._file)
            raise StateError(
                f"Session {folder.name} is held by process {named[0] if named else 'unknown'}: "
                "wait until it ends, or end it, then try again."
            )
        os.ftruncate(self._file, 0)
        os.write(self._file, f"{os.getpid()} {birth_of(os.getpid())}\n".encode())
        self.lacks = tuple(lacks if synced(self._file) else [*lacks, "fsync"])

    def release(self) -> None:
        with suppress(OSError):  # a full disk; then it names a process that is gone
            os.ftruncate(self._file, 0)
        os.close(self._file)
