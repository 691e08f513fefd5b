"""Whether a model answers at an address that a person gave, found out by asking it."""

import time
import urllib.error
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from autoagent.configuration.azure import HOSTS
from autoagent.errors import ConfigError
from autoagent.model import Message, ModelFault, NotListening, Rejected, Transient
from autoagent.models.address import checked_key, checked_url, is_local
from autoagent.models.faults import Asked, of_status
from autoagent.models.listing import listed

CHECK_S = 120.0  # for all models together: one may have to be loaded
_LIST_S = 10.0
_CHECKED = 8  # models of one server
_CAP = 16  # tokens; some servers refuse less
_LONGEST = 200  # characters of a model's name
_OF_THE_KEY = frozenset({401, 402, 429})  # what another model would be answered, too
_ENDS = ("/chat/completions", "/models", "/embeddings")


@dataclass(frozen=True, slots=True)
class Way:
    """A model that answered at an address; `others` are the server's further models."""

    base_url: str
    model: str
    others: tuple[str, ...]


# What was typed isn't repeated: it may be a key.
NO_ADDRESS = "That is no address; one looks like http://127.0.0.1:11434/v1."


def find_way(
    address: str, key: str, model: str | None, usual: str, *, check_s: float = CHECK_S
) -> Way:
    """The first model at that address that answers one short message.

    Only `model` is asked when it is named; where the server has the `usual` one, that alone.
    The address may have been typed without http:// and without /v1, or with more behind it.
    ConfigError for an address or key that can't be, ModelFault when no model answers.
    """
    key = checked_key(key)
    url, names = _found(_places(_whole(address, key)), key, model, usual)
    return _answering(url, key, _order(names, model, usual), names, check_s)


def may_be_address(typed: str) -> bool:
    """Whether that can be an address at all, and no key that was pasted at its question."""
    host = typed.partition("/")[0]
    return "://" in typed or host == "localhost" or bool(set(host) & set(".:"))


def _whole(address: str, key: str) -> str:
    """The address with a scheme. A key never goes out unencrypted because of a guess."""
    if "://" in address:
        return address
    if not may_be_address(address):
        raise ConfigError(NO_ADDRESS)
    host = address.partition("/")[0]
    plain = is_local(f"//{address}") or (":" in host and not key)
    return f"{'http' if plain else 'https'}://{address}"


def _places(address: str) -> list[str]:
    """Where the server's /models may be: with its version path, or without."""
    url = checked_url(address)
    for end in _ENDS:
        url = url.removesuffix(end)
    parts = urlsplit(url)
    if (parts.hostname or "").endswith(HOSTS):
        raise ConfigError(
            f"{url} is Azure's, which needs the name of a deployment as well. Set "
            "AZURE_OPENAI_ENDPOINT, AZURE_OPENAI_API_KEY and AZURE_OPENAI_DEPLOYMENT by hand."
        )
    if url.endswith("/v1"):
        return [url]
    return [url, f"{url}/v1"] if parts.path else [f"{url}/v1", url]


def _found(places: Sequence[str], key: str, model: str | None, usual: str) -> tuple[str, list[str]]:
    """The place that lists models, and those; without a list the first place, for `model`.

    A key that may not list models may still chat with the `usual` one.
    """
    faults: list[ModelFault] = []
    for url in places:
        asked = Asked(url, "The list of models", key)
        try:
            names = listed(url, key, timeout_s=_LIST_S)
        except urllib.error.HTTPError as error:
            with error:
                body = error.read(1 << 16).decode("utf-8", "replace")
            headers = {name.lower(): value for name, value in error.headers.items()}
            faults.append(of_status(error.code, headers, body, asked))
            if error.code == 403:
                return url, [model or usual]
            if error.code in _OF_THE_KEY:
                raise faults[-1] from None
        except (ValueError, TypeError, KeyError):
            faults.append(
                Rejected(f"{url} answers, but doesn't list its models; name one with --model.")
            )
        except OSError as error:
            why = asked.clean(str(getattr(error, "reason", error)))
            raise NotListening(f"{url} doesn't answer: {why}.") from None
        else:
            return url, [n for n in names if n.isprintable() and 0 < len(n.strip()) <= _LONGEST]
    if model:
        return places[0], []
    raise faults[0]


def _order(names: Sequence[str], model: str | None, usual: str) -> list[str]:
    """The models to ask, one after the other."""
    if model:
        return [model]
    if usual in names:
        return [usual]
    # Only what is asked first: an embedding model would refuse, and that is found out.
    return sorted(names, key=lambda name: "embed" in name.lower())[:_CHECKED]


def _answering(
    url: str, key: str, order: Sequence[str], names: Sequence[str], check_s: float
) -> Way:
    until = time.monotonic() + check_s
    faults: list[ModelFault] = []
    for name in order:
        left_s = until - time.monotonic()
        if left_s <= 0:
            break
        try:
            _ask(url, key, name, left_s)
        except (Rejected, Transient) as fault:
            faults.append(fault)
            if fault.status in _OF_THE_KEY:
                break
        else:
            return Way(url, name, tuple(other for other in names if other != name))
    if not faults:
        raise Rejected(f"{url} answers, but has no model yet. Load one (ollama pull NAME).")
    raise faults[0]


def _ask(url: str, key: str, name: str, limit_s: float) -> None:
    """One short message, by the same client that a run has."""
    from autoagent.models.openai_model import OpenAIModel
    from commands.cancel import Cancel

    with OpenAIModel(
        name=name, base_url=url, api_key=key, timeout_s=limit_s, total_s=limit_s
    ) as model:
        model.complete([Message("user", "Hi")], cap=_CAP, cancel=Cancel())
