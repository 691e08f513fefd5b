"""The file: its tables, a connection to it, and how values stand in it."""

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import TypeVar

from memory_store.records import Memory, StoreError

VERSION = 2
_APPLICATION = 0x4D656D53
_PATIENCE_S = 30.0

_TABLES = (
    # AUTOINCREMENT: an id is never given twice, for arrays in memory go by it.
    """CREATE TABLE memories (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        text NOT NULL, source NOT NULL, session NOT NULL,
        step INTEGER NOT NULL, part INTEGER NOT NULL, time REAL NOT NULL)""",
    "CREATE UNIQUE INDEX origin ON memories (session, step, part, source) WHERE session <> ''",
    """CREATE TABLE vectors (
        row INTEGER NOT NULL, model NOT NULL, dimension INTEGER NOT NULL, vector BLOB NOT NULL,
        UNIQUE (row, model, dimension))""",
    # changes: to vectors of older rows. indexed: rows up to this id are in the word index;
    # -1: it must be made anew.
    "CREATE TABLE state (changes INTEGER NOT NULL, indexed INTEGER NOT NULL)",
    "INSERT INTO state VALUES (0, -1)",
)
COLUMNS = "id, text, source, session, step, part, time"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Vector:
    """A row's vector of one model: little-endian float32 of length 1."""

    model: str
    dimension: int
    numbers: bytes


def has_full_text() -> bool:
    """Whether this Python's SQLite has FTS5."""
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute("CREATE VIRTUAL TABLE probe USING fts5(text)")
    except sqlite3.OperationalError:
        return False
    finally:
        connection.close()
    return True


def make(path: Path) -> int:
    """See that there is a file, empty (0600) if it is new; its inode number."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"{path} can't be opened: {error.strerror}. Choose another.") from error
    try:
        return os.fstat(descriptor).st_ino
    finally:
        os.close(descriptor)


def connect(path: Path, notices: list[str] | None = None) -> sqlite3.Connection:
    """Open the file, made (0600) and given its tables if it is new, migrated if it is old.

    What a person should know of that is added to `notices`. StoreError: no such folder, not
    a memory store, or of a newer version. DatabaseError with `is_damage`: the file is broken.
    """
    make(path)
    connection = sqlite3.connect(
        path, timeout=_PATIENCE_S, isolation_level=None, check_same_thread=False
    )
    connection.text_factory = lambda value: value.decode("utf-8", "replace")
    try:
        said = _prepare(connection, path)
    except BaseException:
        connection.close()
        raise
    if notices is not None:
        notices += filter(None, [said])
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> str:
    if _pragma(connection, "journal_mode") != "wal":
        _patiently(lambda: connection.execute("PRAGMA journal_mode = WAL").fetchall())
    connection.execute("PRAGMA synchronous = FULL")
    if not _pragma(connection, "user_version"):
        transaction(connection, "BEGIN IMMEDIATE", lambda c: _create(c, path))
    if _pragma(connection, "application_id") != _APPLICATION:
        raise StoreError(f"{path} is an SQLite file of another program. Choose another file.")
    said = ""
    if _pragma(connection, "user_version") in range(1, VERSION):
        said = transaction(connection, "BEGIN IMMEDIATE", lambda c: _migrate(c, path))
    version = _pragma(connection, "user_version")
    if version != VERSION:
        raise StoreError(
            f"{path} has schema {version}, which is newer than the {VERSION} known here."
            " Update this program, or choose another file."
        )
    return said


def _migrate(connection: sqlite3.Connection, path: Path) -> str:
    from memory_store.migration import STEPS, migrate

    before = _pragma(connection, "user_version")
    if before not in STEPS:  # another process was faster
        return ""
    kept = migrate(connection, path)
    return f"{path} was brought from schema {before} to {VERSION}; as it was, it is {kept.name}."


def _create(connection: sqlite3.Connection, path: Path) -> None:
    if _pragma(connection, "user_version"):  # another process was faster
        return
    if connection.execute("SELECT 1 FROM sqlite_master").fetchone():
        raise StoreError(f"{path} is an SQLite file of another program. Choose another file.")
    for statement in _TABLES:
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {_APPLICATION}")
    connection.execute(f"PRAGMA user_version = {VERSION}")


def _pragma(connection: sqlite3.Connection, name: str) -> object:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


def _patiently(action: Callable[[], object]) -> None:
    """Try until nobody else is in the way; SQLite doesn't wait at a change of journal mode."""
    end = monotonic() + _PATIENCE_S
    while True:
        try:
            action()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or monotonic() > end:
                raise
            sleep(0.01)
        else:
            return


def transaction(
    connection: sqlite3.Connection, begin: str, work: Callable[[sqlite3.Connection], T]
) -> T:
    """Do work between begin ("BEGIN", "BEGIN IMMEDIATE") and COMMIT; undone if it raises."""
    connection.execute(begin)
    try:
        result = work(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return result


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file itself is broken, rather than locked, full or misused."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def stored(text: str) -> str | bytes:
    """A text as SQLite takes it: bytes when lone surrogates make it no valid UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
    return text


def told(value: object) -> str:
    """The text that `stored` was given; ValueError when it is neither text nor such bytes."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogatepass")
    if isinstance(value, str):
        return value
    raise ValueError(f"{value!r:.80} is not a text")


def memory(row: tuple[object, ...]) -> Memory:
    """A Memory of a row of `COLUMNS`; ValueError when a value isn't of its kind."""
    match row:
        case (int(id), text, source, session, int(step), int(part), float(time)):
            return Memory(id, told(text), told(source), told(session), step, part, time)
    raise ValueError(f"{row!r:.80} is not a memory")


def insert(connection: sqlite3.Connection, memory: Memory, vectors: Iterable[Vector]) -> int | None:
    """Put a memory in, with its id unless that is 0; its id, or None when it stands already."""
    text, source, session = map(stored, (memory.text, memory.source, memory.session))
    cursor = connection.execute(
        "INSERT INTO memories VALUES (?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (session, step, part, source) WHERE session <> '' DO NOTHING",
        (memory.id or None, text, source, session, memory.step, memory.part, memory.time),
    )
    if not cursor.rowcount or cursor.lastrowid is None:
        return None
    for vector in vectors:
        attach(connection, cursor.lastrowid, vector)
    return cursor.lastrowid


def attach(connection: sqlite3.Connection, row: int, vector: Vector) -> None:
    """Give a row a vector; one of the same model and dimension is replaced."""
    connection.execute(
        "INSERT OR REPLACE INTO vectors VALUES (?, ?, ?, ?)",
        (row, stored(vector.model), vector.dimension, vector.numbers),
    )


def every(connection: sqlite3.Connection, *, after: int = 0) -> Iterator[Memory]:
    """All memories with a higher id than `after`, oldest first."""
    question = f"SELECT {COLUMNS} FROM memories WHERE id > ? ORDER BY id"  # noqa: S608
    return map(memory, connection.execute(question, (after,)))


def vectors(connection: sqlite3.Connection, row: int) -> list[Vector]:
    """The vectors of one row."""
    found = connection.execute(
        "SELECT model, dimension, vector FROM vectors WHERE row = ? ORDER BY rowid", (row,)
    )
    return [
        Vector(told(model), int(dimension), bytes(numbers)) for model, dimension, numbers in found
    ]
