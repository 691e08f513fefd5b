"""What the model sees: results in their share, and the cut of a full window."""

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoagent import history
from autoagent.events import Changed, Cut, Executed, Fed, Reserved, Stopped
from autoagent.history import shortened
from autoagent.model import Message
from autoagent.scripted import Scripted
from autoagent.state import State, fold
from autoagent.tokens import estimate
from tests.runs import DONE, OPENING, Run, prompt_text, says

MORE = "[{lines} lines more: read_result(step=1, start_line={start})]"
_MORE = re.compile(r"\[(\d+) lines more: read_result\(step=(\d+), start_line=(\d+)\)\]")

_LINES = st.lists(
    st.text(st.characters(exclude_characters="\n"), max_size=60)
    | st.sampled_from(["", "x" * 300, "東京" * 40, " " * 50, "word " * 30]),
    min_size=1,
    max_size=80,
)


@settings(deadline=None, max_examples=150)
@given(_LINES, st.integers(60, 600))
def test_a_shortened_text_fits_its_share(lines: list[str], share: int) -> None:
    """Whatever the text: one result can't take another's room."""
    text, cut = shortened("\n".join(lines), share, estimate, MORE)

    assert estimate(text) <= share
    assert cut == (text != "\n".join(lines))


@settings(deadline=None, max_examples=150)
@given(_LINES, st.integers(60, 300), st.integers(0, 50))
def test_head_and_tail_stand_as_they_were_and_the_line_between_tells_the_truth(
    lines: list[str], share: int, before: int
) -> None:
    """Who reads from the named line gets exactly what was left out, and no line twice."""
    text, _ = shortened("\n".join(lines), share, estimate, MORE, before)
    found = _MORE.search(text)
    if found is None:
        return

    count, start = int(found[1]), int(found[3]) - before
    head, tail = text[: found.start()], text[found.end() :]

    assert head == "".join(line + "\n" for line in lines[: start - 1])
    assert tail == "".join("\n" + line for line in lines[start - 1 + count :])
    assert count > 0


@pytest.mark.parametrize("share", [-500, -1, 0, 1, 20])
def test_without_any_room_next_to_nothing_is_left(share: int) -> None:
    """A head line may have used the share up; then the text must not come in whole."""
    text, cut = shortened("word " * 10_000, share, estimate, MORE)

    assert cut and estimate(text) < 60


def test_a_line_too_long_to_keep_is_cut_inside_and_says_so() -> None:
    """Minified code, a data URL: its two ends, and how much is missing."""
    line = "".join(f"{n:06d}" for n in range(5000))

    text, cut = shortened(line, 100, estimate, MORE)

    head, between, tail = text.split("\n")
    assert cut and line.startswith(head) and line.endswith(tail)
    assert between == f"… {len(line) - len(head) - len(tail):,} characters left out …"


def _numbered(workspace: Path, name: str, lines: int, *, words: int = 6) -> None:
    text = "".join(f"line {n} " + "word " * words + "\n" for n in range(1, lines + 1))
    (workspace / name).write_text(text)


def _read_back(run: Run) -> list[Executed]:
    return [event for event in run if isinstance(event, Executed)]


def test_reading_from_the_named_line_gives_exactly_the_next_one(tmp_path: Path) -> None:
    """The whole is on disk, and the numbers hold in it."""
    (tmp_path / "workspace").mkdir()
    _numbered(tmp_path / "workspace", "long", 900)
    first = _read_back(Run(tmp_path, says("read_file", path="long"), window=8000))[0]
    found = _MORE.search(first.text)
    assert found is not None
    count, step, start = map(int, found.groups())
    asked = says("read_result", step=step, start_line=start, lines=count)

    again = _read_back(Run(tmp_path, asked, DONE, window=400_000))[0]

    shown_before = first.text[: found.start()].splitlines()
    shown_after = first.text[found.end() :].strip("\n").splitlines()
    whole = (tmp_path / "workspace" / "long").read_text().splitlines()
    assert [*shown_before, *again.text.splitlines(), *shown_after] == whole


def test_the_line_numbers_of_a_batch_are_those_of_all_its_sections(tmp_path: Path) -> None:
    """One file holds all results of the step; a section's numbers go on from the one before."""
    (tmp_path / "workspace").mkdir()
    for name in ("a", "b"):
        _numbered(tmp_path / "workspace", name, 700)
    calls = [{"name": "read_file", "args": {"path": name}} for name in ("a", "b")]
    asked = says("batch", commands=calls)
    first = _read_back(Run(tmp_path, asked, window=8000))[0]
    found = list(_MORE.finditer(first.text))
    assert len(found) == 2

    for each in found:
        count, step, start = map(int, each.groups())
        before = first.text[: each.start()].splitlines()[-1]
        after = first.text[each.end() :].splitlines()[1]
        run = Run(
            tmp_path, says("read_result", step=step, start_line=start, lines=count), window=400_000
        )
        read = _read_back(run)[0].text.splitlines()
        assert _number(read[0]) == _number(before) + 1
        assert _number(read[-1]) == _number(after) - 1


