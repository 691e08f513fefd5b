"""Prices and windows from the tables, from the servers themselves, and what was learned."""

import socket
from dataclasses import asdict, replace
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoagent.errors import ConfigError
from autoagent.model import ModelCard, Price
from autoagent.models.catalog import look_up
from autoagent.models.learned import Facts, Learned
from autoagent.models.servers import LocalServer, ask_server, find_local
from tests.fake_openai import Answer, FakeOpenAI

OPENROUTER = "https://openrouter.ai/api/v1"


@pytest.mark.parametrize(
    ("model", "url", "price"),
    [
        # OpenAI's and Anthropic's published prices, dollars per million tokens
        ("gpt-4o-2024-08-06", None, Price(2.5, 1.25, 10.0)),
        ("gpt-4o-mini", "https://api.openai.com/v1/", Price(0.15, 0.075, 0.6)),
        ("GPT-4o", "https://API.openai.com/v1", Price(2.5, 1.25, 10.0)),
        ("gpt-4o", "https://mine.openai.azure.com/openai/v1", Price(2.5, 1.25, 10.0)),
        ("openai/gpt-4o", OPENROUTER, Price(2.5, 1.25, 10.0)),
        ("claude-sonnet-4-5", "https://api.anthropic.com/v1", Price(3.0, 0.3, 15.0)),
        ("anthropic/claude-sonnet-4.5", OPENROUTER, Price(3.0, 0.3, 15.0)),
        # Google's price doubles above 200,000 tokens; our window stays below
        (
            "gemini-2.5-pro",
            "https://generativelanguage.googleapis.com/v1beta/openai",
            Price(1.25, 0.125, 10.0),
        ),
        ("text-embedding-3-small", None, Price(0.02, 0.02, 0.0)),
    ],
)
def test_a_known_model_at_its_providers_address_has_its_price(
    model: str, url: str | None, price: Price
) -> None:
    """Money limits stand on these."""
    assert look_up(model, url).price == price


def test_a_known_model_has_its_window() -> None:
    """GPT-4o's published context length."""
    assert look_up("gpt-4o").window == 128_000


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:11434/v1",
        "http://localhost:8080/v1",
        "https://gateway.example/v1",
        "http://api.openai.com/v1",
        "https://api.openai.com.evil.example/v1",
        "https://evil.example/api.openai.com/v1",
        "https://evil.example/x.googleapis.com/",
        "https://evil-openrouter.ai/api/v1",
        "https://api.cohere.company/v1",
    ],
)
@pytest.mark.parametrize("model", ["gpt-4o", "openai/gpt-4o", "command-r", "gemini-2.5-pro"])
def test_a_name_alone_has_no_price_anywhere_else(model: str, url: str) -> None:
    """A server on this machine isn't assumed to be free, nor to cost what a namesake costs."""
    assert look_up(model, url) == ModelCard(model)


def test_what_is_no_address_is_refused_before_a_price_is_looked_up() -> None:
    """It comes from the person's settings."""
    with pytest.raises(ConfigError):
        look_up("gpt-4o", "http://[1.2.3.4]/v1")


@pytest.mark.parametrize("model", ["", "no-such-model", "gpt-4o-no-such", "../x", "🍎"])
def test_an_unknown_model_is_a_card_with_only_its_name(model: str) -> None:
    """Unknown is None, never 0."""
    assert look_up(model) == ModelCard(model)


@pytest.mark.parametrize(
    ("routes", "want"),
    [
        ({"/v1/models": {"data": [{"id": "m", "max_model_len": 16384}]}}, 16384),
        ({"/v1/models": {"data": [{"id": "m", "context_length": 8192}]}}, 8192),
        ({"/v1/models": {"data": [{"id": "m", "context_window": 131072}]}}, 131072),
        ({"/v1/models": {"data": [{"id": "/models/a.gguf", "context_length": 4096}]}}, 4096),
        ({"/v1/models": {"data": [{"id": "a", "context_length": 1}, {"id": "b"}]}}, None),
        (  # llama.cpp: what is loaded, not what the model was trained for
            {
                "/v1/models": {"data": [{"id": "m", "meta": {"n_ctx_train": 131072}}]},
                "/props": {"default_generation_settings": {"n_ctx": 4096}},
            },
            4096,
        ),
        (  # LM Studio
            {
                "/api/v0/models": {
                    "data": [
                        {"id": "x"},
                        {"id": "m", "max_context_length": 32768, "loaded_context_length": 4096},
                    ]
                }
            },
            4096,
        ),
        ({"/api/ps": {"models": [{"name": "m:latest", "context_length": 4096}]}}, 4096),
        (  # Ollama: the model file's own setting; the model's maximum says nothing
            {
                "/api/show": {
                    "parameters": 'stop "x"\nnum_ctx    8192\n',
                    "model_info": {"llama.context_length": 131072},
                }
            },
            8192,
        ),
        ({"/api/show": {"model_info": {"llama.context_length": 131072}}}, None),
        ({"/v1/models": {"data": [{"id": "m", "context_length": "many"}]}}, None),
        ({"/v1/models": {"data": "none"}, "/props": [], "/api/ps": 5, "/api/show": None}, None),
        ({"/v1/models": "<html>", "/props": Answer(body=b"{"), "/api/ps": {"models": [7]}}, None),
    ],
)
def test_a_server_tells_its_window(routes: dict[str, Any], want: int | None) -> None:
    """Ollama's default silently cuts the front of a prompt: it must be known."""
    with FakeOpenAI(models=(), routes=routes) as server:
        card = ask_server(server.base_url, "m")

    assert card == ModelCard("m", window=want)


