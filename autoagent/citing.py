"""The addresses of the web that an answer rests on."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from autoagent.addresses import same, standing_in
from autoagent.events import Visited
from autoagent.state import State

_LISTED = 40


def sources(state: State) -> list[dict[str, Any]]:
    """Each page that was read, in the order of the first time, as a program gets it."""
    return [
        {
            "url": page.final,
            "title": page.title,
            "sha256": page.sha256,
            "read_at": datetime.fromtimestamp(page.at, UTC).isoformat(timespec="seconds"),
        }
        for page in _read(state)
    ]


def with_sources(answer: str, state: State) -> str:
    """The answer with the pages that were read, unless it names any of them itself: then those
    are what it rests on. One that must fit a schema stays as it is."""
    named = set(standing_in(answer))
    pages = _read(state)
    cited = any(_places(page) & named for page in pages)
    if state.answer_schema is not None or cited or not pages:
        return answer
    return "\n".join([f"{answer.rstrip()}\n", "Sources:", *_listed(pages)])


def _read(state: State) -> list[Visited]:
    """The pages whose text came in: a part that isn't there brings none of it."""
    taint = state.taint
    return [page for page in taint.visited.values() if page.step in taint.web_steps]


def _places(page: Visited) -> set[str]:
    return {same(page.url), same(page.final)}


def _listed(pages: list[Visited]) -> Iterator[str]:
    for page in pages[:_LISTED]:
        title = "".join(c if c.isprintable() else "?" for c in page.title)
        yield f"- {title}: {page.final}" if title else f"- {page.final}"
    if len(pages) > _LISTED:
        yield f"- and {len(pages) - _LISTED} more, in the journal"