def _number(line: str) -> int:
    return int(line.split()[1])


@pytest.mark.parametrize("name", ["x", "x" * 190])
def test_a_result_takes_a_sixteenth_of_the_window_with_its_head_and_end(
    tmp_path: Path, name: str
) -> None:
    """Counted as it stands in the prompt."""
    (tmp_path / "workspace").mkdir()
    _numbered(tmp_path / "workspace", name, 4000)
    run = Run(tmp_path, says("read_file", path=name), DONE, window=8000)

    list(run)

    part = next(p for p in run.state.parts if p.text.startswith("[read_file"))
    assert 400 < estimate(part.text) <= 500


def test_eight_results_at_once_take_a_quarter_of_the_window(tmp_path: Path) -> None:
    """A batch must not push recent steps out either."""
    (tmp_path / "workspace").mkdir()
    _numbered(tmp_path / "workspace", "x", 4000)
    calls = [{"name": "read_file", "args": {"path": "x"}}] * 8
    run = Run(tmp_path, says("batch", commands=calls), DONE, window=8000)

    list(run)

    part = next(p for p in run.state.parts if p.text.startswith("[1 read_file"))
    assert 1500 < estimate(part.text) <= 2000


def test_a_huge_result_leaves_the_steps_before_it_in_the_prompt(tmp_path: Path) -> None:
    """What pushed out everything in other agents: one `cat` of a large file."""
    (tmp_path / "workspace").mkdir()
    (tmp_path / "workspace" / "huge").write_text("word " * 400_000)
    steps = [says("write_file", path=f"{n}", content="x") for n in range(3)]
    run = Run(tmp_path, *steps, says("read_file", path="huge"), DONE, window=8000)

    events = list(run)

    assert not any(isinstance(event, Cut) for event in events)
    assert "[write_file 0, workspace]" in prompt_text(history.messages(run.state))


# The cut.

WINDOW = 8000
CAP = WINDOW // 4


def _many(steps: int) -> Iterator[str]:
    """Replies of different lengths: short, a block's worth, a failing one now and then."""
    for n in range(steps):
        match n % 5:
            case 0:
                yield says("read_file", path=f"missing-{n}", thoughts=f"Look for {n}.")
            case 1:
                yield says("read_file", path="long", thoughts=f"Read again, round {n}.")
            case 2:
                yield says("write_file", path="big", content=f"{n}\n" + "word " * 300)
            case _:
                text = f"note {n} on {n * 7}\n"
                yield says("append_file", path="log", content=text, thoughts=f"Thought {n}.")


@pytest.fixture(scope="module")
def long_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Scripted]:
    """300 steps in a window of 8,000 tokens, with words of the user's in the middle."""
    folder = tmp_path_factory.mktemp("long")
    model = Scripted([*_many(300), DONE], window=WINDOW)
    run = Run(folder, model=model, window=WINDOW)
    run.workspace.mkdir(exist_ok=True)
    _numbered(run.workspace, "long", 900)
    for event in run:
        if isinstance(event, Executed) and event.step == 100:
            break  # a crash between two steps
    run = Run(folder, model=model, window=WINDOW, more_goals=["Keep the log sorted."])
    list(run)
    return run, model


def test_no_prompt_exceeds_the_window_less_the_completion(
    long_run: tuple[Run, Scripted],
) -> None:
    """By the same count that Scripted reports; the server would cut or refuse the rest."""
    run, model = long_run
    calls = [e for e in run.loaded() if isinstance(e, Reserved)]

    assert len(calls) == len(model.prompts) == 301
    assert all(call.prompt + CAP <= WINDOW for call in calls)
    for prompt in model.prompts:
        assert sum(estimate(message.content) for message in prompt) <= WINDOW - CAP


def test_between_cuts_each_prompt_begins_with_the_one_before(
    long_run: tuple[Run, Scripted],
) -> None:
    """Law 3: the provider's cache holds, and nothing that was sent is taken back."""
    run, model = long_run
    texts = [prompt_text(prompt) for prompt in model.prompts]

    changed = [(a, b) for a, b in itertools.pairwise(texts) if not b.startswith(a)]

    assert 5 < len(changed) < 60
    assert all(len(later) < len(before) for before, later in changed)
    assert len(changed) == sum(isinstance(event, Cut) for event in run.loaded())


def test_a_cut_leaves_about_two_fifths_of_the_window(long_run: tuple[Run, Scripted]) -> None:
    """Rare and large: a third between two cuts is what the cache is worth."""
    run, _ = long_run
    events = run.loaded()
    sizes = []
    state = State()
    for event in events:
        state.apply(event)
        if isinstance(event, Cut):
            sizes.append(history.size(state, estimate) / WINDOW)

    assert sizes and all(0.25 <= size <= 0.45 for size in sizes), sizes


