"""Each way a model server can fail, over real HTTP, and what the agent is told."""

import socket
import time
from email.utils import formatdate
from threading import Event
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoagent.faults import Asked, of_status, retry_after_s, said
from autoagent.model import (
    Message,
    ModelFault,
    NotListening,
    Rejected,
    TooLong,
    Transient,
)
from autoagent.openai_model import OpenAIModel
from commands.cancel import Cancel
from tests.fake_openai import Answer, FakeOpenAI

KEY = "sk-test-0123456789"


def fault_of(answer: Answer, **settings: Any) -> ModelFault:
    """What one call ends with; an answer instead of a fault fails the test."""
    with FakeOpenAI([answer]) as server:
        given: dict[str, Any] = {"name": "m", "base_url": server.base_url, "api_key": KEY}
        with OpenAIModel(**{**given, **settings}) as model:
            return fault_from(model)


def fault_from(model: OpenAIModel) -> ModelFault:
    with pytest.raises(ModelFault) as caught:
        model.complete([Message("user", "x")], cap=20, cancel=Cancel())
    return caught.value


def error(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, **more}}


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 529])
def test_what_may_pass_is_transient(status: int) -> None:
    """Auto-GPT's users saw runs end on rate limits."""
    fault = fault_of(Answer(status=status, body=error("slow down")))

    assert type(fault) is Transient
    assert "slow down" in str(fault)
    assert fault.retry_after_s is None


@pytest.mark.parametrize(
    ("status", "body", "hint"),
    [
        (401, error("Incorrect API key provided"), "OPENAI_API_KEY"),
        (402, error("Insufficient credits"), "billing"),
        (403, error("Country not supported"), "--model"),
        (404, error("The model `m` does not exist", code="model_not_found"), "--model"),
        (404, {"detail": "Not Found"}, "/v1"),
        (429, error("You exceeded your quota", code="insufficient_quota"), "quota"),
        (429, error("Not active", type="billing_not_active"), "Not active"),
        (400, error("messages: at least one"), "at least one"),
        (422, {"detail": [{"loc": ["body", "messages"], "msg": "too few"}]}, "too few"),
    ],
)
def test_what_cannot_pass_is_rejected_at_once_with_the_servers_words(
    status: int, body: Any, hint: str
) -> None:
    """The best of the others try a 401 six times; here: one request, one sentence, a next step."""
    fault = fault_of(Answer(status=status, body=body))

    assert type(fault) is Rejected
    assert said_in(body) in str(fault)
    assert hint in str(fault)
    assert "m at http://127.0.0.1:" in str(fault)


def said_in(body: Any) -> str:
    detail = body.get("detail", [{}])
    if "error" in body:
        return str(body["error"]["message"])
    return detail if isinstance(detail, str) else str(detail[0]["msg"])


def test_without_a_key_the_hint_is_to_set_one() -> None:
    """The person may not know that this server wants one."""
    fault = fault_of(Answer(status=401, body=error("no")), api_key=None)

    assert "Set OPENAI_API_KEY" in str(fault)


@pytest.mark.parametrize(
    "echo", [f"bad key {KEY}", "bad sk-proj-ab*****cd", f"Bearer {KEY}xyz", "x" * 295 + KEY]
)
@pytest.mark.parametrize("status", [400, 401, 500, 200])
def test_a_key_that_the_server_echoes_is_never_shown(echo: str, status: int) -> None:
    """Error texts end up on screens, in journals and in bug reports."""
    fault = fault_of(Answer(status=status, body=error(echo)))

    assert "0123456789" not in str(fault)
    assert "sk-" not in str(fault)


