"""Vectors for memories that have none of the present embedding model, within limits."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from autoagent.calling import Patience
from autoagent.configuration.settings import Settings
from autoagent.errors import ConfigError, UnreachableError
from autoagent.model import Embedded, ModelFault, Price, Transient
from autoagent.models.catalog import OPENAI_URL, look_up
from autoagent.models.choosing import address
from autoagent.models.learned import Learned
from autoagent.models.making import make_embedder
from autoagent.models.request import EMBED_CHARACTERS, EMBED_TEXTS
from autoagent.terminal.escape import escaped
from autoagent.terminal.output import Output
from autoagent.tokens import estimate
from commands.cancel import Cancel

if TYPE_CHECKING:
    from autoagent.models.openai_model import OpenAIModel
    from memory_store import Memory
    from memory_store.sqlite import Store

_LIMIT = 4
"""The exit code when a limit was reached."""
_ATTEMPTS = 5


@dataclass(slots=True)
class Purse:
    """What may be used, and what was; `price` is None when nobody knows it."""

    tokens_left: int
    cost_left: float  # US dollars
    price: Price | None

    def cost(self, tokens: int) -> float:
        return self.price.cost(tokens, 0) if self.price else 0.0

    def option_against(self, tokens: int) -> str:
        """The limit that so many tokens more would break; "" when there is room."""
        if tokens > self.tokens_left:
            return "--max-tokens"
        return "--max-cost" if self.cost(tokens) > self.cost_left else ""

    def pay(self, tokens: int) -> None:
        self.tokens_left -= tokens
        self.cost_left -= self.cost(tokens)


def reembed(store: "Store", settings: Settings, out: Output) -> int:
    """`autoagent memory reembed`: the exit code. Each batch is kept when it is there, so
    that a second call goes on where the first one ended."""
    name = settings.embedding_model
    sizes = [_tokens(memory) for memory in store.unembedded(name)]
    if not sizes:
        out.line(f"Every memory has a vector of {escaped(name)}.")
        return 0
    url = address(settings)
    purse = _purse(settings, url)
    out.line(_estimate(sizes, name, purse))
    with _model(settings, url) as model:
        given, option = _all(store, name, model, purse)
    out.line(f"{given} of {len(sizes)} have one now.")
    if option:
        out.line(f"{option} is reached. To go on: autoagent memory reembed {option} …")
        return _LIMIT
    return 0


def _estimate(sizes: list[int], name: str, purse: Purse) -> str:
    tokens = sum(sizes)
    cost = f"about ${purse.cost(tokens):.4f}" if purse.price else "at an unknown price"
    return (
        f"{len(sizes)} {'memory has' if len(sizes) == 1 else 'memories have'} no vector of "
        f"{escaped(name)}: about {tokens:,} tokens, {cost}."
    )


def _all(store: "Store", name: str, model: "OpenAIModel", purse: Purse) -> tuple[int, str]:
    """How many got a vector, and the option of the limit that ended it, if one did."""
    given = 0
    waiting = store.unembedded(name)
    while batch := list(islice(waiting, EMBED_TEXTS)):
        tokens = sum(map(_tokens, batch))
        if option := purse.option_against(tokens):
            return given, option
        embedded = _embedded(model, [memory.text for memory in batch], given)
        purse.pay(embedded.usage.prompt if embedded.usage else tokens)
        ids = [memory.id for memory in batch]
        given += store.embed(dict(zip(ids, embedded.vectors, strict=True)), name)
    return given, ""


def _embedded(model: "OpenAIModel", texts: list[str], given: int) -> Embedded:
    """The vectors; tried again a few times where that has a reason."""
    cancel = Cancel()
    kept = f" {given} vectors were kept; the same command goes on from there."
    for pause_s in _pauses():
        try:
            embedded = model.embed(texts, cancel=cancel)
        except Transient as fault:
            if pause_s is None:
                raise UnreachableError(f"{fault}{kept}") from fault
            cancel.wait(max(pause_s, fault.retry_after_s or 0.0))
            continue
        except ModelFault as fault:
            raise UnreachableError(f"{fault}{kept}") from fault
        if embedded is None:
            raise UnreachableError(f"The server has no embeddings, so words must do.{kept}")
        return embedded
    raise AssertionError("the last pause is None")


def _pauses() -> Iterator[float | None]:
    yield from Patience().pauses_s[: _ATTEMPTS - 1]
    yield None


def _purse(settings: Settings, url: str | None) -> Purse:
    price = look_up(settings.embedding_model, url).price
    if price is None and settings.explicit("max_cost"):
        raise ConfigError(
            f"The price of {settings.embedding_model} is unknown, so --max-cost can't be kept; "
            "limit --max-tokens instead."
        )
    return Purse(settings.max_tokens, settings.max_cost, price)


def _model(settings: Settings, url: str | None) -> "OpenAIModel":
    learned = Learned(settings.places.state / "servers.json")
    if not learned.facts(url or OPENAI_URL, settings.embedding_model).embeds:
        # Whoever asks for it has done something about it.
        learned.learn(url or OPENAI_URL, settings.embedding_model, no_embeddings_at=None)
    return make_embedder(settings, url, learned)


def _tokens(memory: "Memory") -> int:
    return estimate(memory.text[:EMBED_CHARACTERS]) + 1
