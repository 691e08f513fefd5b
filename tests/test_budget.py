"""Hard limits: what a call may cost at most fits, or it isn't made."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoagent.budget import Exhausted, milestones, reserve
from autoagent.configuration.values import from_text
from autoagent.events import Event, Limits, Noticed, Replied, Reserved, Retried, Stopped
from autoagent.model import (
    Cancelled,
    Completion,
    ModelCard,
    NotListening,
    Price,
    Rejected,
    TooLong,
    Transient,
    Usage,
)
from autoagent.state import Spent, State
from tests.runs import AMPLE, DONE, PRICE, Mind, Run, says

_FLAT = st.just(0.0) | st.floats(0.01, 200)
_PRICES = st.builds(
    lambda prompt, share, completion: Price(prompt, prompt * share, completion),
    _FLAT,
    st.floats(0, 1),
    _FLAT,
)
_LIMITS = st.builds(
    Limits,
    steps=st.integers(1, 50),
    tokens=st.integers(1, 200_000),
    cost=st.none() | st.floats(0.001, 5),
)
_CALLS = st.lists(
    st.tuples(
        st.integers(1, 30_000),  # prompt
        st.integers(0, 8192),  # completion
        st.floats(0, 1),  # how much of the prompt, of its cache and of the completion is used
        st.floats(0, 1),
        st.floats(0, 1),
        st.sampled_from(["replied", "failed", "crashed"]),
    ),
    max_size=12,
)


def _used(reserved: Reserved, price: Price | None, shares: tuple[float, float, float]) -> Usage:
    """What a server may report of a call within what was reserved."""
    prompt, completion = round(reserved.prompt * shares[0]), round(reserved.completion * shares[2])
    cached = round(prompt * shares[1])
    cost = None if price is None else price.cost(prompt, completion, cached)
    return Usage(prompt, completion, cached, cost=cost)


@settings(deadline=None, max_examples=60)
@given(_LIMITS, st.none() | _PRICES, _CALLS)
def test_whatever_is_used_of_what_was_reserved_no_limit_is_passed(
    limits: Limits, price: Price | None, calls: list[tuple[int, int, float, float, float, str]]
) -> None:
    """Law 5, over any series of calls: answered, failed without an answer, or lost."""
    state = State(limits=limits)

    for prompt, completion, *shares, end in calls:
        got = reserve(1, "step", prompt, completion, price, limits, state.committed, 0.0)
        if isinstance(got, Exhausted):
            continue
        assert got.prompt == prompt and 0 <= got.completion <= completion
        state.apply(got)
        if end == "replied":
            used = _used(got, price, (shares[0], shares[1], shares[2]))
            state.apply(Replied(1, "", "", "", None, "", "x", {}, "strict", used))
        elif end == "failed":
            state.apply(Retried(1, 1, "busy", 0.0))

        assert state.committed.tokens <= limits.tokens
        if price is not None and limits.cost is not None:
            assert state.committed.cost <= limits.cost + 1e-9


@settings(deadline=None)
@given(_LIMITS, st.none() | _PRICES, st.integers(1, 30_000), st.integers(1, 8192))
def test_the_option_that_is_named_gives_room_for_the_call(
    limits: Limits, price: Price | None, prompt: int, completion: int
) -> None:
    """A hint that leads into the same wall again is worse than none."""
    got = reserve(limits.steps, "step", prompt, completion, price, limits, Spent(), 0.0)

    for _ in range(2):  # tokens and cost may both be short
        if isinstance(got, Exhausted):
            option, typed = got.option.split()
            if option == "--max-tokens":
                limits = replace(limits, tokens=from_text("count", typed, option))
            else:
                limits = replace(limits, cost=from_text("usd", typed, option))
            got = reserve(limits.steps, "step", prompt, completion, price, limits, Spent(), 0.0)

    assert isinstance(got, Reserved)


@pytest.mark.parametrize(
    ("limits", "spent", "step", "elapsed_s", "resource", "message", "option"),
    [
        (Limits(5, 10**6), Spent(), 6, 0.0, "steps", "5 steps are done", "--max-steps 10"),
        (
            Limits(5, 20_000),
            Spent(prompt=15_000, completion=4_000),
            2,
            0.0,
            "tokens",
            "19,000 of 20,000 tokens are used and the next call may need 1,512",
            "--max-tokens 40000",
        ),
        (
            Limits(5, 10**6, cost=3.0),
            Spent(cost=2.999),
            2,
            0.0,
            "cost",
            "$3.00 of $3.00 are used and the next call may cost $0.0071",
            "--max-cost 6",
        ),
        (Limits(5, 10**6, time_s=90), Spent(), 2, 90.0, "time", "90s are over", "--max-time 3m"),
    ],
)
def test_each_limit_says_what_was_reached_and_what_raises_it(
    limits: Limits,
    spent: Spent,
    step: int,
    elapsed_s: float,
    resource: str,
    message: str,
    option: str,
) -> None:
    """Cost by hand: 1,000 prompt at $2 and 512 completion tokens at $10 a million: $0.00712."""
    got = reserve(step, "step", 1000, 2000, PRICE, limits, spent, elapsed_s)

    assert got == Exhausted(resource, message, option)  # type: ignore[arg-type]


def test_a_completion_is_made_smaller_where_the_money_is_short() -> None:
    """By hand: $0.012 less 1,000 prompt tokens at $2 a million leaves $0.01: 1,000 tokens."""
    got = reserve(1, "step", 1000, 8000, PRICE, Limits(9, 10**6, cost=0.012), Spent(), 0.0)

    assert isinstance(got, Reserved)
    assert got.completion == 1000
    assert got.cost == pytest.approx(0.012)


def test_an_unknown_price_leaves_money_out() -> None:
    """Nobody can keep a limit whose measure nobody knows; tokens still hold."""
    got = reserve(1, "step", 1000, 2000, None, Limits(9, 10**6, cost=0.0), Spent(), 0.0)

    assert got == Reserved(1, "step", 1000, 2000, None, 0.0)


@pytest.mark.parametrize(
    ("limits", "option"),
    [
        (Limits(2, 10**6), "--max-steps 4"),
        (Limits(99, 1000), "--max-tokens 2000"),
        (Limits(99, 10**6, cost=0.006), "--max-cost 0.012"),
        (Limits(99, 10**6, time_s=1e-9), "--max-time 60s"),
    ],
)
def test_a_run_ends_at_its_limit_with_the_line_that_goes_on(
    tmp_path: Path, limits: Limits, option: str
) -> None:
    """Exit 4; the journal says what was reached."""
    card = ModelCard("priced", 32_000, price=PRICE)
    model = Mind([says("list_files")] * 9, card=card)

    stopped = list(Run(tmp_path, model=model, limits=limits))[-1]

    assert isinstance(stopped, Stopped)
    assert (stopped.status, stopped.exit_code) == ("limit", 4)
    assert stopped.answer.startswith("A limit is reached: ")
    assert stopped.go_on == f"autoagent --resume one {option}"


def test_a_call_that_was_interrupted_counts_when_the_next_is_reserved(tmp_path: Path) -> None:
    """A person who interrupts often must not pass the limit that way."""
    interruptions = Mind([Cancelled("interrupted")] * 9)
    run = Run(tmp_path, model=interruptions, limits=Limits(99, 20_000))

    list(run)

    assert run.state.spent.tokens <= 20_000
    # Two with a quarter of the window, 8,000 tokens, and one with what is left.
    assert [cap // 1000 for cap in interruptions.caps] == [8, 8, 3]


def test_a_resume_under_a_higher_limit_goes_on_from_the_sum(tmp_path: Path) -> None:
    """Limits count the whole session, not a run of it."""
    first = list(Run(tmp_path, *[says("list_files")] * 3, limits=Limits(2, 10**6)))
    again = list(Run(tmp_path, DONE, limits=Limits(2, 10**6)))
    more = Run(tmp_path, DONE, limits=Limits(3, 10**6))
    last = list(more)

    ends = [run[-1] for run in (first, again, last)]
    assert [e.status for e in ends if isinstance(e, Stopped)] == ["limit", "limit", "done"]
    assert more.state.step == 3


def test_a_reservation_that_a_crash_left_open_stays_paid(tmp_path: Path) -> None:
    """The server may have charged for it: nobody knows, so it counts whole."""
    card = ModelCard("priced", 32_000, price=PRICE)
    crashed = Run(tmp_path, model=Mind([DONE], card=card))
    reserved = next(event for event in crashed if isinstance(event, Reserved))
    free = Mind([Completion(DONE, "stop", Usage(0, 0, cost=0.0), "priced")], card=card)
    resumed = Run(tmp_path, model=free)

    list(resumed)

    spent = resumed.state.spent
    assert reserved.cost is not None and reserved.cost > 0
    assert (spent.prompt, spent.completion) == (reserved.prompt, reserved.completion)
    assert spent.cost == reserved.cost


@pytest.mark.parametrize(
    "fault", [Transient("503"), NotListening("refused"), TooLong("too long", window=16_000)]
)
def test_an_attempt_that_brought_no_answer_is_given_back(
    tmp_path: Path, fault: Transient | NotListening | TooLong
) -> None:
    """Else a server's bad hour would use up the money."""
    usage = Usage(100, 10, cost=0.25)
    answer = Completion(DONE, "stop", usage, "priced")
    run = Run(tmp_path, model=Mind([fault, answer], card=ModelCard("p", 32_000, price=PRICE)))

    list(run)

    assert run.state.spent.cost == 0.25
    assert run.state.spent.tokens == 110


