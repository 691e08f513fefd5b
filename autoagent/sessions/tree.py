"""The journals of a session and of its sub-agents as one: all entries, in the order of time."""

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from pathlib import Path

from autoagent.errors import StateError
from autoagent.events import Noticed, Reported, Spawned
from autoagent.journal import Entry, Reading
from autoagent.sessions.folders import JOURNAL

AGENTS = "agents"
"""The folder beside an agent's journal in which those of its sub-agents lie, by name."""

# A journal may have been changed by somebody; no name leads out of the session's folder.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")


def folder_of(session: Path, agent: str) -> Path:
    """The folder of that agent of a session: "a/b" beneath another one, "" the session's own."""
    folder = session
    for name in filter(None, agent.split("/")):
        folder = folder / AGENTS / name
    return folder


def beneath(agent: str, name: str) -> str:
    """The sub-agent of that name, as the session knows it."""
    return f"{agent}/{name}" if agent else name


def journals(session: Path) -> Iterator[Path]:
    """Every journal that lies there, whether an agent names it or not."""
    yield session / JOURNAL
    for folder in sorted((session / AGENTS).glob("*")):
        yield from (each for each in journals(folder) if each.exists())


@dataclass(slots=True)
class _Source:
    """One agent's journal, read as far as it goes. `waiting` wasn't given out yet."""

    agent: str
    reading: Reading
    place: int  # among all; an agent's is before those of its sub-agents
    begun: bool  # its Spawned was given out
    waiting: deque[Entry] = field(default_factory=deque)
    closed: bool = False  # nothing more comes of it
    fault: str = ""  # why it is read no further
    last_at: float = 0.0

    def read(self) -> list[Entry]:
        """What was added. Damage to a sub-agent's journal becomes the last of it, as a notice."""
        found: list[Entry] = []
        if self.closed or (self.agent and not self.reading.path.exists()):
            return found
        try:
            for entry in self.reading.each():
                known = entry.agent == self.agent
                found.append(entry if known else replace(entry, agent=self.agent))
                self.last_at = entry.at
        except StateError as error:
            if not self.agent:
                raise
            self.closed, self.fault = True, str(error)
            found.append(self._damage())
        self.waiting.extend(found)
        return found

    def _damage(self) -> Entry:
        event = Noticed("place", self.fault)
        return Entry(self.reading.number, self.reading.hash, self.last_at, event, self.agent)


class Tree:
    """The entries of a session's agents, as far as they stand on disk, and further as they grow.

    Sub-agents are those that the journals name. The entries of one agent keep their order, and
    a sub-agent's come after its `Spawned`, whatever the clock did. One that has no journal yet
    has no entries, a torn last line is left out.
    """

    def __init__(self, session: Path) -> None:
        self._session = session
        self.main = Reading(session / JOURNAL)
        self._sources = {"": _Source("", self.main, 0, begun=True)}

    @property
    def damage(self) -> dict[str, str]:
        """What is wrong with the journals of sub-agents, by agent."""
        return {name: each.fault for name, each in self._sources.items() if each.fault}

    def more(self) -> list[Entry]:
        """What was added since, of all. StateError for damage to the session's own journal;
        that of a sub-agent is told by a `Noticed` in its name, in the place of what follows."""
        for source in self._growing():
            for entry in source.read():
                if isinstance(entry.event, Spawned):
                    self._expect(source.agent, entry)
        return list(self._merged())

    @property
    def folders(self) -> list[Path]:
        """Where journals lie, or will, that may still grow."""
        return [each.reading.path.parent for each in self._sources.values() if not each.closed]

    def _growing(self) -> Iterator[_Source]:
        """Each of them, with those that come in the meantime."""
        done: set[str] = set()
        while new := [each for name, each in self._sources.items() if name not in done]:
            done |= {each.agent for each in new}
            yield from new

    def _expect(self, agent: str, entry: Entry) -> None:
        assert isinstance(entry.event, Spawned)
        name = beneath(agent, entry.event.name)
        if _NAME.fullmatch(entry.event.name) and name not in self._sources:
            reading = Reading(folder_of(self._session, name) / JOURNAL)
            place = len(self._sources)
            self._sources[name] = _Source(name, reading, place, begun=False, last_at=entry.at)

    def _merged(self) -> Iterator[Entry]:
        heads: list[tuple[float, int, str]] = []

        def offer(source: _Source) -> None:
            if source.begun and source.waiting:
                heappush(heads, (source.waiting[0].at, source.place, source.agent))

        for each in self._sources.values():
            offer(each)
        while heads:
            source = self._sources[heappop(heads)[2]]
            entry = source.waiting.popleft()
            yield entry
            match entry.event:
                case Spawned(name=name):
                    child = self._sources.get(beneath(source.agent, name))
                    if child is not None and not child.begun:
                        child.begun = True
                        offer(child)
                case Reported(name=name, paused=False):
                    self._close(beneath(source.agent, name))
            offer(source)

    def _close(self, agent: str) -> None:
        """Its journal is complete, and so are those beneath it."""
        for name, source in self._sources.items():
            if name == agent or name.startswith(f"{agent}/"):
                source.closed = True


def entries_of(session: Path) -> list[Entry]:
    """All that stands in a session's journals now; see `Tree`."""
    return Tree(session).more()
