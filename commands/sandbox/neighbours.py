"""Several cages in one workspace: whose programs may have made what is found there."""

from collections.abc import Sequence
from pathlib import Path
from threading import RLock

from commands.sandbox.repository import Offence


class Neighbours:
    """The cages of a session, by the folders that are their workspaces."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._grounds: dict[Path, Ground] = {}

    def at(self, root: Path, *, writes: bool) -> "Share":
        """The part that a new cage has in what happens in that folder; `writes`: its programs
        can change something there."""
        with self._lock:
            return Share(self._grounds.setdefault(root, Ground()), writes=writes)


class Ground:
    """What the cages of one workspace know together. Whoever looks there holds the lock."""

    def __init__(self) -> None:
        self.lock = RLock()
        self.reported: set[Offence] = set()  # that could not be moved away
        self.masked: set[str] = set()  # names at the root, made while a program ran
        self.accepted: list[str] = []  # with a person's leave, the newest last
        self.at_work: set[Share] = set()  # whose programs may have changed something since


class Share:
    """One of these cages: whether its programs run, and what it is still to be told."""

    def __init__(self, ground: Ground, *, writes: bool) -> None:
        self.ground = ground
        self._writes = writes
        self._untold: list[str] = []

    def works(self) -> None:
        """A program of this cage is about to run."""
        if self._writes:
            with self.ground.lock:
                self.ground.at_work.add(self)

    def rests(self) -> None:
        """None of its programs runs, and what they left was looked for."""
        with self.ground.lock:
            self.ground.at_work.discard(self)

    def found(self, said: Sequence[str]) -> None:
        """Something was found. Each cage whose programs may have made it is told, once;
        where none of them worked, the one that looked."""
        with self.ground.lock:
            for share in [*self.ground.at_work] or [self]:
                share._untold += said

    def tell(self, said: str) -> None:
        """Something concerns this cage alone."""
        with self.ground.lock:
            self._untold.append(said)

    def told(self) -> tuple[str, ...]:
        """What is to be told since the last time."""
        with self.ground.lock:
            told, self._untold = self._untold, []
            return tuple(told)
