"""The store: memories in one SQLite file, shared by threads and processes."""

import sqlite3
import time as clock
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from threading import RLock
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

from memory_store import lines, rows, schema, words
from memory_store.full_text import Counted, FullText, WordIndex, discard
from memory_store.records import COSINE_FLOOR, WORDS_FLOOR, Hit, Memory, StoreError

if TYPE_CHECKING:
    from memory_store.ranking import Floats, Vectors

_PIECE = 500  # rows
_NO_FTS5 = (
    "SQLite has no FTS5 here: memories are ranked by counting words,"
    " which is slower and knows no word stems."
)

T = TypeVar("T")


class Sink(Protocol):
    """Whatever text can be written to."""

    def write(self, text: str, /) -> object: ...


class Store:
    """Memories in one file; see `open_store`. What the person should know is in `notices`."""

    def __init__(self, path: Path, *, full_text: bool) -> None:
        self.path = path
        self.notices: list[str] = [] if full_text else [_NO_FTS5]
        self._index: WordIndex = FullText() if full_text else Counted()
        self._lock = RLock()
        self._closed = False
        self._vectors: tuple[tuple[str, int, int], Vectors] | None = None
        self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __len__(self) -> int:
        """How many memories there are."""
        return self._within("BEGIN", rows.count)

    def close(self) -> None:
        """Let go of the file; a second time does nothing."""
        with self._lock:
            self._closed = True
            self._connection.close()

    def add(
        self,
        text: str,
        *,
        source: str = "",
        session: str = "",
        step: int = 0,
        part: int = 0,
        time: float | None = None,
        vector: Sequence[float] | None = None,
        model: str = "",
    ) -> int | None:
        """Keep a text, on disk when this returns; its id.

        None when (session, step, part, source) stands already and session isn't "": adding
        again changes nothing. `time` is in seconds since 1970, now if None. `vector` (dim,) is the
        text's embedding by `model`, of any length but 0; one without a direction (zero, NaN,
        infinite) counts as none. A high and a low surrogate side by side become the one
        character they mean.
        """
        when = clock.time() if time is None else float(time)
        whole, origin, label = map(_joined, (text, session, source))
        memory = Memory(0, whole, label, origin, step, part, when)
        kept = [] if vector is None else _unit(vector, model)
        return self._within("BEGIN IMMEDIATE", lambda c: schema.insert(c, memory, kept))

    def nearest(
        self,
        text: str,
        *,
        vector: Sequence[float] | None = None,
        model: str = "",
        k: int = 10,
        cosine_floor: float = COSINE_FLOOR,
        words_floor: float = WORDS_FLOOR,
        hidden: tuple[str, int] | None = None,
        sessions: Collection[str] | None = None,
        sources: Collection[str] | None = None,
        since: float | None = None,
    ) -> list[Hit]:
        """The k memories nearest to a text, best first; ties keep the older first.

        With `vector` (dim,), the text's embedding by `model`, cosines and words' bm25, each
        divided by its maximum, count one half each; without it words alone. Raw scores
        below a floor count as 0, and rows of score 0 are left out: a cosine below
        `cosine_floor` (in [-1, 1]; models differ), a row that holds less than `words_floor`
        of the query's words (a share in [0, 1], see `words.covering`). Rows with vectors of
        other models only are ranked by words.

        Left out are rows of session hidden[0] with step >= hidden[1], those not of
        `sessions` or `sources` where these are given, and those older than `since` (seconds
        since 1970).
        """
        query = None if vector is None else _query(vector)
        limits = rows.Limits(hidden, sessions, sources, since)

        def ranked(connection: sqlite3.Connection) -> list[Hit]:
            without = limits.left_out(connection)
            scores = self._words(connection, text, without, words_floor)
            if query is None:
                return rows.hits(connection, words.best(scores, k), {}, scores)
            return self._mixed(connection, query, model, scores, without, k, cosine_floor)

        self._catch_up()
        return self._within("BEGIN", ranked)

    def delete(self, id: int) -> bool:
        """Forget a memory; False when there is none of that id. See `scrub`."""

        def forget(connection: sqlite3.Connection) -> bool:
            found = rows.by_id(connection, [id])
            if id in found:
                self._index.delete(connection, id, found[id].text)
                connection.execute("DELETE FROM memories WHERE id = ?", (id,))
                connection.execute("DELETE FROM vectors WHERE row = ?", (id,))
                connection.execute("UPDATE state SET changes = changes + 1")
            return id in found

        return self._within("BEGIN IMMEDIATE", forget)

    def relabel(self, id: int, source: str) -> bool:
        """Give a memory another source; False when there is none of that id, or its place
        holds one of that source already (see `add`)."""
        label = _joined(source)
        return self._within("BEGIN IMMEDIATE", lambda c: rows.relabel(c, id, label))

    def scrub(self) -> None:
        """Leave no byte of what was deleted in the file, as far as nobody else reads it now.

        The file is written anew, which takes its size in free space.
        """
        self._within("BEGIN IMMEDIATE", self._index.compact)
        with self._lock:
            try:
                self._connection.execute("VACUUM")
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            except sqlite3.DatabaseError as error:
                raise self._unusable(error) from error

    def get(self, ids: Iterable[int]) -> list[Memory]:
        """Those of these memories that there are, oldest first."""
        found = self._within("BEGIN", lambda c: rows.by_id(c, ids))
        return [found[row] for row in sorted(found)]

    def every(self) -> Iterator[Memory]:
        """All memories, oldest first."""
        return self._in_pieces(lambda c, after: rows.piece(c, _PIECE, after=after), _id)

    def places(self, session: str, since: int) -> set[tuple[int, int, str]]:
        """(step, part, source) of each memory of a session from step `since` on."""
        return self._within("BEGIN", lambda c: rows.places(c, session, since))

    def unembedded(self, model: str) -> Iterator[Memory]:
        """All memories that have no vector of that model, oldest first, as they are now."""
        return self._in_pieces(
            lambda c, after: rows.without_vector(c, model, _PIECE, after=after), _id
        )

    def embed(self, vectors: Mapping[int, Sequence[float]], model: str) -> int:
        """Give memories that stand already a vector (dim,) of `model` each, by their ids.

        How many got one: none of an unknown id, and none without a direction (see `add`).
        """
        made = {row: _unit(vector, model) for row, vector in vectors.items()}

        def attach(connection: sqlite3.Connection) -> int:
            known = rows.by_id(connection, made)
            given = [(row, vector) for row in known for vector in made[row]]
            for row, vector in given:
                schema.attach(connection, row, vector)
            connection.execute("UPDATE state SET changes = changes + 1")
            return len(given)

        return self._within("BEGIN IMMEDIATE", attach)

    def export(self, stream: Sink) -> int:
        """Write all memories, oldest first, with their vectors, a JSON line each; how many."""
        count = 0
        pieces = self._in_pieces(
            lambda c, after: rows.with_vectors(c, _PIECE, after=after), lambda one: one[0].id
        )
        for memory, vectors in pieces:
            stream.write(lines.line(memory, vectors) + "\n")
            count += 1
        return count

    def import_(self, stream: Iterable[str]) -> int:
        """Add all memories of an export that don't stand yet; how many. Ids are given anew.

        One of a session stands when its place does (see `add`), one of none when a memory
        with its text, source and time does: the same file a second time adds nothing.
        StoreError names the line that can't be read; then nothing was added.
        """
        read = [lines.read(line, number) for number, line in enumerate(stream, 1) if line.strip()]

        def insert(connection: sqlite3.Connection) -> int:
            new = list(rows.new_of(connection, read))
            return sum(schema.insert(connection, *one) is not None for one in new)

        count = self._within("BEGIN IMMEDIATE", insert)
        self._catch_up()
        return count

    def _in_pieces(
        self, read: Callable[[sqlite3.Connection, int], list[T]], id_of: Callable[[T], int]
    ) -> Iterator[T]:
        """Each read whole before it is given out: reading may begin again (`_within`), and a
        slow reader must not keep others from the file."""
        last = 0
        while piece := self._within("BEGIN", partial(_read_after, read=read, after=last)):
            yield from piece
            last = id_of(piece[-1])

    def _words(
        self, connection: sqlite3.Connection, text: str, without: set[int], floor: float
    ) -> dict[int, float]:
        """The bm25 of each row that holds enough of the query's words."""
        newest = connection.execute("SELECT max(id) FROM memories").fetchone()[0] or 0
        found = self._index.find(connection, words.asked(text), newest)
        covering = words.covering(found, newest, floor=floor).keys() - without
        return self._index.weigh(connection, found.keys(), covering) if covering else {}

    def _mixed(
        self,
        connection: sqlite3.Connection,
        query: "Floats",
        model: str,
        scores: dict[int, float],
        without: set[int],
        k: int,
        floor: float,
    ) -> list[Hit]:
        from memory_store import ranking

        vectors = self._loaded(connection, model, len(query))
        near, dense = vectors.scored(query, k, without=without, wanted=scores.keys())
        best = ranking.mixed(near, dense, scores, k, floor=floor)
        place = ranking.places(near, [row for row, _ in best])
        cosine = {row: float(dense[at]) for row, at in place.items()}
        return rows.hits(connection, best, cosine, scores)

    def _loaded(self, connection: sqlite3.Connection, model: str, dimension: int) -> "Vectors":
        """The vectors of a model, with what any process added or deleted since the last time."""
        from memory_store.ranking import Vectors

        changes = connection.execute("SELECT changes FROM state").fetchone()[0]
        key = (model, dimension, changes)
        if self._vectors is None or self._vectors[0] != key:
            count = connection.execute(
                "SELECT count(*) FROM vectors WHERE model = ? AND dimension = ?",
                (schema.stored(model), dimension),
            ).fetchone()[0]
            self._vectors = (key, Vectors(dimension, room=count + count // 8 + 64))
        vectors = self._vectors[1]
        for row, numbers in connection.execute(
            "SELECT row, vector FROM vectors WHERE row > ? AND model = ? AND dimension = ?"
            " ORDER BY row",
            (vectors.last, schema.stored(model), dimension),
        ):
            vectors.append(row, numbers)
        return vectors

    def _catch_up(self) -> None:
        """Bring the word index up to date, without waiting for the disk: it can be made anew."""
        with self._lock:
            if self._within("BEGIN", self._index.is_behind):
                self._connection.execute("PRAGMA synchronous = NORMAL")
                try:
                    self._within("BEGIN IMMEDIATE", self._index.catch_up)
                finally:
                    self._connection.execute("PRAGMA synchronous = FULL")

    def _open(self) -> None:
        try:
            try:
                self._connect()
            except sqlite3.DatabaseError as error:
                if not schema.is_damage(error):
                    raise
                from memory_store.recovery import recover

                self.notices += filter(None, [recover(self.path, error)])
                self._connect()
        except sqlite3.DatabaseError as error:
            raise self._unusable(error) from error

    def _connect(self) -> None:
        self._vectors = None
        # Before the connection, so that a file put in its place meanwhile is seen.
        self._file = schema.make(self.path)
        self._connection = schema.connect(self.path, self.notices)
        if schema.transaction(self._connection, "BEGIN", self._index.is_behind):
            schema.transaction(self._connection, "BEGIN IMMEDIATE", self._index.catch_up)

    def _within(self, begin: str, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do work in a transaction; once more when the file had to be mended for it."""
        with self._lock:
            if self._closed:
                raise ValueError(f"the store {self.path} is closed")
            try:
                if self._is_replaced():
                    self._reopen()
                return schema.transaction(self._connection, begin, work)
            except sqlite3.DatabaseError as error:
                if not schema.is_damage(error):
                    raise self._unusable(error) from error
                self._mend(error)
            try:
                return schema.transaction(self._connection, begin, work)
            except sqlite3.DatabaseError as error:
                raise self._unusable(error) from error

    def _is_replaced(self) -> bool:
        """Whether another process has put a mended file in the place of ours."""
        try:
            return self.path.stat().st_ino != self._file
        except FileNotFoundError:
            return True

    def _reopen(self) -> None:
        self._connection.close()
        self._open()

    def _mend(self, error: sqlite3.Error) -> None:
        from memory_store.recovery import recover

        self._connection.close()
        notice = recover(self.path, error)
        self.notices += filter(None, [notice])
        self._open()
        if not notice:  # the tables are sound, so it was the word index
            schema.transaction(self._connection, "BEGIN IMMEDIATE", discard)
            schema.transaction(self._connection, "BEGIN IMMEDIATE", self._index.catch_up)

    def _unusable(self, error: sqlite3.Error) -> StoreError:
        return StoreError(
            f"{self.path} can't be used: {error}. See that the disk has room, that the file may"
            " be written, and that no other program holds it."
        )


def _id(memory: Memory) -> int:
    return memory.id


def _read_after(
    connection: sqlite3.Connection,
    *,
    read: Callable[[sqlite3.Connection, int], list[T]],
    after: int,
) -> list[T]:
    return read(connection, after)


def _query(vector: Sequence[float]) -> "Floats | None":
    from memory_store.ranking import unit

    return unit(vector)


def _unit(vector: Sequence[float], model: str) -> list[schema.Vector]:
    numbers = _query(vector)
    if numbers is None:
        return []
    return [schema.Vector(_joined(model), len(numbers), numbers.astype("<f4").tobytes())]


def _joined(text: str) -> str:
    """The text with surrogate pairs as the characters they mean, as JSON would read them."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