@pytest.mark.parametrize("fault", [Rejected("no such key"), NotListening("refused")])
def test_a_call_that_the_server_never_took_costs_nothing_at_the_end(
    tmp_path: Path, fault: Rejected | NotListening
) -> None:
    """A receipt over eight cents for a wrong key would be a lie."""
    run = Run(tmp_path, model=Mind([fault] * 9, card=ModelCard("p", 32_000, price=PRICE)))

    stopped = list(run)[-1]

    assert isinstance(stopped, Stopped) and stopped.exit_code == 5
    assert (run.state.spent.tokens, run.state.spent.cost) == (0, 0.0)


def test_an_answer_that_broke_off_is_paid_as_far_as_it_came(tmp_path: Path) -> None:
    """By hand: its prompt as reserved at $2 and 100 tokens at $10 a million; also the last."""
    cut = Transient("cut", received=100)
    run = Run(tmp_path, model=Mind([cut, DONE], card=ModelCard("p", 32_000, price=PRICE)))
    broken = Mind([cut, Rejected("gone")], card=ModelCard("p", 32_000, price=PRICE))
    ended = Run(tmp_path, model=broken, session="two")

    retried = next(event for event in run if isinstance(event, Retried))
    list(ended)

    assert retried.usage is not None and retried.usage.cost is not None
    assert retried.usage.cost == pytest.approx((retried.usage.prompt * 2 + 100 * 10) / 1e6)
    assert ended.state.spent.cost == retried.usage.cost


