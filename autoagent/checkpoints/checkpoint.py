"""Taking checkpoints of a folder tree: what changed since the last one is kept aside."""

import errno
import os
import sqlite3
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from autoagent.checkpoints.descent import Descent
from autoagent.checkpoints.manifest import Bounds, Known, Look, Node, Stamp, look, stamp_of
from autoagent.checkpoints.objects import LARGE_BYTES, Objects, told
from autoagent.checkpoints.timeline import Timeline

_TICK_NS = 50_000_000
_COARSE_TICK_NS = 2_500_000_000  # of file systems that keep whole seconds, or two
_READING = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_LEAST_FREE_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class Taken:
    """A checkpoint. `changed` are the paths that differ from the one before it, sorted, and
    `files` those of them that aren't folders, before and after; `made` are those that weren't
    there before, `left_out` folders that it doesn't cover, `unkept` files whose content it
    doesn't hold."""

    number: int
    changed: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    unkept: tuple[str, ...] = ()
    made: frozenset[str] = frozenset()


class Checkpoints:
    """The checkpoints of one tree, `root`, in the store that `objects` opened.

    Nothing in the tree is written, followed or run. CheckpointFault when disk or store fail.
    """

    def __init__(
        self,
        root: Path,
        objects: Objects,
        *,
        tree: str = "",
        bounds: Bounds | None = None,
    ) -> None:
        self.root = root
        self.timeline = Timeline(objects, tree)
        self.known: dict[str, Known] = {}
        self._objects = objects
        self._bounds = bounds or Bounds()
        self._head = 0
        self._left_out: frozenset[str] = frozenset()  # of the head
        self._too_large: frozenset[str] = frozenset()
        self._weighed = False
        self._restamped: dict[str, Known] = {}

    def take(self) -> Taken:
        """Look at the tree and keep what is new; durable on return."""
        return self.keep(self.look())

    def look(self) -> Look:
        """Which paths may differ from the newest checkpoint; reads no file."""
        with told(f"{self.root} can't be looked through for a checkpoint"):
            self._catch_up()
            found = look(
                self.root,
                self.known,
                self._bounds,
                too_large=self._too_large,
                to_weigh=frozenset() if self._weighed else self._left_out,
            )
        self._too_large = frozenset(found.too_large)
        self._weighed = True
        return found

    def keep(self, found: Look, stop: Callable[[], None] = lambda: None) -> Taken:
        """Read what `look` found and keep it; durable on return.

        `stop` is called between files and may raise, which leaves the store as it was.
        """
        try:
            with told("A checkpoint could not be kept"):
                return self._keep(found, stop)
        finally:
            self._objects.rollback()

    def close(self) -> None:
        """Note what would be read again for nothing the next time."""
        with suppress(sqlite3.Error, OSError):
            if self._restamped:
                self.timeline.restamp(self._restamped.items())
                self._objects.commit()

    def _catch_up(self) -> None:
        """Learn what other processes recorded of this tree."""
        head = self.timeline.head
        if head == self._head:
            return
        for path, known in self.timeline.newest(after=self._head):
            if known is None:
                self.known.pop(path, None)
            else:
                self.known[path] = known
        self._head = head
        self._left_out = self.timeline.left_out(head)

    def _keep(self, found: Look, stop: Callable[[], None]) -> Taken:
        reader = _Reader(self.root, self._objects, found, self._bounds, stop)
        read = reader.read(found.changed)
        changed: dict[str, Known | None] = dict.fromkeys(set(found.gone) | reader.gone)
        changed = {path: None for path in changed if path in self.known}
        restamped: dict[str, Known] = {}
        for path, known in read.items():
            before = self.known.get(path)
            if before is None or before.node != known.node:
                changed[path] = known
            elif before.stamp != known.stamp or before.sure != known.sure:
                restamped[path] = known
        files = [path for path, known in changed.items() if self._concerns_file(path, known)]
        made = frozenset(path for path in changed if path not in self.known)
        number = self._recorded(changed, restamped, frozenset(found.left_out))
        return Taken(
            number,
            tuple(sorted(changed)),
            tuple(sorted(files)),
            tuple(found.left_out),
            tuple(reader.unkept),
            made,
        )

    def _concerns_file(self, path: str, now: Known | None) -> bool:
        both = (self.known.get(path), now)
        return any(known is not None and known.node.kind != "folder" for known in both)

    def _recorded(
        self,
        changed: dict[str, Known | None],
        restamped: dict[str, Known],
        left_out: frozenset[str],
    ) -> int:
        """Write a checkpoint if anything differs, and fold it into what is known."""
        self._restamped |= restamped
        if changed or left_out != self._left_out or not self._head:
            number = self.timeline.record(changed, self._restamped.items(), left_out)
            self._restamped.clear()
            # What others recorded between is caught up with at the next look.
            if self.timeline.objects.connection.execute(
                "SELECT count(*) FROM checkpoint WHERE tree = ? AND number > ? AND number < ?",
                (self.timeline.tree, self._head, number),
            ).fetchone() == (0,):
                self._head = number
            self._left_out = left_out
        else:
            self._objects.commit()
            number = self._head
        self.known |= restamped
        for path, known in changed.items():
            if known is None:
                self.known.pop(path, None)
            else:
                self.known[path] = known
        return number


