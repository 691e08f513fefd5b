"""What a server's words mean: too long, wait so long, and whatever else it may send."""

import json
import time
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoagent.model import Message, TooLong, Transient
from autoagent.models.faults import Asked, of_status, retry_after_s
from autoagent.models.openai_model import OpenAIModel
from commands.cancel import Cancel
from tests.fake_openai import Answer, FakeOpenAI

KEY = "sk-test-0123456789"


def error(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, **more}}


@pytest.mark.parametrize(
    ("status", "body", "window"),
    [
        (
            400,
            error(
                "This model's maximum context length is 8192 tokens. However, you requested 9000",
                code="context_length_exceeded",
            ),
            8192,
        ),
        (  # vLLM names the cap; that must not count as a refused parameter
            400,
            {
                "object": "error",
                "message": "'max_tokens' or 'max_completion_tokens' is too large: 5000. This "
                "model's maximum context length is 4096 tokens and your request has 100 input",
            },
            4096,
        ),
        (
            400,
            error(
                "the request exceeds the available context size, try increasing it",
                type="exceed_context_size_error",
                n_ctx=16384,
            ),
            16384,
        ),
        (400, error("the request exceeds the available context size (4096 tokens)"), 4096),
        (
            400,
            {
                "error": "Trying to keep the first 5000 tokens when context the overflows. "
                "However, the model is loaded with context length of only 4096 tokens"
            },
            4096,
        ),
        (400, error("prompt is too long: 210000 tokens > 200000 maximum"), 200000),
        (
            400,
            [error("The input token count exceeds the maximum number of tokens allowed (1048576)")],
            1048576,
        ),
        (400, error("Requested tokens (5000) exceed context window of 2048"), 2048),
        (
            400,
            error(
                "The input (5000 tokens) is longer than the model's context length (4,096 tokens)."
            ),
            4096,
        ),
        (
            400,
            {
                "message": "Prompt contains 40000 tokens and 0 draft tokens, too large for model "
                "with 32768 maximum context length"
            },
            32768,
        ),
        (500, {"error": "the input length exceeds the context length"}, None),
        (413, "<html><title>413 Request Entity Too Large</title></html>", None),
        (200, error("maximum context length is 8192 tokens", code=400), 8192),
    ],
)
def test_a_prompt_that_is_too_long_is_told_from_every_other_refusal(
    status: int, body: Any, window: int | None
) -> None:
    """The history is cut and the run goes on; the forms are the servers' own."""
    with (
        FakeOpenAI([Answer(status=status, body=body)]) as server,
        OpenAIModel(name="m", base_url=server.base_url) as model,
    ):
        with pytest.raises(TooLong) as caught:
            model.complete([Message("user", "x")], cap=20, cancel=Cancel())
        card = model.card

    assert caught.value.window == window
    assert card.window == window


@pytest.mark.parametrize(
    ("headers", "want"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after-ms": "1500", "Retry-After": "2"}, 1.5),
        ({"Retry-After": "0.25"}, 0.25),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-3"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "Thu, 01 Jan 1998 00:00:00 GMT"}, 0.0),
    ],
)
def test_a_server_may_say_how_long_to_wait(headers: dict[str, str], want: float | None) -> None:
    """Growing pauses alone run into the same limit again."""
    answer = Answer(status=429, headers=headers, body=error("slow"))
    with (
        FakeOpenAI([answer]) as server,
        OpenAIModel(name="m", base_url=server.base_url) as model,
        pytest.raises(Transient) as caught,
    ):
        model.complete([Message("user", "x")], cap=20, cancel=Cancel())

    assert caught.value.retry_after_s == want


def test_a_date_to_wait_for_becomes_seconds() -> None:
    """RFC 9110 allows a date; it has whole seconds."""
    moment = formatdate(time.time() + 60, usegmt=True)

    wait_s = retry_after_s({"retry-after": moment})

    assert wait_s is not None
    assert 50 < wait_s <= 60


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(
                ["error", "message", "detail", "code", "type", "param", "metadata", "loc"]
            ),
            inner,
        )
    ),
    max_leaves=10,
)


@given(body=_json.map(json.dumps) | st.text(), status=st.integers(300, 599))
def test_every_body_of_a_failure_becomes_a_fault_without_the_key(body: str, status: int) -> None:
    """Whatever a server sends, it is a sentence of one line and never a traceback."""
    asked = Asked("http://h/v1", "m", KEY, ("max_tokens", "temperature"))

    fault = of_status(status, {}, body + KEY, asked)

    assert KEY not in str(fault)
    assert "\n" not in str(fault)
    assert len(str(fault)) < 700