def test_a_servers_words_are_one_short_line() -> None:
    """A proxy's page of HTML or control characters must not fill the terminal."""
    page = "<html><head><title>Bad\nGateway \x1b[31m</title></head>" + "<p>x</p>" * 999
    fault = fault_of(Answer(status=502, body=page))

    assert str(fault).endswith("HTTP 502: Bad Gateway [31m")


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
                "model's maximum context length is 4096 tokens and your request has 100 input tokens",
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
                "error": "Trying to keep the first 5000 tokens when context the overflows. However, "
                "the model is loaded with context length of only 4096 tokens"
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
                "message": "Prompt contains 40000 tokens, too large for model with 32768 maximum context length"
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
    with FakeOpenAI([Answer(status=status, body=body)]) as server:
        with OpenAIModel(name="m", base_url=server.base_url) as model:
            fault = fault_from(model)
            card = model.card

    assert type(fault) is TooLong
    assert fault.window == window
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
    fault = fault_of(Answer(status=429, headers=headers, body=error("slow")))

    assert isinstance(fault, Transient)
    assert fault.retry_after_s == want


def test_a_date_to_wait_for_becomes_seconds() -> None:
    """RFC 9110 allows a date; it has whole seconds."""
    moment = formatdate(time.time() + 60, usegmt=True)

    wait_s = retry_after_s({"retry-after": moment})

    assert wait_s is not None
    assert 50 < wait_s <= 60


def test_a_stream_that_is_cut_tells_how_much_had_come() -> None:
    """What came was probably paid for: the budget must count it. Pieces are tokens here."""
    fault = fault_of(Answer("one two three four five", piece=4, cut_after=4))

    assert type(fault) is Transient
    assert fault.received == 3  # the first event holds the role alone


def test_a_stream_that_ends_politely_but_unfinished_is_cut_too() -> None:
    """A proxy closes the answer as if all were well; half a reply must not be read as whole."""
    fault = fault_of(Answer('{"command": {"name": "wri', finish=None, done=False))

    assert type(fault) is Transient
    assert fault.received > 0


@pytest.mark.parametrize(
    "answer",
    [
        Answer(disconnect=True),
        Answer(body=b'{"choices": [{"message": {"content": "half'),
        Answer(body=b'{"choices": []}', headers={"Content-Length": "9999"}),
        Answer(body=b""),
        Answer(body={"choices": []}),
        Answer(body={"choices": None}),
        Answer(body=b'data: {"choices": [{"delta": {"content": "a"}}]}\n\ndata: {"cho'),
        Answer(body=b"data: \xff\xfe\n\n"),
        Answer(body={"choices": [{"finish_reason": "error", "error": {"code": 502}}]}),
    ],
)
def test_a_broken_answer_is_transient(answer: Answer) -> None:
    """A reset, half a body, nothing at all: the next attempt may do."""
    assert type(fault_of(answer)) is Transient


@pytest.mark.parametrize("hold_after", [0, 2])
def test_silence_is_transient(hold_after: int) -> None:
    """A server that hangs before or in the middle of its answer."""
    answer = Answer("abcdefghijklmnopqrst", hold=Event(), hold_after=hold_after)

    assert type(fault_of(answer, timeout_s=0.2)) is Transient


def test_signs_of_life_keep_a_slow_answer_alive() -> None:
    """A gateway's comments while the model thinks: silence is longer than the time-out here."""
    hold = Event()
    answer = Answer("late", hold=hold, hold_after=1, heartbeat_s=0.05)
    with FakeOpenAI([answer]) as server:
        with OpenAIModel(name="m", base_url=server.base_url, timeout_s=0.5) as model:
            cancel = Cancel()

            def let_go() -> None:
                cancel.wait(1.0)
                hold.set()

            from threading import Thread

            waiter = Thread(target=let_go)
            waiter.start()
            completion = model.complete([Message("user", "x")], cap=5, cancel=cancel)
            waiter.join()

    assert completion.text == "late"


def test_an_answer_that_never_ends_is_cut_by_the_total_time() -> None:
    """Every wait has an end, even when the server keeps showing signs of life."""
    answer = Answer("abcdefgh", piece=4, hold=Event(), hold_after=2, heartbeat_s=0.05)

    fault = fault_of(answer, timeout_s=10.0, total_s=1.0)

    assert type(fault) is Transient
    assert "1 s" in str(fault)
    assert fault.received == 1


