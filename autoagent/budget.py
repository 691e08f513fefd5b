"""Hard limits: what the next call may cost at most must fit, or it isn't made."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from autoagent.amounts import duration, money
from autoagent.elements import Spent
from autoagent.events import Limits, Purpose, Reserved
from autoagent.model import Price

Resource = Literal["steps", "tokens", "cost", "time"]

SMALLEST_COMPLETION = 512
"""Tokens; with less room a reply would only be cut, so the limit counts as reached."""

ROOM_S = 60.0
"""What a new time limit leaves at least; no model answers in less for sure."""

_MILESTONES = (0.9, 0.75, 0.5)


@dataclass(frozen=True, slots=True)
class Exhausted:
    """A limit that the next call would pass."""

    resource: Resource
    message: str
    option: str  # that raises the limit, with a value that gives room


def reserve(
    step: int,
    purpose: Purpose,
    prompt: int,
    completion: int,
    price: Price | None,
    limits: Limits,
    spent: Spent,
    elapsed_s: float,
    *,
    beside: int = 0,
) -> Reserved | Exhausted:
    """Set aside what a call of so many tokens may cost; a smaller completion where that fits.

    prompt and completion in tokens. The prompt is taken at its full price: what the cache
    will save isn't known before. `beside` are steps that count besides the agent's own.
    """
    if purpose == "step" and step + beside > limits.steps:
        return _exhausted("steps", limits, f"{limits.steps} steps are done", step + beside)
    if limits.time_s is not None and elapsed_s >= limits.time_s:
        least_s = elapsed_s + ROOM_S
        return _exhausted("time", limits, f"{duration(limits.time_s)} are over", least_s)
    smallest = min(completion, SMALLEST_COMPLETION)
    room = min(completion, limits.tokens - spent.tokens - prompt)
    if room < smallest:
        used = f"{spent.tokens:,} of {limits.tokens:,} tokens are used and the next call may "
        least = spent.tokens + prompt + smallest
        return _exhausted("tokens", limits, used + f"need {prompt + smallest:,}", least)
    if price is None:
        return Reserved(step, purpose, prompt, room, None, elapsed_s)
    if limits.cost is not None:
        left = limits.cost - spent.cost - price.cost(prompt, 0)
        if price.completion > 0:
            room = min(room, int(left / price.completion * 1e6))
        if left < 0 or room < smallest:
            dearest = price.cost(prompt, smallest)
            used = f"{money(spent.cost)} of {money(limits.cost)} are used and the next call may "
            return _exhausted("cost", limits, used + f"cost {money(dearest)}", spent.cost + dearest)
    return Reserved(step, purpose, prompt, room, price.cost(prompt, room), elapsed_s)


def _exhausted(resource: Resource, limits: Limits, message: str, least: float) -> Exhausted:
    """`least` is what the limit must be for the next call to fit; the option says twice as
    much as the limit was, or more where that isn't enough."""
    match resource:
        case "steps":
            option = f"--max-steps {max(limits.steps * 2, math.ceil(least))}"
        case "tokens":
            option = f"--max-tokens {max(limits.tokens * 2, math.ceil(least))}"
        case "cost":
            option = f"--max-cost {_rounded_up(max((limits.cost or 0) * 2, least))}"
        case "time":
            option = f"--max-time {duration(max((limits.time_s or 0) * 2, least))}"
    return Exhausted(resource, message, option)


def spelled(limits: Limits) -> dict[Resource, str]:
    """Each limit as a person writes it, money first; "" where there is none."""
    return {
        "cost": "" if limits.cost is None else money(limits.cost),
        "steps": f"{limits.steps:,} steps",
        "tokens": f"{limits.tokens:,} tokens",
        "time": "" if limits.time_s is None else duration(limits.time_s),
    }


def _rounded_up(usd: float) -> str:
    """A sum to type, of two significant digits, not less than `usd` where that isn't one."""
    if float(short := f"{usd:.2g}") < usd:
        short = f"{usd * 1.05:.2g}"
    return f"{float(short):.10f}".rstrip("0").rstrip(".")


def told_before(noticed: Iterable[str], limits: Limits, now: Limits) -> set[str]:
    """Those of the noticed keys that were milestones of limits which are other ones now."""
    before, after = spelled(limits), spelled(now)
    changed = [f"{name} " for name in before if before[name] != after[name]]
    keys = {f"{name}{milestone}" for name in changed for milestone in _MILESTONES}
    return keys.intersection(noticed)


def milestones(limits: Limits, spent: Spent, step: int) -> list[tuple[str, str]]:
    """(key, sentence for the model) of each limit's newest milestone: 50, 25, 10 % left."""
    said: list[tuple[str, str]] = []
    left_tokens = max(0, limits.tokens - spent.tokens)
    rows: list[tuple[str, float, float | None, str]] = [
        ("steps", step, limits.steps, f"{limits.steps - step} of {limits.steps} steps are left"),
        (
            "tokens",
            spent.tokens,
            limits.tokens,
            f"{left_tokens:,} of {limits.tokens:,} tokens are left",
        ),
    ]
    if limits.cost is not None:
        left = f"{money(max(0.0, limits.cost - spent.cost))} of {money(limits.cost)} are left"
        rows.append(("cost", spent.cost, limits.cost, left))
    if limits.time_s is not None:
        left_s = max(0.0, limits.time_s - spent.elapsed_s)
        left = f"{duration(left_s)} of {duration(limits.time_s)} are left"
        rows.append(("time", spent.elapsed_s, limits.time_s, left))
    for name, used, limit, sentence in rows:
        passed = next((m for m in _MILESTONES if limit and used >= m * limit), None)
        if passed is not None:
            said.append((f"{name} {passed}", sentence))
    return said
