"""OpenAIModel against a real server: what it sends, reads and learns, and how it is cut."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from autoagent.model import (
    Cancelled,
    Completion,
    FormatRefused,
    Message,
    ModelCard,
    Price,
    Rejected,
    Transient,
    Usage,
)
from autoagent.models.learned import Learned
from autoagent.models.openai_model import OpenAIModel
from commands.cancel import Cancel, Reason
from tests.fake_openai import Answer, Body, FakeOpenAI, Scripted

KEY = "sk-test-0123456789"
HELLO = [Message("system", "Be brief."), Message("user", "Hello?")]


@contextmanager
def talking(
    *answers: Scripted, check: Callable[[Body], Answer | None] | None = None, **settings: Any
) -> Iterator[tuple[FakeOpenAI, OpenAIModel]]:
    with FakeOpenAI(answers, check=check) as server:
        given: dict[str, Any] = {"name": "m", "base_url": server.base_url, "api_key": KEY}
        with OpenAIModel(**{**given, **settings}) as model:
            yield server, model


def set_once(cancel: Cancel, reason: Reason, server: FakeOpenAI | None = None) -> None:
    """Set it when the server has the request; without a server, when a connect surely hangs."""
    if server is None:
        cancel.wait(0.2)
    else:
        server.wait_for(1)
    cancel.set(reason)


def ask(model: OpenAIModel, **given: Any) -> Completion:
    return model.complete(HELLO, **{"cap": 50, "cancel": Cancel(), **given})


def refusing(
    *parameters: str, status: int = 400, says: str = "Unsupported parameter: '{}'"
) -> Callable[[Body], Answer | None]:
    """A server that takes none of these parameters."""

    def check(body: Body) -> Answer | None:
        named = next((p for p in parameters if p in body), None)
        if named is None:
            return None
        return Answer(status=status, body={"error": {"message": says.format(named)}})

    return check


def test_a_streamed_answer_arrives_whole_with_its_usage() -> None:
    """Pieces of eight characters, the usage in a last chunk: the server's counts, by hand."""
    text = 'Ein Apfel ist rot, 苹果是红色的, 🍎.\n\ttab "quote" \\ end\n'
    told = {
        "prompt_tokens": 40,
        "completion_tokens": 12,
        "prompt_tokens_details": {"cached_tokens": 30},
        "completion_tokens_details": {"reasoning_tokens": 5},
    }
    card = ModelCard("m", price=Price(prompt=2.0, cached=1.0, completion=16.0))
    with talking(Answer(text, usage=told), card=card) as (server, model):
        completion = ask(model)

    # 10 fresh at 2, 30 cached at 1, 12 at 16 dollars per million: 242e-6
    assert completion == Completion(text, "stop", Usage(40, 12, 30, 5, 242e-6), "m")
    assert server.chats[0]["stream"] is True


def test_a_request_holds_the_cap_and_the_given_settings_and_nothing_else() -> None:
    """A cap is law; what was not set is not sent, since servers refuse what they don't know."""
    with talking("yes", temperature=0.5, effort="low", session="s1") as (server, model):
        ask(model, cap=77)

    assert server.chats == [
        {
            "model": "m",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Hello?"},
            ],
            "max_tokens": 77,
            "temperature": 0.5,
            "reasoning_effort": "low",
            "prompt_cache_key": "s1",
            "stream": True,
            "stream_options": {"include_usage": True},
        }
    ]
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


def test_a_server_that_ignores_streaming_is_read_all_the_same() -> None:
    """Some servers answer with one JSON body whatever was asked."""
    with talking(Answer("whole", stream=False)) as (_, model):
        completion = ask(model)

    assert completion.text == "whole"
    assert completion.usage is not None


def test_a_server_that_streams_unasked_is_read_all_the_same() -> None:
    """The answer's own first sign decides, not what was asked for."""
    learned = Learned()
    with talking(Answer("anyway", stream=True), learned=learned) as (server, model):
        learned.learn(server.base_url, "m", streams=False)
        completion = ask(model)

    assert completion.text == "anyway"
    assert "stream" not in server.chats[0]


