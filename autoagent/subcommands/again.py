"""The agents of a session once more: each a session of its own, a step at a time, in the order
of the first time."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Semaphore

from autoagent.approval import Answer, Concern
from autoagent.errors import StateError
from autoagent.events import (
    Decided,
    Event,
    Executed,
    Executing,
    Messaged,
    Refused,
    Replied,
    Spawned,
    Started,
)
from autoagent.journal import Entry
from autoagent.model import Completion, Format, Message
from autoagent.reply import Reply
from autoagent.scripted import Scripted
from autoagent.session import Session
from autoagent.sessions.tree import beneath
from autoagent.terminal.plain import Plain
from autoagent.wishes import Wish
from commands.cancel import Cancel

_OF_TEAM = frozenset(
    {"start_agent", "message_agent", "wait_for_agents", "list_agents", "delete_agent"}
)
"""What they do the journals tell: sub-agents aren't started by another model's words again."""


_ALL = 1_000_000  # turns


@dataclass(frozen=True, slots=True)
class Part:
    """What one agent did: replies, decisions and results, its steps counted anew without those
    that work with sub-agents. `steps` are the numbers that they had, `folder` is where it works
    now."""

    started: Started
    folder: Path
    events: tuple[Event, ...]
    steps: tuple[int, ...]

    @property
    def replies(self) -> list[str]:
        return [event.raw for event in self.events if isinstance(event, Replied | Refused)]


def parts_of(entries: Iterable[Entry], folder: Path) -> dict[str, Part]:
    """Of each agent that began, by its name; `folder` stands for the session's workspace."""
    folders = {"": folder}
    events: dict[str, list[Event]] = {}
    for entry in entries:
        events.setdefault(entry.agent, []).append(entry.event)
        if isinstance(entry.event, Spawned):
            name = beneath(entry.agent, entry.event.name)
            folders[name] = _within(folder, folders[entry.agent] / entry.event.folder, name)
    return {
        agent: _part(own[0], folders[agent], own)
        for agent, own in events.items()
        if isinstance(own[0], Started)
    }


def _within(workspace: Path, folder: Path, agent: str) -> Path:
    if not folder.resolve().is_relative_to(workspace.resolve()):
        raise StateError(
            f"The agent {agent} worked in {str(folder)!r}, which isn't in the workspace, so "
            "nothing was run again."
        )
    return folder


def _part(started: Started, folder: Path, events: Sequence[Event]) -> Part:
    names = {e.step: e.name for e in events if isinstance(e, Replied)}
    names |= {e.step: e.name for e in events if isinstance(e, Executed)}
    of_team = {step for step, name in names.items() if name in _OF_TEAM}
    # Several may have been started in one batch.
    of_team |= {e.step for e in events if isinstance(e, Spawned | Messaged)}
    replies = [e.step for e in events if isinstance(e, Replied | Refused)]
    steps = [step for step in replies if step not in of_team]
    number = {step: place for place, step in enumerate(steps, 1)}
    again = tuple(
        replace(event, step=number[event.step])
        for event in events
        if isinstance(event, Replied | Refused | Decided | Executed) and event.step in number
    )
    return Part(started, folder, again, tuple(steps))


def order_of(entries: Iterable[Entry], parts: dict[str, Part]) -> list[str]:
    """Whose step is next, for each of them: in the order in which they took effect."""
    taken: dict[tuple[str, int], None] = {}
    for entry in entries:
        if isinstance(entry.event, Executing | Executed | Refused):
            taken[entry.agent, entry.event.step] = None
    for agent, part in parts.items():  # what was never run, runs last
        taken |= {(agent, step): None for step in part.steps if (agent, step) not in taken}
    return [agent for agent, step in taken if agent in parts and step in parts[agent].steps]


class InTurn(Scripted):
    """Gives each answer only when it is its turn."""

    def __init__(self, answers: Iterable[str], *, window: int) -> None:
        super().__init__(answers, window=window)
        self._turns = Semaphore(0)

    def give(self, turns: int = 1) -> None:
        self._turns.release(turns)

    def complete(
        self,
        messages: Sequence[Message],
        *,
        cap: int,
        cancel: Cancel,
        format: Format = "text",
        hear: Callable[[str], None] | None = None,
    ) -> Completion:
        with cancel.calling(self._turns.release):
            self._turns.acquire()
        return super().complete(messages, cap=cap, cancel=cancel, format=format, hear=hear)


class Recorded:
    """The person of the first run: what they decided and answered, and yes where they weren't
    asked."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._decided = {e.step: e for e in events if isinstance(e, Decided)}
        asked = (e for e in events if isinstance(e, Executed) and e.name == "ask_user")
        self._answers = iter([e.text for e in asked])

    def decide(self, step: int, reply: Reply, scope: str, concerns: Sequence[Concern]) -> Answer:
        known = self._decided.get(step)
        if known is None:  # a path or an address that was never opened stays closed
            closed = any(each.place or each.address for each in concerns)
            return Answer(Decided(step, "refuse" if closed else "run", "as it was"))
        return Answer(replace(known, count=0, scope=""))

    def ask(self, question: str) -> str:
        return next(self._answers, "")

    def heard(self) -> list[str]:
        return []

    def wishes(self) -> list[Wish]:
        return []

    def wants_room(self) -> bool:
        return False

    def interrupted(self, heeded: Callable[[], None]) -> str | None:
        return None


class Replay:
    """One agent again, in a session that runs."""

    def __init__(self, session: Session, model: InTurn, part: Part, view: Plain) -> None:
        self.session = session
        self.events: list[Event] = []
        self._model = model
        self._person = Recorded(part.events)
        self._view = view
        self._items = session.items()

    def step(self) -> None:
        """Its next step, to what came of it; nothing when it has ended."""
        self._model.give()
        self._go_on(until=(Executed, Refused))

    def end(self) -> None:
        """Whatever it still does, and its end."""
        self._model.give(_ALL)
        self._go_on(until=())

    def _go_on(self, until: tuple[type[Event], ...]) -> None:
        for item in self._items:
            if not isinstance(item, Entry):
                item.reply(item.put(self._person))
                continue
            self.events.append(item.event)
            self._view.show(item.event)
            if isinstance(item.event, until):
                return
