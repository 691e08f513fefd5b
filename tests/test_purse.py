"""One purse: whatever a tree of agents reserves and spends, no limit above it is passed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Event, Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoagent.budget import Exhausted
from autoagent.events import Limits, Replied, Reserved, Started
from autoagent.model import Cancelled, Price, Usage
from autoagent.state import State
from autoagent.team.purse import FOR_OTHERS, SHARE, Purse
from commands.cancel import Cancel

PRICE = Price(prompt=2.0, cached=0.5, completion=10.0)


def _state(limits: Limits) -> State:
    state = State()
    state.apply(
        Started(
            *("s", "0", ("g",), "", "", "/w", "m", "", 32_000, limits, False, PRICE, "none", "none")
        )
    )
    return state


def _replied(step: int, usage: Usage) -> Replied:
    return Replied(step, "{}", "", "", None, "", "list_files", {}, "strict", usage)


_CALLS = st.lists(
    st.tuples(
        st.integers(0, 3),  # whose
        st.integers(1, 4000),  # prompt
        st.integers(1, 2000),  # completion that is asked for
        st.floats(0, 1),  # share of the completion that was written
        st.booleans(),  # settled before the next call
    ),
    max_size=40,
)


@settings(deadline=None, max_examples=80)
@given(
    steps=st.integers(1, 30),
    tokens=st.integers(1000, 60_000),
    cost=st.floats(0.001, 1.0),
    calls=_CALLS,
)
def test_no_order_of_calls_passes_a_limit(
    steps: int, tokens: int, cost: float, calls: list[tuple[int, int, int, float, bool]]
) -> None:
    """The agent, two sub-agents and one beneath the first draw as they like."""
    whole = Limits(steps, tokens, cost)
    root = _state(whole)
    main = Purse(root)
    states, purses = [root], [main]
    for above in (0, 0, 1):
        share = purses[above].share(0.0) or Limits(0, 0, 0.0)
        states.append(_state(share))
        purses.append(purses[above].beneath(str(len(states)), states[-1]))
    for who, prompt, completion, written, settles in calls:
        state, purse = states[who], purses[who]
        if state.reserved is not None:
            continue  # its call is under way
        step = state.step + 1
        never = Cancel()
        never.set("parent")  # others don't settle while this one would wait
        try:
            outcome = purse.reserve(step, "step", prompt, completion, PRICE, 0.0, never)
        except Cancelled:
            continue
        if isinstance(outcome, Exhausted):
            continue
        state.apply(outcome)
        purse.note()
        if settles:
            used = round(outcome.completion * written)
            usage = Usage(prompt, used, cost=PRICE.cost(prompt, used))
            state.apply(_replied(step, usage))
            state.pending = None
            purse.note()

        for each, limits in zip(purses, [s.limits for s in states], strict=True):
            assert each.used.tokens <= limits.tokens
            assert limits.cost is not None
            assert each.used.cost <= limits.cost + 1e-9
            assert each.steps <= limits.steps


class _Asking(Cancel):
    """Says when somebody waits under it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = Event()

    @contextmanager
    def calling(self, callback: Callable[[], None]) -> Iterator[None]:
        self.asked.set()
        with super().calling(callback):
            yield


def test_what_others_have_set_aside_is_waited_for_as_it_costs_less_in_the_end() -> None:
    """Eight calls at once hold aside far more than they use: none ends at a limit for that."""
    root = _state(Limits(100, 10_000_000, 0.1))
    main = Purse(root)
    states = [_state(Limits(50, 1_000_000, 0.09)) for _ in range(2)]
    first, second = (main.beneath(str(n), state) for n, state in enumerate(states))
    held = first.reserve(1, "step", 1000, 7000, PRICE, 0.0)  # $0.072 of $0.09
    assert isinstance(held, Reserved)
    states[0].apply(held)
    cancel, came = _Asking(), SimpleQueue[Reserved | Exhausted]()
    call = (1, "step", 1000, 7000, PRICE, 0.0, cancel)
    Thread(target=lambda: came.put(second.reserve(*call)), daemon=True).start()  # type: ignore[arg-type]

    assert cancel.asked.wait(10)
    states[0].apply(_replied(1, Usage(1000, 100, cost=0.003)))
    first.note()
    outcome = came.get(timeout=10)

    assert isinstance(outcome, Reserved)
    assert outcome.completion == 7000


def test_waiting_for_others_ends_with_a_cancel_and_with_their_thread() -> None:
    """A sub-agent whose thread broke off never settles; then all of it counts as used."""
    root = _state(Limits(100, 10_000_000, 0.1))
    main = Purse(root)
    states = [_state(Limits(50, 1_000_000, 0.09)) for _ in range(2)]
    first, second = (main.beneath(str(n), state) for n, state in enumerate(states))
    held = first.reserve(1, "step", 1000, 7000, PRICE, 0.0)
    assert isinstance(held, Reserved)
    cancel = Cancel()
    cancel.set("parent")

    with pytest.raises(Cancelled):
        second.reserve(1, "step", 1000, 7000, PRICE, 0.0, cancel)
    first.ended()
    outcome = second.reserve(1, "step", 1000, 7000, PRICE, 0.0)

    assert isinstance(outcome, Reserved)
    assert outcome.completion < 7000


def test_sub_agents_leave_a_tenth_to_the_agent() -> None:
    """They take all they can, and it still has calls to make, so that it can end the work."""
    root = _state(Limits(100, 100_000))
    main = Purse(root)
    states = []
    for number in range(9):
        share = main.share(0.0)
        if share is None:
            break
        states.append(_state(share))
        purse = main.beneath(str(number), states[-1])
        for step in range(1, 200):
            outcome = purse.reserve(step, "step", 1000, 1000, None, 0.0)
            if isinstance(outcome, Exhausted):
                break
            assert isinstance(outcome, Reserved)
            states[-1].apply(outcome)
            states[-1].apply(_replied(step, Usage(1000, outcome.completion)))
            states[-1].pending = None
            purse.note()

    left = main.reserve(1, "step", 1000, 1000, None, 0.0)
    assert isinstance(left, Reserved)
    assert main.used.tokens <= 100_000 * FOR_OTHERS + 2000


def test_a_share_is_a_quarter_of_what_is_left() -> None:
    """Of what sub-agents may use, less with each that used some of it."""
    root = _state(Limits(100, 1_000_000, 4.0, 600.0))
    main = Purse(root)

    first = main.share(60.0)
    main.beneath("a", _state(Limits(10, 10)))
    second = main.share(60.0)

    assert first == Limits(23, 225_000, 4.0 * FOR_OTHERS * SHARE, 480.0)
    assert second == first


def test_what_others_used_up_is_said_to_be_theirs() -> None:
    """One that has made no step of its four isn't told that so many are done."""
    root = Purse(_state(Limits(10, 100_000, None)))
    busy = _state(Limits(9, 50_000, None))
    busy.apply(_replied(9, Usage(0, 0)))
    root.beneath("one", busy)

    outcome = root.beneath("other", _state(Limits(4, 50_000, None))).reserve(
        1, "step", 10, 10, None, 0.0
    )

    assert isinstance(outcome, Exhausted)
    assert outcome.message == "with what others used, 9 steps are done"
