"""What stands where inside a bubblewrap cage."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from commands.beneath import Beneath
from commands.sandbox.bounds import Bounds
from commands.sandbox.repository import places
from commands.sandbox.toolchains import (
    SYSTEM,
    behind_environment,
    beneath_any,
    credentials,
    our_python,
    search_path,
    toolchains,
)

Way = Literal["read", "write", "link", "fresh", "empty"]
"""read: as it is, read-only · write: as it is · link: the same link · fresh: a new folder ·
empty: a new folder in place of a folder, an empty read-only file in place of a file."""
Mounts = dict[Path, Way]

_FALLBACK_HOME = Path("/home/agent")


@dataclass(frozen=True, slots=True)
class Layout:
    """The mounts of a cage; `path` is its PATH, `home` its home folder, `python` our own."""

    bounds: Bounds
    home: Path
    python: Path
    path: tuple[Path, ...]
    fixed: Mapping[Path, Way]

    def now(self) -> Mounts:
        """All mounts as the workspace is at this moment."""
        root = self.bounds.root
        mounts = dict(self.fixed)
        if self.bounds.read_only:
            mounts = {path: "read" if way == "write" else way for path, way in mounts.items()}
        for folder in behind_environment(root, self.home):
            _show(mounts, folder, root)
        mounts |= kept(self.bounds)
        mounts |= dict.fromkeys(_existing(root, self.bounds.masked()), "empty")
        return mounts | dict.fromkeys(_visible(self.bounds.hidden, mounts), "empty")


def laid_out(bounds: Bounds, env: Mapping[str, str]) -> Layout:
    """The layout for these bounds on this machine; `bounds.root` must be a real path."""
    home = _home(env.get("HOME", ""))
    folders = search_path(env.get("PATH", os.defpath))
    foreign = [p for p in folders if not p.is_relative_to(bounds.root)]
    mounts: Mounts = {path: _as_here(path) for path in SYSTEM if path.is_dir()}
    if os.getuid() == 0:  # whose commands could read there what no other user's can
        mounts |= dict.fromkeys(_closed("/etc"), "empty")
    mounts |= {Path("/tmp"): "fresh", Path("/var/tmp"): "fresh", home: "fresh"}  # noqa: S108
    python, needed = our_python(home)
    for folder in (*toolchains(foreign, home, env), *needed):
        _show(mounts, folder, bounds.root)
    if bounds.network:
        mounts[Path("/etc/resolv.conf").resolve()] = "read"
    mounts |= {path.resolve(): "read" for path in bounds.extra_read}
    mounts |= {path.resolve(): "write" for path in bounds.extra_write}
    mounts[bounds.root] = "write"
    seen = [path for path, way in mounts.items() if way in ("read", "write", "link")]
    path = tuple(p for p in folders if beneath_any(p, seen))
    return Layout(bounds, home, python, path, mounts)


def kept(bounds: Bounds) -> Mounts:
    """What of the workspace nothing may change, as it is at this moment; none of it where
    that holds for the whole workspace."""
    if bounds.read_only:
        return {}
    protected = bounds.protected()
    if ".git/hooks" in protected:
        protected = [*protected, *places(Beneath(bounds.root))]
    return _protecting(_existing(bounds.root, protected), bounds.root)


def _as_here(path: Path) -> Way:
    return "link" if path.is_symlink() and beneath_any(path.resolve(), SYSTEM) else "read"


def _protecting(paths: Iterable[Path], root: Path) -> Mounts:
    """Read-only mounts, in folders that can't be renamed, nor others put in their place."""
    wanted = set(paths)
    outermost = [path for path in wanted if not wanted.intersection(path.parents)]
    mounts: Mounts = {}
    for path in outermost:
        mounts |= {parent: "write" for parent in path.parents if _inside(parent, root)}
    return mounts | dict.fromkeys(outermost, "read")


def _show(mounts: Mounts, folder: Path, root: Path) -> None:
    """Make a toolchain readable, but for its credentials; not where the workspace is."""
    if folder.is_relative_to(root) or beneath_any(folder, SYSTEM):
        return
    mounts.setdefault(folder, "read")
    for path in credentials(folder):
        mounts.setdefault(path, "empty")


def _home(home: str) -> Path:
    """The home folder's path, or another when it is none that can be replaced."""
    path = Path(os.path.normpath(home))
    whole = any(system.is_relative_to(path) for system in (*SYSTEM, Path("/proc"), Path("/dev")))
    return path if path.is_absolute() and path.is_dir() and not whole else _FALLBACK_HOME


def _closed(folder: str) -> Iterator[Path]:
    """What others than its owner may not read below a folder; what is empty doesn't count."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_symlink():  # known without a look at it, and half of /etc are links
                continue
            status = entry.stat(follow_symlinks=False)
            if not status.st_mode & 0o004 and status.st_size:
                yield Path(entry.path)
            elif entry.is_dir(follow_symlinks=False):
                yield from _closed(entry.path)


def _existing(root: Path, paths: Iterable[str]) -> Iterator[Path]:
    """The real places of those that exist in the workspace."""
    for path in paths:
        place = root / path
        if os.access(place, os.F_OK) and _inside(real := place.resolve(), root):
            yield real


def _inside(path: Path, root: Path) -> bool:
    return path != root and path.is_relative_to(root)


def _visible(hidden: Sequence[Path], mounts: Mapping[Path, Way]) -> Iterator[Path]:
    """Those that exist and would be seen; an unseen one needs no place in the cage."""
    seen = [path for path, way in mounts.items() if way in ("read", "write")]
    for path in hidden:
        real = path.resolve()
        if real.exists() and beneath_any(real, seen):
            yield real
