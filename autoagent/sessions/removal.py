"""Taking sessions away, and of their workspaces' checkpoints what only they needed."""

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from autoagent.checkpoints.freeing import InUse, Needed, free
from autoagent.configuration.places import Places
from autoagent.errors import StateError
from autoagent.journal import first_of
from autoagent.sessions.folders import JOURNAL, folders
from autoagent.sessions.lock import Lock
from autoagent.sessions.tree import journals
from autoagent.sizes import taken

_HEAD_BYTES = 200  # of a line, in which its type stands
_NUMBERED = (b'"type":"Checkpointed"', b'"type":"Undone"')


@dataclass(frozen=True, slots=True)
class Freed:
    """How many bytes went; `in_use` are stores that a process has open, and `unclear` whether
    one or more sessions can't be read, so that nobody knows what they still need."""

    size: int = 0
    in_use: tuple[Path, ...] = ()
    unclear: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Claim:
    """The store of a session's workspace, and the first checkpoint in it that the session goes
    back to; None: it took none."""

    store: Path
    first: int | None


def remove(folder: Path) -> int:
    """Take a session's folder away, as a whole or not at all; bytes on the disk.

    StateError when a process works on it.
    """
    lock = Lock(folder)
    try:
        size = taken(folder)
        gone = folder.with_name(f".{folder.name}")
        try:
            folder.rename(gone)
        except OSError as error:
            raise StateError(f"{folder} can't be removed: {error.strerror}.") from error
        _clear(gone)
        if gone.exists():
            raise StateError(f"Not all of {gone} could be removed; remove what is left of it.")
        return size
    finally:
        lock.release()


def sweep(places: Places) -> None:
    """Take away what an earlier removal was cut off in."""
    for parent in (places.sessions, places.all_checkpoints):
        for left in parent.glob(".*"):
            _clear(left)


def _clear(folder: Path) -> None:
    # A dry run's copy may hold folders that aren't writable.
    for place, inner, _ in os.walk(folder):
        for name in inner:
            path = Path(place, name)
            with suppress(OSError):
                if not path.is_symlink():
                    path.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)


def claims(places: Places) -> tuple[dict[str, Claim], list[str]]:
    """What each session claims; and the sessions of which that can't be said."""
    found: dict[str, Claim] = {}
    unclear: list[str] = []
    for folder in folders(places.sessions):
        started = first_of(folder / JOURNAL)
        if started is None:
            unclear.append(folder.name)
        else:
            store = places.checkpoints(Path(started.workspace))
            numbers = [_first_number(journal) for journal in journals(folder)]
            first = min((number for number in numbers if number is not None), default=None)
            found[folder.name] = Claim(store, first)
    return found, unclear


def needed_of(store: Path, claimed: Mapping[str, Claim]) -> Needed:
    """What these sessions need of that store."""
    own = {name: claim.first for name, claim in claimed.items() if claim.store == store}
    floors = [first for first in own.values() if first is not None]
    return Needed(min(floors, default=None), frozenset(own))


def free_stores(places: Places, stores: Iterable[Path]) -> Freed:
    """Free in these stores what no session needs that is there now."""
    claimed, unclear = claims(places)
    if unclear:
        return Freed(unclear=tuple(unclear))
    size, in_use = 0, []
    for store in stores:
        try:
            size += free(store, needed_of(store, claimed))
        except InUse:
            in_use.append(store)
    return Freed(size, tuple(in_use))


def all_stores(places: Places) -> list[Path]:
    """The stores of checkpoints, of whatever workspaces."""
    return sorted(path for path in places.all_checkpoints.glob("[!.]*") if path.is_dir())


def _first_number(journal: Path) -> int | None:
    """The smallest checkpoint that the journal names; 0 where that can't be read."""
    found: list[int] = []
    with journal.open("rb") as lines:
        for line in lines:
            if line.endswith(b"\n") and any(mark in line[:_HEAD_BYTES] for mark in _NUMBERED):
                try:
                    event = json.loads(line.decode("utf-8", "surrogatepass"))
                    found.append(int(event.get("number", event.get("before"))))
                except (ValueError, TypeError):
                    return 0
    return min(found, default=None)
