"""One model call that is paid for beforehand and tried again where that has a reason."""

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace

from autoagent import budget, history
from autoagent.amounts import duration
from autoagent.budget import Exhausted
from autoagent.digesting import Digester
from autoagent.errors import AutoAgentError
from autoagent.events import (
    Changed,
    Cut,
    Event,
    Noticed,
    Reserved,
    Retried,
    Status,
    Stopped,
    Switched,
)
from autoagent.glimpse import Glimpse, Glimpsed
from autoagent.model import (
    Cancelled,
    Completion,
    FormatRefused,
    Model,
    ModelFault,
    NotListening,
    Rejected,
    TooLong,
    Transient,
    Usage,
)
from autoagent.state import UNPAID, State
from autoagent.team.purse import Purse
from autoagent.tokens import Counter
from commands.cancel import Cancel

Events = Generator[Sequence[Event], None, None]

SMALLEST_WINDOW = 8000
"""Tokens. With less there is no room for the commands, a result and a reply together."""

_COMPLETION_SHARE = 4
_CERTAIN = 0.98
"""Share of the window that is given out by our count: a strict server refuses a completion
for which its own count has no room, and the newest texts aren't calibrated by it yet."""
_LARGEST_COMPLETION = 8192
_PAUSES_S = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 60.0)
_QUICK_PAUSES_S = (0.3, 0.7, 1.5)
_CUTS = 4


