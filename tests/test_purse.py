"""One purse: whatever a tree of agents reserves and spends, no limit above it is passed."""

from hypothesis import given, settings
from hypothesis import strategies as st

from autoagent.budget import Exhausted
from autoagent.events import Limits, Replied, Reserved, Started
from autoagent.model import Price, Usage
from autoagent.state import State
from autoagent.team.purse import FOR_OTHERS, SHARE, Purse

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
        outcome = purse.reserve(step, "step", prompt, completion, PRICE, 0.0)
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


def test_sub_agents_leave_a_tenth_to_the_agent(  # so that it can end the work
) -> None:
    """Two of them take all they can, and the agent still has calls to make."""
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
