"""One purse for all agents of a session: what a call may cost must fit every limit above it."""

import math
from collections.abc import Iterator
from dataclasses import replace
from threading import RLock
from typing import TypeGuard

from autoagent import budget
from autoagent.budget import Exhausted
from autoagent.elements import Spent
from autoagent.events import Limits, Purpose, Reserved
from autoagent.model import Price
from autoagent.state import State

SHARE = 1 / 4
"""Of what is left when it starts: the most that one sub-agent may use."""
FOR_OTHERS = 0.9
"""Of a limit: what an agent's sub-agents may use up together, so that it can end the work."""


class Purse:
    """What one agent may use with those beneath it, out of the purse of the agent above.

    `note` takes its own figures from its state, in its own thread; the rest is safe in any.
    A sub-agent that ended stays in it with what it used.
    """

    def __init__(self, state: State, above: "Purse | None" = None) -> None:
        self._state = state
        self._above = above
        self._lock: RLock = above._lock if above else RLock()
        self._below: dict[str, Purse | _Closed] = {}
        self._spent = Spent()
        self._steps = 0
        self.note()

    def note(self) -> None:
        """Take over what the state says now."""
        with self._lock:
            state = self._state
            begun = state.reserved.step if _is_step(state.reserved) else 0
            self._spent, self._steps = state.committed, max(state.step, begun)

    def beneath(self, name: str, state: State) -> "Purse":
        """The purse of a sub-agent that begins or goes on."""
        with self._lock:
            purse = Purse(state, self)
            self._below[name] = purse
            return purse

    def closed(self, name: str, spent: Spent, steps: int) -> None:
        """A sub-agent of an earlier run used that much."""
        with self._lock:
            self._below[name] = _Closed(spent, steps)

    @property
    def used(self) -> Spent:
        """By this agent and all beneath it, with what is set aside for open calls."""
        with self._lock:
            whole = replace(self._spent)
            for each in self._below.values():
                whole.take(each.used)
            return whole

    @property
    def steps(self) -> int:
        with self._lock:
            return self._steps + sum(each.steps for each in self._below.values())

    def reserve(
        self,
        step: int,
        purpose: Purpose,
        prompt: int,
        completion: int,
        price: Price | None,
        elapsed_s: float,
    ) -> Reserved | Exhausted:
        """Set aside what a call may cost at most, here and in every purse above, or say which
        limit it would pass; arguments as of `budget.reserve`."""
        with self._lock:
            outcome = budget.reserve(
                *(step, purpose, prompt, completion, price, self._state.limits, self.used),
                elapsed_s,
                beside=self.steps - self._steps,
            )
            for purse in self._all_above():
                if isinstance(outcome, Exhausted):
                    return outcome
                room = budget.reserve(
                    *(step, purpose, prompt, outcome.completion, price),
                    replace(purse.for_others, time_s=None),
                    purse.used,
                    elapsed_s,
                    beside=purse.steps + (step > self._steps) - step,
                )
                if isinstance(room, Exhausted):
                    return room
                outcome = room
            if isinstance(outcome, Reserved):
                held = replace(self._spent)
                held.prompt += outcome.prompt
                held.completion += outcome.completion
                held.cost += outcome.cost or 0.0
                self._spent = held
                self._steps = max(self._steps, step) if purpose == "step" else self._steps
            return outcome

    def _all_above(self) -> Iterator["Purse"]:
        above = self._above
        while above is not None:
            yield above
            above = above._above

    @property
    def for_others(self) -> Limits:
        """What sub-agents may use together with this agent."""
        limits = self._state.limits
        return Limits(
            math.floor(limits.steps * FOR_OTHERS),
            math.floor(limits.tokens * FOR_OTHERS),
            None if limits.cost is None else limits.cost * FOR_OTHERS,
            None if limits.time_s is None else limits.time_s * FOR_OTHERS,
        )

    def share(self, elapsed_s: float) -> Limits | None:
        """What a new sub-agent may use; None when nothing is left that would be worth it."""
        with self._lock:
            used, steps = self.used, self.steps
        most = self.for_others
        tokens = math.floor((most.tokens - used.tokens) * SHARE)
        steps = math.ceil((most.steps - steps) * SHARE)
        cost = None if most.cost is None else (most.cost - used.cost) * SHARE
        time_s = None if most.time_s is None else most.time_s - elapsed_s
        if steps < 1 or tokens < budget.SMALLEST_COMPLETION:
            return None
        if (cost is not None and cost <= 0) or (time_s is not None and time_s <= 0):
            return None
        return Limits(steps, tokens, cost, time_s)


class _Closed:
    """What a sub-agent used that works no more."""

    def __init__(self, spent: Spent, steps: int) -> None:
        self.used = spent
        self.steps = steps


def _is_step(reserved: Reserved | None) -> TypeGuard[Reserved]:
    return reserved is not None and reserved.purpose == "step"
