"""What to do with a damaged file: put a new one with its readable rows in its place."""

import fcntl
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep

from memory_store import schema
from memory_store.records import Memory, StoreError

_PATIENCE_S = 60.0
_SMALLEST_ROW = 16  # bytes


def recover(path: Path, error: sqlite3.Error) -> str:
    """Replace a damaged file by one with all that can be read; a sentence for the person.

    The damaged file stays beside it as NAME.damaged-N. "" when another process has mended
    it meanwhile.
    """
    with _alone(path.parent):
        if _is_sound(path):
            return ""
        fresh = path.with_name(path.name + ".recovering")
        fresh.unlink(missing_ok=True)
        count = _copy_readable(path, fresh)
        aside = _set_aside(path)
        fresh.replace(path)
    return (
        f"{path} was damaged ({error}). It was set aside as {aside.name};"
        f" {count} {'memory' if count == 1 else 'memories'} recovered from it."
    )


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other processes from mending in this folder at the same time."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    end = monotonic() + _PATIENCE_S
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if monotonic() > end:
                    raise StoreError(
                        f"{folder} is locked by another process. Try later."
                    ) from error
                sleep(0.05)
        yield
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_sound(path: Path) -> bool:
    try:
        with closing(schema.connect(path)) as connection:
            return bool(connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
    except sqlite3.DatabaseError:
        return False


def _copy_readable(damaged: Path, fresh: Path) -> int:
    with closing(schema.connect(fresh)) as target:
        return schema.transaction(
            target,
            "BEGIN IMMEDIATE",
            lambda c: sum(
                schema.insert(c, memory, vectors) is not None
                for memory, vectors in _readable(damaged)
            ),
        )


def _readable(path: Path) -> Iterator[tuple[Memory, list[schema.Vector]]]:
    """The rows that can still be read, each looked up alone, so that one hides no other."""
    with closing(sqlite3.connect(path)) as connection:
        # Otherwise SQLite reads nothing of a file that is shorter than its header says.
        connection.execute("PRAGMA writable_schema = ON")
        for row in range(1, _last_row(connection, path) + 1):
            with suppress(sqlite3.DatabaseError, ValueError):
                found = connection.execute(
                    f"SELECT {schema.COLUMNS} FROM memories WHERE id = ?",  # noqa: S608
                    (row,),
                ).fetchone()
                if found is not None:
                    yield schema.memory(found), _readable_vectors(connection, row)


def _readable_vectors(connection: sqlite3.Connection, row: int) -> list[schema.Vector]:
    try:
        found = schema.vectors(connection, row)
    except (sqlite3.DatabaseError, ValueError, TypeError):
        return []
    return [vector for vector in found if len(vector.numbers) == 4 * vector.dimension]


def _last_row(connection: sqlite3.Connection, path: Path) -> int:
    most = path.stat().st_size // _SMALLEST_ROW
    for question in (
        "SELECT seq FROM sqlite_sequence WHERE name = 'memories'",
        "SELECT max(id) FROM memories",
    ):
        try:
            found = connection.execute(question).fetchone()
        except sqlite3.DatabaseError as error:
            if not schema.is_damage(error) or error.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
                return 0  # no table, or no database at all
            continue
        if found and isinstance(found[0], int):
            return min(found[0], most)
    return most


def _set_aside(path: Path) -> Path:
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    # A second name first: at no instant is there no file, for a new one would be made empty.
    try:
        os.link(path, aside)
    except OSError:
        shutil.copy2(path, aside)
    for suffix in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).replace(aside.with_name(aside.name + suffix))
    return aside
