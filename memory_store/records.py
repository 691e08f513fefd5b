"""What the store keeps and gives back: Memory, Hit and the one error for a person."""

from dataclasses import dataclass

COSINE_FLOOR = 0.25
"""Raw cosine below which a vector says nothing."""
WORDS_FLOOR = 0.2
"""Share of a query's words that a row must hold for them to count."""


class StoreError(Exception):
    """The file can't be used as it is; the message names it and says what to do."""


@dataclass(frozen=True, slots=True)
class Memory:
    """One remembered text.

    `id` grows with age and is never given twice in one file. `source` says whose words the
    text is ("workspace", "web", "person", "agent NAME", "note"). (`session`, `step`, `part`)
    is where it comes from; `session` is "" when it belongs to none. `time` is in seconds
    since 1970-01-01 UTC.
    """

    id: int
    text: str
    source: str
    session: str
    step: int
    part: int
    time: float


@dataclass(frozen=True, slots=True)
class Hit:
    """A memory found, and why.

    `score` in (0, 1] ranks the hits of one query and says nothing between queries. `dense`
    is the raw cosine in [-1, 1], None where the row or the query has no vector of that
    model. `words` is the raw bm25, larger is better, unbounded; 0 when the row shares too
    few of the query's words to count.
    """

    memory: Memory
    score: float
    dense: float | None
    words: float
