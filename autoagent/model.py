"""What the agent asks of a model, and what it gets back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from commands.cancel import Cancel

Role = Literal["system", "user", "assistant"]
Format = Literal["text", "json_object", "json_schema"]
Finish = Literal["stop", "length", "filter", "refusal"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a prompt."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What one call cost, in tokens; `cost` in US dollars, None when the price is unknown.

    `cached` is the part of `prompt` that came from the provider's cache, `reasoning` the
    part of `completion` that was spent on thinking. `estimated`: counted here because the
    server said nothing.
    """

    prompt: int
    completion: int
    cached: int = 0
    reasoning: int = 0
    cost: float | None = None
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens."""

    prompt: float
    cached: float
    completion: float

    def cost(self, prompt: int, completion: int, cached: int = 0) -> float:
        """US dollars for a call with so many tokens; `cached` of the `prompt` are cheaper."""
        fresh = prompt - cached
        return (fresh * self.prompt + cached * self.cached + completion * self.completion) / 1e6


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What is known of a model before the first call; None where nothing is known."""

    name: str
    window: int | None = None  # tokens, prompt and completion together
    max_completion: int | None = None  # tokens
    price: Price | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """A model's whole answer. `usage` is None when the server told none.

    `text` is the visible content as it came, "" when there was none. `finish` is why it
    ended: "refusal" carries the model's words in `refusal`.
    """

    text: str
    finish: Finish
    usage: Usage | None
    model: str
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Embedded:
    """One vector a text, in order; all of one dimension, as the server gave them."""

    vectors: tuple[tuple[float, ...], ...]
    usage: Usage | None
    model: str


class ModelFault(Exception):
    """One attempt failed; the message is for the person and holds no key.

    `received` counts tokens of an answer that broke off: they were probably paid for.
    `status` is that of the HTTP answer, None when there was none.
    """

    status: int | None = None

    def __init__(self, message: str, *, received: int = 0) -> None:
        super().__init__(message)
        self.received = received


class Transient(ModelFault):
    """May work when tried again: 408, 409, 429, 5xx, reset, cut stream, silence."""

    def __init__(
        self, message: str, *, retry_after_s: float | None = None, received: int = 0
    ) -> None:
        super().__init__(message, received=received)
        self.retry_after_s = retry_after_s


class NotListening(ModelFault):
    """Nothing answers at that address: refused connection, unknown host.

    `hint` is what to do about it, at the end of the message; `what` is the message without.
    """

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(f"{what} {hint}".rstrip())
        self.what = what


class Rejected(ModelFault):
    """Trying again can't help: key, quota, unknown model, a request it won't take."""


class FormatRefused(ModelFault):
    """The server won't take the `format` that was asked for; a plainer one may do."""


class TooLong(ModelFault):
    """The prompt doesn't fit. `window` is the size the server named, in tokens, or None."""

    def __init__(self, message: str, *, window: int | None = None) -> None:
        super().__init__(message)
        self.window = window


class Cancelled(ModelFault):
    """The call was cut because `Cancel` was set."""


class Model(Protocol):
    """A model server, one attempt a call: retries, limits and the journal are the agent's."""

    @property
    def card(self) -> ModelCard:
        """What is known of the model; may learn (the window from an error)."""
        ...

    @property
    def embeds(self) -> bool:
        """Whether it is worth asking for embeddings: a model is named and none was refused."""
        ...

    def complete(
        self,
        messages: Sequence[Message],
        *,
        cap: int,
        cancel: Cancel,
        format: Format = "text",
        hear: Callable[[str], None] | None = None,
    ) -> Completion:
        """One completion of at most `cap` tokens; a `ModelFault` when it fails.

        `hear` is given each visible piece of its text as it comes, in any thread; joined, the
        pieces are the text. It must return at once and not raise: nothing catches that.
        """
        ...

    def embed(self, texts: Sequence[str], *, cancel: Cancel) -> Embedded | None:
        """A vector for each text; None when the server has no embeddings."""
        ...
