"""Long-term memory around a step: what is kept of it, what comes back, what that costs."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from autoagent.calling import Caller
from autoagent.events import Event, Noticed, Recalled, Stopped
from autoagent.longterm.memory import LongTerm, asked_ahead, text_of, words_of
from autoagent.model import Cancelled, Model, ModelFault, NotListening, Usage
from autoagent.running import Runner
from autoagent.state import State
from autoagent.terms import WORDS_ALONE
from commands.cancel import Cancel

Turn = Generator[Sequence[Event], None, None]

# Each may have cost the whole time limit, at every step.
_MOST_EMBEDDING_FAULTS = 3
_ENDED_BY_ITSELF = ("done", "gave_up", "refused")


@dataclass(slots=True)
class Remembering:
    """The long-term memory of one agent. Embeddings are reserved like any other call."""

    state: State
    memory: LongTerm
    model: Model
    caller: Caller
    runner: Runner
    cancel: Cancel
    faults: int = 0  # of embeddings, in a row, in this run

    def recall(self, step: int) -> Turn:
        """Keep what the last step left, then bring back what is near to it."""
        state, memory = self.state, self.memory
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
        memos = memory.nearest(query, vectors.get(about), state, self.caller.spare)
        if memos or usage:
            yield [Recalled(step, tuple(memos), usage)]

    def keep_end(self, stopped: Stopped) -> Turn:
        """What no further call would store: the last step, the last words, the outcome."""
        state = self.state
        due = [*self.memory.due(state), *self.memory.outcome(stopped, state)]
        vectors: Mapping[str, Sequence[float]] = {}
        usage = None
        if stopped.status in _ENDED_BY_ITSELF and self.cancel.reason is None:
            with suppress(Cancelled):  # then words must do
                vectors, usage = yield from self._embedded(state.step, [p.text for p in due])
        self.memory.keep(due, vectors)
        self.runner.remember(self.memory)
        if usage:
            yield [Recalled(state.step, (), usage)]

    def ask_ahead(self, step: int, command: str, args: Mapping[str, Any]) -> Turn:
        """Vectors for what a memory command is about, paid for before it runs."""
        self.memory.look_at(self.state)
        texts = asked_ahead(command, args)
        if texts:
            self.memory.vectors, usage = yield from self._embedded(step, texts)
            if usage:
                yield [Recalled(step, (), usage)]

    def _embedded(
        self, step: int, texts: list[str]
    ) -> Generator[Sequence[Event], None, tuple[Mapping[str, Sequence[float]], Usage | None]]:
        """Vectors by text, and what they cost; nothing where there are none to be had.

        When usage is given back, an event with it must follow to settle the reservation.
        """
        if not self.model.embeds or self.faults >= _MOST_EMBEDDING_FAULTS:
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
            self.faults += 1
            text = f"Memories are ranked by words alone where this goes on: {fault}"
            said = "embedding fault" in self.state.noticed
            # Where nobody is there, the call for the next reply says so.
            is_told = said or isinstance(fault, NotListening)
            notice = [] if is_told else [Noticed("memory", text, key="embedding fault")]
            yield [Recalled(step), *notice]
            return {}, None
        if embedded is None:
            yield [Recalled(step), Noticed("memory", WORDS_ALONE, key="no embeddings")]
            return {}, None
        self.faults = 0
        self.memory.model = embedded.model
        usage = embedded.usage or Usage(tokens, 0, cost=reserved.cost, estimated=True)
        if usage.cost is None:
            usage = replace(usage, cost=reserved.cost)
        return dict(zip(texts, embedded.vectors, strict=True)), usage
