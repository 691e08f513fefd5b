"""`/limit`: one limit of a running session is raised or lowered, and everything follows it."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from autoagent.events import Limited, Limits, Noticed, Stopped
from autoagent.model import Completion, Format, Message
from autoagent.state import fold
from autoagent.wishes import NewLimit, Wish
from commands.cancel import Cancel
from tests.runs import DONE, Mind, Run, prompt_text, says
from tests.screens import ASKS, WRITE, Screen, Silent, at_terminal
from tests.screens import DONE as ENDS
from tests.test_attended import Reader


class Wishing(Reader):
    """A person whose wishes come one at a time, at the beginning of each turn."""

    def __init__(self, *wanted: Wish) -> None:
        super().__init__()
        self.wanted = list(wanted)


class Patient(Mind):
    """Thinks for so many seconds, or until its call is cut."""

    def __init__(self, answers: Sequence[str], seconds: float) -> None:
        super().__init__(answers)
        self._seconds = seconds

    def complete(
        self,
        messages: Sequence[Message],
        *,
        cap: int,
        cancel: Cancel,
        format: Format = "text",
        hear: Callable[[str], None] | None = None,
    ) -> Completion:
        cancel.wait(self._seconds)
        return super().complete(messages, cap=cap, cancel=cancel, format=format, hear=hear)


def _events(screen: Screen, kind: str) -> list[dict[str, object]]:
    (journal,) = screen.program.home.glob("sessions/*/journal.jsonl")
    events = map(json.loads, journal.read_text().splitlines())
    return [event for event in events if event["type"] == kind]


def test_a_limit_that_is_raised_at_the_question_holds_from_then_on(tmp_path: Path) -> None:
    """The run goes past the old one, the model knows, and a resume goes on with the new one."""
    options = ("--max-steps", "2", "Write thrice")
    with at_terminal(tmp_path, [WRITE, WRITE, WRITE, ENDS], *options) as screen:
        screen.answers(ASKS, "y")
        screen.answers(ASKS, "/limit")
        screen.shows(" of $3.00\r\n", "  steps  2 of 2 steps\r\n", " of 2,000,000 tokens\r\n")
        screen.shows("  time   ", ", no limit\r\n")
        screen.answers(ASKS, "/limit steps 9")
        screen.shows(
            "At most $3.00, 9 steps, 2,000,000 tokens from now on.", "  a.txt  replaces 1 line by 1"
        )
        screen.answers(ASKS, "y -2")

        assert screen.ends() == 0
        told = "[the user changed what you may use: 9 steps instead of 2 steps]"
        assert told in screen.prompt(2)
        assert told not in screen.prompt(1)
    with at_terminal(tmp_path, [ENDS], "--resume", "--goal", "Go on") as again:
        assert again.ends() == 0
        limits = {"steps": 9, "tokens": 2_000_000, "cost": 3.0, "time_s": None}
        assert [e["limits"] for e in _events(again, "Resumed")] == [limits]


_NO_LIMITS = {
    "steps": "Write the new limit behind it: /limit steps 200",
    "steps 0": "/limit steps: '0' isn't a whole number above 0, like 100.",
    "tokens 10": "/limit tokens 10: ",
    "cost $0.00001": "/limit cost $0.00001: $0.0",
    "time soon": "/limit time: 'soon' isn't a time like 90, 90s, 30m, 2h or 1h30m.",
    "memory 3": "/limit memory: give one of steps, tokens, cost, time.",
}


def test_what_can_be_no_limit_is_said_and_nothing_changes(tmp_path: Path) -> None:
    """Not below what is used: the run would only end, without a word why."""
    with at_terminal(tmp_path, [WRITE, ENDS], "Write") as screen:
        for typed, said in _NO_LIMITS.items():
            screen.answers(ASKS, f"/limit {typed}")
            screen.shows(f"/limit {typed}\r\n{said}")
        screen.answers(ASKS, "y")

        assert screen.ends() == 0
        assert _events(screen, "Limited") == []


def test_without_a_price_a_money_limit_is_refused(tmp_path: Path) -> None:
    """Nobody could keep it."""
    with at_terminal(tmp_path, [WRITE, ENDS], "Write", AUTOAGENT_PRICE="") as screen:
        screen.answers(ASKS, "/limit cost 6")
        screen.shows("The price of fake-model is unknown, so no sum can be kept;")
        screen.answers(ASKS, "y")

        assert screen.ends() == 0


def test_a_time_limit_that_is_set_while_it_runs_ends_the_run(tmp_path: Path) -> None:
    """There was none when it started."""
    silent = Silent()
    with at_terminal(tmp_path, [WRITE, silent], "Write") as screen:
        screen.answers(ASKS, "/limit time 3")
        screen.shows("2,000,000 tokens, 3s from now on.")
        screen.answers(ASKS, "y")
        screen.shows("A limit is reached: 3s are over.")

        assert screen.ends() == 4


def test_a_deadline_moves_with_the_limit(tmp_path: Path) -> None:
    """What would have ended the call no longer does."""
    run = Run(
        tmp_path,
        model=Patient([DONE], seconds=2.0),
        limits=Limits(10, 10**6, time_s=1.5),
        person=Wishing(NewLimit("time", 3600.0)),
    )

    run.carried_out()

    assert run.state.stopped is not None
    assert run.state.stopped.status == "done"
    assert run.state.spent.elapsed_s > 1.5


def test_what_is_left_is_told_anew_under_a_new_limit(tmp_path: Path) -> None:
    """Half of 4 steps, then half of 8; the other limits' milestones aren't repeated."""
    model = Mind([*[says("list_files", path=f"{n}") for n in range(6)], DONE])
    person = Wishing()
    run = Run(tmp_path, model=model, limits=Limits(4, 10**8), person=person)
    said = []

    for event in run:
        if isinstance(event, Noticed) and event.topic == "limit":
            said.append(event.text)
            person.wanted += [NewLimit("steps", 8.0)] if len(said) == 1 else []

    assert said == ["2 of 4 steps are left", "4 of 8 steps are left", "2 of 8 steps are left"]
    changed = "[the user changed what you may use: 8 steps instead of 4 steps]"
    assert prompt_text(model.prompts[-1]).count(changed) == 1
    assert [e for e in run.loaded() if isinstance(e, Limited)] == [Limited(Limits(8, 10**8))]
    assert fold(run.loaded()).limits == Limits(8, 10**8)


def test_a_lowered_limit_ends_the_run_before_the_next_call(tmp_path: Path) -> None:
    """And the way on names a higher one."""
    person = Wishing(NewLimit("tokens", 1.0))
    run = Run(tmp_path, DONE, person=person)

    *_, stopped = list(run)

    assert isinstance(stopped, Stopped)
    assert (stopped.status, stopped.exit_code) == ("limit", 4)
    assert "--max-tokens" in stopped.go_on
