"""Making room in a store of checkpoints: what no session that is kept goes back to."""

import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from autoagent import locking
from autoagent.checkpoints.objects import LOCK, CheckpointFault, told
from autoagent.sizes import taken

_WORTH_SHRINKING = 1 << 20  # bytes of pages that nothing stands in
_TREE = ""  # of the workspace itself; a dry run's copy is a tree named by its session


class InUse(CheckpointFault):
    """A process works with the store, so nothing can be freed now."""


@dataclass(frozen=True, slots=True)
class Needed:
    """What the kept sessions of a workspace go back to: no checkpoint of a number below
    `floor` (None: to none at all), and the copies of these sessions."""

    floor: int | None
    sessions: frozenset[str]


def free(store: Path, needed: Needed) -> int:
    """Free what isn't needed, durably; bytes on the disk. InUse when a process has it open.

    What stands at each path from `floor` on stays answerable, as does what stood there at
    `floor` itself; older versions go, then contents that no version names.
    """
    if not (store / "store.sqlite").exists():
        return 0
    before = taken(store)
    with told(f"No room could be made in {store}"), _alone(store):
        if needed.floor is None and not needed.sessions:
            # Whoever waits to open it finds that its lock stands there no more, and begins anew.
            gone = store.with_name(f".{store.name}-{token_hex(4)}")
            store.rename(gone)
            shutil.rmtree(gone)
            return before
        with _opened(store) as connection:
            _drop_versions(connection, needed)
            large = _drop_contents(connection)
            connection.execute("COMMIT")
            for digest in large:
                (store / "large" / digest.hex()).unlink(missing_ok=True)
            _drop_strays(connection, store / "large")
            _shrink(connection)
    return max(0, before - taken(store))


def freeable(store: Path, needed: Needed) -> int:
    """How many bytes of contents `free` would take out, nothing is changed; 0 when in use."""
    if not (store / "store.sqlite").exists():
        return 0
    try:
        with told(f"{store} can't be read"), _alone(store):
            if needed.floor is None and not needed.sessions:
                return taken(store)
            with _opened(store) as connection:
                _drop_versions(connection, needed)
                before = connection.execute(_BYTES).fetchone()[0]
                gone = _drop_contents(connection)
                size = int(before - connection.execute(_BYTES).fetchone()[0])
                for digest in gone:
                    with suppress(OSError):
                        size += (store / "large" / digest.hex()).stat().st_blocks * 512
                connection.execute("ROLLBACK")
                return size
    except InUse:
        return 0


@contextmanager
def _alone(store: Path) -> Iterator[None]:
    file = os.open(store / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not locking.take(file) or not locking.is_at(file, store / LOCK):
            raise InUse(f"The checkpoints in {store} are in use.")
        yield
    finally:
        os.close(file)


@contextmanager
def _opened(store: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(store / "store.sqlite", isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


# Temporary, so that it is made by the same statements that look at it.
_USED = """
CREATE TEMP TABLE used AS
  SELECT DISTINCT digest FROM main.version WHERE digest IS NOT NULL"""
_UNUSED = "digest NOT IN (SELECT digest FROM temp.used)"
_BYTES = "SELECT coalesce(sum(length(data)), 0) FROM object"


def _drop_versions(connection: sqlite3.Connection, needed: Needed) -> None:
    """Checkpoints of other copies, and of the workspace what is older than the floor."""
    trees = [row[0] for row in connection.execute("SELECT DISTINCT tree FROM checkpoint")]
    for tree in trees:
        if tree != _TREE and tree not in needed.sessions:
            connection.execute("DELETE FROM version WHERE tree = ?", (tree,))
            connection.execute("DELETE FROM checkpoint WHERE tree = ?", (tree,))
    sessions = [row[0] for row in connection.execute("SELECT session FROM pending")]
    for session in sessions:
        if session not in needed.sessions:
            connection.execute("DELETE FROM pending WHERE session = ?", (session,))
    floor = needed.floor if needed.floor is not None else _head(connection)
    connection.execute(
        "DELETE FROM version WHERE tree = ?1 AND number < (SELECT max(later.number) "
        "FROM version AS later WHERE later.tree = ?1 AND later.path = version.path "
        "AND later.number <= ?2)",
        (_TREE, floor),
    )
    connection.execute(
        "DELETE FROM checkpoint WHERE tree = ?1 AND number < (SELECT max(later.number) "
        "FROM checkpoint AS later WHERE later.tree = ?1 AND later.number <= ?2)",
        (_TREE, floor),
    )


def _head(connection: sqlite3.Connection) -> int:
    query = "SELECT max(number) FROM checkpoint WHERE tree = ?"
    return int(connection.execute(query, (_TREE,)).fetchone()[0] or 0)


def _drop_contents(connection: sqlite3.Connection) -> list[bytes]:
    """Contents that nothing names any more; those of them that are files of their own."""
    connection.execute(_USED)
    planned = [
        (bytes.fromhex(node[4]),)
        for (plan,) in connection.execute("SELECT plan FROM pending")
        for _, *nodes in json.loads(plan)["wishes"]
        for node in nodes
        if node is not None and node[4] is not None
    ]
    connection.executemany("INSERT INTO temp.used VALUES (?)", planned)
    large = f"SELECT digest FROM object WHERE data IS NULL AND {_UNUSED}"  # noqa: S608
    gone = [row[0] for row in connection.execute(large)]
    connection.execute(f"DELETE FROM object WHERE {_UNUSED}")  # noqa: S608
    return gone


def _drop_strays(connection: sqlite3.Connection, large: Path) -> None:
    """Files that a process left there when it was killed: nobody else is here to want them."""
    rows = connection.execute("SELECT digest FROM object WHERE data IS NULL")
    named = {row[0].hex() for row in rows}
    for path in large.iterdir():
        if path.name not in named:
            path.unlink()


def _shrink(connection: sqlite3.Connection) -> None:
    """Give empty pages back. Where the disk has no room for that they stay, to be used again."""
    pages, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("freelist_count", "page_size")
    )
    with suppress(sqlite3.Error):
        if pages * size > _WORTH_SHRINKING:
            connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