def test_an_answer_that_is_finished_is_kept_though_the_connection_dies() -> None:
    """After the finish only the usage is missing; asking again would be paid twice."""
    with FakeOpenAI([Answer("ok", cut_after=None, body=_finished_then_broken())]) as server:
        with OpenAIModel(name="m", base_url=server.base_url) as model:
            completion = model.complete([Message("user", "x")], cap=5, cancel=Cancel())

    assert (completion.text, completion.finish, completion.usage) == ("ok", "stop", None)


def _finished_then_broken() -> bytes:
    return (
        b'data: {"choices": [{"delta": {"content": "ok"}, "finish_reason": "stop"}]}\n\ndata: {"us'
    )


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (error("Rate limited", code=429), Transient),
        (error("Upstream failed", code=502), Transient),
        (error("Something"), Transient),
        (error("No credits", code=402), Rejected),
        (error("No auth", code=401), Rejected),
        (error("Bad key", code="invalid_api_key"), Rejected),
        (error("Quota", code="insufficient_quota"), Rejected),
        ("<!DOCTYPE html><html><title>Welcome</title></html>", Rejected),
        ({"message": "hello"}, Rejected),
        (["a"], Rejected),
    ],
)
def test_status_200_does_not_make_an_error_an_answer(body: Any, kind: type[ModelFault]) -> None:
    """Gateways put errors into a 200; a wrong address answers with a web page."""
    assert type(fault_of(Answer(body=body))) is kind


def test_an_error_in_the_middle_of_a_stream_is_a_fault_with_what_had_come() -> None:
    """OpenRouter's way when a provider fails half way."""
    events = [
        '{"choices": [{"delta": {"content": "abcdefgh"}}]}',
        '{"error": {"code": 503, "message": "Provider disconnected"}, "choices": []}',
    ]
    raw = "".join(f"data: {e}\n\n" for e in events).encode()

    fault = fault_of(Answer(body=raw))

    assert type(fault) is Transient
    assert "Provider disconnected" in str(fault)
    assert fault.received == 2


def test_a_closed_port_is_nobody_listening() -> None:
    """Told apart, so that a run ends within seconds and not after ten minutes of retries."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        with OpenAIModel(name="m", base_url=url) as model:
            fault = fault_from(model)

    assert type(fault) is NotListening
    assert url in str(fault)


def test_an_unknown_host_is_nobody_listening() -> None:
    """.invalid never resolves (RFC 2606)."""
    with OpenAIModel(name="m", base_url="http://nowhere.invalid/v1", timeout_s=30) as model:
        fault = fault_from(model)

    assert type(fault) is NotListening
    assert "nowhere.invalid" in str(fault)


def test_tls_that_fails_is_rejected_with_a_sentence() -> None:
    """https to a server that speaks http: trying again can't help."""
    with FakeOpenAI(["never"]) as server:
        url = server.base_url.replace("http://", "https://")
        with OpenAIModel(name="m", base_url=url) as model:
            fault = fault_from(model)

    assert type(fault) is Rejected
    assert "TLS" in str(fault)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    """Neither key nor prompt may reach a host that nobody named."""
    with FakeOpenAI(["caught"]) as other:
        headers = {"Location": f"{other.base_url}/chat/completions"}
        fault = fault_of(Answer(status=status, headers=headers))

    assert type(fault) is Rejected
    assert other.base_url in str(fault)
    assert other.requests == []


def test_a_script_without_answers_says_so() -> None:
    """The fake's own law: a test that asks once too often sees why."""
    with FakeOpenAI() as server, OpenAIModel(name="m", base_url=server.base_url) as model:
        fault = fault_from(model)

    assert "the script has no more answers" in str(fault)


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


@given(
    body=_json.map(lambda v: __import__("json").dumps(v)) | st.text(), status=st.integers(300, 599)
)
def test_every_body_of_a_failure_becomes_a_fault_without_the_key(body: str, status: int) -> None:
    """Whatever a server sends, it is a sentence of one line and never a traceback."""
    asked = Asked("http://h/v1", "m", KEY, ("max_tokens", "temperature"))

    fault = of_status(status, {}, body + KEY, asked)

    assert KEY not in str(fault)
    assert "\n" not in str(fault)
    assert len(str(fault)) < 700
    assert said(body) is not None
