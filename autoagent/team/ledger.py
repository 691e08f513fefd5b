"""Which agent of a session changed what in their workspace, as far as that can be known."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from autoagent.team.turn import Turn
from commands.cancel import Cancel
from commands.seen import SOMEBODY

_MOST = 5_000  # paths of which it is remembered who changed them
_NOBODY: frozenset[str] = frozenset()

Stamp = tuple[int, ...]
"""What stat tells of a path: times, size, inode."""


@dataclass(slots=True)
class _Work:
    """A command at work. Of one that is `exact` the changes are known by name; `shared` are
    the paths that it may have changed, and the agents that may have done it besides."""

    exact: bool
    shared: dict[str, frozenset[str]] = field(default_factory=dict)


class Ledger:
    """Shared by the agents that work below `root`, a page each; "" is the session's own agent.

    Between two checkpoints a path was changed by whoever says so, else by all whose programs
    ran. Whoever calls anything here but `whose` and `called` holds the turn.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.turn = Turn()
        self._pages: list[Page] = []
        self._claims: dict[str, set[str]] = {}  # since the last checkpoint
        self._doers: dict[str, tuple[Stamp | None, frozenset[str]]] = {}

    def page(
        self,
        agent: str,
        root: Path,
        goes_on: Callable[[], bool] = lambda: False,
        *,
        writes: bool = True,
    ) -> "Page":
        """The page of an agent whose workspace is `root`. `goes_on`: programs of it run beside
        its commands; `writes`: they can change something there."""
        inside = root.resolve().relative_to(self.root).as_posix()
        page = Page(self, agent, inside, goes_on if writes else lambda: False, writes=writes)
        self._pages.append(page)
        return page

    def checkpointed(self, changed: Sequence[str], stamp_of: Callable[[str], Stamp | None]) -> None:
        """These paths differ from the checkpoint before; what stat tells of them now."""
        at_work = frozenset(page.agent for page in self._pages if page.was_at_work())
        claims, self._claims = self._claims, {}
        doers = {path: _claimed(claims, path) or at_work for path in changed}
        for page in self._pages:
            page.share(doers)
        for path in changed[-_MOST:]:
            self._note(path, stamp_of(path), doers[path])

    def claim(self, agent: str, path: str) -> None:
        """That agent changed this, and nobody else did it meanwhile."""
        self._claims.setdefault(path, set()).add(agent)
        self._note(path, _stamp(self.root / path), frozenset({agent}))

    def doers(self, path: str) -> frozenset[str]:
        """Who made it what it is at this moment; none when that isn't known."""
        stamp, doers = self._doers.get(path, (None, _NOBODY))
        return doers if doers and _stamp(self.root / path) == stamp else _NOBODY

    def _note(self, path: str, stamp: Stamp | None, doers: frozenset[str]) -> None:
        self._doers.pop(path, None)  # the newest stand last
        if doers:
            self._doers[path] = (stamp, doers)
            if len(self._doers) > _MOST:
                del self._doers[next(iter(self._doers))]


class Page:
    """What concerns one agent. Its paths are relative to its own workspace, those of `share`
    and `end` to the ledger's root."""

    def __init__(
        self,
        ledger: Ledger,
        agent: str,
        folder: str,
        goes_on: Callable[[], bool],
        *,
        writes: bool,
    ) -> None:
        self.ledger = ledger
        self.agent = agent
        self._prefix = "" if folder == "." else f"{folder}/"
        self._goes_on = goes_on
        self._writes = writes
        self._went_on = False  # at the last checkpoint, or after it
        self._work: _Work | None = None

    @property
    def goes_on(self) -> bool:
        """Does a program of the agent run beside its commands?"""
        return self._goes_on()

    def turn(self, cancel: Cancel, grace_s: float = 0.0) -> AbstractContextManager[None]:
        """Nobody else looks through the workspace or writes a file in the block."""
        return self.ledger.turn.taken(cancel, grace_s)

    def begin(self, *, exact: bool) -> None:
        """A command is about to run; `exact`: it will `claim` each of its changes."""
        self._work = _Work(exact or not self._writes)

    def claim(self, paths: Iterable[str]) -> None:
        """The command changed these."""
        for path in paths:
            self.ledger.claim(self.agent, self._prefix + path)

    def end(self) -> Mapping[str, frozenset[str]] | None:
        """The paths that the command may have changed, each with the other agents that may
        have done it; None when none began."""
        work, self._work = self._work, None
        return work.shared if work else None

    def give_up(self) -> None:
        """The command is over and no checkpoint after it was taken: the next one, whoever
        takes it, may show what it did."""
        work, self._work = self._work, None
        self._went_on |= work is not None and not work.exact

    def leave(self) -> None:
        """The agent works no more; what it did last may still be found."""
        self.give_up()
        self._went_on |= self._goes_on()
        self._goes_on = lambda: False

    def was_at_work(self) -> bool:
        """Did programs of it run since the last checkpoint?"""
        went_on, self._went_on = self._went_on, self._goes_on()
        work = self._work  # a thread that gives up doesn't wait for its turn
        return went_on or self._went_on or (work is not None and not work.exact)

    def share(self, doers: Mapping[str, frozenset[str]]) -> None:
        """Who changed which path since the last checkpoint."""
        if work := self._work:
            mine = {p: agents - {self.agent} for p, agents in doers.items() if self.agent in agents}
            for path, others in mine.items():
                work.shared[path] = others | work.shared.get(path, _NOBODY)

    def own(self, path: str) -> str | None:
        """A path of the ledger as one of this agent; None when it lies outside."""
        return path.removeprefix(self._prefix) if path.startswith(self._prefix) else None

    def whose(self, path: str) -> str:
        """Who made that file what it is now, besides this agent, as it reads it."""
        doers = self.ledger.doers(self._prefix + path)
        others = [self.called(agent) for agent in sorted(doers - {self.agent})]
        own = ["a program of your own"] if self.agent in doers else []
        return " or ".join([*others, *own]) if others else SOMEBODY

    def called(self, agent: str) -> str:
        """How another agent is named to this one."""
        if self.agent and agent == self.agent.rpartition("/")[0]:
            return "the agent that started you"
        if not agent:
            return "the main agent"
        return f"agent {agent.removeprefix(f'{self.agent}/')}"


def _claimed(claims: Mapping[str, set[str]], path: str) -> frozenset[str]:
    """Who says that they changed it, or a folder that it lies in."""
    if not claims:
        return _NOBODY
    while path:
        if path in claims:
            return frozenset(claims[path])
        path = path.rpartition("/")[0]
    return _NOBODY


def _stamp(path: Path) -> Stamp | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino)
