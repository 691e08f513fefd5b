"""What retrieval and a durable add cost against their yardsticks: `python bench/retrieval.py`."""

import os
import random
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

from memory_store import open_store, ranking

_DIMENSION = 384
_WORDS = 60  # a text
_RANDOM = np.random.default_rng(0)


def main() -> None:
    """Print one line a figure."""
    for count in (1_000, 10_000, 100_000):
        report_nearest(count, _DIMENSION)
    report_nearest(10_000, 1536)
    report_add()
    report_store(10_000)


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
        f"nearest, {count:>7,} x {dimension:<5} {found * 1e3:8.3f} ms"
        f"   {found / read:5.2f} x a plain read (target 1.1)"
        f"   {found / whole:5.2f} x dot + full argsort"
    )


def report_add() -> None:
    """A durable add with its vector, against one fsynced append of the same bytes."""
    with TemporaryDirectory(dir=Path.cwd()) as folder:
        plain = os.open(f"{folder}/append", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        texts = [text() for _ in range(600)]
        vectors = unit_rows(len(texts), _DIMENSION)
        adds, appends = [], []
        with open_store(f"{folder}/memory.sqlite") as store:
            for step, (words, vector) in enumerate(zip(texts, vectors, strict=True)):
                start = perf_counter()
                store.add(words, session="s", step=step, vector=vector.tolist(), model="m")
                middle = perf_counter()
                os.write(plain, words.encode() + vector.tobytes())
                os.fsync(plain)
                adds.append(middle - start)
                appends.append(perf_counter() - middle)
        os.close(plain)
    print(
        f"durable add              {median(adds) * 1e3:8.3f} ms"
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
    print(
        f"store of {count:,}: open {opened * 1e3:.1f} ms, first query {first * 1e3:.1f} ms,"
        f" then {mixed * 1e3:.2f} ms"
        f" (words alone {words * 1e3:.2f}, vector alone {dense * 1e3:.2f})"
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


def lines(count: int) -> list[str]:
    """An export of so many memories."""
    from memory_store.lines import line
    from memory_store.records import Memory
    from memory_store.schema import Vector

    rows = unit_rows(count, _DIMENSION)
    return [
        line(Memory(0, text(), "", "s", i, 0, 0.0), [Vector("m", _DIMENSION, row.tobytes())])
        for i, row in enumerate(rows)
    ]


if __name__ == "__main__":
    main()
