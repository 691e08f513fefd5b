"""Bringing paths of a tree to what they shall be, each as a whole or not at all."""

import errno
import hashlib
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from autoagent.checkpoints.descent import Descent
from autoagent.checkpoints.manifest import Known, Node
from autoagent.checkpoints.objects import MissingContent, Objects, write_sparsely

_SENTENCES = {
    errno.ENOTEMPTY: "it holds something else",
    errno.EEXIST: "something else is there",
    errno.ENOTDIR: "something else is in place of its folder",
    errno.ELOOP: "a link is in place of its folder",
    errno.ENOENT: "its folder is gone",
    errno.EISDIR: "a folder is in its place",
}


@dataclass(frozen=True, slots=True)
class Move:
    """A path, what stands there now and what shall stand there; None: nothing."""

    path: str
    now: Node | None
    wanted: Node | None


@dataclass(frozen=True, slots=True)
class Skipped:
    """A path that is left as it is, and why."""

    path: str
    why: str


@dataclass(frozen=True, slots=True)
class Restored:
    """What was done, sorted by path."""

    paths: list[str]
    skipped: list[Skipped]


class _Changed(Exception):
    """Something else stands there than at the last look."""


def restore(
    root: Path,
    moves: Iterable[Move],
    known: Mapping[str, Known],
    objects: Objects,
    stop: Callable[[], None] = lambda: None,
) -> Restored:
    """Make each move, if what stands there is still what `known` tells; the others are skipped.

    A file is replaced at once, so that being cut off leaves each path old, new, or, where
    a folder takes the place of a file or the other way round, gone. Doing it again from a
    new look completes it. Modes of folders come last.
    """
    ordered = sorted(moves, key=lambda move: move.path.split("/"))
    inodes = Counter(known[move.path].stamp.inode for move in ordered if move.path in known)
    work = _Work(root, known, objects, inodes)
    with Descent(root) as work.descent:
        for move in reversed(ordered):
            stop()
            if _is_in_the_way(move):
                work.attempt(move, work.remove)
        work.descent.forget()
        for move in ordered:
            stop()
            if move.wanted is not None:
                work.attempt(move, work.make)
        work.settle_folders(reversed(ordered))
    done = [move.path for move in ordered if move.path not in work.skipped]
    return Restored(done, [Skipped(path, why) for path, why in sorted(work.skipped.items())])


def sync_paths(root: Path, paths: Sequence[str]) -> None:
    """Make restored files and the names in their folders last."""
    folders: set[str] = set()
    for path in paths:
        folders.add(path.rpartition("/")[0])
    for path in [*paths, *folders]:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with suppress(OSError):
            opened = os.open(root / path, flags)
            try:
                os.fsync(opened)
            finally:
                os.close(opened)


def _is_in_the_way(move: Move) -> bool:
    """Must what is there go before something else can come?"""
    if move.now is None or move.wanted is None:
        return move.now is not None
    folders = (move.now.kind == "folder") + (move.wanted.kind == "folder")
    return folders == 1


