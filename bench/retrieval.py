"""What retrieval and a durable add cost against their yardsticks: `python bench/retrieval.py`."""

import os
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

from memory_store import open_store, ranking
from memory_store.ranking import Vectors

_DIMENSION = 384
_WORDS = 60  # a text
_RANDOM = np.random.default_rng(0)


def main() -> None:
    """Print one line a figure."""
    # First, while the peak of memory is theirs.
    report_chosen(200_000, _DIMENSION, spread=1)
    report_chosen(200_000, _DIMENSION, spread=2)
    report_chosen(1_000_000, _DIMENSION, spread=1)
    for count in (1_000, 10_000, 100_000):
        for dimension in (384, 1536):
            report_nearest(count, dimension)
    report_add(0)
    report_add(100_000)
    report_store(10_000)
    report_store(100_000)


def report_nearest(count: int, dimension: int) -> None:
    """The k nearest of count vectors, against one read of the same bytes and a full sort."""
    matrix = unit_rows(count, dimension)
    query = matrix[0].copy()

    def sorted_whole() -> object:
        return np.argsort(-(matrix @ query))[:10]

    found, read, whole = alternately(
        lambda: ranking.nearest(matrix, query, 10), lambda: matrix.sum(), sorted_whole
    )
    print(
        f"nearest, {count:>9,} x {dimension:<5} {found * 1e3:8.3f} ms"
        f"   {found / read:5.2f} x a plain read (target 1.1)"
        f"   {found / whole:5.2f} x dot + full argsort"
    )


def report_chosen(count: int, dimension: int, spread: float) -> None:
    """Beyond 1e5 rows: chosen by signs, then compared; how many of the exact ten are found.

    Rows around centres, 1,000 to each and `spread` times as far from them as these from each
    other, and a mean in common, as embeddings of texts have.
    """
    started = perf_counter()
    vectors, queries = clustered(count, dimension, spread)
    matrix = vectors.matrix

    def chosen(query: ranking.Floats) -> set[int]:
        rows, dense = vectors.scored(query, 10, without=(), wanted=())
        return {int(rows[at]) - 1 for at in ranking.top(dense, 10)}

    def compared(query: ranking.Floats) -> set[int]:
        return {place for place, _ in ranking.nearest(matrix, query, 10)}

    hits = sum(len(chosen(query) & compared(query)) for query in queries)
    found, exact, read = alternately(
        lambda: chosen(queries[0]), lambda: compared(queries[0]), lambda: matrix.sum(), rounds=5
    )
    peak = getrusage(RUSAGE_SELF).ru_maxrss * 1024
    print(
        f"chosen, {count:>9,} x {dimension}, spread {spread:g}  {found * 1e3:8.3f} ms"
        f"   {found / read:5.2f} x a plain read   {found / exact:5.2f} x all compared"
        f"   recall@10 {hits / 10 / len(queries):.3f} (target 0.99)"
        f"   peak {peak / matrix.nbytes:.2f} bytes a vector byte"
        f"   ({perf_counter() - started:.0f} s)"
    )


def clustered(count: int, dimension: int, spread: float) -> tuple[Vectors, ranking.Floats]:
    """So many rows in the array of the store, and forty queries like them."""
    centres = _RANDOM.standard_normal((count // 1000, dimension), dtype=np.float32)
    centres += 2 * _RANDOM.standard_normal(dimension, dtype=np.float32)

    def drawn(some: int) -> ranking.Floats:
        rows = centres[_RANDOM.integers(0, len(centres), some)]
        rows += np.float32(spread) * _RANDOM.standard_normal(rows.shape, dtype=np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows

    vectors = Vectors(dimension, room=count)
    for start in range(0, count, 10_000):
        for row, vector in enumerate(drawn(10_000), start + 1):
            vectors.append(row, vector.tobytes())
    return vectors, drawn(40)


def report_add(before: int) -> None:
    """A durable add with its vector to so many rows, against one fsynced append of its bytes."""
    with TemporaryDirectory(dir=Path.cwd()) as folder:
        plain = os.open(f"{folder}/append", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        texts = [text() for _ in range(600)]
        vectors = unit_rows(len(texts), _DIMENSION)
        adds, appends = [], []
        with open_store(f"{folder}/memory.sqlite") as store:
            store.import_(lines(before))
            for step, (words, vector) in enumerate(zip(texts, vectors, strict=True)):
                start = perf_counter()
                store.add(words, session="t", step=step, vector=vector.tolist(), model="m")
                middle = perf_counter()
                os.write(plain, words.encode() + vector.tobytes())
                os.fsync(plain)
                adds.append(middle - start)
                appends.append(perf_counter() - middle)
        os.close(plain)
    print(
        f"durable add to {before:>7,}   {median(adds) * 1e3:8.3f} ms"
        f"   {median(adds) / median(appends):5.2f} x one fsynced append (target 1.5)"
        f"   mean {sum(adds) / sum(appends):.2f} x"
    )


def report_store(count: int) -> None:
    """A whole query of a store: open, the first one, the next ones with and without a vector."""
    with TemporaryDirectory() as folder:
        path = f"{folder}/memory.sqlite"
        with open_store(path) as store:
            store.import_(lines(count))
        start = perf_counter()
        with open_store(path) as store:
            opened = perf_counter() - start
            vector = unit_rows(1, _DIMENSION)[0].tolist()
            asked = text()
            start = perf_counter()
            store.nearest(asked, vector=vector, model="m")
            first = perf_counter() - start
            mixed, words, dense = alternately(
                lambda: store.nearest(asked, vector=vector, model="m", hidden=("s", count - 50)),
                lambda: store.nearest(asked),
                lambda: store.nearest("", vector=vector, model="m"),
            )
            began = process_time()
            for _ in range(20):
                store.nearest(text(), vector=vector, model="m")
            cpu = (process_time() - began) / 20
    print(
        f"store of {count:,}: open {opened * 1e3:.1f} ms, first query {first * 1e3:.1f} ms,"
        f" then {mixed * 1e3:.2f} ms"
        f" (words alone {words * 1e3:.2f}, vector alone {dense * 1e3:.2f};"
        f" CPU of queries of {_WORDS} words {cpu * 1e3:.2f})"
    )


def alternately(*actions: Callable[[], object], rounds: int = 15) -> list[float]:
    """The median seconds of each action, taken in turn so that all see the same machine."""
    times: list[list[float]] = [[] for _ in actions]
    for _ in range(rounds):
        for action, taken in zip(actions, times, strict=True):
            start = perf_counter()
            action()
            taken.append(perf_counter() - start)
    return [median(taken) for taken in times]


def unit_rows(count: int, dimension: int) -> ranking.Floats:
    """Random rows (count, dimension) of length 1."""
    rows = _RANDOM.standard_normal((count, dimension), dtype=np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def text() -> str:
    """Sixty words, spread as in a language (Zipf over 50,000)."""
    return " ".join(f"w{int(50_000 ** random.random())}" for _ in range(_WORDS))


def lines(count: int) -> Iterator[str]:
    """An export of so many memories."""
    from memory_store.lines import line
    from memory_store.records import Memory
    from memory_store.schema import Vector

    for i, row in enumerate(unit_rows(count, _DIMENSION)):
        vector = Vector("m", _DIMENSION, row.tobytes())
        yield line(Memory(0, text(), "", "s", i, 0, 0.0), [vector])


if __name__ == "__main__":
    main()
