"""How a session begins on the screen: what model, limits, place and cage."""

import os

from autoagent.budget import spelled
from autoagent.events import Limits, Started
from autoagent.state import State
from autoagent.terms import WORDS_ALONE, unpriced


def first_lines(event: Started, *, lives: bool) -> tuple[str, str]:
    """`lives`: in two lines all that a person at the terminal has to know."""
    limits = listed(event.limits)
    price = ", price unknown" if lives and event.price is None else ""
    model = f"Model {event.model}{price}, window {event.window:,} tokens; at most {limits}."
    if not lives:
        return model, f"Session {event.session} in {event.workspace}."
    memory = ", without memory" if event.memory == "none" else ""
    where = _from_home(event.workspace)
    return model, f"Session {event.session} in {where}; cage {event.cage}{memory}."


def is_plain_by_then(state: State, text: str) -> bool:
    """Whether those lines, or the usual way of things, say what a notice says; -v has them all."""
    from commands.sandbox.choose import USUAL

    return text in (USUAL, WORDS_ALONE, unpriced(state.model, state.limits.tokens))


def listed(limits: Limits) -> str:
    """ "$3.00, 100 steps, 2,000,000 tokens"."""
    return ", ".join(filter(None, spelled(limits).values()))


def _from_home(path: str) -> str:
    """As people write it: ~ for their home folder."""
    home = os.path.expanduser("~").rstrip("/")  # noqa: PTH111 (pathlib fails without a home)
    return f"~{path.removeprefix(home)}" if home and path.startswith(f"{home}/") else path
