"""Which of very many vectors may be near a query, by the signs of their numbers alone."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bits = NDArray[np.uint64]
Places = NDArray[np.int64]

LEAST = 2000
"""Places that are given at least; ten exact neighbours are among them (bench/retrieval.py)."""
SHARE = 40
"""One of so many rows is given where that is more: the denser, the more are as near by sign."""

_A_HIT = 40
_BLOCK = 32_768  # rows, so that what is worked on stays in the processor's cache
_WORD = 64  # bits
_HIDDEN = np.uint16(65_535)


class Signs:
    """One bit a number: on which side of the mean it lies. Follows an array that grows.

    The mean is taken off because embeddings have one in common, which would give all rows
    the same signs; it is taken anew when the rows have doubled.
    """

    def __init__(self) -> None:
        self._mean: Floats = np.zeros(0, dtype=np.float32)
        self._bits: Bits = np.zeros((0, 0), dtype=np.uint64)  # (words, room)
        self._count = 0
        self._mean_of = 0  # rows

    def near(self, matrix: Floats, query: Floats, k: int, hidden: Sequence[int]) -> Places:
        """The places of rows that may be among the k nearest, ascending, without `hidden`.

        matrix is (n, dim) and query (dim,), float32, as at the last call with rows added at
        its end. At least LEAST places, n / SHARE, or 40 k; more where rows tie at the edge.
        """
        self._follow(matrix)
        wanted = min(max(LEAST, len(matrix) // SHARE, _A_HIT * k), len(matrix) - len(hidden))
        if wanted <= 0:
            return np.zeros(0, dtype=np.int64)
        distances = self._distances(query - self._mean)
        distances[list(hidden)] = _HIDDEN
        nearer = np.cumsum(np.bincount(distances))
        edge = min(int(np.searchsorted(nearer, wanted)), int(_HIDDEN) - 1)
        return np.flatnonzero(distances <= edge)

    def _follow(self, matrix: Floats) -> None:
        count = len(matrix)
        if count >= 2 * self._mean_of:
            self._mean, self._mean_of = matrix.mean(axis=0), count
            words = -(-matrix.shape[1] // _WORD)
            self._bits = np.empty((words, count + count // 4), dtype=np.uint64)
            self._count = 0
        if count > self._bits.shape[1]:
            wider = np.empty((len(self._bits), 2 * count), dtype=np.uint64)
            wider[:, : self._count] = self._bits[:, : self._count]
            self._bits = wider
        for start in range(self._count, count, _BLOCK):
            end = min(start + _BLOCK, count)
            self._bits[:, start:end] = _packed(matrix[start:end] > self._mean).T
        self._count = count

    def _distances(self, query: Floats) -> NDArray[np.uint16]:
        """How many signs differ (n,); those where the query says more than usual count twice."""
        size = np.abs(query)
        signs, strong = _packed(np.stack([query > 0, size > np.median(size)]))
        distances = np.empty(self._count, dtype=np.uint16)
        for start in range(0, self._count, _BLOCK):
            block = distances[start : start + _BLOCK]
            block[:] = 0
            for word, sign, mask in zip(
                self._bits[:, start : start + len(block)], signs, strong, strict=True
            ):
                differing = word ^ sign
                block += np.bitwise_count(differing)
                block += np.bitwise_count(differing & mask)
        return distances


def _packed(bits: NDArray[np.bool_]) -> Bits:
    """Rows of bits (n, dim) as rows of words (n, dim / 64), filled up with zeros."""
    octets = np.packbits(bits, axis=1)
    room = np.zeros((len(bits), -(-bits.shape[1] // _WORD) * 8), dtype=np.uint8)
    room[:, : octets.shape[1]] = octets
    return room.view(np.uint64)
