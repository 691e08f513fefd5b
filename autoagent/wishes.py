"""What a person may wish to change of a session that runs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from autoagent.budget import Resource
from autoagent.events import Limits


@dataclass(frozen=True, slots=True)
class NewLimit:
    """One limit of the session is to be `value`: steps, tokens, US dollars or seconds."""

    resource: Resource
    value: float

    def on(self, limits: Limits) -> Limits:
        """The limits with this one in the place of the old."""
        match self.resource:
            case "steps":
                return replace(limits, steps=int(self.value))
            case "tokens":
                return replace(limits, tokens=int(self.value))
            case "cost":
                return replace(limits, cost=self.value)
            case "time":
                return replace(limits, time_s=self.value)


@dataclass(frozen=True, slots=True)
class NewModel:
    """The next replies are to come from the model of that name."""

    name: str


@dataclass(frozen=True, slots=True)
class NewGoal:
    """One goal more, or another text for the goal of that number, counted from 1."""

    text: str
    number: int | None = None

    def on(self, goals: Sequence[str]) -> tuple[str, ...]:
        """The goals with this one behind them, or in the place of the old."""
        if self.number is None:
            return (*goals, self.text)
        return (*goals[: self.number - 1], self.text, *goals[self.number :])


Wish = NewLimit | NewModel | NewGoal
