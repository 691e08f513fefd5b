"""What appears in a workspace where something protected would stand, looked for from outside."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from commands.beneath import Beneath
from commands.guard import is_masked
from commands.sandbox.bounds import Bounds
from commands.sandbox.mounts import Mounts
from commands.sandbox.neighbours import Ground
from commands.sandbox.quarantine import Quarantine
from commands.sandbox.repository import Offence, offences

_GIT = ".git/hooks"  # in the list of protected paths where git's own files are protected

Identity = tuple[int, int]


class Watch:
    """Looks at the listed paths only, so it costs the same in any workspace.

    What exists when a cage is made is mounted read-only there; this finds the rest: what is
    new, what was put in place of a link, and mounts that no longer hold since somebody
    outside replaced the file under them. Where nothing is `mounted`, it finds of what
    existed only what a command made of git's own files. In a read-only cage it finds nothing
    of that: no program of it can have made any.

    Others may look at the same workspace: the lock of `ground` is to be held meanwhile.
    """

    def __init__(self, bounds: Bounds, ground: Ground, *, mounted: bool = True) -> None:
        self._root = bounds.root
        self._ground = ground
        self._is_read_only = bounds.read_only
        self._are_mounted = mounted
        self._accepted_before = 0
        self._protected = bounds.protected
        self._at = Beneath(bounds.root)
        self._quarantine = Quarantine(bounds.quarantine) if bounds.quarantine else None
        self._mounted: dict[str, Identity | None] = {}
        self._absent: list[str] = []
        self._links: dict[str, str] = {}
        self._known: frozenset[str] | None = None  # of the repository; None: git isn't protected
        self._masked: set[str] = set()
        self._names: set[str] = set()
        self._root_changed_ns = -1

    def begin(self, mounts: Mounts) -> None:
        """A cage with these mounts is about to be made."""
        root = self._root
        self._accepted_before = len(self._ground.accepted)
        inside = {path: way for path, way in mounts.items() if path.is_relative_to(root)}
        self._mounted = {str(path): _identity(str(path)) for path in inside}
        protected = () if self._is_read_only else self._protected()
        plain = [p for p in protected if not p.startswith(".git/")]
        self._absent = [p for p in plain if not os.path.lexists(root / p)]
        linked = set() if self._is_read_only else {*plain, ".git"} - set(self._absent)
        self._links = dict(_links(root, linked))
        if self._are_mounted:
            known = {str(path.relative_to(root)) for path, way in inside.items() if way == "read"}
            known |= {".git"} & self._links.keys()
        else:
            known = {offence.path for offence in offences(self._at, frozenset())}
        self._known = frozenset(known) if _GIT in protected else None
        self._masked = self._masked_names()

    def accept(self, paths: Iterable[str]) -> None:
        """Take these for the user's own, until the next cage, which is needed for them."""
        self._ground.accepted += paths

    @property
    def _accepted(self) -> list[str]:
        """Since this cage was made."""
        return self._ground.accepted[self._accepted_before :]

    def stale(self) -> str:
        """Which mount no longer holds, or what should be masked and isn't; "" if none."""
        for path in sorted(self._accepted):
            return f"{path} was changed with the user's leave"
        for path, identity in self._mounted.items():
            if _identity(path) != identity:
                return f"{os.path.relpath(path, self._root)} was changed from outside"
        for path in sorted(self._masked_names() - self._masked - self._ground.masked):
            return f"{path} was changed from outside"
        return ""

    def look(self) -> list[str]:
        """Move away what has appeared; a sentence for each. To be called after a command."""
        # What a command made is known to it: nothing is gained by masking it.
        if self._ground.at_work and not self._is_read_only:
            self._ground.masked |= self._masked_names() - self._masked
        found = [each for each in self._offences() if not self._is_accepted(each.path)]
        return [said for offence in found if (said := self._moved(offence))]

    def _is_accepted(self, path: str) -> bool:
        return any(
            f"{a}/".startswith(f"{path}/") or path.startswith(f"{a}/") for a in self._accepted
        )

    def _offences(self) -> Iterator[Offence]:
        for path in self._absent:
            if os.path.lexists(self._root / path):
                yield Offence(path, "protected from change")
        for path, target in self._links.items():
            if _target(self._root / path) != target:
                yield Offence(path, "put in the place of a link")
        if self._known is not None:
            found = offences(self._at, self._known)
            yield from (offence for offence in found if offence.path not in self._known)

    def _moved(self, offence: Offence) -> str:
        path, why = offence
        try:
            if self._quarantine is None:
                raise OSError(0, "no quarantine")
            if os.path.lexists(self._root / path):
                place = self._quarantine.take(self._at, path)
                said = f"{path} ({why}) was moved out of the workspace, to {place}"
            else:
                said = f"{path} ({why}) is gone"
            self._ground.reported.discard(offence)
        except OSError as error:
            if offence in self._ground.reported:
                return ""
            self._ground.reported.add(offence)
            said = f"{path} ({why}) has appeared and stays: {error.strerror}"
        if path in self._links:
            with suppress(OSError):
                (self._root / path).symlink_to(self._links[path])
        return said

    def _masked_names(self) -> set[str]:
        """Names at the root that say secrets; deeper ones are found when a cage is made."""
        with suppress(OSError):
            changed_ns = self._root.stat().st_mtime_ns
            if changed_ns != self._root_changed_ns:
                names = os.listdir(self._root)  # noqa: PTH208
                self._names = {name for name in names if is_masked(name)}
                self._root_changed_ns = changed_ns
        return self._names


def _identity(path: str) -> Identity | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _links(root: Path, paths: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The links on the way to these paths, and where they lead."""
    for path in paths:
        parts = path.split("/")
        for count in range(1, len(parts) + 1):
            prefix = "/".join(parts[:count])
            if target := _target(root / prefix):
                yield prefix, target


def _target(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return ""
