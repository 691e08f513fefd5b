"""Two word indexes with the same methods: SQLite's FTS5, and plain counting without it."""

import json
import sqlite3
from collections.abc import Collection, Mapping
from typing import Protocol

from memory_store import schema, words

_COMMON = 500  # rows
_COMMON_SHARE = 20
_RARE = 64  # rows
_RARE_SHARE = 150
_ENOUGH = 16  # terms: more than the weightiest by which a row's share is measured


class WordIndex(Protocol):
    """Which rows hold which words. All calls happen inside the caller's transaction."""

    def is_behind(self, connection: sqlite3.Connection) -> bool:
        """Whether rows were added since the index was last brought up to date."""
        ...

    def catch_up(self, connection: sqlite3.Connection) -> None:
        """Take in what was added, or make the index anew; writes."""
        ...

    def delete(self, connection: sqlite3.Connection, row: int, text: str) -> None:
        """Forget a row, whether it is in the index yet or not; writes."""
        ...

    def compact(self, connection: sqlite3.Connection) -> None:
        """Drop what the index still holds of forgotten rows; writes."""
        ...

    def find(
        self, connection: sqlite3.Connection, terms: Collection[str], rows: int
    ) -> Mapping[str, Collection[int]]:
        """The rows that hold each term; terms that say little may be left out."""
        ...

    def weigh(
        self, connection: sqlite3.Connection, terms: Collection[str], rows: Collection[int]
    ) -> dict[int, float]:
        """The raw score of each of these rows for these terms, larger is better."""
        ...


def discard(connection: sqlite3.Connection) -> None:
    """Have the FTS5 index made anew by whoever next has use for it."""
    connection.execute("UPDATE state SET indexed = -1")


class FullText:
    """FTS5: stems, bm25. It holds no text of its own, for rows never change.

    Rows enter it before a query, not when they are added: what an add must bring to the disk
    stays small, and an index that a crash left behind only has to catch up.
    """

    def is_behind(self, connection: sqlite3.Connection) -> bool:
        newest = "(SELECT coalesce(max(id), 0) FROM memories)"
        question = f"SELECT indexed < {newest} FROM state"  # noqa: S608
        return bool(connection.execute(question).fetchone()[0])

    def catch_up(self, connection: sqlite3.Connection) -> None:
        done = _indexed(connection)
        if done < 0:
            connection.execute("DROP TABLE IF EXISTS words")
            connection.execute(
                "CREATE VIRTUAL TABLE words USING"
                " fts5(text, content = '', tokenize = 'porter unicode61')"
            )
            done = 0
        for memory in schema.every(connection, after=done):
            done = memory.id
            connection.execute(
                "INSERT INTO words (rowid, text) VALUES (?, ?)", (done, words.indexed(memory.text))
            )
        connection.execute("UPDATE state SET indexed = ?", (done,))

    def delete(self, connection: sqlite3.Connection, row: int, text: str) -> None:
        if row <= _indexed(connection):
            connection.execute(
                "INSERT INTO words (words, rowid, text) VALUES ('delete', ?, ?)",
                (row, words.indexed(text)),
            )

    def compact(self, connection: sqlite3.Connection) -> None:
        if _indexed(connection) >= 0:
            connection.execute("INSERT INTO words (words) VALUES ('optimize')")

    def find(
        self, connection: sqlite3.Connection, terms: Collection[str], rows: int
    ) -> Mapping[str, Collection[int]]:
        # Rare terms first, which tell most and cost least. Of a long query they are enough.
        rare = max(_RARE, rows // _RARE_SHARE)
        found = {term: self._holding(connection, term, rare + 1) for term in terms}
        telling = {term: held for term, held in found.items() if len(held) <= rare}
        if sum(map(bool, telling.values())) >= _ENOUGH:
            return telling
        # What stands in every twentieth row tells little and costs most of the time.
        common = max(_COMMON, rows // _COMMON_SHARE)
        for term in found.keys() - telling.keys():
            found[term] = self._holding(connection, term, common + 1)
        telling = {term: held for term, held in found.items() if len(held) <= common}
        if any(telling.values()):
            return telling
        return {term: self._holding(connection, term, -1) for term in terms}

    def _holding(self, connection: sqlite3.Connection, term: str, limit: int) -> list[int]:
        # One string instead of a row each: many times as fast for common terms.
        (held,) = connection.execute(
            "SELECT group_concat(rowid) FROM (SELECT rowid FROM words WHERE words MATCH ? LIMIT ?)",
            (_match([term]), limit),
        ).fetchone()
        rows: list[int] = json.loads(f"[{held or ''}]")
        return rows

    def weigh(
        self, connection: sqlite3.Connection, terms: Collection[str], rows: Collection[int]
    ) -> dict[int, float]:
        # The + keeps SQLite from searching once per row; bm25 is computed for these only.
        cursor = connection.execute(
            "SELECT rowid, -bm25(words) FROM words WHERE words MATCH ?"
            " AND +rowid IN (SELECT value FROM json_each(?))",
            (_match(terms), json.dumps(list(rows))),
        )
        return dict(cursor.fetchall())


def _indexed(connection: sqlite3.Connection) -> int:
    indexed: int = connection.execute("SELECT indexed FROM state").fetchone()[0]
    return indexed


def _match(terms: Collection[str]) -> str:
    """An FTS5 query for any of the terms, which are letters and digits only."""
    return " OR ".join(f'"{term}"' + "*" * words.begins(term) for term in terms)


class Counted:
    """No FTS5: every text is read at each query, and a row scores how often it has the terms."""

    def is_behind(self, connection: sqlite3.Connection) -> bool:
        return False

    def catch_up(self, connection: sqlite3.Connection) -> None:
        """Nothing to do: the texts are the index."""

    def delete(self, connection: sqlite3.Connection, row: int, text: str) -> None:
        discard(connection)

    def compact(self, connection: sqlite3.Connection) -> None:
        """Nothing to do: `delete` had the index thrown away."""

    def find(
        self,
        connection: sqlite3.Connection,
        terms: Collection[str],
        rows: int,
    ) -> Mapping[str, Collection[int]]:
        texts = ((m.id, m.text) for m in schema.every(connection))
        return {term: held.keys() for term, held in words.counted(texts, terms).items()}

    def weigh(
        self, connection: sqlite3.Connection, terms: Collection[str], rows: Collection[int]
    ) -> dict[int, float]:
        wanted = set(rows)
        texts = ((m.id, m.text) for m in schema.every(connection) if m.id in wanted)
        found = words.counted(texts, terms)
        return {row: float(sum(held.get(row, 0) for held in found.values())) for row in wanted}