def test_a_server_tells_its_price_and_largest_completion() -> None:
    """OpenRouter's list, in dollars a token, for a model that the tables don't know yet."""
    row = {
        "id": "m",
        "context_length": 200000,
        "top_provider": {"max_completion_tokens": 64000},
        "pricing": {
            "prompt": "0.000003",
            "completion": "0.000015",
            "input_cache_read": "0.0000003",
        },
    }
    with FakeOpenAI(routes={"/v1/models": {"data": [row]}}) as server:
        card = ask_server(server.base_url, "m")

    assert card.price is not None
    assert asdict(card.price) == pytest.approx({"prompt": 3.0, "cached": 0.3, "completion": 15.0})
    assert (card.window, card.max_completion) == (200000, 64000)


def test_a_silent_server_is_not_waited_for() -> None:
    """Best effort: a run must not hang before it begins."""
    hold = Event()
    with FakeOpenAI(routes={"/v1/models": Answer(hold=hold, body={"data": []})}) as server:
        card = ask_server(server.base_url, "m", timeout_s=0.2)

    assert card == ModelCard("m")


def test_the_key_goes_to_the_server_that_was_asked_and_nowhere_else() -> None:
    """A redirect must not carry it to another host."""
    with FakeOpenAI() as other:
        away = Answer(status=307, headers={"Location": f"{other.base_url}/models"})
        with FakeOpenAI(routes={"/v1/models": away}) as server:
            ask_server(server.base_url, "m", "sk-secret")

    assert server.requests[0].headers["authorization"] == "Bearer sk-secret"
    assert other.requests == []


def test_servers_of_this_machine_are_found_in_the_order_of_the_ports() -> None:
    """No key and no URL: what runs here is used; a web server or a dead port is passed over."""
    ollama = {"object": "list", "data": [{"id": "qwen3:8b", "owned_by": "library"}]}
    with (
        socket.socket() as closed,
        FakeOpenAI(models=["one", "two"]) as first,
        FakeOpenAI(routes={"/v1/models": "<html>a web site</html>"}) as site,
        FakeOpenAI(routes={"/v1/models": {"hello": "world"}}) as other,
        FakeOpenAI(routes={"/v1/models": Answer(hold=Event())}) as silent,
        FakeOpenAI(routes={"/v1/models": ollama}) as last,
    ):
        closed.bind(("127.0.0.1", 0))
        dead = closed.getsockname()[1]
        ports = (dead, last.port, site.port, silent.port, other.port, first.port)
        found = find_local(ports, timeout_s=0.5)

    assert found == (
        LocalServer("Ollama", last.base_url, ("qwen3:8b",)),
        LocalServer("a model server", first.base_url, ("one", "two")),
    )


_facts = st.builds(
    Facts,
    format=st.sampled_from(["text", "json_object", "json_schema"]),
    cap=st.sampled_from(["", "max_tokens", "max_completion_tokens"]),
    dropped=st.lists(st.text()).map(tuple),
    streams=st.booleans(),
    window=st.none() | st.integers(min_value=1),
    max_completion=st.none() | st.integers(min_value=1),
    embed_characters=st.none() | st.integers(min_value=1),
    no_embeddings_at=st.none() | st.floats(allow_nan=False, allow_infinity=False),
)


@given(facts=_facts, url=st.text(), model=st.text())
def test_what_was_learned_is_read_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, facts: Facts, url: str, model: str
) -> None:
    """from_json(to_json(x)) == x, for any name a model may have."""
    path = tmp_path_factory.mktemp("learned") / "learned.json"

    Learned(path).learn(url, model, **asdict(facts))

    assert Learned(path).facts(url, model) == facts


def test_what_was_learned_is_private_and_shared_by_two_processes(tmp_path: Path) -> None:
    """Each keeps the other's lines; the file is readable to its owner alone."""
    path = tmp_path / "deep" / "learned.json"
    one, other = Learned(path), Learned(path)

    one.learn("http://a/v1", "m", streams=False)
    other.learn("http://b/v1/", "m", cap="max_tokens")

    again = Learned(path)
    assert again.facts("http://a/v1", "m") == Facts(streams=False)
    assert again.facts("http://b/v1", "m") == Facts(cap="max_tokens")
    assert path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["learned.json"]


def test_many_writers_leave_a_file_that_reads(tmp_path: Path) -> None:
    """Sub-agents and sessions learn at the same time."""
    path = tmp_path / "learned.json"
    writers = [
        Thread(target=Learned(path).learn, args=("u", f"m{i}"), kwargs={"window": i + 1})
        for i in range(8)
    ]

    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    again = Learned(path)
    kept = [again.facts("u", f"m{i}").window for i in range(8)]
    assert any(kept)
    assert all(size in (None, i + 1) for i, size in enumerate(kept))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"u m": 5}',
        b'{"u m": {"streams": 3, "cap": [], "dropped": 5, "window": -1, "format": "x"}}',
    ],
)
def test_a_damaged_file_counts_as_empty(content: bytes, tmp_path: Path) -> None:
    """What was learned is only a saving; it must never end a run."""
    path = tmp_path / "learned.json"
    path.write_bytes(content)

    learned = Learned(path)
    known = learned.facts("u", "m")
    after = learned.learn("u", "m", window=5)

    assert known == Facts()
    assert after == replace(Facts(), window=5) == Learned(path).facts("u", "m")


def test_a_file_that_cannot_be_written_is_left(tmp_path: Path) -> None:
    """A full disk, a folder in its place: the facts hold for this session."""
    learned = Learned(tmp_path)

    learned.learn("u", "m", streams=False)

    assert learned.facts("u", "m") == Facts(streams=False)
    assert list(tmp_path.iterdir()) == []
