"""Each way a model server can fail, over real HTTP, and what the agent is told."""

import socket
from threading import Event, Thread, Timer
from typing import Any

import httpx2
import pytest

from autoagent.model import (
    Message,
    ModelFault,
    NotListening,
    Rejected,
    Transient,
)
from autoagent.models.faults import Asked, of_broken
from autoagent.models.openai_model import OpenAIModel
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


def let_go(cancel: Cancel, hold: Event) -> None:
    cancel.wait(0.8)
    hold.set()


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
    with (
        FakeOpenAI([answer]) as server,
        OpenAIModel(name="m", base_url=server.base_url, timeout_s=0.4) as model,
    ):
        cancel = Cancel()
        waiter = Thread(target=let_go, args=(cancel, hold))
        waiter.start()
        completion = model.complete([Message("user", "x")], cap=5, cancel=cancel)
        waiter.join()

    assert completion.text == "late"


def test_an_answer_that_never_ends_is_cut_by_the_total_time() -> None:
    """Every wait has an end, even when the server keeps showing signs of life."""
    answer = Answer("abcdefgh", piece=4, hold=Event(), hold_after=2, heartbeat_s=0.05)

    fault = fault_of(answer, timeout_s=10.0, total_s=0.5)

    assert type(fault) is Transient
    assert "0.5 s" in str(fault)
    assert fault.received == 1


def test_an_answer_that_is_finished_is_kept_though_the_connection_dies() -> None:
    """After the finish only the usage is missing; asking again would be paid twice."""
    event = '{"choices": [{"delta": {"content": "ok"}, "finish_reason": "stop"}]}'
    broken = Answer(
        body=f'data: {event}\n\ndata: {{"us'.encode(), headers={"Content-Length": "999"}
    )
    with (
        FakeOpenAI([broken]) as server,
        OpenAIModel(name="m", base_url=server.base_url) as model,
    ):
        completion = model.complete([Message("user", "x")], cap=5, cancel=Cancel())

    assert (completion.text, completion.finish, completion.usage) == ("ok", "stop", None)


def test_an_answer_that_said_its_end_is_not_waited_for() -> None:
    """A server that keeps the connection open and dripping after [DONE]; the wait is bounded."""
    cancel, hold = Cancel(), Event()
    # role, "ok", finish, usage, [DONE]
    dripping = Answer("ok", hold=hold, hold_after=5, heartbeat_s=0.05)
    with (
        FakeOpenAI([dripping]) as server,
        OpenAIModel(name="m", base_url=server.base_url) as model,
    ):
        late = Timer(20, cancel.set, ("time",))
        late.start()
        completion = model.complete([Message("user", "x")], cap=5, cancel=cancel)
        late.cancel()

    assert (completion.text, completion.usage is not None) == ("ok", True)


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
    assert str(fault) == (
        f"Nothing answers at {url} (connection refused). "
        "Start the server, or set --base-url (OPENAI_BASE_URL)."
    )


def test_an_unknown_host_is_nobody_listening() -> None:
    """A resolver's answer, not asked for here: tests stay on this machine."""
    error = httpx2.ConnectError("no")
    error.__cause__ = socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    fault = of_broken(error, Asked("http://nowhere.invalid/v1", "m"))

    assert type(fault) is NotListening
    assert "at http://nowhere.invalid/v1 (name or service not known). Start" in str(fault)


def test_a_host_that_cannot_be_one_is_rejected_without_a_request() -> None:
    """A typing error in an address is the person's to mend, not a traceback."""
    with OpenAIModel(name="m", base_url="http://999.1.1.1/v1") as model:
        fault = fault_from(model)

    assert type(fault) is Rejected
    assert "--base-url" in str(fault)


def test_an_effort_that_the_model_does_not_have_is_rejected() -> None:
    """It was set by the person: dropping it silently would be another run than they asked for."""
    body = error(
        "Unsupported value: 'reasoning_effort' does not support 'minimal'. Supported: 'low'.",
        param="reasoning_effort",
        code="unsupported_value",
    )

    fault = fault_of(Answer(status=400, body=body), effort="minimal")

    assert type(fault) is Rejected
    assert "Supported: 'low'" in str(fault)


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
