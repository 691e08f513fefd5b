"""Contents of files by their SHA-256, in one SQLite file with large ones beside it."""

import errno
import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

from autoagent import locking
from autoagent.configuration.places import private_folder
from autoagent.errors import StateError

LARGE_BYTES = 1 << 20
"""From this size on a content is a file of its own: SQLite would write it twice."""

CHUNK_BYTES = 1 << 20
_BATCH_BYTES = 32 << 20
_BUSY_S = 30.0
_FREEING_S = 60.0
LOCK = "lock"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS object (
  id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, data BLOB);
CREATE TABLE IF NOT EXISTS checkpoint (
  number INTEGER PRIMARY KEY AUTOINCREMENT, tree TEXT NOT NULL, left_out TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS version (
  tree TEXT NOT NULL, path BLOB NOT NULL, number INTEGER NOT NULL, kind TEXT NOT NULL,
  mode INTEGER, uid INTEGER, gid INTEGER, digest BLOB, mark BLOB,
  size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER, inode INTEGER, sure INTEGER,
  PRIMARY KEY (tree, path, number)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS version_by_number ON version (tree, number);
CREATE TABLE IF NOT EXISTS pending (
  session TEXT PRIMARY KEY, tree TEXT NOT NULL, plan TEXT NOT NULL);
"""


class CheckpointFault(StateError):
    """The store of checkpoints can't be read or written; nothing in the workspace changed."""


class MissingContent(CheckpointFault):
    """A content that the store should hold isn't there, or isn't what it was."""


@contextmanager
def told(what: str) -> Iterator[None]:
    """Faults of disk and database as a CheckpointFault that says what was being done."""
    try:
        yield
    except sqlite3.Error as error:
        full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
        reason = "the disk is full" if full else str(error)
        raise CheckpointFault(f"{what}: {reason}.") from error
    except BrokenPipeError:
        raise  # nobody reads what is printed: no fault of the store
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        reason = "the disk is full" if full else error.strerror or str(error)
        raise CheckpointFault(f"{what}: {reason}.") from error


class Objects:
    """The contents; one writer at a time, as many readers as there are.

    What is put is durable after `commit`. Several contents are one transaction.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._large = folder / "large"
        try:
            self._lock = _entered(folder)
        except StateError as error:
            raise CheckpointFault(str(error)) from error
        with told(f"The checkpoints in {folder} can't be opened"):
            path = folder / "store.sqlite"
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self.connection = sqlite3.connect(
                path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
            )
            self.connection.execute("PRAGMA journal_mode = WAL")
            self.connection.execute("PRAGMA synchronous = FULL")
            self.connection.execute("PRAGMA cache_size = -32768")  # kibibytes
            self.connection.executescript(_SCHEMA)
        self._batch = 0
        self._large_put = False

    def close(self) -> None:
        self.connection.close()
        with suppress(OSError):  # closed before
            os.close(self._lock)

    def begin(self) -> None:
        """Open a transaction, if none is open."""
        if not self.connection.in_transaction:
            self.connection.execute("BEGIN IMMEDIATE")
            self._batch = 0

    def commit(self) -> None:
        """Make everything durable that was written since `begin`."""
        if self._large_put:
            _sync_folder(self._large)
            self._large_put = False
        if self.connection.in_transaction:
            self.connection.execute("COMMIT")

    def rollback(self) -> None:
        """Forget what was written since `begin`; contents may stay, which does no harm."""
        with suppress(sqlite3.Error):
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")

    def put(self, data: bytes) -> bytes:
        """Keep a small content; its digest."""
        digest = hashlib.sha256(data).digest()
        self.begin()
        self.connection.execute(
            "INSERT OR IGNORE INTO object (digest, data) VALUES (?, ?)", (digest, data)
        )
        self._batch += len(data)
        if self._batch > _BATCH_BYTES:  # so that the write-ahead log stays small
            self.commit()
        return digest

    def put_file(self, file: int, size: int, stop: Callable[[], None]) -> bytes:
        """Keep the first `size` bytes of an open file in a file of its own; its digest.

        Where they are zeros it has holes. `stop` is called between pieces and may raise.
        """
        temporary = self._large / f"new-{token_hex(8)}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        copy = os.open(temporary, flags, 0o600)
        try:
            digest = _copied(file, copy, size, stop)
            os.fsync(copy)
            temporary.rename(self._large / digest.hex())
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        finally:
            os.close(copy)
        self._large_put = True
        self.begin()
        self.connection.execute("INSERT OR IGNORE INTO object (digest) VALUES (?)", (digest,))
        return digest

    def pieces(self, digest: bytes) -> Iterator[bytes]:
        """A content in pieces; MissingContent when it isn't there whole and as it was."""
        row = self.connection.execute(
            "SELECT data FROM object WHERE digest = ?", (digest,)
        ).fetchone()
        if row is None:
            raise MissingContent("its content is missing from the store")
        seen = hashlib.sha256()
        for piece in [row[0]] if row[0] is not None else self._large_pieces(digest):
            seen.update(piece)
            yield piece
        if seen.digest() != digest:
            raise MissingContent("its content in the store is damaged")

    def size(self, digest: bytes) -> int:
        """Bytes of a content; 0 when it is missing."""
        row = self.connection.execute(
            "SELECT length(data) FROM object WHERE digest = ?", (digest,)
        ).fetchone()
        if row is None:
            return 0
        if row[0] is not None:
            return int(row[0])
        with suppress(OSError):
            return (self._large / digest.hex()).stat().st_size
        return 0

    def _large_pieces(self, digest: bytes) -> Iterator[bytes]:
        try:
            with (self._large / digest.hex()).open("rb") as file:
                while piece := file.read(CHUNK_BYTES):
                    yield piece
        except OSError as error:
            raise MissingContent(f"its content can't be read: {error.strerror}") from error


def _entered(folder: Path) -> int:
    """Hold the store together with its other users; nothing in it is freed meanwhile."""
    with told(f"The checkpoints in {folder} can't be opened"):
        while True:
            private_folder(folder / "large")
            path = folder / LOCK
            try:
                file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except FileNotFoundError:
                continue  # the folder was freed as a whole just now
            if not locking.take_within(file, _FREEING_S, shared=True):
                os.close(file)
                raise TimeoutError(errno.ETIMEDOUT, "another process is making room in it")
            if locking.is_at(file, path):
                return file
            os.close(file)


def write_sparsely(file: int, piece: bytes, at: int) -> int:
    """Write a piece at that offset, or leave a hole where it is all zeros; the next offset.

    The file has to be cut to its length at the end, which makes a last hole.
    """
    if piece.count(0) != len(piece):
        rest = memoryview(piece)
        place = at
        while rest:
            written = os.pwrite(file, rest, place)
            rest = rest[written:]
            place += written
    return at + len(piece)


def _copied(source: int, copy: int, size: int, stop: Callable[[], None]) -> bytes:
    seen = hashlib.sha256()
    at = 0
    while piece := os.pread(source, min(CHUNK_BYTES, size - at), at):
        stop()
        seen.update(piece)
        at = write_sparsely(copy, piece, at)
    os.ftruncate(copy, at)
    return seen.digest()


def _sync_folder(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