def test_milestones_are_told_once_each(tmp_path: Path) -> None:
    """Half, a quarter and a tenth left, of the limits that are set; the model can plan by it."""
    steps = [says("write_file", path="a", content=f"{n}") for n in range(20)]
    run = Run(tmp_path, *steps, limits=Limits(20, 10**8))

    told = [event.text for event in run if isinstance(event, Noticed) and event.told]

    assert told == [
        "10 of 20 steps are left",
        "5 of 20 steps are left",
        "2 of 20 steps are left",
    ]


def test_a_resume_under_the_same_limits_repeats_no_milestone(tmp_path: Path) -> None:
    """It stands in the prompt already; under new limits it is news again."""
    steps = [says("write_file", path="a", content=f"{n}") for n in range(9)]

    def told(events: list[Event]) -> list[str]:
        return [event.text for event in events if isinstance(event, Noticed)]

    crashed: list[Event] = []
    for event in Run(tmp_path, *steps, limits=Limits(10, 10**8)):
        crashed.append(event)
        if isinstance(event, Noticed):
            break
    same = told(list(Run(tmp_path, *steps[5:7], limits=Limits(10, 10**8))))
    new = told(list(Run(tmp_path, limits=Limits(11, 10**8))))

    assert told(crashed) == ["5 of 10 steps are left"]
    assert same == []
    assert new == ["4 of 11 steps are left"]


def test_a_skipped_milestone_is_not_made_up_for() -> None:
    """From nothing to 95 % used in one call: only the newest is worth a line."""
    spent = Spent(prompt=950, cost=9.5, elapsed_s=95.0)

    said = milestones(Limits(10, 1000, cost=10.0, time_s=100.0), spent, 0)

    assert said == [
        ("tokens 0.9", "50 of 1,000 tokens are left"),
        ("cost 0.9", "$0.50 of $10.00 are left"),
        ("time 0.9", "5s of 100s are left"),
    ]


def test_a_limit_that_a_server_overran_is_said_without_a_negative_number() -> None:
    """Servers count differently from us; less than nothing can't be left."""
    said = milestones(Limits(10, 1000, cost=1.0), Spent(prompt=1100, cost=1.1), 0)

    assert [sentence for _, sentence in said] == [
        "0 of 1,000 tokens are left",
        "$0.00 of $1.00 are left",
    ]


def test_ample_limits_say_nothing() -> None:
    """No milestone before half is used."""
    assert milestones(AMPLE, Spent(prompt=10), 10) == []
