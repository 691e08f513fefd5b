"""Words and values that several kinds of events are made of."""

from dataclasses import dataclass
from typing import Literal

Status = Literal[
    "done", "gave_up", "limit", "unreachable", "refused", "stuck", "interrupted", "error"
]
"""How a run, or a sub-agent, ended."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the whole session may use. None: without a limit of that kind."""

    steps: int
    tokens: int  # prompt and completion, embeddings too
    cost: float | None = None  # US dollars
    time_s: float | None = None  # of running, pauses between resumes left out
