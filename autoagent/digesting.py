"""What leaves the prompt, summed up by a fast model where the purse allows."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files

from autoagent import history
from autoagent.events import Cut, Event, Noticed, Reserved
from autoagent.model import Cancelled, Completion, Message, Model, ModelFault, Usage
from autoagent.prompt import numbered
from autoagent.state import UNPAID, State
from autoagent.tokens import MESSAGE_OVERHEAD, Counter
from commands.cancel import Cancel

PURSE_SHARE = 1 / 10
"""Of what is left of money and tokens: more is never spent on one summary."""

_WORDS_PER_TOKEN = 0.6
_MOST_FAULTS = 3
_LEAST_COMPLETION = 1024  # tokens; a model that thinks first needs room for that


@dataclass(frozen=True, slots=True)
class Request:
    """One summary to be asked for; sizes in tokens."""

    messages: tuple[Message, ...]
    prompt: int
    completion: int


@dataclass(slots=True)
class Digester:
    """Asks the fast model. `clean` takes secrets out of what it writes; after three faults
    it isn't asked any more in this run."""

    model: Model
    count: Counter
    clean: Callable[[str], str]
    faults: int = 0

    def request(self, state: State, upto: int) -> Request | None:
        """The summary of the steps up to that one; None where nothing can be asked."""
        if self.faults >= _MOST_FAULTS:
            return None
        share = round(state.window * history.DIGEST_SHARE)
        system = files("autoagent").joinpath("prompts/digest.md").read_text("utf-8")
        messages = (
            Message("system", system.replace("{words}", str(round(share * _WORDS_PER_TOKEN)))),
            Message("user", _leaving(state, upto)),
        )
        prompt = sum(self.count(each.content) + MESSAGE_OVERHEAD for each in messages)
        card = self.model.card
        completion = max(2 * share, _LEAST_COMPLETION)
        completion = min(completion, card.max_completion or completion)
        if prompt + completion > (card.window or state.window):
            return None
        return Request(messages, prompt, completion)

    def allows(self, request: Request, state: State) -> bool:
        """Whether the purse does: a tenth of what is left must hold it."""
        limits, spent, price = state.limits, state.committed, self.model.card.price
        tokens = request.prompt + request.completion
        if tokens > (limits.tokens - spent.tokens) * PURSE_SHARE:
            return False
        if limits.cost is None:
            return True
        cost = None if price is None else price.cost(request.prompt, request.completion)
        return cost is not None and cost <= (limits.cost - spent.cost) * PURSE_SHARE

    def told(
        self, state: State, cut: Cut, request: Request, reserved: Reserved, cancel: Cancel
    ) -> Generator[Sequence[Event], None, Cut]:
        """The cut with the model's words in its digest, or as it was where they don't come."""
        try:
            completion = self.model.complete(
                request.messages, cap=reserved.completion, cancel=cancel
            )
        except Cancelled:
            raise
        except ModelFault as fault:
            self.faults += 1
            yield self._failed(state, fault)
            paid = Usage(reserved.prompt, fault.received, cost=reserved.cost, estimated=True)
            return replace(cut, usage=paid if fault.received else UNPAID)
        self.faults = 0
        usage = self._usage(reserved, completion)
        words = self.clean(completion.text).strip()
        if not words or words.startswith("{"):
            return replace(cut, usage=usage)  # no summary but a step of somebody's own
        window = round(state.window * history.RESULT_SHARE)
        digest = history.digest(state, cut.step, window, self.count, words)
        return replace(cut, digest=digest, usage=usage, by=completion.model)

    def _failed(self, state: State, fault: ModelFault) -> list[Event]:
        key = "digest fault"
        text = f"What leaves the prompt is summed up by rule where this goes on: {fault}"
        return [] if key in state.noticed else [Noticed("memory", text, key=key)]

    def _usage(self, reserved: Reserved, completion: Completion) -> Usage:
        told = completion.usage
        usage = told or Usage(reserved.prompt, self.count(completion.text), estimated=True)
        price = self.model.card.price
        if usage.cost is None and price is not None:
            cost = price.cost(usage.prompt, usage.completion, usage.cached)
            usage = replace(usage, cost=cost)
        return usage


def _leaving(state: State, upto: int) -> str:
    """Goals, and of the conversation what the cut takes out."""
    parts = (p for p in state.parts if p.step <= upto and p.kind not in ("opening", "words"))
    said = "\n\n".join(f"{'agent' if p.kind == 'reply' else 'result'}: {p.text}" for p in parts)
    return "\n".join(["Goals", *numbered(state.goals), "", said])
