"""A piece of what is coming, before any event tells of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Glimpse:
    """What the session's own agent gets, as it comes: a preview that no journal keeps.

    "thinking": a call to the model begins anew (text ""), and whatever came of an earlier
    attempt is void · "reply": the next piece of its answer · "output": the next piece of what
    a running command or proof prints. Raw: neither redacted nor escaped. `step` is the one
    that the model is asked for, or whose command runs.
    """

    kind: Literal["thinking", "reply", "output"]
    step: int
    text: str


Glimpsed = Callable[[Glimpse], None]
"""Takes each, in the agent's thread or the model client's; must return at once and not raise.
A last piece of a call that was cut may come a moment after it."""
