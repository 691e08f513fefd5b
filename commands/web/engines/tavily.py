"""Tavily's search interface."""

import json
from dataclasses import dataclass, field

from commands.cancel import Cancel
from commands.web.contract import Fetcher
from commands.web.engines.engine import MOST, EngineFault, Hit, asked, fields, hits, rows


@dataclass(frozen=True, slots=True)
class Tavily:
    """Asked by POST /search with a key; a search costs one credit."""

    key: str = field(repr=False)
    base: str = "https://api.tavily.com"
    name: str = "Tavily"

    @property
    def addresses(self) -> tuple[str, ...]:
        return (self.base,)

    def find(self, query: str, fetcher: Fetcher, cancel: Cancel) -> list[Hit]:
        body = {"query": query, "search_depth": "basic", "max_results": MOST}
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        data = json.dumps(body).encode()
        fetched = asked(f"{self.base}/search", fetcher, cancel, headers=headers, body=data)
        match fetched.status:
            case 200:
                results = rows(fields(fetched).get("results"))
            case 400:
                raise EngineFault("unfit", "it can't be asked this (400)")
            case 401 | 403:
                raise EngineFault("key", f"it refuses the key in TAVILY_API_KEY ({fetched.status})")
            case 429:
                raise EngineFault("limited", "it limits requests (429)")
            case 432 | 433:  # of the plan, of what may be paid beyond it
                raise EngineFault("limited", f"the quota is used up ({fetched.status})")
            case status:
                raise EngineFault("down", f"it answered with status {status}")
        return hits((row.get("title"), row.get("url"), row.get("content")) for row in results)
