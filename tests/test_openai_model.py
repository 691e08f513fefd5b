"""OpenAIModel against a real server: what it sends, what it reads, what it learns, how it is cut."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from time import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoagent.answer import Answer as Reading
from autoagent.answer import usage_of
from autoagent.errors import ConfigError
from autoagent.learned import Learned
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
from autoagent.openai_model import OpenAIModel
from commands.cancel import Cancel
from tests.fake_openai import Answer, Body, FakeOpenAI, Scripted, vector

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
    card = ModelCard("m", price=Price(prompt=2.0, cached=1.0, completion=10.0))
    with talking(Answer(text, usage=told), card=card) as (server, model):
        completion = ask(model)

    # 10 fresh at 2, 30 cached at 1, 12 at 10 dollars per million: 170e-6
    assert completion == Completion(text, "stop", Usage(40, 12, 30, 5, pytest.approx(170e-6)), "m")
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
    with talking(check=refusing("response_format", status=500)) as (_, model):
        with pytest.raises(FormatRefused):
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
    with talking(check=refusing("max_tokens", "max_completion_tokens")) as (server, model):
        with pytest.raises(Rejected, match="max_completion_tokens"):
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
            setter = Thread(target=lambda c=cancel, s=server: (s.wait_for(1), c.set("interrupt")))
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
            setter = Thread(target=lambda: (cancel.wait(0.2), cancel.set("time")))
            setter.start()
            with pytest.raises(Cancelled):
                ask(model, cancel=cancel)
            setter.join()


def test_a_call_after_cancel_sends_nothing() -> None:
    """What is already stopped must not cost another request."""
    cancel = Cancel()
    cancel.set("terminate")
    with talking("x") as (server, model):
        with pytest.raises(Cancelled):
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
    ports: list[str] = []
    with talking(*["x"] * 3) as (server, model):
        for _ in range(3):
            ask(model)
        ports = sorted(server.clients)

    assert len(ports) == 1


def test_embeddings_come_in_the_order_of_the_texts_in_batches() -> None:
    """300 texts are three requests; the fake's vectors are known beforehand."""
    texts = [f"word{i} common" for i in range(300)]
    with talking(embedding_model="e", embedding_price=Price(1, 1, 0)) as (server, model):
        embedded = model.embed(texts, cancel=Cancel())

    assert embedded is not None
    assert embedded.vectors == tuple(tuple(vector(t)) for t in texts)
    assert [len(b["input"]) for b in server.embeddings] == [128, 128, 44]
    prompt = sum(-(-len(t) // 4) for t in texts)
    assert embedded.usage == Usage(prompt, 0, cost=pytest.approx(prompt / 1e6))


def test_vectors_are_ordered_by_index() -> None:
    """Servers may answer a batch out of order and say so by the index."""
    rows = [{"index": 1, "embedding": [0.0, 1.0]}, {"index": 0, "embedding": [1.0, 0.0]}]
    with FakeOpenAI(routes={"/v1/embeddings": {"data": rows}}) as server:
        with OpenAIModel(name="m", base_url=server.base_url, embedding_model="e") as model:
            embedded = model.embed(["a", "b"], cancel=Cancel())

    assert embedded is not None
    assert embedded.vectors == ((1.0, 0.0), (0.0, 1.0))
    assert embedded.usage is None


@pytest.mark.parametrize("status", [400, 403, 404, 405, 501])
def test_a_server_without_embeddings_is_asked_once_a_day(status: int, tmp_path: Path) -> None:
    """Word ranking takes over; asking at every step would only cost time."""
    learned = Learned(tmp_path / "learned.json")
    route = Answer(status=status, body={"error": {"message": "no such model: e"}})
    with FakeOpenAI(routes={"/v1/embeddings": route}) as server:
        for _ in range(2):
            again = Learned(tmp_path / "learned.json")
            with OpenAIModel(
                name="m", base_url=server.base_url, embedding_model="e", learned=again
            ) as model:
                assert model.embed(["a"], cancel=Cancel()) is None
                assert model.embed(["a"], cancel=Cancel()) is None
        assert len(server.embeddings) == 1

        learned.learn(server.base_url, "e", no_embeddings_at=time() - 90_000)
        with OpenAIModel(
            name="m", base_url=server.base_url, embedding_model="e", learned=learned
        ) as model:
            model.embed(["a"], cancel=Cancel())
        assert len(server.embeddings) == 2


@pytest.mark.parametrize(
    "data",
    [
        [],
        [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [1.0, 2.0]}],
        [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [float("nan")]}],
        [{"index": 0, "embedding": [1.0]}],
        [{"index": 0, "embedding": []}, {"index": 1, "embedding": []}],
        "nonsense",
    ],
)
def test_vectors_that_cannot_be_right_are_none_and_not_asked_for_again(data: Any) -> None:
    """A wrong vector in the memory would spoil every later ranking."""
    with FakeOpenAI(routes={"/v1/embeddings": {"data": data}}) as server:
        with OpenAIModel(name="m", base_url=server.base_url, embedding_model="e") as model:
            assert model.embed(["a", "b"], cancel=Cancel()) is None
            assert model.embed(["a", "b"], cancel=Cancel()) is None

    assert len(server.embeddings) == 1