class _Work:
    """`names` counts those of a file that are among what is restored."""

    def __init__(
        self, root: Path, known: Mapping[str, Known], objects: Objects, names: Mapping[int, int]
    ) -> None:
        self.skipped: dict[str, str] = {}
        self.descent: Descent
        self._root = root
        self._known = known
        self._objects = objects
        self._names = names
        self._opened: dict[str, int] = {}  # folders made writable for a while, their modes

    def attempt(self, move: Move, act: Callable[[Move], None]) -> None:
        """Make a part of a move, or note why it can't be made."""
        if move.path in self.skipped:
            return
        try:
            try:
                act(move)
            except PermissionError:
                self._open_up(move.path)
                act(move)
        except _Changed:
            self.skipped[move.path] = "it was changed meanwhile"
        except MissingContent as error:
            self.skipped[move.path] = str(error)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            reason = _SENTENCES.get(error.errno or 0, error.strerror or str(error))
            self.skipped[move.path] = reason

    def remove(self, move: Move) -> None:
        """Take away what stands there."""
        folder, name = self.descent.parent(move.path)
        if not self._stands(move, folder, name):
            return
        if move.now is not None and move.now.kind == "folder":
            os.rmdir(name, dir_fd=folder)
        else:
            os.unlink(name, dir_fd=folder)

    def make(self, move: Move) -> None:
        """Put there what is wanted; what may be replaced in one go still stands."""
        wanted = move.wanted
        assert wanted is not None
        folder, name = self.descent.parent(move.path)
        there = self._stands(move, folder, name)
        match wanted.kind:
            case "folder":
                if not there:
                    os.mkdir(name, 0o700, dir_fd=folder)
            case "link":
                self._put_link(folder, name, move.path, wanted)
            case "file" if there and self._is_mode_alone(move, folder, name):
                _set_mode(folder, name, wanted)
            case "file":
                self._put_file(folder, name, move.path, wanted)
            case _:
                raise OSError(0, "a special or masked file can't be made again")

    def _is_mode_alone(self, move: Move, folder: int, name: str) -> bool:
        """Whether the file itself may stay. Its mode is also that of its other names: one that
        isn't to be restored may be a person's own."""
        assert move.wanted is not None
        if move.now is None or move.now.digest != move.wanted.digest:
            return False
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        return status.st_nlink <= self._names[status.st_ino]

    def settle_folders(self, moves: Iterable[Move]) -> None:
        """Give folders their modes, the innermost first."""
        wanted = {
            move.path: move.wanted
            for move in moves
            if move.wanted is not None and move.wanted.kind == "folder"
        }
        refused = self.skipped.keys()
        paths = (wanted.keys() - refused) | self._opened.keys()
        for path in sorted(paths, key=lambda path: path.split("/"), reverse=True):
            with suppress(FileNotFoundError):
                folder, name = self.descent.parent(path)
                node = wanted.get(path) if path not in refused else None
                if node is not None:
                    _set_mode(folder, name, node)
                else:
                    _chmod(folder, name, self._opened[path])

    def _stands(self, move: Move, folder: int, name: str) -> bool:
        """Is something there? _Changed when it isn't what the last look saw."""
        try:
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        known = self._known.get(move.path)
        if known is None or not _is_same(status, known):
            raise _Changed
        return True

    def _open_up(self, path: str) -> None:
        """Let the owner list and change the folders above a path, until the end."""
        names = path.split("/")[:-1]
        for depth in range(1, len(names) + 1):
            folder, name = self.descent.parent("/".join(names[:depth]))
            mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode) and mode & 0o700 != 0o700:
                _chmod(folder, name, mode | 0o700)
                self._opened.setdefault("/".join(names[:depth]), mode)

    def _put_file(self, folder: int, name: str, path: str, wanted: Node) -> None:
        if wanted.digest is None:
            raise MissingContent("its content was not kept")
        temporary = _temporary(path)
        _clear(folder, temporary)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.open(temporary, flags, 0o600, dir_fd=folder)
        try:
            at = 0
            for piece in self._objects.pieces(wanted.digest):
                at = write_sparsely(file, piece, at)
            os.ftruncate(file, at)
            _chown(file, wanted)
            os.fchmod(file, stat.S_IMODE(wanted.mode))
            os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            _clear(folder, temporary)
            raise
        finally:
            os.close(file)

    def _put_link(self, folder: int, name: str, path: str, wanted: Node) -> None:
        temporary = _temporary(path)
        _clear(folder, temporary)
        os.symlink(wanted.mark, temporary, dir_fd=folder)
        with suppress(PermissionError):
            os.chown(temporary, wanted.uid, wanted.gid, dir_fd=folder, follow_symlinks=False)
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)


def _is_same(status: os.stat_result, known: Known) -> bool:
    """Is it what was seen a moment ago?

    The change time says nothing: our own work on another name of a file sets it, too.
    """
    seen = known.stamp
    if stat.S_ISDIR(status.st_mode):
        return known.node.kind == "folder"
    now = (stat.S_IFMT(status.st_mode), status.st_ino, status.st_size, status.st_mtime_ns)
    return now == (stat.S_IFMT(seen.mode), seen.inode, seen.size, seen.mtime_ns)


def _temporary(path: str) -> str:
    # The same for the same path each time, so that what a killed undo left is found again.
    return f".autoagent-{hashlib.sha256(os.fsencode(path)).hexdigest()[:16]}"


def _clear(folder: int, name: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)


def _set_mode(folder: int, name: str, wanted: Node) -> None:
    status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if (status.st_uid, status.st_gid) != (wanted.uid, wanted.gid):
        with suppress(PermissionError):
            os.chown(name, wanted.uid, wanted.gid, dir_fd=folder, follow_symlinks=False)
    _chmod(folder, name, wanted.mode)


def _chown(file: int, wanted: Node) -> None:
    status = os.fstat(file)
    if (status.st_uid, status.st_gid) != (wanted.uid, wanted.gid):
        with suppress(PermissionError):
            os.fchown(file, wanted.uid, wanted.gid)


def _chmod(folder: int, name: str, mode: int) -> None:
    """Set the mode of a file or folder, never of what a link leads to."""
    flags = getattr(os, "O_PATH", os.O_RDONLY | os.O_NONBLOCK) | os.O_NOFOLLOW | os.O_CLOEXEC
    opened = os.open(name, flags, dir_fd=folder)
    try:
        if stat.S_ISLNK(os.fstat(opened).st_mode):
            raise _Changed
        if hasattr(os, "O_PATH"):  # such a descriptor has no fchmod of its own
            os.chmod(f"/proc/self/fd/{opened}", stat.S_IMODE(mode))  # noqa: PTH101
        else:
            os.fchmod(opened, stat.S_IMODE(mode))
    finally:
        os.close(opened)
