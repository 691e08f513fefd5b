"""What 1,000 steps cost in prompt tokens by window and layout: `python bench/longrun.py [STEPS]`.

The agent's own loop, state, cuts and recall, by words alone, with a model that says a script;
each step writes a file, so that about 350 or about 1,000 tokens are new. Beside it, computed
from the texts of the same steps:

(a) the classic layout in the same window: system text and goals, then the clock and ten
    memories ranked anew, then as many of the newest steps as leave room for an answer. Only what
    stands before the clock is in the provider's cache.
(b) append-only without a limit: each prompt is the last one with a step more.

Tokens are our own count. The bill is in token-equivalents of uncached prompt tokens, a cached one
at 0.1 or 0.5 of the price; cached is what the prompt before began with, message for message.
Answers cost the same in every layout and are left out. About two minutes; nothing here fails.
"""

import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import accumulate, count
from pathlib import Path
from statistics import mean

from yardstick import figure

from autoagent.events import Cut, Event, Executed, Limits, Replied
from autoagent.longterm.memory import NEAREST, text_of
from autoagent.model import Completion, Embedded, Format, Message, ModelCard, Usage
from autoagent.observation import of_executed
from autoagent.prompt import system_text
from autoagent.reply import render
from autoagent.state import Past, reply_of
from autoagent.tokens import MESSAGE_OVERHEAD, estimate
from commands.builtin import catalogue
from commands.cancel import Cancel
from tests.long_session import sentence
from tests.runs import DONE, OPENING, SYSTEM, Run, says

WINDOWS = (8_000, 16_000, 32_000, 128_000)
NEW = (350, 1000)  # tokens a step
CACHED = (0.1, 0.5)  # of the price
_FRAME = 60  # tokens of a step beside the text that it writes
_CLOCK = 20
_SHOWN = 400  # characters of a memory in the classic layout
_LARGEST_COMPLETION = 8192


@dataclass(slots=True)
class Bill:
    """Prompts of one layout: tokens of each, and those that the cache had."""

    prompts: list[int] = field(default_factory=list)
    cached: list[int] = field(default_factory=list)

    def add(self, prompt: int, cached: int) -> None:
        self.prompts.append(prompt)
        self.cached.append(cached)

    def at(self, price: float) -> float:
        """Millions of token-equivalents."""
        return (sum(self.prompts) - (1 - price) * sum(self.cached)) / 1e6