def test_texts_too_long_for_the_embedding_model_are_shortened_until_they_fit() -> None:
    """Small models take 512 tokens; a step's result is longer. What fits is remembered."""

    def route(body: Body) -> Answer:
        if max(map(len, body["input"])) > 2000:
            return Answer(status=500, body={"error": {"message": "input is too large to process"}})
        rows = [{"index": 0, "embedding": [1.0]}]
        return Answer(body={"data": rows})

    with FakeOpenAI(routes={"/v1/embeddings": route}) as server:
        with OpenAIModel(name="m", base_url=server.base_url, embedding_model="e") as model:
            model.embed(["x" * 9000], cancel=Cancel())
            model.embed(["x" * 9000], cancel=Cancel())

    assert [len(b["input"][0]) for b in server.embeddings] == [6000, 3000, 1500, 1500]


def test_without_an_embedding_model_nothing_is_asked() -> None:
    """None of the person's text leaves for a purpose that wasn't set up."""
    with talking() as (server, model):
        assert model.embed(["a"], cancel=Cancel()) is None

    assert server.requests == []


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


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8080/v1",
        "ftp://host/v1",
        "http://",
        "http://[::1",
        "http://host:99999/v1",
        "http://ho st/v1",
        "http://host/v1\nX: y",
        "https://host/v1?key=1",
    ],
)
def test_an_address_that_cannot_be_is_refused_with_an_example(url: str) -> None:
    """Bad input: a malformed URL is exit 2 and a sentence, before anything is sent."""
    with pytest.raises(ConfigError, match="looks like http://"):
        OpenAIModel(name="m", base_url=url)


def test_an_address_with_a_password_is_refused_without_showing_it() -> None:
    """It would stand in every message that names the server."""
    with pytest.raises(ConfigError) as caught:
        OpenAIModel(name="m", base_url="http://me:hunter2@host/v1")

    assert "hunter2" not in str(caught.value)


def test_a_key_that_no_header_carries_is_refused_without_showing_it() -> None:
    """A key pasted with a line break or an umlaut; the cause must be named, not the key."""
    with pytest.raises(ConfigError) as caught:
        OpenAIModel(name="m", api_key="sk-geheim-ü\n1")

    assert "geheim" not in str(caught.value)


def test_nothing_heavy_is_imported_with_the_module() -> None:
    """--help and the first line must not wait for openai."""
    code = "import sys, autoagent.openai_model, autoagent.servers; print('openai' in sys.modules, 'pydantic' in sys.modules)"
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=60
    )

    assert done.stdout == "False False\n"


@given(
    given=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["prompt_tokens", "completion_tokens", "total_tokens", "cost"]
                    + ["prompt_tokens_details", "cached_tokens"]
                    + ["completion_tokens_details", "reasoning_tokens"]
                ),
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
    reading = Reading()
    while raw:
        size = data.draw(st.integers(1, len(raw)))
        reading.feed(raw[:size])
        raw = raw[size:]

    assert reading.end()
    assert reading.result("m", None).text == text
