"""What a state is made of: pieces of the conversation, steps in short, what was used."""

from dataclasses import dataclass
from typing import Literal

from autoagent.model import Usage
from autoagent.reply import Reply

Kind = Literal["opening", "digest", "reply", "words", "memories", "observation"]


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of the conversation; pieces of one side in a row make one message."""

    step: int
    kind: Kind
    text: str


@dataclass(frozen=True, slots=True)
class Pending:
    """A command that waits for its result."""

    step: int
    reply: Reply
    decided: bool = False
    executing: bool = False
    permitted: tuple[str, ...] = ()  # masked or protected paths that it may touch


@dataclass(frozen=True, slots=True)
class Past:
    """One step in short, for the digest that replaces it and for the receipt."""

    step: int
    thoughts: str
    name: str
    about: str
    ok: bool
    note: str
    changed: tuple[str, ...]
    source: str
    gist: str  # the result's beginning
    refused: bool


@dataclass(slots=True)
class Spent:
    """What the session used so far. `unpriced` counts calls whose cost nobody knows."""

    prompt: int = 0  # tokens
    cached: int = 0
    completion: int = 0
    reasoning: int = 0
    cost: float = 0.0  # US dollars
    unpriced: int = 0
    elapsed_s: float = 0.0

    @property
    def tokens(self) -> int:
        return self.prompt + self.completion

    @property
    def usage(self) -> Usage:
        """All of it as that of one call; the cost is what is known of it."""
        return Usage(*(self.prompt, self.completion, self.cached, self.reasoning), cost=self.cost)

    def add(self, usage: Usage) -> None:
        self.prompt += usage.prompt
        self.cached += usage.cached
        self.completion += usage.completion
        self.reasoning += usage.reasoning
        self.cost += usage.cost or 0.0
        self.unpriced += usage.cost is None

    def take(self, other: "Spent") -> None:
        """Add what somebody else used; the time was the same for both."""
        self.prompt += other.prompt
        self.cached += other.cached
        self.completion += other.completion
        self.reasoning += other.reasoning
        self.cost += other.cost
        self.unpriced += other.unpriced
