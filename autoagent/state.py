"""Where a run stands: the fold of its events, from which the next prompt is rendered."""

from dataclasses import dataclass, field, replace
from typing import Any

from autoagent import budget, observation
from autoagent.elements import Kind as Kind
from autoagent.elements import Part as Part
from autoagent.elements import Past as Past
from autoagent.elements import Pending as Pending
from autoagent.elements import Spent as Spent
from autoagent.events import (
    Aimed,
    Changed,
    Checkpointed,
    Cut,
    Decided,
    Dismissed,
    Event,
    Executed,
    Executing,
    Fed,
    Forked,
    Inherited,
    Limited,
    Limits,
    Memo,
    Messaged,
    Noticed,
    Recalled,
    Refused,
    Replied,
    Reported,
    Reserved,
    Resumed,
    Retried,
    Span,
    Spawned,
    Started,
    Stopped,
    Switched,
    Told,
    Undone,
    Verified,
    Visited,
)
from autoagent.model import Format, Price, Usage
from autoagent.reply import Command, Reply, render
from autoagent.stuck import NUDGE_AT, Pattern
from autoagent.taint import Taint
from autoagent.team.standing import Standing

UNPAID = Usage(0, 0, cost=0.0)
"""Of a call that brought nothing."""

_GIST_CHARACTERS = 600
_GIST_LINE = 120