class Ended(Exception):
    """The run is over; `stopped` says how."""

    def __init__(self, stopped: Stopped) -> None:
        super().__init__(stopped.answer)
        self.stopped = stopped


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a faulty server is borne with."""

    total_s: float = 600.0  # from the first failed attempt of a call to the last
    pauses_s: Sequence[float] = _PAUSES_S  # the last one again and again
    quick_pauses_s: Sequence[float] = _QUICK_PAUSES_S  # when nothing listens


class Caller:
    """Makes the calls of one session: reserved, bounded, each attempt an event.

    `glimpsed` takes the pieces of a step's answer, attempt by attempt, before there is one.
    """

    def __init__(
        self,
        state: State,
        model: Model,
        cancel: Cancel,
        count: Counter,
        patience: Patience | None = None,
        clock: Callable[[], float] = time.monotonic,
        digester: Digester | None = None,
        purse: Purse | None = None,
        glimpsed: Glimpsed | None = None,
    ) -> None:
        self._state = state
        self._model = model
        self._cancel = cancel
        self._count = count
        self._patience = patience or Patience()
        self._clock = clock
        self._digester = digester
        self._glimpsed = glimpsed
        self.purse = purse or Purse(state)
        self._began = clock()
        self._elapsed_before_s = state.spent.elapsed_s

    @property
    def elapsed_s(self) -> float:
        """Of the whole session, in all its runs."""
        return self._elapsed_before_s + self._clock() - self._began

    @property
    def cap(self) -> int:
        """Tokens that a completion may have: a quarter of the window, at most 8,192."""
        cap = min(self._state.window // _COMPLETION_SHARE, _LARGEST_COMPLETION)
        return min(cap, self._model.card.max_completion or cap)

    @property
    def _usable(self) -> int:
        return int(self._state.window * _CERTAIN)

    def completion(self, step: int) -> Generator[Sequence[Event], None, tuple[Completion, Usage]]:
        """The model's answer to the prompt of the state, and what it cost.

        Yields the events of reserving, retrying and cutting; raises Ended where no further
        attempt has a reason to succeed.
        """
        attempt, cuts, failing_since = 1, 0, 0.0
        while True:
            yield from self.make_room()
            reserved = self._reserved(step)
            yield [reserved]
            try:
                completion = self._model.complete(
                    history.messages(self._state),
                    cap=reserved.completion,
                    cancel=self._cancel,
                    format=self._state.format,
                    hear=self._heard(step),
                )
                return completion, self._usage(reserved, completion)
            except TooLong as fault:
                cuts += 1
                yield from self._too_long(step, fault, cuts)
            except FormatRefused as fault:
                yield [Retried(step, attempt, str(fault), 0.0), Changed(format="text")]
            except Cancelled:
                raise
            except ModelFault as fault:
                failing_since = failing_since or self._clock()
                usage = self._broken_off(reserved, fault)
                wait_s = self._pause(fault, attempt, self._clock() - failing_since, usage)
                reason = fault.what if isinstance(fault, NotListening) else str(fault)
                yield [Retried(step, attempt, reason, wait_s, usage)]
                self._cancel.wait(wait_s)
                attempt += 1
            if self._cancel.reason is not None:
                raise Cancelled("cancelled")

    def _heard(self, step: int) -> Callable[[str], None] | None:
        """What takes the pieces of an attempt that begins now; None where nobody looks."""
        glimpsed = self._glimpsed
        if glimpsed is None:
            return None
        glimpsed(Glimpse("thinking", step, ""))
        return lambda piece: glimpsed(Glimpse("reply", step, piece))

    def _reserved(self, step: int) -> Reserved:
        prompt = history.size(self._state, self._count)
        room = self._usable - prompt
        return self._reserve(step, prompt, min(self.cap, max(room, 1)))

    def _reserve(self, step: int, prompt: int, completion: int) -> Reserved:
        price = self._model.card.price
        outcome = self.purse.reserve(
            *(step, "step", prompt, completion, price, self.elapsed_s, self._cancel)
        )
        if isinstance(outcome, Exhausted):
            raise Ended(self.limit_reached(outcome))
        return outcome

    def reserve_embedding(self, step: int, tokens: int) -> Reserved | None:
        """Set aside an embedding of so many tokens, at the price of a prompt, which is never
        less; None when a limit leaves no room."""
        price = self._model.card.price
        outcome = self.purse.reserve(
            *(step, "embedding", tokens, 0, price, self.elapsed_s, self._cancel)
        )
        return None if isinstance(outcome, Exhausted) else outcome

    def limit_reached(self, exhausted: Exhausted) -> Stopped:
        return Stopped(
            "limit",
            4,
            f"A limit is reached: {exhausted.message}.",
            go_on=exhausted.option,
            elapsed_s=self.elapsed_s,
        )

    def make_room(self) -> Events:
        """Cut the history when prompt and completion don't fit the window together."""
        state = self._state
        while self.spare < 0:
            cut = history.cut(state, self._count)
            if cut is None:
                break
            yield [(yield from self._summed_up(cut))]
        if self._usable - history.size(state, self._count) < budget.SMALLEST_COMPLETION:
            raise Ended(self._no_room(state.window))

    @property
    def spare(self) -> int:
        """Tokens that the prompt may still grow by before a cut; less than 0 when one is due.

        Beside a long opening the completion gets a third of what it leaves: to make room for
        all of it would take a cut at every step.
        """
        left = self._usable - history.standing(self._state, self._count)
        wanted = min(self.cap, max(left // 3, budget.SMALLEST_COMPLETION))
        return self._usable - wanted - history.size(self._state, self._count)

    def compact(self) -> Events:
        """Cut all but the last steps, at a person's wish."""
        cut = history.cut(self._state, self._count, to=0.0)
        if cut is None:
            yield [Noticed("place", "There is nothing yet that could leave the prompt.")]
        else:
            yield [(yield from self._summed_up(cut))]

    def switched(self, name: str) -> list[Event]:
        """The model of that name answers from now on, or a line says why it can't."""
        from autoagent.models.switching import another

        state = self._state
        least = history.standing(state, self._count) + budget.SMALLEST_COMPLETION
        limits, least = state.limits, int(least / _CERTAIN) + 1
        try:
            chosen = another(self._model, name, limits, least, self._cancel)
        except AutoAgentError as error:
            return [Noticed("model", str(error))]
        said = [Noticed("model", line) for line in chosen.notices]
        events: list[Event] = [Switched(name, chosen.window, chosen.card.price), *said]
        return events if state.format == "text" else [*events, Changed(format="text")]

    def _summed_up(self, cut: Cut) -> Generator[Sequence[Event], None, Cut]:
        """The cut with the fast model's summary, where there is one and every limit allows."""
        state, digester = self._state, self._digester
        request = digester.request(state, cut.step) if digester else None
        if digester is None or request is None or not digester.allows(request, state):
            return cut
        reserved = self.purse.reserve(
            state.step + 1,
            "digest",
            request.prompt,
            request.completion,
            digester.model.card.price,
            self.elapsed_s,
            self._cancel,
        )
        if isinstance(reserved, Exhausted):
            return cut
        yield [reserved]
        return (yield from digester.told(state, cut, request, reserved, self._cancel))

    def _too_long(self, step: int, fault: TooLong, cuts: int) -> Events:
        """The server's window is smaller than was thought, or counts more tokens."""
        state = self._state
        size = history.size(state, self._count)
        window = fault.window if fault.window and fault.window < state.window else None
        if window is not None and window < SMALLEST_WINDOW:
            raise Ended(replace(self._no_room(window), usage=UNPAID))
        events: list[Event] = [Retried(step, cuts, str(fault), 0.0)]
        if window is not None:
            events.append(Changed(window=window))
        cut = history.cut(state, self._count, window or size)
        if cuts > _CUTS or (cut is None and window is None):
            raise Ended(replace(self._no_room(fault.window or size), usage=UNPAID))
        yield events if cut is None else [*events, cut]

    def _no_room(self, window: int) -> Stopped:
        return self._stopped(
            f"The model's window of {window:,} tokens is too small: autoagent needs at least "
            f"{SMALLEST_WINDOW:,}, more with long goals or a long AGENTS.md. Give the model a "
            "larger one (Ollama: OLLAMA_CONTEXT_LENGTH, num_ctx; llama.cpp: -c) or choose another "
            "with --model.",
            2,
        )

    def _stopped(self, answer: str, exit_code: int = 5) -> Stopped:
        status: Status = "unreachable" if exit_code == 5 else "error"
        return Stopped(status, exit_code, answer, elapsed_s=self.elapsed_s)

    def _pause(
        self, fault: ModelFault, attempt: int, failing_s: float, usage: Usage | None
    ) -> float:
        """Seconds until the next attempt; Ended when another one has no reason to succeed."""
        patience = self._patience

        def ended(answer: str) -> Ended:
            return Ended(replace(self._stopped(answer), usage=usage or UNPAID))

        match fault:
            case NotListening():
                pauses, total_s = patience.quick_pauses_s, float("inf")
                if attempt > len(pauses):
                    raise ended(str(fault))
                wait_s = pauses[attempt - 1]
            case Transient(retry_after_s=asked):
                pauses, total_s = patience.pauses_s, patience.total_s
                wait_s = max(pauses[min(attempt, len(pauses)) - 1], asked or 0.0)
            case Rejected():
                raise ended(str(fault))
            case _:
                raise fault
        if failing_s + wait_s > total_s:
            tried = f"{attempt} attempts in {duration(failing_s)}"
            raise ended(
                f"{fault} The model did not answer: {tried}, and the next one would be in "
                f"{duration(wait_s)}."
            )
        return wait_s

    def _broken_off(self, reserved: Reserved, fault: ModelFault) -> Usage | None:
        """What an answer that broke off probably cost; None when none had begun."""
        if not fault.received:
            return None
        return self._priced(Usage(reserved.prompt, fault.received, estimated=True))

    def _usage(self, reserved: Reserved, completion: Completion) -> Usage:
        """The server's own count, or ours when it told none."""
        if completion.usage is not None:
            return self._priced(completion.usage)
        written = self._count(completion.text) if completion.text else 0
        return self._priced(Usage(reserved.prompt, written, estimated=True))

    def _priced(self, usage: Usage) -> Usage:
        price = self._model.card.price
        if usage.cost is not None or price is None:
            return usage
        return replace(usage, cost=price.cost(usage.prompt, usage.completion, usage.cached))