class _Reader:
    """Reads what a look found into the store."""

    def __init__(
        self,
        root: Path,
        objects: Objects,
        found: Look,
        bounds: Bounds,
        stop: Callable[[], None],
    ) -> None:
        self.gone: set[str] = set()
        self.unkept: list[str] = []
        self._root = root
        self._objects = objects
        self._found = found
        self._stop = stop
        self._room = min(bounds.new_bytes, _room_in(objects.folder))

    def read(self, changed: dict[str, Stamp]) -> dict[str, Known]:
        """Each of these paths as it is now; what can't be read has a node that says so."""
        read: dict[str, Known] = {}
        with Descent(self._root) as descent:
            for path in sorted(changed, key=lambda path: path.split("/")):
                self._stop()
                try:
                    folder, name = descent.parent(path)
                    known = self._known(path, folder, name, changed[path])
                except FileNotFoundError:
                    self.gone.add(path)
                    continue
                except OSError as error:
                    if error.errno in (errno.ENOSPC, errno.EDQUOT):
                        raise
                    known = self._unread(path, changed[path])
                read[path] = known
        return read

    def _known(self, path: str, folder: int, name: str, stamp: Stamp) -> Known:
        mode, uid, gid = stamp.mode, stamp.uid, stamp.gid
        if path in self._found.masked and not stat.S_ISDIR(mode):
            return Known(stamp, Node("masked", mode, uid, gid))
        match stat.S_IFMT(mode):
            case stat.S_IFDIR:
                return Known(stamp, Node("folder", mode, uid, gid))
            case stat.S_IFREG:
                return self._file(path, folder, name, stamp)
            case stat.S_IFLNK:
                sure = is_settled(stamp, time.time_ns())
                target = os.readlink(name, dir_fd=folder)
                return Known(stamp, Node("link", mode, uid, gid, mark=target), sure)
            case _:
                return Known(stamp, Node("other", mode, uid, gid))

    def _file(self, path: str, folder: int, name: str, expected: Stamp) -> Known:
        began = time.time_ns()
        file = os.open(name, _READING, dir_fd=folder)
        try:
            status = os.fstat(file)
            stamp = stamp_of(status)
            if not stat.S_ISREG(stamp.mode):
                return self._unread(path, expected)  # replaced since; the next look sees it
            mode, uid, gid = stamp.mode, stamp.uid, stamp.gid
            if status.st_nlink > 1 and self._is_masked(status):
                return Known(stamp, Node("masked", mode, uid, gid))
            if stamp.size > self._room:
                return self._unread(path, stamp)
            self._room -= stamp.size
            digest = self._content(file, stamp)
            after = stamp_of(os.fstat(file))
        finally:
            os.close(file)
        sure = after == stamp and is_settled(stamp, began)
        return Known(stamp, Node("file", mode, uid, gid, digest), sure)

    def _content(self, file: int, stamp: Stamp) -> bytes:
        if stamp.size < LARGE_BYTES:
            return self._objects.put(_start_of(file, stamp.size))
        return self._objects.put_file(file, stamp.size, self._stop)

    def _unread(self, path: str, stamp: Stamp) -> Known:
        """A file that is seen but not kept: too large, or not ours to read."""
        self.unkept.append(path)
        mark = "-".join(map(str, (stamp.size, stamp.mtime_ns, stamp.ctime_ns, stamp.inode)))
        return Known(stamp, Node("file", stamp.mode, stamp.uid, stamp.gid, mark=mark))

    def _is_masked(self, status: os.stat_result) -> bool:
        return (status.st_dev, status.st_ino) in self._found.masked_inodes


def is_settled(stamp: Stamp, now_ns: int) -> bool:
    """Would a change after `now_ns` show in the stamp?

    Not if the last one was in the same tick of the file system's clock.
    """
    tick = _TICK_NS if stamp.ctime_ns % 1_000_000_000 else _COARSE_TICK_NS
    return abs(now_ns - stamp.ctime_ns) > tick


def _start_of(file: int, size: int) -> bytes:
    """So many bytes of an open file, less when it is shorter by now."""
    data = os.pread(file, size, 0)
    while len(data) < size and (piece := os.pread(file, size - len(data), len(data))):
        data += piece
    return data


def _room_in(folder: Path) -> int:
    """Bytes that may be written there, so that the disk isn't full afterwards."""
    status = os.statvfs(folder)
    return max(0, status.f_bavail * status.f_frsize - _LEAST_FREE_BYTES)
