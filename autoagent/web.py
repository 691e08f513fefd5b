"""From settings to the search engines of a run, and to the hosts that they are on."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from autoagent.configuration.settings import Settings
from commands.fetch import Host
from commands.web.address import web_address
from commands.web.engines.ddgs import Ddgs
from commands.web.engines.engine import Engine


def engines_of(
    settings: Settings, environ: Mapping[str, str], path: Sequence[str] = sys.path
) -> list[Engine]:
    """The engines in the order in which they are asked; the last one needs no key.

    `path` is what that one is imported from, less what the agent can change: its process runs
    outside the cage.
    """
    engines: list[Engine] = []
    if settings.searxng_url:
        from commands.web.engines.searxng import SearXNG

        engines.append(SearXNG(settings.searxng_url))
    if settings.tavily_key:
        from commands.web.engines.tavily import Tavily

        engines.append(Tavily(settings.tavily_key))
    if settings.brave_key:
        from commands.web.engines.brave import Brave

        engines.append(Brave(settings.brave_key))
    writable = [folder.resolve() for folder in (settings.workspace, *settings.allow_write)]
    kept = [
        folder
        for folder in path
        if Path(folder).is_absolute()
        and not any(Path(folder).resolve().is_relative_to(each) for each in writable)
    ]
    return [*engines, Ddgs(kept, environ)]


def hosts_of(engines: Iterable[Engine]) -> tuple[Host, ...]:
    """Where they are: hosts that the user named by setting the engines up."""
    addresses = [web_address(address) for engine in engines for address in engine.addresses]
    return tuple(dict.fromkeys(Host(address.name, address.port) for address in addresses))
