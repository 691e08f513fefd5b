"""How a file of an older schema becomes one of the present schema, the old one kept beside it."""

import os
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

STEPS: Mapping[int, Sequence[str]] = {
    1: (
        # One step has a result, notes, a person's words, an outcome: each is kept once.
        "DROP INDEX origin",
        "CREATE UNIQUE INDEX origin ON memories (session, step, part, source) WHERE session <> ''",
        # It counts vectors that came to older rows as well.
        "ALTER TABLE state RENAME COLUMN deletions TO changes",
    ),
}
"""By the schema they start from: what leads to the next one."""


def migrate(connection: sqlite3.Connection, path: Path) -> Path:
    """Keep the file as it is under another name, then bring it to the present schema.

    Inside the caller's BEGIN IMMEDIATE, so that it happens wholly or not at all and nobody
    writes between the copy and the change. The copy is made beside and the file itself is
    changed, not the other way round: another process may have it open, and its log would be
    taken for the log of whatever stood under that name next. Where the copy is.
    """
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    kept = _copied(path, f"{path.name}.schema-{version}")
    while version in STEPS:
        for statement in STEPS[version]:
            connection.execute(statement)
        version += 1
    connection.execute(f"PRAGMA user_version = {version}")
    return kept


def _copied(path: Path, name: str) -> Path:
    """A copy on disk, 0600, whole as soon as it has its name; never over another file."""
    fresh = path.with_name(f"{name}.copying")
    fresh.unlink(missing_ok=True)
    os.close(os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(fresh)) as target:
            source.backup(target)
        kept, number = path.with_name(name), 1
        while kept.exists():
            number += 1
            kept = path.with_name(f"{name}-{number}")
        fresh.replace(kept)
    finally:
        fresh.unlink(missing_ok=True)
        for suffix in ("-wal", "-shm"):
            fresh.with_name(fresh.name + suffix).unlink(missing_ok=True)
    return kept
