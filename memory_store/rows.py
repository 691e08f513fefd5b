"""What is asked of the tables: which rows a query is about, and memories by their ids."""

import json
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from memory_store import schema
from memory_store.records import Hit, Memory

_Key = tuple[str, str, int, int, float]


@dataclass(frozen=True, slots=True)
class Limits:
    """Which rows a query is about."""

    hidden: tuple[str, int] | None
    sessions: Collection[str] | None
    sources: Collection[str] | None
    since: float | None

    def left_out(self, connection: sqlite3.Connection) -> set[int]:
        """The ids of all rows that it isn't about."""
        clauses: list[tuple[str, list[object]]] = []
        if self.hidden is not None:
            session, step = self.hidden
            # The second condition lets SQLite use the index, which holds such rows only.
            about = "session = ? AND session <> '' AND step >= ?"
            clauses.append((about, [schema.stored(session), step]))
        for column, wanted in (("session", self.sessions), ("source", self.sources)):
            if wanted is not None:
                marks = ", ".join("?" * len(wanted))
                clauses.append((f"{column} NOT IN ({marks})", [*map(schema.stored, wanted)]))
        if self.since is not None:
            clauses.append(("time < ?", [self.since]))
        found: set[int] = set()
        for clause, values in clauses:
            rows = connection.execute(f"SELECT id FROM memories WHERE {clause}", values)  # noqa: S608
            found.update(row for (row,) in rows)
        return found


def count(connection: sqlite3.Connection) -> int:
    """How many memories there are."""
    found: int = connection.execute("SELECT count(*) FROM memories").fetchone()[0]
    return found


def piece(connection: sqlite3.Connection, size: int, *, after: int) -> list[Memory]:
    """So many memories with a higher id than `after`, oldest first."""
    return list(islice(schema.every(connection, after=after), size))


def with_vectors(
    connection: sqlite3.Connection, size: int, *, after: int
) -> list[tuple[Memory, list[schema.Vector]]]:
    """The same with all their vectors."""
    found = piece(connection, size, after=after)
    return [(memory, schema.vectors(connection, memory.id)) for memory in found]


def without_vector(
    connection: sqlite3.Connection, model: str, size: int, *, after: int
) -> list[Memory]:
    """So many memories that have no vector of that model, with a higher id than `after`."""
    found = connection.execute(
        f"SELECT {schema.COLUMNS} FROM memories WHERE id > ? AND NOT EXISTS"  # noqa: S608
        " (SELECT 1 FROM vectors WHERE row = id AND model = ?) ORDER BY id LIMIT ?",
        (after, schema.stored(model), size),
    )
    return list(map(schema.memory, found))


def places(connection: sqlite3.Connection, session: str, since: int) -> set[tuple[int, int, str]]:
    """(step, part, source) of each memory of a session from step `since` on."""
    found = connection.execute(
        "SELECT step, part, source FROM memories WHERE session = ? AND session <> '' AND step >= ?",
        (schema.stored(session), since),
    )
    return {(step, part, schema.told(source)) for step, part, source in found}


def relabel(connection: sqlite3.Connection, id: int, source: str) -> bool:
    """Give a memory another source; False when there is none, or its place is taken."""
    question = "UPDATE OR IGNORE memories SET source = ? WHERE id = ?"
    return connection.execute(question, (schema.stored(source), id)).rowcount == 1


def by_id(connection: sqlite3.Connection, ids: Iterable[int]) -> dict[int, Memory]:
    """Those of these memories that there are."""
    found = connection.execute(
        f"SELECT {schema.COLUMNS} FROM memories"  # noqa: S608
        " WHERE id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(ids)),),
    )
    return {memory.id: memory for memory in map(schema.memory, found)}


def hits(
    connection: sqlite3.Connection,
    best: Sequence[tuple[int, float]],
    cosines: dict[int, float],
    scores: dict[int, float],
) -> list[Hit]:
    """The best rows with their memories, in their order."""
    found = by_id(connection, [row for row, _ in best])
    return [
        Hit(found[row], score, cosines.get(row), scores.get(row, 0.0))
        for row, score in best
        if row in found
    ]


def new_of(
    connection: sqlite3.Connection, given: Sequence[tuple[Memory, list[schema.Vector]]]
) -> Iterator[tuple[Memory, list[schema.Vector]]]:
    """Those of no session that aren't in the store as often as they are given, and all others.

    A row of a session is known by its place; one of none only by what it says and when.
    """
    wanted = {_key(memory) for memory, _ in given if not memory.session}
    question = f"SELECT {schema.COLUMNS} FROM memories WHERE session = ''"  # noqa: S608
    rows = map(schema.memory, connection.execute(question)) if wanted else iter(())
    standing = Counter(key for key in map(_key, rows) if key in wanted)
    for memory, vectors in given:
        if not memory.session and standing[_key(memory)] > 0:
            standing[_key(memory)] -= 1
        else:
            yield memory, vectors


def _key(memory: Memory) -> _Key:
    return memory.text, memory.source, memory.step, memory.part, memory.time
