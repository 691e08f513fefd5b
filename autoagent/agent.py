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
    Changed,
    Event,
    Executed,
    Fed,
    Noticed,
    Recalled,
    Stopped,
    Verified,
)
from autoagent.inbox import Inbox
from autoagent.longterm.memory import LongTerm, asked_ahead, text_of, words_of
from autoagent.model import Cancelled, Model, ModelFault, Usage
from autoagent.noting import since_web
from autoagent.reading import MOST_REFUSALS, read
from autoagent.running import Runner, failure
from autoagent.state import Pending, State
from autoagent.stuck import NUDGE_AT, STOP_AT
from commands.cancel import Cancel
from commands.command import Catalogue, CommandError, CommandSpec, Result

Turn = Generator[Sequence[Event], None, None]

# Each may have cost the whole time limit, at every step.
_MOST_EMBEDDING_FAULTS = 3
_ENDED_BY_ITSELF = ("done", "gave_up", "refused")


@dataclass(slots=True)
class Agent:
    """One agent on one journal. `record` puts events on disk; they are folded into the
    state and given out only then."""

    state: State
    record: Callable[[Sequence[Event]], None]
    model: Model
    caller: Caller
    catalogue: Catalogue
    runner: Runner
    memory: LongTerm | None
    proof: Proof
    cancel: Cancel
    person: Person | None
    inbox: Inbox
    holds_secret: Callable[[str], str | None]
    embedding_faults: int = 0  # in a row, in this run

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
        last = self.runner.ended()
        if self.memory is not None:
            for events in self._keep_end(self.memory, stopped):
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
        yield from events

    # Think: what the person said, what memory holds, the model's reply.

    def _heed(self) -> Turn:
        """Stop, or pass on what a person said."""
        reason = self.cancel.reason
        if reason is not None:
            words = self.person.interrupted() if self.person and reason == "interrupt" else None
            if words is None:
                raise Ended(ended_by(reason, self.state, self.caller.elapsed_s))
            self.cancel.clear()
            yield [self._fed(words)] if words else []
        if self.person is not None:
            yield [self._fed(words) for words in self.person.heard()]
        yield from self._told()

    def _told(self) -> Turn:
        """What others said meanwhile by `autoagent tell`. A message goes only when its event
        is on disk; one that was left by a crash in between is known by its name."""
        for name in self.inbox.names():
            if name not in self.state.told:
                yield [self._fed(self.inbox.read(name).text, name)]
            self.inbox.remove(name)

    def _fed(self, words: str, told: str = "") -> Fed:
        return Fed(self.runner.clean(words), told)

    def _think(self) -> Turn:
        state, step = self.state, self.state.step + 1
        if self.memory is not None and self.state.refusals == 0:
            yield from self._recall(step, self.memory)
        yield [*self._warnings(), *self.runner.others(state.noticed)]
        if self.person is not None and self.person.wants_room():
            yield from self.caller.compact()
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
        for key, text in budget.milestones(state.limits, state.spent, state.step):
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

    # Memory: keep the last step, bring back what is near to it.

    def _recall(self, step: int, memory: LongTerm) -> Turn:
        state = self.state
        if state.recalled_step == step:
            return
        last = state.past[-1] if state.past else None
        due = memory.due(state)
        if last is None and not due and memory.empty:
            return
        said = [words for after, words in state.said if after == state.step]
        about = "\n".join(said) or (text_of(last) if last else "\n".join(state.goals))
        texts = dict.fromkeys([about, *(piece.text for piece in due)])
        vectors, usage = yield from self._embedded(step, list(texts))
        memory.look_at(state)
        memory.keep(due, vectors)
        self.runner.remember(memory)
        query = " ".join([*said, words_of(last)]) if last else about
        memos = memory.nearest(query, vectors.get(about), state)
        if memos or usage:
            yield [Recalled(step, tuple(memos), usage)]

    def _keep_end(self, memory: LongTerm, stopped: Stopped) -> Turn:
        """What no further call would store: the last step, the last words, the outcome."""
        state = self.state
        due = [*memory.due(state), *memory.outcome(stopped, state)]
        vectors: Mapping[str, Sequence[float]] = {}
        usage = None
        if stopped.status in _ENDED_BY_ITSELF and self.cancel.reason is None:
            with suppress(Cancelled):  # then words must do
                vectors, usage = yield from self._embedded(state.step, [p.text for p in due])
        memory.keep(due, vectors)
        self.runner.remember(memory)
        if usage:
            yield [Recalled(state.step, (), usage)]

    def _embedded(
        self, step: int, texts: list[str]
    ) -> Generator[Sequence[Event], None, tuple[Mapping[str, Sequence[float]], Usage | None]]:
        """Vectors by text, and what they cost; nothing where there are none to be had.

        When usage is given back, an event with it must follow to settle the reservation.
        """
        given_up = self.embedding_faults >= _MOST_EMBEDDING_FAULTS
        if self.memory is None or not self.model.embeds or given_up:
            return {}, None
        tokens = sum(map(self.runner.count, texts)) + len(texts)
        reserved = self.caller.reserve_embedding(step, tokens)
        if reserved is None:
            return {}, None
        yield [reserved]
        try:
            embedded = self.model.embed(texts, cancel=self.cancel)
        except Cancelled:
            raise
        except ModelFault as fault:
            self.embedding_faults += 1
            text = f"Memories are ranked by words alone where this goes on: {fault}"
            said = "embedding fault" in self.state.noticed
            notice = [] if said else [Noticed("memory", text, key="embedding fault")]
            yield [Recalled(step), *notice]
            return {}, None
        if embedded is None:
            text = "The server has no embeddings: memories are ranked by words alone."
            yield [Recalled(step), Noticed("memory", text, key="no embeddings")]
            return {}, None
        self.embedding_faults = 0
        self.memory.model = embedded.model
        usage = embedded.usage or Usage(tokens, 0, cost=reserved.cost, estimated=True)
        if usage.cost is None:
            usage = replace(usage, cost=reserved.cost)
        return dict(zip(texts, embedded.vectors, strict=True)), usage

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
        yield from self._embed_ahead(step, spec, args)
        proves = spec.name == "finish" and bool(self.proof.command_lines)
        yield from self.runner.before(step, spec, proves=proves)
        if spec.name == "finish":
            yield from self._finish(pending, args)
        elif spec.name == "give_up":
            yield from self._give_up(pending, args)
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
        if answer.decided is None:
            if self.cancel.reason is not None:
                return  # the next turn asks for words, or stops
            raise Ended(ended_by("interrupt", self.state, self.caller.elapsed_s))
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

    def _embed_ahead(self, step: int, spec: CommandSpec, args: Mapping[str, Any]) -> Turn:
        """Vectors for what a memory command is about, paid for before it runs."""
        if self.memory is None:
            return
        self.memory.look_at(self.state)
        texts = asked_ahead(spec.name, args)
        if texts:
            self.memory.vectors, usage = yield from self._embedded(step, texts)
            if usage:
                yield [Recalled(step, (), usage)]

    def _finish(self, pending: Pending, args: dict[str, Any]) -> Turn:
        """Done, if every proof holds; a failing one goes back to the model."""
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

    def _give_up(self, pending: Pending, args: dict[str, Any]) -> Turn:
        yield [self._executed(pending, "give_up", {}, Result(args["reason"], note="gave up"))]
        refused = bool(self.state.refused)
        stopped = Stopped("refused", 6, "") if refused else Stopped("gave_up", 3, "")
        elapsed_s = self.caller.elapsed_s
        raise Ended(replace(stopped, answer=args["reason"], elapsed_s=elapsed_s))

    def _is_spoken_to(self, pending: Pending) -> Generator[Sequence[Event], None, bool]:
        """Whether somebody said something since the reply: then it isn't the end yet, for
        the next prompt would never be."""
        yield from self._told()
        if all(after < pending.step for after, _ in self.state.said):
            return False
        note = "not accepted: the user has said something since"
        command = pending.reply.command
        yield [self._executed(pending, command.name, {}, Result(note=note, ok=False))]
        return True

    def _not_run(
        self, pending: Pending, note: str, text: str = "", *, refused: bool = False
    ) -> Executed:
        command = pending.reply.command
        result = Result(text, note=note, ok=False, refused=refused, source="person")
        return self._executed(pending, command.name, command.args, result)

    def _interrupted(self, pending: Pending) -> Executed:
        command = pending.reply.command
        result = Result(_MAYBE, note="interrupted", ok=False)
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
