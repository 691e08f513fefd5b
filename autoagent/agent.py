"""The loop: think, act, record, until the goals are reached or a limit says stop."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from autoagent import budget
from autoagent.answering import held, with_text
from autoagent.approval import (
    Concern,
    Person,
    agreed,
    can_be_always,
    concerns,
    needs_person,
    scope_of,
    unmet,
)
from autoagent.calling import Caller, Ended
from autoagent.ending import Proof, ended_by, go_on
from autoagent.events import (
    Aimed,
    Changed,
    Event,
    Executed,
    Fed,
    Limited,
    Noticed,
    Stopped,
    Verified,
)
from autoagent.inbox import Inbox
from autoagent.model import Cancelled
from autoagent.noting import since_web
from autoagent.reading import MOST_REFUSALS, read
from autoagent.remembering import Remembering
from autoagent.running import Runner, failure
from autoagent.state import Pending, State
from autoagent.stuck import NUDGE_AT, STOP_AT
from autoagent.team.leading import led, starts_some
from autoagent.team.team import Team
from autoagent.wishes import NewGoal, NewLimit, NewModel, Wish
from commands.cancel import Cancel
from commands.command import Catalogue, CommandError, CommandSpec, Result

Turn = Generator[Sequence[Event], None, None]

_FOR_GOOD = ("done", "gave_up", "refused")
"""Ends after which nobody goes on: then its sub-agents don't either."""


