"""Which model works in a run: by which name and address, in which window, under which limits."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

from autoagent.calling import SMALLEST_WINDOW
from autoagent.configuration.settings import Settings
from autoagent.errors import ConfigError
from autoagent.events import Limits
from autoagent.model import ModelCard
from autoagent.models.address import is_local
from autoagent.models.catalog import OPENAI_URL, look_up
from autoagent.models.learned import Learned
from autoagent.models.servers import (
    LocalServer,
    answers_chat,
    ask_server,
    find_local,
    is_ollama,
    listed_models,
)
from autoagent.terms import WORDS_ALONE, unpriced

WORKING_WINDOW = 32_768
"""Tokens. More costs more at every step, and memory carries the rest."""

CHECK_S = 60.0  # for all models of a server together: each may have to be loaded
LOAD_S = 120.0  # for Ollama to load a model whose window is to be known
_CHECKED = 8  # models of one server
_SMALL_WINDOW = 16_384
_MORE = (
    "For a larger one (Ollama: OLLAMA_CONTEXT_LENGTH=32768 ollama serve, or num_ctx in the model "
    "file; LM Studio: Context Length; llama.cpp: -c 32768; vLLM: --max-model-len), start the "
    "server anew."
)


class NoWay(ConfigError):
    """There is no model to ask; `server` answers on this machine, but none of its models does."""

    def __init__(self, message: str, server: LocalServer | None = None) -> None:
        super().__init__(message)
        self.server = server


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
    card, told = _card(settings, name, base_url, learned)
    window, narrow = _window(settings, card, told, base_url)
    limits, said = _limits(settings, card)
    facts = learned.facts(base_url or OPENAI_URL, settings.embedding_model)
    if settings.memory is not None and not facts.embeds:
        said.append(WORDS_ALONE)
    return Chosen(name, base_url, card, window, limits, (*notices, *narrow, *said))


def chosen_instead(
    settings: Settings, name: str, base_url: str | None, limits: Limits, learned: Learned
) -> Chosen:
    """Another model of the same server, for a session that goes on under its limits.

    A price that was given by hand was another model's. ConfigError when the server doesn't
    list it, when its window is too small, or when money is limited and nobody knows its price.
    """
    known = () if settings.azure else listed_models(base_url or OPENAI_URL, settings.api_key)
    if known and not {name, f"{name}:latest"} & set(known):
        near = get_close_matches(name, known, 3, 0.4) or known[:3]
        raise ConfigError(f"The server has no model {name!r:.80}; it has {', '.join(near)}.")
    settings = replace(settings, price=None, window=settings.given["window"])
    card, told = _card(settings, name, base_url, learned)
    if card.price is None and limits.cost is not None:
        raise ConfigError(
            f"The price of {name} is unknown, so within the money limit it can't be asked. Leave, "
            f"and resume with --model {name} --price IN,CACHED,OUT."
        )
    window, narrow = _window(settings, card, told, base_url)
    return Chosen(name, base_url, card, window, limits, tuple(narrow))


def address(settings: Settings) -> str | None:
    """Which server a run would ask, None for OpenAI; NoWay when there is none."""
    if settings.api_key or settings.base_url:
        return settings.base_url
    found = find_local(settings.local_ports)
    for server in found:
        if server.models:
            return server.base_url
    raise _no_way(settings, found)


def _model(settings: Settings) -> tuple[str, str | None, list[str]]:
    given = settings.base_url
    if given and is_local(given) and not settings.azure and not settings.explicit("model"):
        name = _of_address(settings.model, given, settings.api_key)
        said = f"Using {name} of {given}, which has no {settings.model}; --model chooses."
        return (name, given, [said]) if name else (settings.model, given, [])
    if settings.api_key or settings.base_url:
        return settings.model, settings.base_url, []
    found = find_local(settings.local_ports)
    if settings.explicit("model"):
        having = [server for server in found if settings.model in server.models]
        for server in having or found:
            return settings.model, server.base_url, [f"Using {settings.model} of {server.name}."]
    silent = []
    for server in found:
        if name := _answering(server):
            others = ", ".join([each for each in server.models if each != name][:5])
            how = f" (others: {others}; --model chooses)" if others else ""
            return name, server.base_url, [f"Using {name} of {server.name}{how}."]
        silent.append(server)
    raise _no_way(settings, silent)


def _of_address(usual: str, base_url: str, key: str | None) -> str:
    """The model to use of a server on this machine whose address was given, and which doesn't
    list the usual one; "" where there is none, or it has the usual one."""
    names = listed_models(base_url, key)
    known = {usual, f"{usual}:latest"} & set(names)
    return "" if known else _answering(LocalServer("", base_url, names))


def _answering(server: LocalServer) -> str:
    """The first of its models that answers a small check; "" when none does.

    One that is still silent may be loading: to ask for another would load that as well.
    """
    if len(server.models) < 2:
        return "".join(server.models)
    # Only what is asked first: an embedding model would refuse, and the check finds that out.
    names = sorted(server.models, key=lambda name: "embed" in name.lower())
    until = time.monotonic() + CHECK_S
    for name in names[:_CHECKED]:
        left = max(1.0, until - time.monotonic())
        if answers_chat(server.base_url, name, timeout_s=left) is not False:
            return name
    return ""


def _no_way(settings: Settings, servers: Sequence[LocalServer] = ()) -> NoWay:
    file = settings.places.config / ".env"
    for server in servers:
        if server.models:
            return NoWay(
                f"{server.name} at {server.base_url} has {len(server.models)} models, but none of "
                f"them answers ({', '.join(server.models[:3])}, …). Name one with --model, or get "
                "one that chats.",
                server,
            )
        return NoWay(
            f"{server.name} answers at {server.base_url}, but has no model yet. Get one "
            "(ollama pull NAME; LM Studio: load one), or set OPENAI_API_KEY.",
            server,
        )
    azure = settings.given["azure_key"]
    return NoWay(
        "There is no model to ask: OPENAI_API_KEY isn't set, OPENAI_BASE_URL isn't set, and no "
        "model server answers on this machine. Set one of them in the environment or in "
        f"{file}."
        + (" AZURE_OPENAI_API_KEY counts with AZURE_OPENAI_ENDPOINT only." if azure else "")
    )


def _card(
    settings: Settings, name: str, base_url: str | None, learned: Learned
) -> tuple[ModelCard, bool]:
    """What is known of the model, and whether its server told the window itself."""
    facts = learned.facts(base_url or OPENAI_URL, name)
    card = look_up(name, base_url)
    told = ModelCard(name)
    if card.window is None and base_url and not settings.azure:
        told = ask_server(base_url, name, settings.api_key, load_s=LOAD_S)
    price = settings.price or card.price or told.price
    window = card.window or told.window or facts.window
    most = card.max_completion or told.max_completion or facts.max_completion
    return ModelCard(name, window, most, price), told.window is not None


def _window(
    settings: Settings, card: ModelCard, told: bool, base_url: str | None
) -> tuple[int, list[str]]:
    """The window to work in, and what a person should know of it."""
    window = settings.window or min(WORKING_WINDOW, card.window or WORKING_WINDOW)
    said = []
    if told and card.window and card.window < window:
        said.append(
            f"The server gives {card.name} a window of {card.window:,} tokens, so --window "
            f"{window} can't be had. {_MORE}"
        )
        window = card.window
    elif told and window < min(_SMALL_WINDOW, settings.window or _SMALL_WINDOW):
        said.append(f"The window of {card.name} is {window:,} tokens only. {_MORE}")
    elif card.window is None and base_url and not settings.azure and is_ollama(base_url):
        said.append(
            f"Ollama doesn't tell the window of {card.name}, and cuts longer prompts without a "
            f"word; {window:,} tokens are assumed. See `ollama ps`. {_MORE}"
        )
    if window < SMALLEST_WINDOW:
        whose = "--window is" if settings.window == window else f"The window of {card.name} is"
        raise ConfigError(
            f"{whose} {window:,} tokens; autoagent needs at least {SMALLEST_WINDOW:,}. {_MORE} "
            "Or choose another with --model."
        )
    return window, said


def _limits(settings: Settings, card: ModelCard) -> tuple[Limits, list[str]]:
    limits = Limits(settings.max_steps, settings.max_tokens, settings.max_cost, settings.max_time_s)
    if card.price is not None:
        return limits, []
    if settings.explicit("max_cost"):
        raise ConfigError(
            f"The price of {card.name} is unknown, so {settings.sources['max_cost']} can't be "
            "kept. Give the price in US dollars per million tokens, --price IN,CACHED,OUT, or "
            "limit --max-tokens instead."
        )
    return replace(limits, cost=None), [unpriced(card.name, limits.tokens)]
