"""What a search engine answers or why it doesn't, in one form for all of them."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit

from commands.cancel import Cancel
from commands.command import CommandError, Refusal
from commands.web.contract import Fetched, Fetcher

MOST = 8  # results of one search
TITLE = 150  # characters
SNIPPET = 300
ADDRESS = 2_000  # a longer one is left out: cut, it would be another

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")

Why = Literal["blocked", "limited", "key", "setup", "down", "unfit", "refused"]
"""blocked: it takes us for a robot · limited: too many requests, or a quota is used up · key: it
doesn't accept the key · setup: the user must change something · down: no answer, or none that
can be read · unfit: it can't be asked this · refused: the rules forbid asking it."""


class EngineFault(Exception):
    """An engine gave no results; `said` goes on after its name: "it limits requests (429)"."""

    def __init__(self, why: Why, said: str) -> None:
        super().__init__(said)
        self.why: Why = why
        self.said = said


@dataclass(frozen=True, slots=True)
class Hit:
    """One result, each field one line; the address is whole."""

    title: str
    address: str
    snippet: str


class Engine(Protocol):
    """One way to search. `addresses` are those of the hosts that it contacts."""

    @property
    def name(self) -> str: ...

    @property
    def addresses(self) -> tuple[str, ...]: ...

    def find(self, query: str, fetcher: Fetcher, cancel: Cancel) -> list[Hit]:
        """Up to MOST results, best first, [] when it knows none; else EngineFault."""
        ...


def hits(found: Iterable[tuple[object, object, object]]) -> list[Hit]:
    """Results of titles, addresses and snippets as an engine gives them, whatever they are.

    What has no address of the web is left out, and so is the second of two with one address.
    """
    kept: dict[str, Hit] = {}
    for title, address, snippet in found:
        if len(kept) == MOST:
            break
        if isinstance(address, str) and _is_address(address):
            hit = Hit(_line(title, TITLE) or "(no title)", address, _line(snippet, SNIPPET))
            kept.setdefault(address, hit)
    return list(kept.values())


def asked(
    url: str,
    fetcher: Fetcher,
    cancel: Cancel,
    *,
    headers: Mapping[str, str] = _NO_HEADERS,
    body: bytes | None = None,
) -> Fetched:
    """What the host of `url` answered; EngineFault when nothing did or another host."""
    try:
        found = fetcher.get(
            url, accept="application/json", headers=headers, body=body, cancel=cancel
        )
    except Refusal as error:
        raise EngineFault("refused", str(error).rstrip(".")) from error
    except CommandError as error:
        raise EngineFault("down", str(error).rstrip(".")) from error
    if urlsplit(found.url).hostname != urlsplit(url).hostname:
        raise EngineFault("down", "it sent us on to another host")
    return found


def fields(fetched: Fetched) -> dict[str, Any]:
    """The JSON object that was answered; EngineFault when it is none."""
    try:
        found = json.loads(fetched.data)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise EngineFault("down", f"its answer ({fetched.status}) isn't the JSON it should be")
    return found


def rows(found: object) -> list[dict[str, Any]]:
    """The objects in a list of results; EngineFault when there is no list."""
    if not isinstance(found, list):
        raise EngineFault("down", "its answer holds no list of results")
    return [row for row in found if isinstance(row, dict)]


def _is_address(text: str) -> bool:
    if len(text) > ADDRESS or not text.isprintable() or " " in text:
        return False
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _line(text: object, most: int) -> str:
    if not isinstance(text, str):
        return ""
    line = " ".join(_CONTROL.sub(" ", text[: 8 * most]).split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"