@dataclass(slots=True)
class Agent:
    """One agent on one journal. `record` puts events on disk; they are folded into the
    state and given out only then."""

    state: State
    record: Callable[[Sequence[Event]], None]
    caller: Caller
    catalogue: Catalogue
    runner: Runner
    remembering: Remembering | None
    proof: Proof
    cancel: Cancel
    person: Person | None
    inbox: Inbox
    holds_secret: Callable[[str], str | None]
    team: Team

    def run(self) -> Iterator[Event]:
        """Work until the run stops; the last event is `Stopped`."""
        while self.state.stopped is None:
            try:
                for events in self._turn():
                    yield from self._recorded(events)
            except Cancelled:
                continue  # the next turn asks or stops
            except Ended as end:
                yield from self._end(end.stopped)

    def _end(self, stopped: Stopped) -> Iterator[Event]:
        yield from self._recorded(self.team.end(pause=stopped.status not in _FOR_GOOD))
        last = self.runner.ended()
        if self.remembering is not None:
            for events in self.remembering.keep_end(stopped):
                yield from self._recorded(events)
        yield from self._recorded([*last, go_on(stopped, self.state)])

    def _turn(self) -> Turn:
        yield self.runner.hosts()
        yield from self._heed()
        if self.state.pending is None:
            yield from self._think()
        else:
            yield from self._act(self.state.pending)

    def _recorded(self, events: Sequence[Event]) -> Iterator[Event]:
        self.record(events)
        for event in events:
            self.state.apply(event)
        self.caller.purse.note()
        self.team.look()
        yield from events

    # Think: what the person said, what memory holds, the model's reply.

    def _heed(self) -> Turn:
        """Stop, or pass on what a person said."""
        reason = self.cancel.reason
        if reason is not None:
            words = None
            if self.person is not None and reason == "interrupt":
                words = self.person.interrupted(self.cancel.clear)
            if words is None:
                why = self.cancel.reason or reason  # the terminal may be gone meanwhile
                raise Ended(ended_by(why, self.state, self.caller.elapsed_s))
            if words or self.state.free_steps:
                yield [Fed(self.runner.clean(words), stops=True)]
        yield from self._heard()
        yield from self._told()
        yield self.team.news()

    def _heard(self) -> Turn:
        """What the person here typed meanwhile."""
        if self.person is not None:
            self.team.listens()
            yield [self._fed(words) for words in self.person.heard()]
            for wish in self.person.wishes():
                yield self._granted(wish)

    def _told(self) -> Turn:
        """What others said meanwhile by `autoagent tell`. A message goes only when its event
        is on disk; one that was left by a crash in between is known by its name."""
        for name in self.inbox.names():
            if name not in self.state.told:
                yield [self._fed(self.inbox.read(name).text, name)]
            self.inbox.remove(name)

    def _granted(self, wish: Wish) -> list[Event]:
        match wish:
            case NewLimit():
                return [Limited(wish.on(self.state.limits))]
            case NewModel(name=name):
                return self.caller.switched(self.runner.clean(name))
            case NewGoal():
                goals = tuple(map(self.runner.clean, wish.on(self.state.goals)))
                return [Aimed(goals)] if goals != self.state.goals else []

    def _fed(self, words: str, told: str = "") -> Fed:
        return Fed(self.runner.clean(words), told)

    def _think(self) -> Turn:
        state, step = self.state, self.state.step + 1
        # Before memories are looked for: what leaves with a cut, they may bring back.
        if self.person is not None and self.person.wants_room():
            yield from self.caller.compact()
        yield from self.caller.make_room()
        if self.remembering is not None and self.state.refusals == 0:
            yield from self.remembering.recall(step)
        yield [*self._warnings(), *self.runner.others(state.noticed)]
        completion, usage = yield from self.caller.completion(step)
        event = read(step, completion, usage, self.holds_secret)
        yield [event]
        yield self._judged()

    def _warnings(self) -> list[Event]:
        """What the model must know before its next reply; Ended when it goes in circles."""
        state = self.state
        repeats = state.pattern.repeats
        if repeats >= STOP_AT:
            text = f"The agent was stuck: the same {repeats} times, {state.past[-1].name} last."
            raise Ended(Stopped("stuck", 7, text, elapsed_s=self.caller.elapsed_s))
        events: list[Event] = []
        if repeats >= NUDGE_AT and not state.nudged:
            text = f"the same command gave the same result {repeats} times: do something else"
            events.append(Noticed("stuck", text, told=True))
        purse = self.caller.purse
        for key, text in budget.milestones(state.limits, purse.used, purse.steps):
            if key not in state.noticed:
                events.append(Noticed("limit", text, told=True, key=key))
        return events

    def _judged(self) -> list[Event]:
        """After a reply: a stricter format when it couldn't be read twice, the end after three."""
        state = self.state
        if state.refusals >= MOST_REFUSALS:
            text = f"The model's replies could not be used, {state.refusals} times in a row."
            raise Ended(Stopped("stuck", 7, text, elapsed_s=self.caller.elapsed_s))
        if state.misread == MOST_REFUSALS - 1 and state.format != "json_schema":
            return [Changed(format="json_object" if state.format == "text" else "json_schema")]
        return []

    # Act: who must agree, then the command, at most once.

    def _act(self, pending: Pending) -> Turn:
        step, command = pending.step, pending.reply.command
        if pending.executing:
            left = self.runner.after(step) if self.state.unclosed is not None else []
            yield [self._interrupted(pending), *left]
            return
        try:
            spec = self.catalogue.find(command.name)
            args = spec.checked(self._as_text(spec, command.args))
        except CommandError as error:
            yield [self._executed(pending, command.name, command.args, failure(error))]
            return
        concerns = self._concerns(pending, spec, args)
        if concerns or (not pending.decided and self._needs_person(spec, pending)):
            yield from self._ask(pending, spec, concerns)
            return
        if spec.effect == "end" and (yield from self._is_spoken_to(pending)):
            return
        if spec.name == "finish" and self.state.answer_schema is not None:
            fits = held(self.state.answer_schema, args["answer"], self.cancel)
            if isinstance(fits, Result):
                yield [self._executed(pending, "finish", {}, fits)]
                return
            args = {"answer": fits.text}
        if self.remembering is not None:
            yield from self.remembering.ask_ahead(step, spec.name, args)
        proves = spec.name == "finish" and bool(self.proof.command_lines)
        yield from self.runner.before(step, spec, proves=proves)
        if spec.name == "finish":
            yield from self._finish(pending, args)
        elif spec.name == "give_up":
            yield from self._give_up(pending, args)
        elif spec.effect == "lead" or starts_some(self.catalogue, spec, args):
            yield from self._lead(pending, spec, args)
        else:
            yield self.runner.run(step, spec, args, self.state.window, pending.permitted)
            yield since_web(self.state, self.runner.context.cage)

    def _as_text(self, spec: CommandSpec, args: dict[str, Any]) -> dict[str, Any]:
        """With a schema the answer may stand there as the JSON that it is."""
        wanted = spec.name == "finish" and self.state.answer_schema is not None
        return with_text(args) if wanted else args

    def _concerns(
        self, pending: Pending, spec: CommandSpec, args: Mapping[str, Any]
    ) -> list[Concern]:
        """What only a person can open to this command and didn't yet; without one, it is
        refused as it runs, or runs and is noted."""
        if self.person is None:
            return []
        context = self.runner.context
        with context.workspace.permitting(pending.permitted):
            return concerns(self.state, context, spec, args)

    def _needs_person(self, spec: CommandSpec, pending: Pending) -> bool:
        return needs_person(
            self.state,
            self.catalogue,
            spec,
            pending.reply.command,
            attended=self.person is not None,
            caged=self.runner.context.cage.kind != "none",
        )

    def _ask(self, pending: Pending, spec: CommandSpec, concerns: Sequence[Concern]) -> Turn:
        assert self.person is not None
        caged = self.runner.context.cage.kind != "none"
        scope = scope_of(pending.reply.command, spec, caged=caged)
        scope = scope if can_be_always(concerns) else ""
        answer = self.person.decide(pending.step, pending.reply, scope, concerns)
        if answer.undo is not None:
            yield from self.runner.take_back(self.state, answer.undo.to)
            return  # the next turn asks again
        if answer.wishes:
            return  # the next turn heeds them, and asks again
        if answer.decided is None:
            if self.cancel.reason is not None:
                return  # the next turn asks for words, or stops
            left = ended_by("interrupt", self.state, self.caller.elapsed_s)
            raise Ended(replace(left, answer="You left."))
        decided = answer.decided
        if decided.verdict == "run":
            hosts = unmet(self.state, self.catalogue, spec, pending.reply.command)
            decided = agreed(decided, pending.permitted, concerns, hosts)
        events: list[Event] = [decided]
        match decided.verdict:
            case "refuse":
                events.append(self._not_run(pending, "not run: the user refused it", refused=True))
            case "criticise":
                events.append(self._not_run(pending, "not run", _CRITICISE))
        if answer.words:
            events.append(self._fed(answer.words))
        yield events

    def _finish(self, pending: Pending, args: dict[str, Any]) -> Turn:
        """Done, if every proof holds; a failing one goes back to the model. Nobody works for
        it any more then, who could still change what is proven."""
        yield self.team.dismissed(pending.step)
        yield self.team.end(pause=False)
        for check in self.proof.checks(pending.step):
            yield [check]
            if isinstance(check, Verified) and check.exit != 0:
                result = self._executed(pending, "finish", {}, self.proof.failed(check))
                yield [result, *self.runner.after(pending.step)]
                return
        if self.proof.command_lines:
            yield self.runner.after(pending.step)
            # The proofs may have taken minutes.
            if (yield from self._is_spoken_to(pending)):
                return
        verified = True if self.proof.command_lines else None
        yield [self._executed(pending, "finish", {}, Result(args["answer"], note="done"))]
        raise Ended(Stopped("done", 0, args["answer"], verified, elapsed_s=self.caller.elapsed_s))

    def _lead(self, pending: Pending, spec: CommandSpec, args: dict[str, Any]) -> Turn:
        began_s = self.caller.elapsed_s
        try:
            result = yield from led(self.team, self.catalogue, pending.step, spec, args)
        except CommandError as error:
            result = failure(error)
        executed = self._executed(pending, spec.name, args, result)
        yield [replace(executed, seconds=round(self.caller.elapsed_s - began_s, 3))]

    def _give_up(self, pending: Pending, args: dict[str, Any]) -> Turn:
        yield [self._executed(pending, "give_up", {}, Result(args["reason"], note="gave up"))]
        refused = bool(self.state.refused)
        stopped = Stopped("refused", 6, "") if refused else Stopped("gave_up", 3, "")
        elapsed_s = self.caller.elapsed_s
        raise Ended(replace(stopped, answer=args["reason"], elapsed_s=elapsed_s))

    def _is_spoken_to(self, pending: Pending) -> Generator[Sequence[Event], None, bool]:
        """Whether somebody said something since the reply: then it isn't the end yet, for
        the next prompt would never be."""
        yield from self._heard()
        yield from self._told()
        yield self.team.heard()
        words = any(after >= pending.step for after, _ in self.state.said)
        if not words and self.state.team.heard_after < pending.step and self.team.leaves():
            return False
        note = f"not accepted: {self._speaker} said something since"
        command = pending.reply.command
        yield [self._executed(pending, command.name, {}, Result(note=note, ok=False))]
        return True

    @property
    def _speaker(self) -> str:
        started = self.state.started
        is_sub = started is not None and started.sub_agent
        return "the agent that started you has" if is_sub else "the user has"

    def _not_run(
        self, pending: Pending, note: str, text: str = "", *, refused: bool = False
    ) -> Executed:
        command = pending.reply.command
        result = Result(text, note=note, ok=False, refused=refused, source="person")
        return self._executed(pending, command.name, command.args, result)

    def _interrupted(self, pending: Pending) -> Executed:
        command = pending.reply.command
        result = Result(_MAYBE, note="interrupted", ok=False)
        with suppress(CommandError):
            spec = self.catalogue.find(command.name)
            if spec.effect == "lead" or starts_some(self.catalogue, spec, command.args):
                result = self.team.interrupted(pending.step, spec.name)
        return self._executed(pending, command.name, command.args, result)

    def _executed(
        self, pending: Pending, name: str, args: dict[str, Any], result: Result
    ) -> Executed:
        return self.runner.executed(pending.step, name, args, result, self.state.window)


_MAYBE = (
    "The run was interrupted while this command ran: it may or may not have taken effect. "
    "Look before you repeat it."
)
_CRITICISE = (
    "The user asks you to criticise this step: what is wrong with it, what could go wrong, "
    "is there a better one? Then reply with the command you stand by."
)
