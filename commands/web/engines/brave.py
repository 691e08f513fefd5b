"""Brave's search interface."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import unescape
from typing import Any
from urllib.parse import urlencode

from commands.cancel import Cancel
from commands.web.contract import Fetched, Fetcher
from commands.web.engines.engine import MOST, EngineFault, Hit, asked, fields, hits, rows

WORDS = 50  # of a query, by its documentation

_TAG = re.compile(r"</?[a-z]+>")  # it marks the words found with <strong>


@dataclass(frozen=True, slots=True)
class Brave:
    """Asked by GET with a key in a header."""

    key: str = field(repr=False)
    base: str = "https://api.search.brave.com"
    name: str = "Brave"

    @property
    def addresses(self) -> tuple[str, ...]:
        return (self.base,)

    def find(self, query: str, fetcher: Fetcher, cancel: Cancel) -> list[Hit]:
        if len(query.split()) > WORDS:
            raise EngineFault("unfit", f"it takes up to {WORDS} words")
        asking = urlencode({"q": query, "count": MOST})
        headers = {"X-Subscription-Token": self.key}
        url = f"{self.base}/res/v1/web/search?{asking}"
        fetched = asked(url, fetcher, cancel, headers=headers)
        match fetched.status:
            case 200:
                # Without results of the web there is no "web" in the answer.
                found = fields(fetched).get("web", {"results": []})
                return hits(_texts(found.get("results") if isinstance(found, dict) else None))
            case 401 | 403:
                raise EngineFault("key", f"it refuses the key in BRAVE_API_KEY ({fetched.status})")
            case 422 if _code(fetched).startswith("SUBSCRIPTION_TOKEN"):
                raise EngineFault("key", "it refuses the key in BRAVE_API_KEY (422)")
            case 400 | 422:
                raise EngineFault("unfit", f"it can't be asked this ({fetched.status})")
            case 402 | 429:
                raise EngineFault(
                    "limited", f"it limits requests, or a quota is used up ({fetched.status})"
                )
            case status:
                raise EngineFault("down", f"it answered with status {status}")


def _texts(results: object) -> Iterator[tuple[object, object, object]]:
    for row in rows(results):
        yield _text(row.get("title")), row.get("url"), _text(row.get("description"))


def _text(marked: Any) -> str:
    return unescape(_TAG.sub("", marked)) if isinstance(marked, str) else ""


def _code(fetched: Fetched) -> str:
    """The word by which it says what is wrong; "" when there is none."""
    error = fields(fetched).get("error")
    return str(error.get("code", "")) if isinstance(error, dict) else ""