def test_the_users_words_and_the_last_steps_never_leave(long_run: tuple[Run, Scripted]) -> None:
    """Goals, a goal that came later, and the two newest results whole."""
    run, model = long_run
    results: dict[int, str] = {}
    for event in run.loaded():
        if isinstance(event, Executed):
            results[event.step] = event.text.strip("\n")

    for number, prompt in enumerate(model.prompts):
        text = prompt_text(prompt)
        assert OPENING in text
        assert ("Keep the log sorted." in text) == (number >= 100)
        assert all(results[step] in text for step in range(max(1, number - 1), number + 1))


def test_a_digest_tells_of_all_that_left_and_of_what_failed(
    long_run: tuple[Run, Scripted],
) -> None:
    """Made anew at each cut from all steps, so a digest of digests loses nothing first."""
    run, _ = long_run
    cuts = [event for event in run.loaded() if isinstance(event, Cut)]

    for cut in cuts:
        assert cut.digest.startswith(f"[steps 1-{cut.step} have left")
        assert cut.digest.endswith("\n[end]")
        assert f"read_file missing-{(cut.step - 1) // 5 * 5}: failed" in cut.digest
        assert re.search(r"\nFiles changed:\n(- long.*\n)?- big \(step \d+\)\n", cut.digest)
        assert estimate(cut.digest) <= WINDOW / 16
    assert [cut.step for cut in cuts] == sorted({cut.step for cut in cuts})


def test_the_fold_of_the_long_journal_is_the_state_that_ran(
    long_run: tuple[Run, Scripted],
) -> None:
    """Law 1, over cuts and a resume."""
    run, _ = long_run

    assert fold(run.loaded()) == run.state


def test_a_window_full_of_the_opening_still_works_step_by_step(tmp_path: Path) -> None:
    """A long AGENTS.md in a small window: cuts at nearly every step, never a loop or a stop."""
    opening = OPENING + "\n" + "rule " * 5200
    steps = [says("write_file", path=f"{n}", content="word " * 200) for n in range(12)]
    run = Run(tmp_path, *steps, DONE, window=WINDOW, opening=opening)

    events = list(run)

    reserved = [event for event in events if isinstance(event, Reserved)]
    assert isinstance(events[-1], Stopped) and events[-1].status == "done"
    assert all(r.prompt + r.completion <= WINDOW and r.completion >= 512 for r in reserved)


def test_an_opening_that_leaves_no_room_is_an_honest_end(tmp_path: Path) -> None:
    """Exit 2 and what to do, instead of replies that the length limit cuts."""
    run = Run(tmp_path, DONE, window=WINDOW, opening=OPENING + " rule" * 7600)

    stopped = list(run)[-1]

    assert isinstance(stopped, Stopped)
    assert stopped.exit_code == 2 and "too small" in stopped.answer


def test_words_that_fill_the_window_are_an_honest_end_too(tmp_path: Path) -> None:
    """They never leave, so nothing else can be cut for them."""
    first = Run(tmp_path, says("list_files"), window=WINDOW)
    list(first)
    run = Run(tmp_path, DONE, window=WINDOW, more_goals=["word " * 7600])

    stopped = list(run)[-1]

    assert isinstance(stopped, Stopped)
    assert stopped.exit_code == 2 and "too small" in stopped.answer


def test_a_cut_does_not_let_the_model_forget_the_format(tmp_path: Path) -> None:
    """The system text teaches blocks; that there are none any more must stay in the prompt."""
    run = Run(tmp_path, says("list_files"), says("list_files", path="."), says("list_files"))
    list(run)
    for event in (Changed(format="json_object"), Fed("x")):
        run.state.apply(event)

    cut = history.cut(run.state, estimate)

    assert cut is not None
    run.state.apply(cut)
    assert "no blocks" in prompt_text(history.messages(run.state))


def test_a_cut_of_nothing_is_none(tmp_path: Path) -> None:
    """With one step there is nothing old, so nobody may loop for it."""
    run = Run(tmp_path, DONE)
    list(run)

    assert history.cut(run.state, estimate) is None


def test_messages_take_turns_and_end_with_the_user(long_run: tuple[Run, Scripted]) -> None:
    """Many templates demand it: system, user, assistant, user, …"""
    _, model = long_run

    for prompt in model.prompts:
        roles = [message.role for message in prompt]
        turns = ["user", "assistant"] * len(prompt)
        assert roles == ["system", *turns[: len(prompt) - 1]] and roles[-1] == "user"


def test_what_the_model_said_stands_in_the_prompt_in_one_form(tmp_path: Path) -> None:
    """However it was written: strict JSON on a line, so that a resumed prompt is the same."""
    wild = '```json\n{"thoughts": "x", "command": {"name": "list_files", "args": {},},}\n```'
    model = Scripted([wild, DONE])

    list(Run(tmp_path, model=model))

    said = next(m for m in model.prompts[1] if m.role == "assistant")
    assert json.loads(said.content)["command"] == {"name": "list_files", "args": {}}
    assert said == Message("assistant", said.content.strip())
