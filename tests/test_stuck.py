"""Repetition: seen on command, arguments and result, whatever clock and process say."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoagent.events import Event, Executed, Noticed, Stopped
from autoagent.reply import Command
from autoagent.stuck import NUDGE_AT, STOP_AT, Pattern
from tests.runs import DONE, Run, prompt_text, says


def _repeats(*steps: tuple[str, str]) -> int:
    """How often a series of (command, result) repeats at its end."""
    pattern = Pattern()
    for argument, text in steps:
        pattern.add(Command("run", {"line": argument}), _executed(text))
    return pattern.repeats


def _executed(text: str, name: str = "run") -> Executed:
    return Executed(1, name, "", True, False, "", text, "command")


_STEPS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xy")), max_size=16)


def _by_hand(steps: list[tuple[str, str]]) -> int:
    """The most that a cycle of one to three steps repeats at the end, counted plainly."""
    best = 0
    for length in (1, 2, 3):
        cycle = steps[-length:]
        times = 0
        while len(cycle) == length and steps[len(steps) - (times + 1) * length :][:length] == cycle:
            times += 1
            if (times + 1) * length > len(steps):
                break
        best = max(best, times)
    return best


@settings(deadline=None)
@given(_STEPS)
def test_repeats_are_those_of_a_plain_count(steps: list[tuple[str, str]]) -> None:
    """Up to the five that end a run; more than that is never asked."""
    assert min(_repeats(*steps), STOP_AT) == max(min(_by_hand(steps), STOP_AT), bool(steps))


@settings(deadline=None)
@given(st.text(max_size=30), st.integers(1, 8))
def test_a_counter_that_goes_up_never_counts(text: str, steps: int) -> None:
    """Waiting for something is no loop while something changes."""
    assert _repeats(*[("a", f"{text} x{n}") for n in range(steps)]) == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("done at 12:01:07", "done at 12:01:09"),
        ("2026-11-20T12:01:07.123Z start", "2026-11-21T08:55:01Z start"),
        ("1 failed in 0.04s", "1 failed in 12.3 seconds"),
        ("took 15 ms", "took 7 ms"),
        ("pid 4711 died", "pid 23 died"),
        ("PID=4711", "PID=4712"),
        ("sshd[123]: no", "sshd[99]: no"),
        ("[1] 4711", "[2] 5813"),
        ("at 0x7f00aa", "at 0x7fffff01"),
        ("/tmp/tmpab12/x.py: no such file", "/tmp/tmpzz99/x.py: no such file"),
    ],
)
def test_what_differs_without_meaning_anything_is_left_out(first: str, second: str) -> None:
    """Times, processes, addresses and temporary paths."""
    assert _repeats(("a", first), ("a", second)) == 2


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("3 files left", "2 files left"),
        ("[3]", "[2]"),
        ("[3/10] built", "[4/10] built"),
        ("line 14", "line 15"),
        ("src/a.py", "src/b.py"),
        ("50 %", "60 %"),
        ("exit 1", "exit 2"),
    ],
)
def test_what_tells_of_progress_is_not(first: str, second: str) -> None:
    """Else a run that moves forward would be stopped."""
    assert _repeats(("a", first), ("a", second)) == 1


def test_another_argument_is_another_step() -> None:
    """Trying something else is what we ask for."""
    assert _repeats(("a", "x"), ("b", "x"), ("a", "x"), ("c", "x")) == 1


def _told(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Noticed) and event.topic == "stuck"]


def _look(path: str) -> str:
    return says("read_file", path=path)


@pytest.mark.parametrize("cycle", [["a"], ["a", "b"], ["a", "b", "c"]])
def test_a_cycle_is_nudged_at_the_third_time_and_ends_the_run_at_the_fifth(
    tmp_path: Path, cycle: list[str]
) -> None:
    """Alone, in pairs and in triples; the nudge is said once and stands in the prompt."""
    replies = [_look(name) for name in cycle * 6]
    run = Run(tmp_path, *replies)

    events = list(run)

    steps = [event.step for event in events if isinstance(event, Executed)]
    stopped = events[-1]
    nudge = "the same command gave the same result 3 times: do something else"
    assert isinstance(stopped, Stopped)
    assert (stopped.status, stopped.exit_code) == ("stuck", 7)
    assert steps[-1] == STOP_AT * len(cycle)
    assert _told(events) == [nudge]
    prompts = [prompt_text(prompt) for prompt in run.model.prompts]  # type: ignore[attr-defined]
    first = NUDGE_AT * len(cycle)
    assert [nudge in prompt for prompt in prompts] == [n >= first for n in range(len(prompts))]


def test_who_heeds_the_nudge_goes_on(tmp_path: Path) -> None:
    """And is nudged anew only for another repetition."""
    replies = [_look("a")] * 4 + [_look("b")] * 4 + [DONE]

    events = list(Run(tmp_path, *replies))

    assert len(_told(events)) == 2
    assert events[-1] == Stopped("done", 0, "ok", go_on=_go_on(events), elapsed_s=_elapsed(events))


def _go_on(events: list[Event]) -> str:
    return events[-1].go_on if isinstance(events[-1], Stopped) else ""


def _elapsed(events: list[Event]) -> float:
    return events[-1].elapsed_s if isinstance(events[-1], Stopped) else 0.0


def test_a_result_that_changes_is_never_stuck(tmp_path: Path) -> None:
    """The same command ten times, each time a line more."""
    replies = [says("execute_shell", command_line="echo x >> log; wc -l < log")] * 10

    events = list(Run(tmp_path, *replies, DONE))

    assert _told(events) == []
    assert isinstance(events[-1], Stopped) and events[-1].status == "done"


def test_a_finish_that_fails_its_proof_is_stuck_however_it_is_worded(tmp_path: Path) -> None:
    """Declaring victory in other words is the loop that unattended runs die of."""
    finishes = [says("finish", answer=f"It works, take {n}!") for n in range(9)]
    run = Run(tmp_path, *finishes, verify=["echo missing; exit 3"])

    events = list(run)

    assert isinstance(events[-1], Stopped)
    assert (events[-1].status, events[-1].exit_code) == ("stuck", 7)
    assert sum(isinstance(event, Executed) for event in events) == STOP_AT
    assert len(_told(events)) == 1


def test_a_proof_that_fails_differently_each_time_is_work(tmp_path: Path) -> None:
    """Fewer failures at each try: the agent gets somewhere."""
    count = "echo x >> tries; echo $((9 - $(wc -l < tries))) failed; [ $(wc -l < tries) = 7 ]"
    finishes = [says("finish", answer="Now!")] * 9

    events = list(Run(tmp_path, *finishes, verify=[count]))

    assert _told(events) == []
    assert isinstance(events[-1], Stopped) and events[-1].verified is True


def test_a_command_that_does_not_exist_is_stuck_as_well(tmp_path: Path) -> None:
    """The same refusal again and again, though nothing ever ran."""
    events = list(Run(tmp_path, *[says("fly", to="moon")] * 9))

    assert isinstance(events[-1], Stopped) and events[-1].exit_code == 7
    assert sum(isinstance(event, Executed) for event in events) == STOP_AT