class Mind:
    """Says the script; keeps of each prompt only how large it was, and how much of it the one
    before began with."""

    embeds = False

    def __init__(self, new: int, steps: int, window: int) -> None:
        self._replies = [*(_reply(n, new) for n in range(steps)), DONE]
        self._last: list[tuple[Message, int]] = []
        self.card = ModelCard("mind", window=window)
        self.bill = Bill()

    def complete(
        self,
        messages: Sequence[Message],
        *,
        cap: int,
        cancel: Cancel,
        format: Format = "text",
        hear: Callable[[str], None] | None = None,
    ) -> Completion:
        sized = [(m, estimate(m.content) + MESSAGE_OVERHEAD) for m in messages]
        pairs = zip(sized, self._last, strict=False)
        same = next((n for n, (a, b) in enumerate(pairs) if a != b), len(self._last))
        self._last = sized
        prompt = sum(size for _, size in sized)
        self.bill.add(prompt, sum(size for _, size in sized[:same]))
        text = self._replies[len(self.bill.prompts) - 1]
        return Completion(text, "stop", Usage(prompt, estimate(text)), "mind")

    def embed(self, texts: Sequence[str], *, cancel: Cancel) -> Embedded | None:
        return None


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of ours, and the two layouts that its steps would have cost otherwise."""

    new: int  # tokens a step
    window: int
    steps: float  # tokens, mean
    cuts: int
    ours: Bill
    classic: Bill
    endless: Bill


def main(steps: int = 1000) -> None:
    """Print one line a figure."""
    cases = [(new, window, steps) for new in NEW for window in WINDOWS]
    with ProcessPoolExecutor(2) as pool:
        for measured in pool.map(measure, *zip(*cases, strict=True)):
            report(measured)


def report(one: Measured) -> None:
    kept = sum(one.ours.cached) / sum(one.ours.prompts)
    between = [
        cached / before
        for before, cached in zip(one.ours.prompts, one.ours.cached[1:], strict=False)
    ]
    whole = sum(share == 1 for share in between)
    print(f"== {len(one.ours.prompts)} prompts, {one.steps:.0f} new tokens a step,", end=" ")
    print(f"window {one.window:,}")
    figure(
        "prompt tokens: all, mean, largest",
        f"{sum(one.ours.prompts) / 1e6:.2f} M, {mean(one.ours.prompts):,.0f}, "
        f"{max(one.ours.prompts):,}",
    )
    figure(
        "kept prefix: all; prompts that keep the one before whole",
        f"{kept:.1%}; {whole} of {len(between)} ({one.cuts} cuts)",
    )
    for price in CACHED:
        ours, classic, endless = (b.at(price) for b in (one.ours, one.classic, one.endless))
        figure(
            f"bill, cached at {price}",
            f"{ours:.2f} M",
            f"{ours / classic:.2f} × (a) {classic:.2f} M   {ours / endless:.3f} × (b) "
            f"{endless:.1f} M, which needs a window of {max(one.endless.prompts) // 1000:,}k",
        )


def measure(new: int, window: int, steps: int) -> Measured:
    """Run ours on real files, then lay out what its steps said in the other ways."""
    mind = Mind(new, steps, window)
    system = system_text(catalogue(interactive=False), interactive=False, network="")
    opening = f"{system}\n{OPENING}"
    with tempfile.TemporaryDirectory() as folder:
        limits = Limits(2 * steps, 10**12)
        run = Run(
            Path(folder), model=mind, window=window, opening=opening, limits=limits, memory=True
        )
        events = list(run)
    texts = list(step_texts(events))
    sizes = [size for size, _ in texts]
    shown = [estimate(text_of(past)[:_SHOWN]) for _, past in texts]
    fixed = estimate(SYSTEM) + estimate(opening) + 2 * MESSAGE_OVERHEAD
    cuts = sum(isinstance(event, Cut) for event in events)
    classic = classic_bill(fixed, sizes, shown, window)
    return Measured(new, window, mean(sizes[:-1]), cuts, mind.bill, classic, endless(fixed, sizes))


def step_texts(events: Sequence[Event]) -> list[tuple[int, Past]]:
    """Of each step the tokens of reply and result, and what memory would keep of it."""
    found = []
    reply = None
    for event in events:
        if isinstance(event, Replied):
            reply = reply_of(event)
        if isinstance(event, Executed) and reply is not None:
            text = of_executed(event, "")
            size = estimate(render(reply)) + estimate(text) + 2 * MESSAGE_OVERHEAD
            kept = (event.about, event.ok, event.note, event.changed, event.source, event.text)
            found.append((size, Past(event.step, reply.thoughts, event.name, *kept)))
    return found


def classic_bill(fixed: int, sizes: Sequence[int], shown: Sequence[int], window: int) -> Bill:
    """Before step n: what is fixed, the clock, ten memories, the newest steps that fit."""
    bill = Bill()
    room = window - min(window // 4, _LARGEST_COMPLETION)
    for number in range(len(sizes)):
        # Which ten are ranked first hardly changes their size: ten from all over the run.
        apart = max(1, number // NEAREST)
        prompt = fixed + _CLOCK + sum(list(shown[:number:apart])[:NEAREST])
        for size in reversed(sizes[:number]):
            if prompt + size > room:
                break
            prompt += size
        bill.add(prompt, fixed if number else 0)
    return bill


def endless(fixed: int, sizes: Sequence[int]) -> Bill:
    bill = Bill()
    before = 0
    for prompt in accumulate(sizes[:-1], initial=fixed):
        bill.add(prompt, before)
        before = prompt
    return bill


def _reply(number: int, new: int) -> str:
    """Write one of twenty files, so long that the step has about `new` tokens."""
    lines: list[str] = []
    size = 0
    for seed in count(number * 1000):
        lines.append(sentence(seed))
        size += estimate(lines[-1]) + 1
        if size >= new - _FRAME:
            break
    content = "\n".join(lines[2:])
    return says("write_file", " ".join(lines[:2]), path=f"{number % 20}.txt", content=content)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