@pytest.mark.parametrize(
    ("answer", "want"),
    [
        (Answer("a", finish="length"), ("a", "length", "")),
        (Answer("a", finish="content_filter"), ("a", "filter", "")),
        (Answer("", refusal="I won't."), ("", "refusal", "I won't.")),
        (Answer("a", finish="tool_calls", message={"tool_calls": [{}]}), ("a", "stop", "")),
        (Answer("", finish="tool_calls", message={"content": None}), ("", "stop", "")),
        (Answer("a", finish=None), ("a", "stop", "")),  # [DONE] was said
        (Answer("b", finish="stop", done=False), ("b", "stop", "")),  # it was not, but ended
        (Answer("c", reasoning="thinking it over"), ("c", "stop", "")),
        (
            Answer("", message={"content": [{"type": "text", "text": "p"}, {"type": "x"}, "q"]}),
            ("pq", "stop", ""),
        ),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
def test_each_way_to_end_is_told_apart(
    answer: Answer, want: tuple[str, str, str], stream: bool
) -> None:
    """Cut, filtered, refused and odd answers each need another word to the model."""
    with talking(Answer(**{**vars(answer), "stream": stream})) as (_, model):
        completion = ask(model)

    assert (completion.text, completion.finish, completion.refusal) == want


def test_a_lone_surrogate_in_a_prompt_is_sent_as_a_replacement_character() -> None:
    """A command's output may hold any bytes; the encoder must not end the run."""
    with talking("ok") as (server, model):
        model.complete([Message("user", "a\ud800b\U0001f34e")], cap=5, cancel=Cancel())

    assert server.chats[0]["messages"][0]["content"] == "a\ufffdb\U0001f34e"


@pytest.mark.parametrize("format", ["json_object", "json_schema"])
def test_a_format_is_asked_for_and_its_refusal_is_the_agents_to_hear(format: str) -> None:
    """The agent steps down the ladder, so the client must not drop the format by itself."""
    with talking("{}", check=refusing("response_format")) as (server, model):
        with pytest.raises(FormatRefused):
            ask(model, format=format)
        ask(model)

    assert [c.get("response_format", {}).get("type") for c in server.chats] == [format, None]


def test_a_server_error_that_names_the_format_counts_as_its_refusal() -> None:
    """llama-cpp-python answers json_schema with 500."""
    check = refusing("response_format", status=500)
    with talking(check=check) as (_, model), pytest.raises(FormatRefused):
        ask(model, format="json_schema")


@pytest.mark.parametrize(
    "parameter", ["temperature", "reasoning_effort", "prompt_cache_key", "stream_options", "stream"]
)
@pytest.mark.parametrize("status", [400, 422])
def test_a_refused_parameter_is_left_out_at_once_and_from_then_on(
    parameter: str, status: int, tmp_path: Path
) -> None:
    """New models and strict servers refuse parameters; that costs one request, once."""
    learned = Learned(tmp_path / "learned.json")
    settings = {"temperature": 0.1, "effort": "low", "session": "s", "learned": learned}
    check = refusing(parameter, status=status)
    with talking("one", "two", "three", check=check, **settings) as (server, model):
        first = ask(model)
        ask(model)
        again = Learned(tmp_path / "learned.json")
        with OpenAIModel(name="m", base_url=server.base_url, learned=again) as later:
            ask(later)

    assert first.text == "one"
    assert [parameter in body for body in server.chats] == [True, False, False, False]


def test_a_cap_is_sent_under_the_other_name_when_one_is_refused() -> None:
    """New models refuse max_tokens; the cap itself never falls."""
    says = "Unsupported parameter: '{}'. Use 'max_completion_tokens' instead."
    with talking("a", "b", check=refusing("max_tokens", says=says)) as (server, model):
        ask(model)
        ask(model)

    caps = [{k: v for k, v in c.items() if k.startswith("max_")} for c in server.chats]
    other = {"max_completion_tokens": 50}
    assert caps == [{"max_tokens": 50}, other, other]


def test_a_server_that_takes_no_cap_is_rejected() -> None:
    """Without a cap no limit can be kept."""
    check = refusing("max_tokens", "max_completion_tokens")
    with talking(check=check) as (server, model), pytest.raises(Rejected, match="max_completion"):
        ask(model)

    assert len(server.chats) == 2


def test_a_cap_above_what_the_model_can_write_is_lowered_to_it() -> None:
    """OpenAI refuses max_tokens above the model's own maximum and names it."""

    def check(body: Body) -> Answer | None:
        says = "max_tokens is too large: 50. This model supports at most 20 completion tokens."
        too_large = body["max_tokens"] > 20
        return Answer(status=400, body={"error": {"message": says}}) if too_large else None

    with talking("a", "b", check=check) as (server, model):
        ask(model)
        ask(model)
        card = model.card

    assert [c["max_tokens"] for c in server.chats] == [50, 20, 20]
    assert card.max_completion == 20


def test_a_garbled_stream_makes_the_next_attempt_go_without_one() -> None:
    """A server whose streams can't be read must still be usable."""
    garbled = Answer(body=b"data: {'not': json}\n\ndata: [DONE]\n\n")
    with talking(garbled, "plain", "plain") as (server, model):
        with pytest.raises(Transient):
            ask(model)
        assert ask(model).text == "plain"
        ask(model)

    assert ["stream" in c for c in server.chats] == [True, False, False]


def test_cancel_cuts_a_call_whatever_the_server_does() -> None:
    """Law 9: a silent, a half-said and a dripping answer end at once, not at a time-out."""
    for answer in (
        Answer("never", hold=Event()),
        Answer("abcdefghijklmnop", hold=Event(), hold_after=2),
        Answer("drip", hold=Event(), hold_after=1, heartbeat_s=0.01),
    ):
        cancel = Cancel()
        with talking(answer) as (server, model):
            setter = Thread(target=set_once, args=(cancel, "interrupt", server))
            setter.start()
            with pytest.raises(Cancelled, match="interrupt"):
                ask(model, cancel=cancel)
            setter.join()


def test_cancel_cuts_a_connect_that_hangs() -> None:
    """An address that swallows packets: the listener's queue is full and nobody accepts."""
    import socket

    cancel = Cancel()
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for waiting in (first, second):
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        with OpenAIModel(name="m", base_url=url) as model:
            setter = Thread(target=set_once, args=(cancel, "time"))
            setter.start()
            with pytest.raises(Cancelled):
                ask(model, cancel=cancel)
            setter.join()


def test_a_call_after_cancel_sends_nothing() -> None:
    """What is already stopped must not cost another request."""
    cancel = Cancel()
    cancel.set("terminate")
    with talking("x") as (server, model), pytest.raises(Cancelled):
        ask(model, cancel=cancel)

    assert server.requests == []


def test_threads_share_a_model_and_a_cut_call_leaves_the_others_alone() -> None:
    """Sub-agents are threads with one client between them."""
    hold, cancel = Event(), Cancel()
    got: list[str] = []
    with talking(Answer("slow", hold=hold), "quick", learned=Learned()) as (server, model):

        def cut() -> None:
            with pytest.raises(Cancelled):
                ask(model, cancel=cancel)
            got.append("cut")

        thread = Thread(target=cut)
        thread.start()
        assert server.wait_for(1)
        got.append(ask(model).text)
        cancel.set("interrupt")
        thread.join()

    assert got == ["quick", "cut"]


def test_connections_are_used_again() -> None:
    """A TLS handshake a step would cost more than everything else we do."""
    with talking(*["x"] * 3) as (server, model):
        for _ in range(3):
            ask(model)

    assert len(server.clients) == 1


def test_azure_is_asked_by_deployment_and_version() -> None:
    """The address form that Azure's older interface has."""
    with FakeOpenAI(["hi"]) as server:
        url = server.base_url.removesuffix("/v1")
        with OpenAIModel(
            name="gpt", base_url=url, api_key=KEY, azure_version="2024-10-21"
        ) as model:
            completion = ask(model)

    assert completion.text == "hi"
    path = "/openai/deployments/gpt/chat/completions?api-version=2024-10-21"
    assert server.requests[0].path == path
    assert server.requests[0].headers["api-key"] == KEY


def test_nothing_heavy_is_imported_with_the_module() -> None:
    """--help and the first line must not wait for openai."""
    modules = "autoagent.models.openai_model, autoagent.models.servers, autoagent.models.catalog"
    heavy = "{'openai', 'pydantic', 'genai_prices', 'http.client'} & set(sys.modules)"
    code = f"import sys, {modules}; print(*({heavy}))"
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=60
    )

    assert (done.returncode, done.stdout) == (0, "\n")
