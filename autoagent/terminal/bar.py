"""How a session stands, in one short line."""

import time
from collections.abc import Callable, Mapping

from autoagent.amounts import money
from autoagent.state import State
from autoagent.team.reports import reckoned
from autoagent.terminal.receipt import spell_time


def bar(state: State, states: Mapping[str, State], began: float) -> Callable[[], str]:
    """The step, money, cached share, tokens, sub-agents at work and time, of all agents; the
    time goes on by itself. `began` is when the session would have begun, had it worked in one
    go, by the monotonic clock."""
    whole = reckoned(state, states, running=True)
    spent, limits = whole.overall, state.limits
    cached = f" ({100 * spent.cached // spent.prompt} % cached)" if spent.cached else ""
    parts = [f"step {whole.steps} of {limits.steps}"]
    if not spent.unpriced:
        of = f" of {money(limits.cost)}" if limits.cost is not None else ""
        parts.append(f"{money(spent.cost)}{of}")
    parts.append(f"{_short(spent.tokens)} of {_short(limits.tokens)} tokens{cached}")
    agents = sum(member.open for member in state.team.members.values())
    if agents:
        parts.append(f"{agents} {'agent' if agents == 1 else 'agents'}")
    if state.free_steps:
        parts.append(f"{state.free_steps} without asking")
    limit = f" of {spell_time(limits.time_s)}" if limits.time_s is not None else ""

    def line() -> str:
        return ", ".join([*parts, f"{spell_time(time.monotonic() - began)}{limit}"])

    return line


def _short(tokens: int) -> str:
    """ "1.2M", "23k", "870"."""
    if tokens >= 1_000_000:
        return f"{tokens / 1e6:.3g}M"
    return f"{tokens / 1000:.3g}k" if tokens >= 1000 else f"{tokens}"
