"""The fold: a journal alone says where a run stands and what its next prompt is."""

from itertools import pairwise, zip_longest
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autoagent import history
from autoagent.events import (
    Cut,
    Event,
    Refused,
    Replied,
    Reserved,
    Stopped,
)
from autoagent.model import Completion, FormatRefused, Message, ModelFault, TooLong, Transient
from autoagent.state import State, fold
from tests.runs import AT_ONCE, DONE, Mind, Run, prompt_text, says

_BATCH = [{"name": "list_files", "args": {}}, {"name": "read_file", "args": {"path": "a"}}]
_REPLIES: list[str | Completion | ModelFault] = [
    says("write_file", path="a", content="é \ud800 \u2028\n" * 3, thoughts="Write."),
    says("write_file", path="b", content="word " * 900),
    says("append_file", path="a", content="x\n"),
    says("read_file", path="b"),
    says("read_file", path="missing"),
    says("write_file", path=".git/hooks/x", content=""),
    says("batch", commands=_BATCH),
    says("fly", to="moon"),
    says("read_file", wrong=1),
    'no object at all, "[end]"',
    '{"command": {"name": "read_file"',
    "",
    Completion("half", "length", None, "mind"),
    Completion("", "refusal", None, "mind", refusal="I would rather not."),
    Completion("", "filter", None, "mind"),
    Transient("503"),
    FormatRefused("no response_format"),
    TooLong("too long"),
]
_SCRIPTS = st.lists(st.sampled_from(_REPLIES), max_size=12)


def _prefixes(events: list[Event]) -> list[tuple[Event, str]]:
    """Each event with the prompt after it."""
    state = State()
    found = []
    for event in events:
        state.apply(event)
        found.append((event, prompt_text(history.messages(state))))
    return found


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(_SCRIPTS, st.lists(st.integers(1, 12), max_size=2))
def test_a_journal_folds_to_the_state_that_ran_and_its_prompts_only_grow(
    tmp_path_factory: pytest.TempPathFactory,
    script: list[str | Completion | ModelFault],
    stops: list[int],
) -> None:
    """Laws 1 and 3 for any script, dropped at any event and resumed: what was sent once is
    never changed, but by a cut; and each prompt is the one that the journal alone renders."""
    folder = tmp_path_factory.mktemp("run")
    mind = Mind([*script, DONE])
    calls: list[str] = []

    for stop in [*stops, None]:
        run = Run(folder, model=mind, window=8000, patience=AT_ONCE, more_goals=["More."])
        for number, event in enumerate(run):
            assert fold(run.loaded()) == run.state
            if isinstance(event, Reserved):
                calls.append(prompt_text(history.messages(run.state)))
            if number == stop:
                break

    grown = _prefixes(run.loaded())
    for (_, before), (event, after) in pairwise(grown):
        assert isinstance(event, Cut) or after.startswith(before)
    # A run that was dropped right behind a reservation never sent that prompt.
    rendered = iter(calls)
    assert all(prompt_text(prompt) in rendered for prompt in mind.prompts)


_WORK = [
    says(
        "write_file",
        path="a",
        content="one\n",
        thoughts="Begin.",
    ),
    says("read_file", path="missing"),
    "not an object",
    says("batch", commands=_BATCH),
    says("append_file", path="a", content="two\n"),
    DONE,
]


def _prompts_of(runs: list[Mind]) -> list[tuple[Message, ...]]:
    """All that was sent; a call that was sent again after a crash counts once."""
    sent = [prompt for mind in runs for prompt in mind.prompts]
    return [b for a, b in zip_longest([None, *sent], sent) if b is not None and a != b]


def test_a_resumed_prompt_goes_on_byte_for_byte(tmp_path: Path) -> None:
    """Dropped after each event in turn: the model can't tell that there was a crash."""
    whole = Mind(_WORK)
    events = list(Run(tmp_path / "whole", model=whole))

    for stop in range(len(events) - 1):
        folder = tmp_path / f"{stop}"
        first = Mind(_WORK)
        shown = 0
        dropped = Run(folder, model=first)
        for event in dropped:
            shown += isinstance(event, Replied | Refused)
            if stop == 0:
                break
            stop -= 1
        pending = fold(dropped.loaded()).pending
        answers = [*_WORK[shown:], DONE]  # one more where the end itself was lost
        second = Mind(answers)
        resumed = list(Run(folder, model=second))

        assert isinstance(resumed[-1], Stopped) and resumed[-1].status == "done"
        if not (pending and pending.executing):  # then the result tells of the interruption
            prompts = _prompts_of([first, second])
            assert prompts[: len(whole.prompts)] == whole.prompts


def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path) -> None:
    """A new goal, new words: appended, and everything before as it was sent."""
    first, second = Mind(_WORK), Mind([DONE])
    list(Run(tmp_path, model=first))

    list(Run(tmp_path, model=second, more_goals=["Count the files."]))

    before, after = prompt_text(first.prompts[-1]), prompt_text(second.prompts[0])
    assert after.startswith(before)
    assert "2. Count the files.\n[end]" in after.removeprefix(before)
