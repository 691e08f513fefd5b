"""What stands in a folder tree: a node of each path, and which paths may differ by now."""

import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from commands.guard import is_masked

Kind = Literal["file", "folder", "link", "other", "masked"]

# What package managers and test runners make again by themselves.
TOOL_FOLDERS = frozenset(
    {".venv", "venv", "node_modules", "__pycache__", ".mypy_cache", ".pytest_cache", ".tox", ".nox"}
)
# What nobody wants to read the names of, beside these.
_INNARDS = TOOL_FOLDERS | {".git"}
_LISTING = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Stamp(NamedTuple):
    """What stat tells of a path; as long as it is the same, so is what stands there."""

    mode: int  # with the bits of the type
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Node:
    """What stands at a path. Equal nodes are the same to whoever uses the tree.

    `digest` is the SHA-256 of a file's content, None where it isn't kept; `mark` then
    identifies what wasn't, and of a link it is the target.
    """

    kind: Kind
    mode: int  # with the bits of the type
    uid: int = 0
    gid: int = 0
    digest: bytes | None = None
    mark: str = ""


@dataclass(slots=True)
class Known:
    """A path as it was read last; what is not `sure` is read again even if stat is the same."""

    stamp: Stamp
    node: Node
    sure: bool = True


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much of a tree is covered; what is beyond is left out and named."""

    entries: int = 120_000  # about half a second to walk through
    tool_entries: int = 5_000
    tool_bytes: int = 100_000_000
    depth: int = 200  # a descriptor is open for each level
    new_bytes: int = 2 << 30  # of content in one checkpoint


@dataclass(slots=True)
class Look:
    """What a walk found, against what was known. Paths are relative to the root."""

    changed: dict[str, Stamp] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)  # folders that weren't looked into,
    too_large: list[str] = field(default_factory=list)  # of these: for their size
    masked: set[str] = field(default_factory=set)
    masked_inodes: set[tuple[int, int]] = field(default_factory=set)  # (device, inode)

    @property
    def new_bytes(self) -> int:
        """An upper bound of what is to be read."""
        return sum(s.size for s in self.changed.values() if stat.S_ISREG(s.mode))


def stamp_of(status: os.stat_result) -> Stamp:
    return Stamp(
        status.st_mode,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_ino,
        status.st_uid,
        status.st_gid,
    )


def look(
    root: Path,
    known: Mapping[str, Known],
    bounds: Bounds,
    *,
    too_large: frozenset[str] = frozenset(),
    to_weigh: frozenset[str] = frozenset(),
) -> Look:
    """Walk through the tree; no link is followed and no file is opened.

    Folders in `too_large` aren't entered; a tool's folder is weighed first when it is new
    or in `to_weigh`. OSError when the root itself can't be read.
    """
    walk = _Walk(dict(known), too_large, to_weigh, bounds)
    folder = os.open(root, _LISTING & ~os.O_NOFOLLOW)
    try:
        walk.enter(folder, "", 0)
    finally:
        os.close(folder)
    found = walk.found
    outside = tuple(f"{path}/" for path in found.left_out)
    found.gone = [path for path in walk.unseen if not (outside and path.startswith(outside))]
    _mask_targets(root, found, known)
    return found


def innards(path: str) -> str:
    """The folder of git or of a tool that the path lies in, or is; "" if in none."""
    names = path.split("/")
    for depth, name in enumerate(names, 1):
        if name in _INNARDS:
            return "/".join(names[:depth])
    return ""


def beneath(path: str, folders: frozenset[str] | tuple[str, ...]) -> bool:
    """Does that path lie in one of the folders?"""
    return any(path.startswith(f"{folder}/") for folder in folders)


class _Walk:
    def __init__(
        self,
        unseen: dict[str, Known],
        too_large: frozenset[str],
        to_weigh: frozenset[str],
        bounds: Bounds,
    ) -> None:
        self.unseen = unseen
        self.found = Look()
        self._too_large = too_large
        self._to_weigh = to_weigh
        self._bounds = bounds
        self._entries = 0

    def enter(self, folder: int, prefix: str, depth: int) -> None:
        """See everything in an open folder, then the folders in it, those of tools last."""
        unseen, changed = self.unseen, self.found.changed
        inner: list[tuple[bool, str, bool]] = []  # of tools or not, name, to be weighed
        # The loop that every file of the workspace goes through in every step: no calls in it
        # that can be spared.
        with os.scandir(folder) as entries:
            for entry in entries:
                name = entry.name
                try:
                    status = entry.stat(follow_symlinks=False)
                except OSError:
                    continue  # gone meanwhile
                path = prefix + name
                self._entries += 1
                mode = status.st_mode
                stamp = Stamp(
                    mode,
                    status.st_size,
                    status.st_mtime_ns,
                    status.st_ctime_ns,
                    status.st_ino,
                    status.st_uid,
                    status.st_gid,
                )
                before = unseen.pop(path, None)
                if before is None or before.stamp != stamp or not before.sure:
                    changed[path] = stamp
                if stat.S_ISDIR(mode):
                    tool = name in TOOL_FOLDERS
                    weigh = tool and (before is None or path in self._to_weigh)
                    inner.append((tool, name, weigh))
                elif name[0] == "." and is_masked(name):
                    self._mask(path, status)
        for _, name, weigh in sorted(inner):
            self._descend(folder, name, prefix + name, depth + 1, weigh=weigh)

    def _descend(self, parent: int, name: str, path: str, depth: int, *, weigh: bool) -> None:
        bounds = self._bounds
        full = self._entries > bounds.entries or depth > bounds.depth
        if full or path in self._too_large:
            return self._leave_out(path, for_size=True)
        try:
            folder = os.open(name, _LISTING, dir_fd=parent)
        except FileNotFoundError:
            return None
        except OSError:
            return self._leave_out(path)  # not ours to read
        try:
            if weigh and _is_heavy(folder, bounds):
                self._leave_out(path, for_size=True)
            else:
                self.enter(folder, f"{path}/", depth)
        except PermissionError:
            self._leave_out(path)
        finally:
            os.close(folder)
        return None

    def _leave_out(self, path: str, *, for_size: bool = False) -> None:
        self.found.left_out.append(path)
        self.found.too_large += [path] if for_size else []

    def _mask(self, path: str, status: os.stat_result) -> None:
        self.found.masked.add(path)
        if stat.S_ISREG(status.st_mode):
            self.found.masked_inodes.add((status.st_dev, status.st_ino))


def _is_heavy(folder: int, bounds: Bounds) -> bool:
    """Is that open folder more than a tool's folder may be?"""
    entries = size = 0
    for _, folders, names, inside in os.fwalk(".", dir_fd=folder):
        entries += len(names) + len(folders)
        for name in names:
            with suppress(OSError):
                size += os.stat(name, dir_fd=inside, follow_symlinks=False).st_size
        if entries > bounds.tool_entries or size > bounds.tool_bytes:
            return True
    return False


def _mask_targets(root: Path, found: Look, known: Mapping[str, Known]) -> None:
    """Mask also what a masked name leads to through links."""
    for path in sorted(found.masked):
        place = root / path
        if not place.is_symlink():
            continue
        real = os.path.realpath(place)
        inside = os.path.relpath(real, root)
        if inside.startswith("..") or inside in found.masked:
            continue
        with suppress(OSError):
            status = os.lstat(real)
            if stat.S_ISREG(status.st_mode):
                found.masked.add(inside)
                found.masked_inodes.add((status.st_dev, status.st_ino))
                if inside in known and known[inside].node.kind != "masked":
                    found.changed[inside] = stamp_of(status)
