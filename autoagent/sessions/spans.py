"""What the agents of a session changed, as spans between checkpoints: those of all as one."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from autoagent.events import Checkpointed, Span, Undone
from autoagent.journal import Entry
from autoagent.sessions.tree import entries_of
from autoagent.state import State


def tree_spans(session: Path, state: State, to: int | None = None) -> list[Span]:
    """The spans of every agent of the session in that folder, whose own agent is in that
    state; see `spans_of`."""
    ends = () if to is None else (to,)
    return spans_of(entries_of(session), *ends) if state.team.members else state.spans


def step_spans(session: Path, state: State, step: int) -> list[Span]:
    """What that step of the session's own agent changed, with what others did meanwhile that
    it can't be told apart from, and what its sub-agents did up to the next step."""
    alone = not state.team.members
    spans = state.spans if alone else spans_of(entries_of(session), step - 1, step)
    return [span for span in spans if span.step == step and not span.undone]


def spans_of(entries: Iterable[Entry], *ends: int) -> list[Span]:
    """The spans of every agent, the oldest first, none over another: where agents were at work
    at the same time it is one, as nobody can tell whose change it was.

    A span belongs to the last step of the session's own agent that it reaches into. One over
    the end of one of the steps `ends`, which rise, is cut there: at the last checkpoint before
    the next step began.
    """
    states = {"": State()}
    found: list[Span] = []
    newest = dict.fromkeys(ends, 0)  # checkpoint, up to the end of that step
    for entry in entries:
        own = states[""]
        state = states.setdefault(entry.agent, State())
        before = len(state.spans)
        # Of a sub-agent nothing else is asked; all that its steps said would be kept for it.
        if not entry.agent or isinstance(entry.event, Checkpointed | Undone):
            state.apply(entry.event)
        # No sub-agent was there before the first step.
        step = max(1, own.step) if entry.agent else own.step
        if isinstance(entry.event, Checkpointed):
            number = entry.event.number
            newest |= {end: max(newest[end], number) for end in ends if step <= end}
        for span in state.spans[before:]:
            found.append(replace(span, step=step, agents=(entry.agent,)) if entry.agent else span)
    apart = _on_copy(states[""])
    spans = [*_merged(s for s in found if not (apart and s.undone))]
    if apart:
        spans = sorted([*spans, *_merged(s for s in found if s.undone)], key=_place)
    for end in ends:
        spans = list(_cut(spans, newest[end], end))
    return spans


def unclosed(entries: Iterable[Entry]) -> dict[str, Checkpointed]:
    """Of each agent the checkpoint before a command of which none after it was taken."""
    newest = {e.agent: e.event for e in entries if isinstance(e.event, Checkpointed)}
    return {agent: event for agent, event in newest.items() if event.when == "before"}


def _on_copy(state: State) -> bool:
    """Whether the agents work on a copy, so that an undo is in another tree than their changes."""
    return state.started is not None and state.started.dry_run


def _merged(spans: Iterable[Span]) -> Iterator[Span]:
    """Those that overlap as one; what only touches stays apart."""
    last: Span | None = None
    for span in sorted(spans, key=_place):
        if last is None or span.before >= last.after:
            if last is not None:
                yield last
            last = span
            continue
        last = Span(
            max(last.step, span.step),
            last.before,
            max(last.after, span.after),
            last.undone and span.undone,
            tuple(sorted({*last.agents, *span.agents})),
        )
    if last is not None:
        yield last


def _cut(spans: Iterable[Span], number: int, step: int) -> Iterator[Span]:
    for span in spans:
        if span.before < number < span.after and span.step > step:
            yield replace(span, step=step, after=number)
            yield replace(span, before=number)
        else:
            yield span


def _place(span: Span) -> tuple[int, int]:
    return span.before, span.after
