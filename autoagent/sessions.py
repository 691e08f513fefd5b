"""Sessions on disk: their folders, which of them is meant, who holds one."""

import errno
import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from autoagent.configuration.places import private_folder
from autoagent.errors import ConfigError, StateError
from autoagent.events import Started
from autoagent.holder import LOCK, birth_of
from autoagent.journal import first_of, load
from commands.atomic import UNSUPPORTED, synced

JOURNAL = "journal.jsonl"

_LOOKS = 3
_LOOK_S = 0.01


def new_id() -> str:
    """Sorts by time, and two at the same second differ: `20261120-231800-5f3a`."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"


@dataclass(frozen=True, slots=True)
class Kept:
    """A session on disk, by its first event."""

    folder: Path
    started: Started

    @property
    def journal(self) -> Path:
        return self.folder / JOURNAL


def kept(sessions: Path) -> Iterator[Kept]:
    """Every session whose beginning can be read, the newest first."""
    try:
        folders = sorted(sessions.iterdir(), reverse=True)
    except FileNotFoundError:
        return
    for folder in folders:
        started = first_of(folder / JOURNAL)
        if started is not None:
            yield Kept(folder, started)


def find(sessions: Path, wanted: str, workspace: Path) -> Kept:
    """The session of that ID, or with "" the newest of this workspace.

    ConfigError names the nearest ID there is.
    """
    if wanted:
        found = first_of(sessions / wanted / JOURNAL) if _is_name(wanted) else None
        if found is not None:
            return Kept(sessions / wanted, found)
        if _is_name(wanted) and (sessions / wanted / JOURNAL).exists():
            load(sessions / wanted / JOURNAL)  # says what is wrong with it
            raise StateError(f"The journal of session {wanted} has no readable beginning.")
        names = [each.folder.name for each in kept(sessions)]
        near = get_close_matches(wanted, names, 1)
        hint = f" Did you mean {near[0]}?" if near else " See: autoagent sessions list"
        raise ConfigError(f"There is no session {wanted!r}.{hint}")
    for each in kept(sessions):
        if each.started.workspace == str(workspace):
            return each
    raise ConfigError(
        f"No session was run in {str(workspace)!r} yet; start one with --goal, or name one: "
        "autoagent sessions list"
    )


def _is_name(text: str) -> bool:
    return text not in ("", ".", "..") and "/" not in text and "\0" not in text


def new_folder(sessions: Path) -> Path:
    """A folder for a new session, 0700."""
    private_folder(sessions)
    folder = sessions / new_id()
    try:
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise StateError(f"{folder} can't be made: {error.strerror}.") from error
    return folder


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
        try:
            locks = _locked(self._file)
        except OSError as error:
            named = os.read(self._file, 40).decode("ascii", "replace").split()
            holder = named[0] if named else ""
            os.close(self._file)
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise StateError(f"{path} can't be locked: {error.strerror}.") from error
            raise StateError(
                f"Session {folder.name} is held by process {holder or 'unknown'}: wait until it "
                "ends, or end it, then try again."
            ) from None
        os.ftruncate(self._file, 0)
        os.write(self._file, f"{os.getpid()} {birth_of(os.getpid())}\n".encode())
        lacks: list[Need] = [] if locks else ["locks"]
        self.lacks = tuple(lacks if synced(self._file) else [*lacks, "fsync"])

    def release(self) -> None:
        with suppress(OSError):  # a full disk; then it names a process that is gone
            os.ftruncate(self._file, 0)
        os.close(self._file)


def _locked(descriptor: int) -> bool:
    """False where the file system knows no locks."""
    for left in reversed(range(_LOOKS)):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in UNSUPPORTED:
                return False
            if not left:
                raise
            # Whoever only looks whether it is held has it for less than this.
            time.sleep(_LOOK_S)
        else:
            break
    return True
