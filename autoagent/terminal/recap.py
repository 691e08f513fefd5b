"""Where a session stood, for a person who comes back to it: at most five lines."""

from collections.abc import Iterator
from dataclasses import replace

from autoagent.amounts import money
from autoagent.budget import spelled
from autoagent.events import Limits
from autoagent.state import State
from autoagent.terminal.escape import one_line
from autoagent.terminal.output import Output


def recap(out: Output, state: State) -> None:
    """Goals, plan, the last thought and what it did, what is used and left, a line each."""
    goals = "; ".join(state.goals)
    for text in (f"Resumed after step {state.step}: {goals}", *_stood(state)):
        out.line(one_line(text, out.width - 1), "dim")


def _stood(state: State) -> Iterator[str]:
    last = state.past[-1] if state.past else None
    # What is done has no open plan, until a reply to the next goal makes one.
    is_done = last is not None and last.name == "finish" and last.ok and state.pending is None
    if state.plan and not is_done:
        yield f"Plan: {'; '.join(state.plan)}"
    reply = state.pending.reply if state.pending else None
    thoughts = reply.thoughts if reply else last.thoughts if last else ""
    if thoughts.strip():
        yield f"Last thought: {thoughts}"
    if last is not None:
        note = last.note or ("done" if last.ok else "failed")
        yield f"Last done: {f'{last.name} {last.about}'.rstrip()}: {note}"
    spent = state.overall
    cost = "an unknown sum" if spent.unpriced else money(spent.cost)
    left = ", ".join(filter(None, spelled(_left(state)).values()))
    names = [name for name, member in state.team.members.items() if member.open]
    agents = f"; at work: {', '.join(names)}" if names else ""
    yield f"Used so far: {cost}; left: {left}{agents}"


def _left(state: State) -> Limits:
    limits, spent = state.limits, state.overall
    return replace(
        limits,
        steps=max(0, limits.steps - state.steps),
        tokens=max(0, limits.tokens - spent.tokens),
        cost=None if limits.cost is None else max(0.0, limits.cost - spent.cost),
        time_s=None if limits.time_s is None else _rounded(limits.time_s - spent.elapsed_s),
    )


def _rounded(left_s: float) -> float:
    """To minutes, where there are some: nobody reads 21,599 s."""
    return round(left_s / 60) * 60.0 if left_s > 120 else max(0.0, left_s)
