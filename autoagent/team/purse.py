"""One purse for all agents of a session: what a call may cost must fit every limit above it."""

import math
from collections.abc import Iterator
from dataclasses import replace
from threading import Condition
from typing import TypeGuard

from autoagent import budget
from autoagent.budget import Exhausted
from autoagent.elements import Spent
from autoagent.events import Limits, Purpose, Reserved
from autoagent.model import Cancelled, Price, Usage
from autoagent.state import State
from autoagent.team.standing import spent_of
from commands.cancel import Cancel

SHARE = 1 / 4
"""Of what is left when it starts: the most that one sub-agent may use."""
FOR_OTHERS = 0.9
"""Of a limit: what an agent's sub-agents may use up together, so that it can end the work."""


class Purse:
    """What one agent may use with those beneath it, out of the purse of the agent above.

    `note` takes its own figures from its state, in its own thread; the rest is safe in any.
    A sub-agent that ended stays in it with what it used, also one of an earlier run.
    """

    def __init__(self, state: State, above: "Purse | None" = None) -> None:
        self._state = state
        self._above = above
        self._changed: Condition = above._changed if above else Condition()
        self._below: dict[str, Purse | _Closed] = {
            report.name: _Closed(spent_of(report), report.steps) for report in state.team.reports
        }
        self._spent = Spent()
        self._held: Reserved | None = None  # for a call that is under way
        self._steps = 0
        self.note()
        self.ended()  # what a killed run had set aside counts as used, and nobody waits for it

    def ended(self) -> None:
        """No call is under way any more; of one whose end isn't known all counts as used."""
        with self._changed:
            if self._held is not None:
                self._spent.add(_all_of(self._held))
                self._held = None
            self._changed.notify_all()

    def note(self) -> None:
        """Take over what the state says now."""
        with self._changed:
            state = self._state
            self._spent, self._held = replace(state.spent), state.reserved
            self._steps = max(state.step, self._held.step if _is_step(self._held) else 0)
            self._changed.notify_all()

    def beneath(self, name: str, state: State) -> "Purse":
        """The purse of a sub-agent that begins or goes on."""
        with self._changed:
            purse = Purse(state, self)
            self._below[name] = purse
            return purse

    @property
    def used(self) -> Spent:
        """By this agent and all beneath it, with what is set aside for open calls."""
        with self._changed:
            return self._sum(held=True)

    @property
    def steps(self) -> int:
        """Of this agent and of all beneath it."""
        with self._changed:
            return self._steps + sum(each.steps for each in self._below.values())

    def _sum(self, *, held: bool) -> Spent:
        whole = replace(self._spent)
        if held and self._held is not None:
            whole.add(_all_of(self._held))
        for each in self._below.values():
            whole.take(each._sum(held=held))
        return whole

    def reserve(
        self,
        step: int,
        purpose: Purpose,
        prompt: int,
        completion: int,
        price: Price | None,
        elapsed_s: float,
        cancel: Cancel | None = None,
    ) -> Reserved | Exhausted:
        """Set aside what a call may cost at most, here and in every purse above, or say which
        limit it would pass; arguments as of `budget.reserve`.

        Where it would fit but for what others have set aside, their calls are waited for:
        most cost much less. Cancelled when `cancel` is set meanwhile.
        """
        call = (step, purpose, prompt, completion, price)
        cancel = cancel or Cancel()
        with cancel.calling(self._wake), self._changed:
            while True:
                outcome = self._fitting(*call, elapsed_s, held=True)
                if not self._others_hold() or not _is_better(
                    self._fitting(*call, elapsed_s, held=False), outcome
                ):
                    break
                if cancel.reason is not None:
                    raise Cancelled("cancelled")
                self._changed.wait()
            if isinstance(outcome, Reserved):
                self._held = outcome
                self._steps = max(self._steps, step) if purpose == "step" else self._steps
            return outcome

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _fitting(
        self,
        step: int,
        purpose: Purpose,
        prompt: int,
        completion: int,
        price: Price | None,
        elapsed_s: float,
        *,
        held: bool,
    ) -> Reserved | Exhausted:
        """What fits here and in every purse above, with or without what is set aside."""
        outcome = budget.reserve(
            *(step, purpose, prompt, completion, price, self._state.limits),
            self._sum(held=held),
            elapsed_s,
            beside=self.steps - self._steps,
        )
        if isinstance(outcome, Exhausted):
            return outcome
        for purse in self._all_above():
            outcome = budget.reserve(
                *(step, purpose, prompt, outcome.completion, price),
                replace(purse.for_others, time_s=None),
                purse._sum(held=held),
                elapsed_s,
                beside=purse.steps + (step > self._steps) - step,
            )
            if isinstance(outcome, Exhausted):
                return replace(outcome, message=f"with what others used, {outcome.message}")
        return outcome

    def _others_hold(self) -> bool:
        """Whether another agent of the session has a call under way."""
        top = self
        while top._above is not None:
            top = top._above
        return any(purse._held for purse in top._tree() if purse is not self)

    def _tree(self) -> Iterator["Purse"]:
        yield self
        for each in self._below.values():
            if isinstance(each, Purse):
                yield from each._tree()

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
        with self._changed:
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
        self._spent = spent
        self.steps = steps

    def _sum(self, *, held: bool) -> Spent:
        return self._spent


def _is_step(reserved: Reserved | None) -> TypeGuard[Reserved]:
    return reserved is not None and reserved.purpose == "step"


def _is_better(one: Reserved | Exhausted, other: Reserved | Exhausted) -> bool:
    """Whether the first gives more room for the answer."""
    if isinstance(one, Exhausted):
        return False
    return isinstance(other, Exhausted) or one.completion > other.completion


def _all_of(reserved: Reserved) -> Usage:
    return Usage(reserved.prompt, reserved.completion, cost=reserved.cost)
