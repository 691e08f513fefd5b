"""Who works on a session now: the process that holds its lock, and how that is ended."""

import os
import select
import signal
from dataclasses import dataclass
from pathlib import Path

from autoagent import locking
from autoagent.errors import StateError
from commands.atomic import UNSUPPORTED

LOCK = "lock"


@dataclass(frozen=True, slots=True)
class Holder:
    """A process as a lock names it. Its birth tells it from a later one of the same number,
    and from one of another container that shares the folder."""

    pid: int
    birth: str

    @property
    def is_here(self) -> bool:
        """Whether that very process can be seen from here."""
        return birth_of(self.pid) == self.birth != ""


def birth_of(pid: int) -> str:
    """When a process began, in ticks since the machine did; "" when it can't be seen."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return ""
    # The name before it may hold anything, brackets too; the number is field 22.
    return text.rpartition(")")[2].split()[19]


def holder_of(folder: Path) -> Holder | None:
    """Who holds the lock of the session in that folder; None when nobody does.

    Its number is 0 while the lock was just taken, or when the file is damaged. Where the
    file system knows no locks, it is the process that the file names, as long as it lives.
    """
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateError(f"{folder / LOCK} can't be opened: {error.strerror}.") from error
    try:
        held = _is_held(descriptor)
        named = _named(os.read(descriptor, 40))
    finally:
        os.close(descriptor)
    if held is None:
        return named if named.is_here else None
    return named if held else None


def _is_held(descriptor: int) -> bool | None:
    """None where the file system knows no locks."""
    try:
        return locking.is_held(descriptor)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        return None


def _named(data: bytes) -> Holder:
    words = data.decode("ascii", "replace").split()
    if len(words) != 2 or not words[0].isdecimal():
        return Holder(0, "")
    return Holder(int(words[0]), words[1])


def end(folder: Path, holder: Holder, limit_s: float) -> bool:
    """Ask the holder to end, as SIGTERM does, and wait: whether it ended within the limit.

    StateError when it can't be. Nobody else is ever sent the signal: a descriptor of
    the process is opened first, and used only if that process still holds the lock after.
    """
    if not holder.pid:
        raise StateError(f"Session {folder.name} is just being taken up or left: try again.")
    if not holder.is_here:
        raise StateError(
            f"Session {folder.name} is held by process {holder.pid}, which can't be seen from "
            "here: end it where it runs (in another container, as another user)."
        )
    try:
        process = os.pidfd_open(holder.pid)
    except ProcessLookupError:
        return True
    try:
        if holder_of(folder) != holder:
            return True
        signal.pidfd_send_signal(process, signal.SIGTERM)
        return bool(select.select([process], [], [], limit_s)[0])
    except ProcessLookupError:
        return True
    except PermissionError:
        raise StateError(
            f"Process {holder.pid}, which holds session {folder.name}, is another user's: "
            "end it as that user."
        ) from None
    finally:
        os.close(process)
