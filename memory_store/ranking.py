"""Exact ranking of unit vectors, and the mix of their scores with those of words."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from memory_store.signs import Signs

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]

EXACT_TO = 100_000
"""Rows. Up to here each is compared; reading all of more takes longer than choosing first."""
_FIRST_ROOM = 1024  # rows


def unit(vector: Sequence[float]) -> Floats | None:
    """The vector (dim,) at length 1 in float32; None when it has no direction (0, NaN, inf)."""
    exact = np.asarray(vector, dtype=np.float64)
    largest = float(np.abs(exact).max(initial=0.0))
    if largest == 0.0 or not np.isfinite(largest):
        return None
    exact = exact / largest  # so that the squares neither overflow nor vanish
    return (exact / np.sqrt(exact @ exact)).astype(np.float32)


def top(scores: Floats, k: int) -> list[int]:
    """The places of the k highest scores (n,), best first; equal scores keep their order."""
    if k <= 0:
        return []
    if k >= len(scores):
        return list(map(int, np.argsort(-scores, kind="stable")))
    edge = np.partition(scores, -k)[-k]
    chosen = np.flatnonzero(scores >= edge)
    if len(chosen) > k:  # of those that tie at the edge the older ones
        at_edge = scores[chosen] == edge
        above = chosen[~at_edge]
        chosen = np.concatenate((above, chosen[at_edge][: k - len(above)]))
    return list(map(int, chosen[np.argsort(-scores[chosen], kind="stable")]))


def nearest(matrix: Floats, query: Floats, k: int) -> list[tuple[int, float]]:
    """The k rows most like the query, best first, by cosine similarity.

    matrix is (n, dim) and query (dim,), float32, rows of unit length, so that a dot
    product is the cosine in [-1, 1]. Fewer than k rows give what there is. Equal
    scores keep the older row first.
    """
    scores = cosines(matrix, query)
    return [(place, float(scores[place])) for place in top(scores, k)]


def cosines(matrix: Floats, query: Floats) -> Floats:
    """The cosine of each row (n,), in one read of the matrix."""
    # A float64 query would convert the whole matrix at each call. vecdot, not @: that goes to
    # several threads, which wait for each other when the machine is busy (measured: 16 times
    # as long), and may give equal rows unequal scores.
    scores: Floats = np.vecdot(matrix, query.astype(np.float32, copy=False))
    return scores


def mixed(
    rows: Rows, dense: Floats, words: Mapping[int, float], k: int, *, floor: float
) -> list[tuple[int, float]]:
    """The k best of all rows as (row, score in (0, 1]), best first, ties older first.

    rows (n,) ascend, dense (n,) are their cosines, words are the raw word scores that
    passed their own floor. A cosine below the floor or 0 counts as 0. Then both are
    divided by their maximum and count one half each; rows of score 0 are left out.
    """
    shown = np.where(dense >= floor, dense, np.float32(0)).clip(min=0)
    most = float(shown.max(initial=0.0))
    most_words = max(words.values(), default=0.0)
    place = places(rows, words)
    found = {
        row: _half(score, most_words) + _half(float(shown[place[row]]) if row in place else 0, most)
        for row, score in words.items()
    }
    # Whoever else is among the k best is so by the vector alone.
    shown[list(place.values())] = 0
    for at in top(shown, k):
        if shown[at] > 0:
            found[int(rows[at])] = _half(float(shown[at]), most)
    best = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    return [(row, score) for row, score in best[: max(k, 0)] if score > 0]


def places(rows: Rows, wanted: Collection[int]) -> dict[int, int]:
    """Where each wanted row stands in rows (n,), which ascend; without those that don't."""
    given = np.fromiter(wanted, dtype=np.int64, count=len(wanted))
    at = np.searchsorted(rows, given)
    there = at < len(rows)
    there[there] = rows[at[there]] == given[there]
    return dict(zip(given[there].tolist(), at[there].tolist(), strict=True))


def _half(score: float, most: float) -> float:
    return 0.5 * score / most if most > 0 else 0.0


class Vectors:
    """Unit vectors by row in one contiguous array that doubles when it is full.

    Rows are appended in ascending order. Memory is 4 bytes a number, and at most twice that
    while it grows; beyond `exact_to` rows one bit a number more.
    """

    def __init__(self, dimension: int, room: int = _FIRST_ROOM, exact_to: int = EXACT_TO) -> None:
        self._matrix = np.empty((max(room, 1), dimension), dtype=np.float32)
        self._rows = np.empty(max(room, 1), dtype=np.int64)
        self._count = 0
        self._exact_to = exact_to
        self._signs = Signs()

    @property
    def rows(self) -> Rows:
        """(n,), ascending."""
        return self._rows[: self._count]

    @property
    def matrix(self) -> Floats:
        """(n, dim), contiguous; a view that the next append may leave behind."""
        return self._matrix[: self._count]

    def scored(
        self, query: Floats, k: int, *, without: Collection[int], wanted: Collection[int]
    ) -> tuple[Rows, Floats]:
        """Rows (m,), ascending, with the k nearest and all `wanted`, and their cosines (m,).

        All rows up to `exact_to` of them; beyond, those whose signs agree best with the
        query's. The cosine of the rows `without` is 0.
        """
        hidden = list(places(self.rows, without).values())
        if self._count <= self._exact_to:
            dense = cosines(self.matrix, query)
            dense[hidden] = 0
            return self.rows, dense
        near = self._signs.near(self.matrix, query, k, hidden)
        asked = np.fromiter(places(self.rows, wanted).values(), dtype=np.int64)
        at = np.union1d(near, np.setdiff1d(asked, hidden))
        return self._rows[at], cosines(self._matrix[at], query)

    @property
    def last(self) -> int:
        """The newest row; 0 when there is none."""
        return int(self._rows[self._count - 1]) if self._count else 0

    def append(self, row: int, vector: bytes) -> None:
        """Add a row's vector, little-endian float32; one of another length is left out."""
        if len(vector) != 4 * self._matrix.shape[1]:
            return
        if self._count == len(self._rows):
            self._double()
        self._matrix[self._count] = np.frombuffer(vector, dtype="<f4")
        self._rows[self._count] = row
        self._count += 1

    def _double(self) -> None:
        wider = np.empty((2 * self._count, self._matrix.shape[1]), dtype=np.float32)
        wider[: self._count] = self._matrix
        self._matrix = wider
        self._rows = np.resize(self._rows, 2 * self._count)
