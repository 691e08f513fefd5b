"""Reading a model server's answers: streams however they are cut, usage whatever is told."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoagent.model import Price, Usage
from autoagent.models.answer import Answer, Unreadable, usage_of

NAMES = (
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "cost",
    "prompt_tokens_details",
    "cached_tokens",
    "completion_tokens_details",
    "reasoning_tokens",
)


@given(
    given=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(NAMES),
                inner,
            )
        ),
        max_leaves=12,
    )
)
def test_usage_is_sound_or_unknown(given: Any) -> None:
    """Limits are kept by these numbers: never negative, never more cached than sent."""
    usage = usage_of(given, Price(1, 0.1, 2))

    if usage is not None:
        assert 0 <= usage.cached <= usage.prompt
        assert 0 <= usage.reasoning <= usage.completion
        assert usage.prompt > 0
        assert usage.cost is not None
        assert usage.cost >= 0


@pytest.mark.parametrize(
    ("told", "want"),
    [
        ({"prompt_tokens": 9, "completion_tokens": 2}, Usage(9, 2)),
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 2,
                "prompt_tokens_details": None,
                "completion_tokens_details": None,
            },
            Usage(9, 2),
        ),
        ({"prompt_tokens": 9, "completion_tokens": 2, "cost": 0.25}, Usage(9, 2, cost=0.25)),
        (  # xAI: thinking is counted beside the completion, by its own total
            {
                "prompt_tokens": 9,
                "completion_tokens": 2,
                "total_tokens": 18,
                "completion_tokens_details": {"reasoning_tokens": 7},
            },
            Usage(9, 9, reasoning=7),
        ),
        (  # more from the cache than was sent: none, which is the dearer reading
            {
                "prompt_tokens": 9,
                "completion_tokens": 2,
                "prompt_tokens_details": {"cached_tokens": 10},
            },
            Usage(9, 2),
        ),
        ({"prompt_tokens": -1, "completion_tokens": 2}, None),
        ({"prompt_tokens": 9.5, "completion_tokens": 2}, None),
        ({"prompt_tokens": 0, "completion_tokens": 0}, None),
        ({"prompt_tokens": True, "completion_tokens": 2}, None),
        ("many", None),
        (None, None),
    ],
)
def test_usage_is_taken_as_the_server_tells_it(told: Any, want: Usage | None) -> None:
    """Without a price, what the server didn't price has no cost."""
    assert usage_of(told, None) == want


@given(text=st.text(st.characters(codec="utf-8"), max_size=40), data=st.data())
def test_a_stream_reads_the_same_however_the_network_cuts_it(
    text: str, data: st.DataObject
) -> None:
    """Chunks of the network end anywhere, inside a character or a line break too."""
    pieces = [text[i : i + 3] for i in range(0, len(text), 3)]
    events = [{"choices": [{"delta": {"content": piece}}]} for piece in pieces]
    lines = [json.dumps(e, ensure_ascii=False) for e in events] + ["[DONE]"]
    end = data.draw(st.sampled_from(["\n", "\r\n"]))
    raw = "".join(f": beat{end}data: {line}{end}{end}" for line in lines).encode()
    reading = Answer()
    while raw:
        size = data.draw(st.integers(1, len(raw)))
        reading.feed(raw[:size])
        raw = raw[size:]

    assert reading.end()
    assert reading.result("m", None).text == text


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_an_event_that_is_no_json_is_garbled(end: str) -> None:
    """Seen at once, at the blank line, not when the server closes or the time is over."""
    answer = Answer()

    with pytest.raises(Unreadable, match="garbled"):
        answer.feed(f"data: {{'a': 1}}{end}{end}".encode())


def test_an_event_may_take_several_lines() -> None:
    """The protocol of events allows it; some proxies print their JSON prettily."""
    answer = Answer()
    event = {"choices": [{"delta": {"content": "hi"}, "finish_reason": "stop"}]}
    lines = json.dumps(event, indent=1).split("\n")

    answer.feed(("".join(f"data: {line}\n" for line in lines) + "\n").encode())

    assert answer.end()
    assert answer.result("m", None).text == "hi"
