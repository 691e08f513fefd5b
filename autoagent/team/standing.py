"""How an agent's sub-agents stand: a part of its state, folded from the same events."""

from dataclasses import dataclass, field, replace

from autoagent.elements import Spent
from autoagent.events import Event, Forked
from autoagent.team.events import Dismissed, Messaged, Reported, Spawned, Told


@dataclass(frozen=True, slots=True)
class Member:
    """One sub-agent as its agent knows it."""

    spawned: Spawned
    reported: Reported | None = None
    messages: tuple[Messaged, ...] = ()
    dismissed: bool = False

    @property
    def ended(self) -> bool:
        """Whether its end is noted, and what it used."""
        return self.reported is not None and not self.reported.paused

    @property
    def open(self) -> bool:
        """Whether it works, waits for its turn, or goes on with its agent's next run."""
        return not self.ended and not self.dismissed


@dataclass(slots=True)
class Standing:
    """A part of the state. `heard` counts the words that came from the agent that started
    this one, `heard_after` is the step after which the last did."""

    members: dict[str, Member] = field(default_factory=dict)
    heard: int = 0
    heard_after: int = -1
    left: tuple[str, ...] = ()  # at work for the session that this is a branch of

    def apply(self, event: Event) -> None:
        match event:
            case Spawned():
                self.members[event.name] = Member(event)
            case Messaged():
                messages = (*self.members[event.name].messages, event)
                self._change(event.name, messages=messages)
            case Dismissed():
                self._change(event.name, dismissed=True)
            case Reported():
                self._change(event.name, reported=event)
            case Forked():  # they work for the other session
                self.left = tuple(name for name, each in self.members.items() if each.open)
                for name in self.left:
                    self._change(name, dismissed=True)
            case Told():
                self.heard, self.heard_after = event.number, event.step
            case _:
                pass

    def _change(self, name: str, **changes: object) -> None:
        if name in self.members:
            self.members[name] = replace(self.members[name], **changes)  # type: ignore[arg-type]

    @property
    def reports(self) -> list[Reported]:
        return [each.reported for each in self.members.values() if each.reported]

    @property
    def steps(self) -> int:
        """What all that reported did, with those beneath them."""
        return sum(report.steps for report in self.reports)

    def with_members(self, spent: Spent) -> Spent:
        """What an agent used with all that its sub-agents reported."""
        whole = replace(spent)
        for report in self.reports:
            whole.take(spent_of(report))
        return whole


def spent_of(report: Reported) -> Spent:
    """What a sub-agent used with those beneath it; calls without a price are counted."""
    spent = Spent()
    spent.add(report.usage)
    spent.unpriced = report.unpriced
    return spent
