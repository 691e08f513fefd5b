"""Which model works in a run: by which name and address, in which window, under which limits."""

from dataclasses import dataclass, replace

from autoagent.calling import SMALLEST_WINDOW
from autoagent.configuration.settings import Settings
from autoagent.errors import ConfigError
from autoagent.events import Limits
from autoagent.model import ModelCard
from autoagent.models.catalog import OPENAI_URL, look_up
from autoagent.models.learned import Learned

WORKING_WINDOW = 32_768
"""Tokens. More costs more at every step, and memory carries the rest."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The model of a run, and what a person should know about the choice."""

    model: str
    base_url: str | None
    card: ModelCard
    window: int
    limits: Limits
    notices: tuple[str, ...] = ()


def chosen(settings: Settings, learned: Learned) -> Chosen:
    """Which model works, in which window and under which limits.

    ConfigError when there is no way to a model, when its window is too small, or when a
    money limit was asked for and nobody knows the price.
    """
    name, base_url, notices = _model(settings)
    card = _card(settings, name, base_url, learned)
    limits, said = _limits(settings, card)
    facts = learned.facts(base_url or OPENAI_URL, settings.embedding_model)
    if settings.memory is not None and not facts.embeds:
        said.append("The server has no embeddings: memories are ranked by words alone.")
    return Chosen(name, base_url, card, _window(settings, card), limits, (*notices, *said))


def address(settings: Settings) -> str | None:
    """Which server a run would ask, None for OpenAI; ConfigError when there is none."""
    return _model(settings)[1]


def _model(settings: Settings) -> tuple[str, str | None, list[str]]:
    if settings.api_key or settings.base_url:
        return settings.model, settings.base_url, []
    from autoagent.models.servers import find_local

    for server in find_local(settings.local_ports):
        names = [settings.model] if settings.explicit("model") else server.models
        if names:
            how = f" (others: {', '.join(server.models[1:6])}; --model chooses)"
            more = how if len(server.models) > 1 and not settings.explicit("model") else ""
            return names[0], server.base_url, [f"Using {names[0]} of {server.name}{more}."]
    raise ConfigError(
        "There is no model to ask: OPENAI_API_KEY isn't set, OPENAI_BASE_URL isn't set, and no "
        "model server answers on this machine. Set one of them in the environment or in "
        f"{settings.places.config / '.env'}."
    )


def _card(settings: Settings, name: str, base_url: str | None, learned: Learned) -> ModelCard:
    facts = learned.facts(base_url or OPENAI_URL, name)
    if settings.price is not None and settings.window:
        return ModelCard(name, settings.window, facts.max_completion, settings.price)
    card = look_up(name, base_url)
    if card.window is None and base_url:
        from autoagent.models.servers import ask_server

        told = ask_server(base_url, name, settings.api_key)
        card = replace(told, name=name, price=card.price or told.price)
    return replace(card, window=card.window or facts.window, price=settings.price or card.price)


def _window(settings: Settings, card: ModelCard) -> int:
    window = settings.window or min(WORKING_WINDOW, card.window or WORKING_WINDOW)
    if window < SMALLEST_WINDOW:
        whose = "--window is" if settings.window else f"The window of {card.name} is"
        raise ConfigError(
            f"{whose} {window:,} tokens; autoagent needs at least {SMALLEST_WINDOW:,}. Give the "
            "model a larger one (Ollama: num_ctx; llama.cpp: -c) or choose another with --model."
        )
    return window


def _limits(settings: Settings, card: ModelCard) -> tuple[Limits, list[str]]:
    limits = Limits(settings.max_steps, settings.max_tokens, settings.max_cost, settings.max_time_s)
    if card.price is not None:
        return limits, []
    if settings.explicit("max_cost"):
        raise ConfigError(
            f"The price of {card.name} is unknown, so --max-cost can't be kept. Give the price in "
            "US dollars per million tokens, --price IN,CACHED,OUT, or limit --max-tokens instead."
        )
    line = (
        f"The price of {card.name} is unknown: no money limit; {limits.tokens:,} tokens at most "
        "(--max-tokens, or --price IN,CACHED,OUT and --max-cost)."
    )
    return replace(limits, cost=None), [line]
