"""Model servers on this machine: found, tried, named; their windows asked and said."""

from collections.abc import Mapping
from pathlib import Path
from threading import Barrier, Event
from typing import Any

import pytest

from autoagent.model import ModelCard
from autoagent.models.servers import answers_chat, ask_server, is_ollama
from tests.fake_openai import Answer, Body, FakeOpenAI, Scripted
from tests.program import Done, Program, says

DONE = says("finish", answer="42")
EMBEDDER = "nomic-embed-text:latest"
CHATTER = "qwen3:8b"


def no_chat(body: Body) -> Answer | None:
    """As Ollama answers for a model that only embeds."""
    if body["model"] != EMBEDDER:
        return None
    told = f'"{EMBEDDER}" does not support chat'
    return Answer(status=400, body={"error": {"message": told, "type": "invalid_request_error"}})


class FakeOllama(FakeOpenAI):
    """Tells the window of a model once it is loaded: `context` tokens, None: never."""

    def __init__(
        self, answers: list[Scripted], *, context: int | None = 4096, models: tuple[str, ...]
    ) -> None:
        self._loaded: list[Mapping[str, Any]] = []

        def load(body: Body) -> Answer:
            told = {} if context is None else {"context_length": context}
            self._loaded.append({"name": body["model"], **told})
            return Answer(body={"model": body["model"], "done": True})

        routes: dict[str, Any] = {
            "/api/version": {"version": "0.13.0"},
            "/api/generate": load,
            "/api/ps": lambda _: Answer(body={"models": self._loaded}),
            "/api/show": {"model_info": {"qwen3.context_length": 40960}},
        }
        super().__init__(answers, routes=routes, models=models, check=no_chat, embeds=False)


def found(folder: Path, server: FakeOpenAI, *args: str, **variables: str) -> Done:
    """A run that knows neither key nor address."""
    nothing = {"OPENAI_API_KEY": "", "OPENAI_BASE_URL": "", "SMART_LLM": ""}
    ports = {"AUTOAGENT_LOCAL_PORTS": str(server.port)}
    program = Program(folder, variables={**nothing, **ports, **variables})
    return program.run(*(args or ("--goal", "go")))


def test_the_first_model_that_answers_is_used_and_named(tmp_path: Path) -> None:
    """An embedding model stands first in many lists; the others are named with the option."""
    with FakeOpenAI([DONE, DONE], models=[EMBEDDER, CHATTER, "llama3"], check=no_chat) as server:
        done = found(tmp_path, server)
        models = [chat["model"] for chat in server.chats]

    assert (done.code, done.out) == (0, "42\n")
    assert models == [CHATTER, CHATTER]
    said = f"Using {CHATTER} of a model server (others: {EMBEDDER}, llama3; --model chooses)."
    assert said in done.err


def test_a_model_that_refuses_is_passed_over_whatever_its_name(tmp_path: Path) -> None:
    """One that doesn't fit into memory answers with 500."""

    def too_large(body: Body) -> Answer | None:
        return Answer(status=500, body={"error": "no memory"}) if body["model"] == "big" else None

    with FakeOpenAI([DONE, DONE], models=["big", "small"], check=too_large) as server:
        done = found(tmp_path, server)

    assert done.code == 0
    assert "Using small of a model server (others: big; --model chooses)." in done.err


def test_of_an_address_on_this_machine_a_model_is_used_that_is_there(tmp_path: Path) -> None:
    """Else a first run would ask for one of OpenAI's; a name that was given stays."""
    models = [EMBEDDER, CHATTER]
    with FakeOpenAI([DONE] * 5, models=models, check=no_chat) as server:
        address = {"OPENAI_BASE_URL": server.base_url}
        done = found(tmp_path, server, **address)
        named = found(tmp_path, server, "--goal", "go", "--model", "other", **address)
        asked = [body["model"] for body in server.chats]

    assert (done.code, done.out) == (0, "42\n")
    assert f"Using {CHATTER} of {server.base_url}, which has no gpt-5-mini; --model" in done.err
    assert named.code == 0
    assert asked[-2:] == [CHATTER, "other"]


def test_of_an_address_that_has_the_usual_model_that_is_used(tmp_path: Path) -> None:
    with FakeOpenAI([DONE], models=["llama3", "gpt-5-mini"]) as server:
        done = found(tmp_path, server, OPENAI_BASE_URL=server.base_url)

        assert done.code == 0
        assert server.chats[-1]["model"] == "gpt-5-mini"
        assert "Using" not in done.err