@dataclass(slots=True)
class State:
    """The fold of a journal. `apply` is the only way it changes."""

    started: Started | None = None
    origins: list[tuple[Forked, int]] = field(default_factory=list)  # and words said before
    goals: tuple[str, ...] = ()
    model: str = ""
    limits: Limits = field(default_factory=lambda: Limits(0, 0))
    window: int = 0  # tokens
    verify: tuple[str, ...] = ()
    answer_schema: dict[str, Any] | None = None
    price: Price | None = None
    format: Format = "text"
    step: int = 0
    parts: list[Part] = field(default_factory=list)
    cut_step: int = 0  # the last step that left the prompt
    pending: Pending | None = None
    reserved: Reserved | None = None
    stopped: Stopped | None = None
    spent: Spent = field(default_factory=Spent)
    calibration: float = 1.0  # the server's count of a prompt by ours
    refusals: int = 0  # unusable replies in a row
    misread: int = 0  # those of them in a row whose form was wrong
    past: list[Past] = field(default_factory=list)
    said: list[tuple[int, str]] = field(default_factory=list)  # by the person: after step, words
    told: set[str] = field(default_factory=set)  # names of messages that were read
    plan: tuple[str, ...] = ()
    recalled: dict[int, tuple[int, Memo]] = field(default_factory=dict)  # in the window: after step
    recalled_step: int = -1  # the step before whose call memory was asked
    free_steps: int = 0  # to run without asking, with the one that runs now
    always: set[str] = field(default_factory=set)
    noticed: set[str] = field(default_factory=set)
    pattern: Pattern = field(default_factory=Pattern)
    nudged: bool = False  # was told of the repetition that goes on
    refused: list[str] = field(default_factory=list)  # commands that were forbidden
    hosts: list[str] = field(default_factory=list)  # that commands reached, with ports
    verified: dict[str, Verified] = field(default_factory=dict)  # the newest of each command
    seen: dict[str, tuple[str, int]] = field(default_factory=dict)  # digest and step by path
    spans: list[Span] = field(default_factory=list)  # of checkpoints, where something changed
    undone: set[str] = field(default_factory=set)  # paths that are as before the first step
    kept: Checkpointed | None = None  # the newest
    taint: Taint = field(default_factory=Taint)
    team: Standing = field(default_factory=Standing)

    def apply(self, event: Event) -> None:
        """Fold one event in; the match is over all of them."""
        reply = self.pending.reply if self.pending else None
        self.taint.apply(event, self.step, reply, self.secret)
        self.team.apply(event)
        match event:
            case Started():
                self._start(event)
            case Resumed():
                self._resume(event)
            case Forked():
                self._fork(event)
            case Changed() | Limited() | Switched() | Aimed():
                self._change(event)
            case Recalled():
                self._recall(event)
            case Reserved():
                self._settle(None)
                self.reserved = event
                self.spent.elapsed_s = event.elapsed_s
            case Retried():
                # An attempt that brought nothing is given back, not kept as paid.
                self._settle(event.usage or UNPAID)
            case Replied():
                self._reply(event)
            case Refused():
                self._refuse_reply(event)
            case Decided():
                self._decide(event)
            case Executing():
                self.free_steps = max(0, self.free_steps - 1)
                self._pend(executing=True)
            case Executed():
                self._execute(event)
            case Checkpointed():
                self._checkpoint(event)
            case Undone():
                self.spans.append(Span(self.step, event.before, event.after, undone=True))
                self.undone = self.undone.difference(event.paths).union(event.as_before)
                for path in event.paths:  # the model is told of these
                    self.seen.pop(path, None)
                self._say(observation.of_undone(event))
            case Cut():
                self._cut(event)
            case Fed():
                self._hear(event)
            case Noticed():
                self.noticed |= {event.key} - {""}
                if event.topic == "host" and event.key and event.key not in self.hosts:
                    self.hosts.append(event.key)
                self.nudged |= event.topic == "stuck"
                self._say(observation.of_noticed(event))
            case Verified():
                self.verified[event.command_line] = event
                self._say(observation.of_verified(event, self.secret))
            case Reported() | Told():
                self.undone.difference_update(getattr(event, "changed", ()))
                kind: Kind = "words" if isinstance(event, Told) else "observation"
                self._say(observation.of_agent(event, self.secret), kind)
            case Visited() | Spawned() | Messaged() | Dismissed() | Inherited():
                pass  # of pages, of the team, of trust
            case Stopped():
                self._settle(event.usage)
                self.stopped = event
                self.spent.elapsed_s = event.elapsed_s

    def maker(self, step: int) -> str:
        """The session that made that step: this one, or where a branch has it from."""
        assert self.started is not None
        of = (origin.session for origin, _ in self.origins if step <= origin.step)
        return next(of, self.started.session)

    @property
    def committed(self) -> Spent:
        """What was used, and all that a call costs at most whose end isn't known."""
        spent = replace(self.spent)
        if self.reserved is not None:
            spent.add(_all_of(self.reserved))
        return spent

    @property
    def overall(self) -> Spent:
        """What was used with all that sub-agents reported of theirs."""
        return self.team.with_members(self.spent)

    @property
    def steps(self) -> int:
        """Of this agent and of all that reported to it."""
        return self.step + self.team.steps

    @property
    def secret(self) -> str:
        return self.started.secret if self.started else ""

    def _say(self, text: str, kind: Kind = "observation") -> None:
        if text:
            self.parts.append(Part(self.step, kind, text))

    def _start(self, event: Started) -> None:
        self.started = event
        self.goals = event.goals
        self.model = event.model
        self.limits = event.limits
        self.window = event.window
        self.verify = event.verify
        self.answer_schema = event.answer_schema
        self.price = event.price
        self._say(event.opening, "opening")

    def _resume(self, event: Resumed) -> None:
        self._settle(None)
        self.stopped = None
        self.refusals = self.misread = 0
        self.pattern = Pattern()
        if event.limits != self.limits:
            self.noticed.clear()
        self.limits = event.limits
        self.model = event.model
        self.window = event.window
        self.verify = event.verify
        self.price = event.price
        self._say(observation.of_resumed(event, len(self.goals)), "words")
        if event.answer_schema not in (None, self.answer_schema):
            self._say(observation.of_schema(event), "words")
        self.answer_schema = event.answer_schema
        self.goals += event.goals

    def _fork(self, event: Forked) -> None:
        self.origins.append((event, len(self.said)))
        # "Always in this session" was said of another one.
        self.always.clear()
        self.free_steps = 0
        self._say(observation.of_forked(self.team.left))

    def _change(self, event: Changed | Limited | Switched | Aimed) -> None:
        match event:
            case Changed():
                self.window = event.window or self.window
                self.format = event.format or self.format
                self._say(observation.of_changed(event))
            case Limited():
                self._say(observation.of_limited(self.limits, event.limits), "words")
                self.noticed -= budget.told_before(self.noticed, self.limits, event.limits)
                self.limits = event.limits
            case Switched():
                self.model, self.window, self.price = event.model, event.window, event.price
                self.calibration = 1.0  # another one counts in its own way
            case Aimed(goals=goals):
                new = observation.new_goals(self.goals, goals)
                self.said += [(self.step, goal) for _, goal in new]
                self._say(observation.of_aimed(self.goals, goals), "words")
                self.goals = goals

    def _hear(self, event: Fed) -> None:
        if event.text or not event.stops:
            self.said.append((self.step, event.text))
            self._say(observation.of_fed(event), "words")
        self.told |= {event.told} - {""}
        self.free_steps = 0 if event.stops else self.free_steps

    def _recall(self, event: Recalled) -> None:
        self._settle(event.usage or UNPAID)
        self.recalled_step = event.step
        self.recalled |= {memo.id: (self.step, memo) for memo in event.memos}
        self._say(observation.of_recalled(event, self.secret), "memories")

    def _settle(self, usage: Usage | None) -> None:
        """Close the open reservation with what it cost; without usage it costs all of it."""
        reserved, self.reserved = self.reserved, None
        if reserved is None:
            return
        if usage is None:
            usage = _all_of(reserved)
        elif reserved.purpose == "step":
            self._calibrate(reserved, usage)
        self.spent.add(usage)

    def _calibrate(self, reserved: Reserved, usage: Usage) -> None:
        if usage.estimated or not usage.prompt:
            return
        ratio = self.calibration * usage.prompt / reserved.prompt
        # Less than half can only mean that the server cut the prompt: no measure of ours.
        if 0.5 <= ratio <= 2:
            self.calibration = ratio

    def _reply(self, event: Replied) -> None:
        self._settle(event.usage)
        self.step = event.step
        self.refusals = self.misread = 0
        reply = reply_of(event)
        self.plan = self.plan if reply.plan is None else reply.plan
        self._say(render(reply), "reply")
        self.pending = Pending(event.step, reply)

    def _refuse_reply(self, event: Refused) -> None:
        self._settle(event.usage)
        self.step = event.step
        self.refusals += 1
        self.misread = self.misread + 1 if event.misread else 0
        self._say(event.excerpt or "(nothing)", "reply")
        self._say(observation.of_refused(event))

    def _pend(self, **changes: Any) -> None:
        if self.pending is not None:
            self.pending = replace(self.pending, **changes)

    def _decide(self, event: Decided) -> None:
        self.free_steps = event.count or self.free_steps
        self.always |= {event.scope} - {""}
        self._pend(decided=event.verdict in ("run", "edit"), permitted=event.paths)
        if event.verdict == "edit" and self.pending is not None and event.args is not None:
            command = Command(event.name, event.args)
            self._pend(reply=replace(self.pending.reply, command=command))
            self._say(observation.of_edited(self.pending.reply), "words")

    def _execute(self, event: Executed) -> None:
        self._say(observation.of_executed(event, self.secret))
        reply = self.pending.reply if self.pending else None
        self.pending = None
        self.spent.elapsed_s += event.seconds
        self.past.append(
            Past(
                event.step,
                reply.thoughts if reply else "",
                event.name,
                event.about or gist_of(reply),
                event.ok,
                event.note,
                event.changed,
                event.source,
                event.text[:_GIST_CHARACTERS],
                event.refused,
            )
        )
        self.undone.difference_update(event.changed)
        self.seen |= {path: (digest, event.step) for path, digest in event.seen}
        if event.refused:
            self.refused.append(f"{event.name} {self.past[-1].about}".rstrip())
        if reply:
            self.pattern.add(reply.command, event)
            self.nudged &= self.pattern.repeats >= NUDGE_AT

    @property
    def unclosed(self) -> Checkpointed | None:
        """The checkpoint before a command of which none after it was taken."""
        return self.kept if self.kept and self.kept.when == "before" else None

    def _checkpoint(self, event: Checkpointed) -> None:
        before, self.kept = self.kept, event
        if before is None or before.number == event.number:
            return
        # After one command and before the next: what others did in between.
        if (before.when, event.when) != ("after", "before"):
            self.spans.append(Span(before.step, before.number, event.number))

    def _cut(self, event: Cut) -> None:
        self._settle(event.usage or UNPAID)
        opening = [p for p in self.parts if p.kind == "opening"]
        words = [p for p in self.parts if p.kind == "words" and p.step <= event.step]
        rest = [p for p in self.parts if p.step > event.step]
        self.parts = [*opening, Part(event.step, "digest", event.digest), *words, *rest]
        self.cut_step = event.step
        self.recalled = {k: v for k, v in self.recalled.items() if v[0] > event.step}


def _all_of(reserved: Reserved) -> Usage:
    return Usage(reserved.prompt, reserved.completion, cost=reserved.cost, estimated=True)


def gist_of(reply: Reply | None) -> str:
    """The first line of the command's longest text: what it ran, when it names no file."""
    texts = [v for v in (reply.command.args.values() if reply else ()) if isinstance(v, str)]
    return max(texts, key=len, default="").strip().split("\n")[0][:_GIST_LINE]


def reply_of(event: Replied) -> Reply:
    """The reply of an event, as the reader gave it."""
    command = Command(event.name, event.args)
    return Reply(event.thoughts, event.reasoning, event.plan, event.criticism, command)


def fold(events: list[Event]) -> State:
    """The state after these events."""
    state = State()
    for event in events:
        state.apply(event)
    return state
