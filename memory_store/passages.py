"""Which passages of one text have most to do with a question."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from math import log

from memory_store import words
from memory_store.schema import has_full_text

_SATURATION, _LENGTH = 1.2, 0.75  # k1 and b of BM25, as FTS5 has them


def ranked(passages: Sequence[str], question: str) -> list[int]:
    """The places of those that hold words of the question, best first, by BM25.

    With FTS5 by their stems, without it as they stand there.
    """
    terms = words.asked(question)
    if not terms:
        return []
    return (_by_index if has_full_text() else by_counting)(passages, terms)


def _by_index(passages: Sequence[str], terms: Sequence[str]) -> list[int]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(
            "CREATE VIRTUAL TABLE words"
            " USING fts5(text, content = '', tokenize = 'porter unicode61')"
        )
        rows = ((place, words.indexed(text)) for place, text in enumerate(passages))
        connection.executemany("INSERT INTO words (rowid, text) VALUES (?, ?)", rows)
        match = " OR ".join(f'"{term}"' + "*" * words.begins(term) for term in terms)
        found = connection.execute(
            "SELECT rowid FROM words WHERE words MATCH ? ORDER BY bm25(words), rowid", (match,)
        )
        return [int(row) for (row,) in found]


def by_counting(passages: Sequence[str], terms: Sequence[str]) -> list[int]:
    """The same without an index and without stems."""
    postings = words.counted(enumerate(passages), terms)
    lengths = [len(text) for text in passages]
    average = sum(lengths) / max(len(lengths), 1) or 1.0
    scores: dict[int, float] = {}
    for held in postings.values():
        weight = log(1 + (len(passages) - len(held) + 0.5) / (len(held) + 0.5))
        for place, count in held.items():
            size = 1 - _LENGTH + _LENGTH * lengths[place] / average
            share = count * (_SATURATION + 1) / (count + _SATURATION * size)
            scores[place] = scores.get(place, 0.0) + weight * share
    return sorted(scores, key=lambda place: (-scores[place], place))
