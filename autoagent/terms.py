"""Words and values that several kinds of events are made of."""

from dataclasses import dataclass
from typing import Literal

Status = Literal[
    "done", "gave_up", "limit", "unreachable", "refused", "stuck", "interrupted", "error"
]
"""How a run, or a sub-agent, ended."""

WORDS_ALONE = "The server has no embeddings: memories are ranked by words alone."


def unpriced(model: str, tokens: int) -> str:
    """What is said of a model whose price nobody knows, within so many tokens."""
    return (
        f"The price of {model} is unknown: no money limit; {tokens:,} tokens at most "
        "(--price gives one)."
    )


@dataclass(frozen=True, slots=True)
class Limits:
    """What the whole session may use. None: without a limit of that kind."""

    steps: int
    tokens: int  # prompt and completion, embeddings too
    cost: float | None = None  # US dollars
    time_s: float | None = None  # of running, pauses between resumes left out
