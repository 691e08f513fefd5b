"""A SearXNG: the user's own or one that lets programs in."""

import re
from dataclasses import dataclass
from urllib.parse import urlencode

from commands.cancel import Cancel
from commands.web.contract import Fetcher
from commands.web.engines.engine import EngineFault, Hit, asked, fields, hits, rows

_NAMED = 4  # of its engines that don't answer


@dataclass(frozen=True, slots=True)
class SearXNG:
    """Asked by GET /search below `base`, an address without a slash at its end."""

    base: str
    name: str = "SearXNG"

    @property
    def addresses(self) -> tuple[str, ...]:
        return (self.base,)

    def find(self, query: str, fetcher: Fetcher, cancel: Cancel) -> list[Hit]:
        asking = urlencode({"q": query, "format": "json"})
        fetched = asked(f"{self.base}/search?{asking}", fetcher, cancel)
        match fetched.status:
            case 200:
                found = fields(fetched)
            case 401:
                raise EngineFault("setup", "it wants a login (401), which can't be given here")
            case 403:
                raise EngineFault(
                    "setup",
                    "it gives no JSON (403): whoever runs it must add json to search: formats: "
                    "in its settings.yml",
                )
            case 404:
                raise EngineFault("setup", "there is no SearXNG at SEARXNG_URL (404)")
            case 429:
                raise EngineFault("limited", "it limits requests (429)")
            case status:
                raise EngineFault("down", f"it answered with status {status}")
        results = rows(found.get("results"))
        silent = _silent(found.get("unresponsive_engines"))
        if not results and silent:
            raise EngineFault("blocked", f"its own engines don't answer: {silent}")
        return hits((row.get("title"), row.get("url"), row.get("content")) for row in results)


def _silent(found: object) -> str:
    """The names of engines that it asked in vain; "" when there are none."""
    pairs = found if isinstance(found, list) else []
    named = [str(pair[0]) for pair in pairs if isinstance(pair, list) and pair]
    return ", ".join(re.sub(r"[^\w .-]", "", name)[:30] for name in named[:_NAMED])
