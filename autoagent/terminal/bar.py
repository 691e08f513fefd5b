"""How a session stands, in one short line."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from autoagent.amounts import money
from autoagent.state import State
from autoagent.team.reports import reckoned
from autoagent.terminal.receipt import spell_time


def bar(state: State, states: Mapping[str, State], began: float) -> Callable[[int], str]:
    """Steps, money, sub-agents at work, tokens and time, of all agents together, in so many
    columns: what matters least is left out first. The time goes on by itself.

    `began` is when the session would have begun, had it worked in one go, by the monotonic
    clock."""
    whole = reckoned(state, states, running=True)
    spent, limits = whole.overall, state.limits
    of_cost = f" of {money(limits.cost)}" if limits.cost is not None else ""
    of_time = f" of {spell_time(limits.time_s)}" if limits.time_s is not None else ""
    cached = f" ({100 * spent.cached // spent.prompt} % cached)" if spent.cached else ""
    agents = sum(member.open for member in state.team.members.values())
    tokens = f"{_short(spent.tokens)} of {_short(limits.tokens)} tokens"
    parts = [
        _Part(f"step {whole.steps} of {limits.steps}", 0),
        _Part("" if spent.unpriced or state.price is None else f"{money(spent.cost)}{of_cost}", 1),
        _Part(f"{agents} agent{'' if agents == 1 else 's'}" if agents else "", 2),
        _Part(f"{state.free_steps} without asking" if state.free_steps else "", 3),
        _Part(f"{tokens}{cached}", 5),
    ]

    def line(room: int) -> str:
        clock = _Part(f"{spell_time(time.monotonic() - began)}{of_time}", 4)
        shown = [part for part in (*parts, clock) if part.text]
        while len(_joined(shown)) > room and len(shown) > 1:
            shown.remove(max(shown, key=lambda part: part.rank))
        return _joined(shown)

    return line


@dataclass(frozen=True, slots=True)
class _Part:
    text: str
    rank: int  # the highest is left out first


def _joined(parts: list[_Part]) -> str:
    return ", ".join(part.text for part in parts)


def _short(tokens: int) -> str:
    """ "1.2M", "23k", "870"."""
    if tokens >= 1_000_000:
        return f"{tokens / 1e6:.3g}M"
    return f"{tokens / 1000:.3g}k" if tokens >= 1000 else f"{tokens}"