def test_a_model_that_was_named_is_not_tried_first(tmp_path: Path) -> None:
    """The person knows; loading another would cost minutes."""
    with FakeOpenAI([DONE], models=["a", "b", "c"]) as server:
        done = found(tmp_path, server, "--goal", "go", "--model", "b")
        models = [chat["model"] for chat in server.chats]

    assert (done.code, models) == (0, ["b"])
    assert "Using b of a model server." in done.err


@pytest.mark.parametrize(
    ("models", "said"),
    [
        ((EMBEDDER, "embed-2"), "has 2 models, but none of them answers"),
        ((), "but has no model yet. Get one (ollama pull NAME; LM Studio: load one)"),
    ],
)
def test_a_server_without_a_model_that_chats_is_said(
    tmp_path: Path, models: tuple[str, ...], said: str
) -> None:
    """Not "no server answers": it is there, and something else is to be done."""
    refusing = {"/v1/chat/completions": Answer(status=400, body={"error": "no chat"})}
    with FakeOpenAI(models=models, routes=refusing) as server:
        done = found(tmp_path, server)

    assert done.code == 2
    assert said in done.err


def test_silence_is_no_refusal() -> None:
    """A model that is being loaded says nothing for a minute; another would be loaded too."""
    hold = Answer("late", hold=Event())
    with FakeOpenAI([hold, "hi", Answer(status=400, body={"error": "x"})]) as server:
        answers = [
            answers_chat(server.base_url, "m", timeout_s=seconds) for seconds in (0.2, 5.0, 5.0)
        ]

    assert answers == [None, True, False]


def test_ollamas_small_window_ends_the_run_before_it_begins(tmp_path: Path) -> None:
    """It would cut the front of each prompt without a word: goals and commands first."""
    with FakeOllama([DONE], models=(CHATTER,)) as server:
        done = found(tmp_path, server)
        chats = server.chats

    assert (done.code, chats) == (2, [])
    assert f"The window of {CHATTER} is 4,096 tokens; autoagent needs at least 8,000." in done.err
    assert "OLLAMA_CONTEXT_LENGTH=32768 ollama serve, or num_ctx" in done.err


def test_a_window_that_ollama_does_not_have_cannot_be_asked_for(tmp_path: Path) -> None:
    """--window tells us how much to send, not Ollama how much to read."""
    with FakeOllama([DONE], context=8192, models=(CHATTER,)) as server:
        done = found(tmp_path, server, "--goal", "go", "--window", "32000")
        bare = found(tmp_path, server, "doctor", "--sandbox", "none")

    assert done.code == 0
    assert f"gives {CHATTER} a window of 8,192 tokens, so --window 32000 can't be" in done.err
    assert f"The window of {CHATTER} is 8,192 tokens only. For a larger one (Ollama:" in bare.out


def test_a_window_that_ollama_does_not_tell_is_said(tmp_path: Path) -> None:
    """Older versions tell none; then nobody may believe in a large one."""
    with FakeOllama([DONE], context=None, models=(CHATTER,)) as server:
        done = found(tmp_path, server)

    assert done.code == 0
    assert f"Ollama doesn't tell the window of {CHATTER}, and cuts longer prompts" in done.err


def test_ollama_is_made_to_load_a_model_only_when_its_window_is_unknown() -> None:
    """Where the model file sets it, or where it is loaded, there is nothing to wait for."""
    with FakeOllama([], context=16384, models=(CHATTER,)) as server:
        root = server.base_url
        cards = [ask_server(root, CHATTER, load_s=s) for s in (0.0, 10.0, 10.0)]
        loads = [r.body for r in server.requests if r.path == "/api/generate"]
        kinds = is_ollama(root)

    assert cards == [ModelCard(CHATTER), ModelCard(CHATTER, 16384), ModelCard(CHATTER, 16384)]
    assert loads == [{"model": CHATTER, "stream": False}]
    assert kinds


def test_a_server_that_is_no_ollama_is_not_asked_to_load() -> None:
    """What an unknown server does at /api/generate is its own affair."""
    with FakeOpenAI() as server:
        card = ask_server(server.base_url, "m", load_s=10.0)
        paths = [request.path for request in server.requests]

    assert card == ModelCard("m")
    assert "/api/generate" not in paths
    assert not is_ollama(server.base_url)


def test_a_server_is_asked_everything_at_once() -> None:
    """Five silences one after the other would be five times the wait."""
    together = Barrier(5, timeout=10)

    def meet(_: Body) -> Answer:
        together.wait()
        return Answer(body={})

    paths = ("/v1/models", "/props", "/api/v0/models", "/api/ps", "/api/show")
    with FakeOpenAI(routes=dict.fromkeys(paths, meet)) as server:
        ask_server(server.base_url, "m", timeout_s=20.0)

    assert not together.broken
