"""The numbered checkpoints of a tree: what stood at each path after which of them."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from autoagent.checkpoints.manifest import Known, Node, Stamp, beneath
from autoagent.checkpoints.objects import Objects

_COLUMNS = "kind, mode, uid, gid, digest, mark"
_STAMPS = "size, mtime_ns, ctime_ns, inode, sure"


class Timeline:
    """Checkpoints of one tree. A checkpoint holds only the paths that differ from the last.

    Several trees and sessions share the numbers, so a span of a session may hold what
    another one changed at the same time.
    """

    def __init__(self, objects: Objects, tree: str) -> None:
        self.objects = objects
        self.tree = tree
        self._read = objects.connection.execute

    @property
    def head(self) -> int:
        """The number of the newest checkpoint; 0 when there is none."""
        query = "SELECT max(number) FROM checkpoint WHERE tree = ?"
        return int(self._read(query, (self.tree,)).fetchone()[0] or 0)

    def left_out(self, number: int) -> frozenset[str]:
        """The folders that weren't covered at that checkpoint."""
        query = (
            "SELECT left_out FROM checkpoint WHERE tree = ? AND number <= ? "
            "ORDER BY number DESC LIMIT 1"
        )
        row = self._read(query, (self.tree, number)).fetchone()
        return frozenset(json.loads(row[0])) if row else frozenset()

    def newest(self, after: int = 0) -> Iterator[tuple[str, Known | None]]:
        """Each path that a checkpoint after that one names, as it is now; None: gone."""
        query = (
            f"SELECT path, {_COLUMNS}, {_STAMPS} FROM version WHERE tree = ? AND number > ? "  # noqa: S608
            "ORDER BY number"
        )
        latest: dict[bytes, Any] = {}
        for row in self._read(query, (self.tree, after)):
            latest[row[0]] = row
        for path, row in latest.items():
            yield os.fsdecode(path), _known(row[1:])

    def at(self, path: str, number: int) -> Node | None:
        """What stood there after that checkpoint; None: nothing.

        Only where the path was covered then: see `left_out`.
        """
        query = (
            f"SELECT {_COLUMNS} FROM version WHERE tree = ? AND path = ? AND number <= ? "  # noqa: S608
            "ORDER BY number DESC LIMIT 1"
        )
        row = self._read(query, (self.tree, os.fsencode(path), number)).fetchone()
        return _node(row) if row else None

    def covers(self, path: str, number: int) -> bool:
        """Was that path looked at, at that checkpoint?"""
        return not beneath(path, self.left_out(number))

    def changed(self, before: int, after: int) -> list[str]:
        """Paths that differ in any checkpoint after the first number, up to the second."""
        query = (
            "SELECT DISTINCT path FROM version WHERE tree = ? AND number > ? AND number <= ? "
            "ORDER BY path"
        )
        return [os.fsdecode(row[0]) for row in self._read(query, (self.tree, before, after))]

    def record(
        self,
        changed: Mapping[str, Known | None],
        restamped: Iterable[tuple[str, Known]],
        left_out: Iterable[str],
    ) -> int:
        """Write one checkpoint and make it durable; its number."""
        self.objects.begin()
        number = self._read(
            "INSERT INTO checkpoint (tree, left_out) VALUES (?, ?)",
            (self.tree, json.dumps(sorted(left_out))),
        ).lastrowid
        assert number is not None
        self.objects.connection.executemany(
            f"INSERT OR REPLACE INTO version (tree, path, number, {_COLUMNS}, {_STAMPS}) "  # noqa: S608
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (self._row(path, number, known) for path, known in changed.items()),
        )
        self.restamp(restamped)
        self.objects.commit()
        return number

    def restamp(self, known: Iterable[tuple[str, Known]]) -> None:
        """Note what stat tells now of paths whose content is as it was."""
        self.objects.begin()
        self.objects.connection.executemany(
            "UPDATE version SET size = ?, mtime_ns = ?, ctime_ns = ?, inode = ?, sure = ? "
            "WHERE tree = ? AND path = ? AND number = "
            "(SELECT max(number) FROM version WHERE tree = ? AND path = ?)",
            (
                (*_stamps(one), self.tree, os.fsencode(path), self.tree, os.fsencode(path))
                for path, one in known
            ),
        )

    def _row(self, path: str, number: int, known: Known | None) -> tuple[Any, ...]:
        name = os.fsencode(path)
        if known is None:
            return (self.tree, name, number, "", *([None] * 10))
        node = known.node
        mark = os.fsencode(node.mark)
        columns = (node.kind, node.mode, node.uid, node.gid, node.digest, mark)
        return (self.tree, name, number, *columns, *_stamps(known))


def to_json(node: Node | None) -> list[Any] | None:
    """A node as JSON's types."""
    if node is None:
        return None
    digest = node.digest.hex() if node.digest is not None else None
    return [node.kind, node.mode, node.uid, node.gid, digest, node.mark]


def from_json(data: list[Any] | None) -> Node | None:
    """The node of `to_json`."""
    if data is None:
        return None
    kind, mode, uid, gid, digest, mark = data
    return Node(kind, mode, uid, gid, bytes.fromhex(digest) if digest is not None else None, mark)


def _node(row: tuple[Any, ...]) -> Node | None:
    kind, mode, uid, gid, digest, mark = row
    return Node(kind, mode, uid, gid, digest, os.fsdecode(mark)) if kind else None


def _known(row: tuple[Any, ...]) -> Known | None:
    node = _node(row[:6])
    if node is None:
        return None
    size, mtime_ns, ctime_ns, inode, sure = row[6:]
    stamp = Stamp(node.mode, size, mtime_ns, ctime_ns, inode % (1 << 64), node.uid, node.gid)
    return Known(stamp, node, bool(sure))


def _stamps(known: Known) -> tuple[int, int, int, int, bool]:
    stamp = known.stamp
    # SQLite's integers are signed; some file systems use the last bit of inode numbers.
    inode = stamp.inode - (1 << 64) if stamp.inode >= 1 << 63 else stamp.inode
    return stamp.size, stamp.mtime_ns, stamp.ctime_ns, inode, known.sure
