"""A module shaped like ddgs, imported by the search's own process: the query says what it does."""

import os
import sys
import urllib.request
from typing import Any

from ddgs import exceptions
from ddgs.http_client import HttpClient


class DDGS:
    """`words…` is what is asked, after the word that says what happens."""

    def __init__(self, timeout: int) -> None:
        self._timeout = timeout

    def text(self, query: str, max_results: int, backend: str) -> list[dict[str, Any]]:
        what, _, rest = query.partition(" ")
        match what:
            case "fails":
                name, _, message = rest.partition(" ")
                raise getattr(exceptions, name)(message)
            case "breaks":
                raise ZeroDivisionError(rest)
            case "dies":
                os._exit(1)
            case "prints":
                sys.stdout.write('{"results": []}')
                sys.stdout.flush()
            case "asks":  # as an engine of ddgs does: whatever isn't 200 is no result
                for address in rest.split():
                    HttpClient(timeout=self._timeout).get(address)
                raise exceptions.DDGSException("No results found.")
            case "waits":
                urllib.request.urlopen(f"{rest}{os.getpid()}")
            case "tells":
                told = {"arguments": [self._timeout, max_results, backend], **os.environ}
                return [row(name, str(told[name])) for name in sorted(told)]
        return [row("One", "first"), row("Two", "second")]


def row(title: str, body: str) -> dict[str, Any]:
    return {"title": title, "href": f"https://{title.lower()}.example/", "body": body}
