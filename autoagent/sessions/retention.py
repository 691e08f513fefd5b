"""How long sessions are kept: which are to leave by age and by size."""

from collections.abc import Container
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from autoagent.checkpoints.freeing import freeable
from autoagent.configuration.places import Places
from autoagent.configuration.settings import Settings
from autoagent.errors import StateError
from autoagent.sessions import removal
from autoagent.sessions.folders import JOURNAL
from autoagent.sessions.holder import holder_of
from autoagent.sessions.removal import Freed
from autoagent.sizes import spelled, taken

_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Leaving:
    """A session that is to leave, and why."""

    folder: Path
    last_at: float  # seconds since 1970
    size: int  # bytes of its folder
    why: str


def leaving(
    settings: Settings, now: float, spare: Container[str] = ()
) -> tuple[list[Leaving], int, int]:
    """What is to leave, oldest first; how many bytes are kept now, and will be then.

    Never one that runs or that `spare` names; for its size alone none of the last day. A
    folder without a journal is what a start left that was killed.
    """
    places, days, limit = settings.places, settings.keep_days, settings.keep_size
    every = _aged(places)
    before = sum(one.size for one in every) + sum(map(taken, removal.all_stores(places)))
    found = [one for one in every if one.folder.name not in spare and not _runs(one)]
    gone: list[Leaving] = []
    for one in found:
        if days is not None and now - one.last_at > days * _DAY_S:
            gone.append(replace(one, why=f"older than {days} days"))
        elif not (one.folder / JOURNAL).exists() and now - one.last_at > _DAY_S:
            gone.append(replace(one, why="it never began"))
    if not gone and (limit is None or before <= limit):
        return [], before, before
    room = _Room(places)
    after = before - room.made_by(gone)
    leave = {one.folder for one in gone}
    for one in found:
        if limit is None or after <= limit or now - one.last_at < _DAY_S:
            break
        if one.folder not in leave:
            gone.append(replace(one, why=f"more than {spelled(limit)} in all"))
            after = before - room.made_by(gone)
    return gone, before, after


def carry_out(settings: Settings, gone: list[Leaving]) -> tuple[list[Leaving], Freed]:
    """Remove them; those that went, and what that freed. One that runs by now stays."""
    removed: list[Leaving] = []
    for one in gone:
        try:
            removal.remove(one.folder)
            removed.append(one)
        except StateError:
            continue
    removal.sweep(settings.places)
    stores = removal.all_stores(settings.places)
    freed = removal.free_stores(settings.places, stores)
    return removed, replace(freed, size=freed.size + sum(one.size for one in removed))


def _aged(places: Places) -> list[Leaving]:
    """Every folder of a session, the one that was written to longest ago first."""
    found = []
    for folder in places.sessions.glob("[!.]*"):
        try:
            journal = folder / JOURNAL
            last_at = (journal if journal.exists() else folder).stat().st_mtime
        except OSError:
            continue  # went away meanwhile
        found.append(Leaving(folder, last_at, taken(folder), ""))
    return sorted(found, key=lambda one: (one.last_at, one.folder.name))


def _runs(one: Leaving) -> bool:
    return holder_of(one.folder) is not None


class _Room:
    """How much room it makes to remove some sessions, with the checkpoints only they need."""

    def __init__(self, places: Places) -> None:
        self._claimed, self._unclear = removal.claims(places)
        self._freeable = cache(freeable)

    def made_by(self, gone: list[Leaving]) -> int:
        size = sum(one.size for one in gone)
        if self._unclear:
            return size
        names = {one.folder.name for one in gone}
        stores = {claim.store for name, claim in self._claimed.items() if name in names}
        rest = {name: claim for name, claim in self._claimed.items() if name not in names}
        return size + sum(self._freeable(store, removal.needed_of(store, rest)) for store in stores)
