"""Azure, as it behaves: deployments in the path, its own header for the key, dated versions."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from autoagent.configuration import azure, options, settings
from autoagent.configuration.settings import Settings
from autoagent.errors import ConfigError
from autoagent.models.faults import Asked, of_status
from tests.fake_openai import Answer, Body, FakeOpenAI, Request
from tests.program import KEY, Done, Program, says

AZURE_KEY = "4f1c9a77d2e84b60a3aa11bb22cc33dd"
VERSION = "2024-10-21"
RESOURCE = "https://mine.openai.azure.com"
SCRIPT = (
    says("remember", text="the port is 5433"),
    says("finish", answer="42"),
)


class FakeAzure(FakeOpenAI):
    """Knows two deployments, on both of its interfaces, and one key."""

    def _answer(self, request: Request) -> Answer:
        path, _, query = request.path.partition("?")
        dated = path.startswith("/openai/deployments/")
        key = request.headers.get("api-key" if dated else "authorization", "")
        name = path.split("/")[3] if dated else request.body.get("model", "")
        if key.removeprefix("Bearer ") != AZURE_KEY:
            told = "Access denied due to invalid subscription key or wrong API endpoint."
            return Answer(status=401, body={"error": {"code": "401", "message": told}})
        if (query != f"api-version={VERSION}") if dated else not path.startswith("/openai/v1/"):
            return Answer(status=404, body={"error": {"code": "404", "message": "Not found"}})
        if name not in ("thinker", "embedder"):
            told = "The API deployment for this resource does not exist."
            return Answer(
                status=404, body={"error": {"code": "DeploymentNotFound", "message": told}}
            )
        return super()._answer(request)


def variables(server: FakeOpenAI, **more: str) -> dict[str, str]:
    """What a user of Azure exports, beside a key of OpenAI's."""
    return {
        "OPENAI_BASE_URL": "",
        "SMART_LLM": "",
        "AZURE_OPENAI_ENDPOINT": f"http://127.0.0.1:{server.port}/",
        "AZURE_OPENAI_API_KEY": AZURE_KEY,
        "AZURE_OPENAI_DEPLOYMENT": "thinker",
        "AZURE_OPENAI_EMBEDDING_DEPLOYMENT": "embedder",
        **more,
    }


def run(folder: Path, server: FakeOpenAI, *args: str, **more: str) -> Done:
    return Program(folder, variables=variables(server, **more)).run(*(args or ("--goal", "go")))


def loaded(tmp_path: Path, *argv: str, **environ: str) -> Settings:
    work = tmp_path / "home" / "work"
    work.mkdir(parents=True, exist_ok=True)
    environ = {"HOME": str(work.parent), **environ}
    return settings.load(options.parse([*argv]), environ, cwd=work)


@pytest.mark.parametrize(
    ("version", "chat", "embeddings"),
    [
        (
            {"OPENAI_API_VERSION": VERSION},
            f"/openai/deployments/thinker/chat/completions?api-version={VERSION}",
            f"/openai/deployments/embedder/embeddings?api-version={VERSION}",
        ),
        ({}, "/openai/v1/chat/completions", "/openai/v1/embeddings"),
    ],
)
def test_a_run_with_embeddings_goes_through_on_both_interfaces(
    tmp_path: Path, version: Mapping[str, str], chat: str, embeddings: str
) -> None:
    """With a date where one is set; without one the interface that has no dates."""
    with FakeAzure(SCRIPT) as server:
        done = run(tmp_path, server, **version)
        paths = {request.path for request in server.requests}
        sent = [str(request.headers) for request in server.requests]

    assert (done.code, done.out) == (0, "42\n")
    assert paths == {chat, embeddings}
    assert KEY not in "".join(sent)
    assert AZURE_KEY not in done.err


def test_a_run_is_resumed_at_the_same_place(tmp_path: Path) -> None:
    """The journal has the address; the key comes from the environment again."""
    with FakeAzure((says("list_files", path="."), *SCRIPT)) as server:
        program = Program(tmp_path, variables=variables(server))
        first = program.run("--goal", "go", "--max-steps", "1")
        done = program.run("--resume", "--max-steps", "9")

    assert (first.code, done.code, done.out) == (4, 0, "42\n")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"AZURE_OPENAI_API_KEY": "wrong-key-4f1c9a77d2e8"}, "Check AZURE_OPENAI_API_KEY."),
        ({"AZURE_OPENAI_DEPLOYMENT": "other"}, "AZURE_OPENAI_DEPLOYMENT or --model"),
        ({"OPENAI_API_VERSION": "2020-01-01"}, "OPENAI_API_VERSION may be left out."),
        ({"AZURE_OPENAI_ENDPOINT": "http://127.0.0.1:9"}, "or set AZURE_OPENAI_ENDPOINT."),
    ],
)
def test_a_fault_names_what_to_set(tmp_path: Path, more: dict[str, str], said: str) -> None:
    """By the names that a user of Azure knows; exit 5."""
    with FakeAzure() as server:
        done = run(tmp_path, server, **more)

    assert done.code == 5
    assert said in done.err
    assert AZURE_KEY not in done.err


def test_doctor_asks_azure_alone_and_sends_the_key_its_way(tmp_path: Path) -> None:
    """Azure lists models, not deployments: nothing is claimed of them."""
    models: Body = {"data": [{"id": "gpt-4o"}]}
    routes: Mapping[str, Any] = {"/openai/models": models}
    with FakeOpenAI(routes=routes) as server:
        done = run(tmp_path, server, "doctor", "--sandbox", "none", OPENAI_API_VERSION=VERSION)
        (asked,) = server.requests

    assert asked.path == f"/openai/models?api-version={VERSION}"
    assert asked.headers["api-key"] == AZURE_KEY
    assert "authorization" not in asked.headers
    assert "whether it has a deployment thinker, a run will show." in done.out
    assert AZURE_KEY not in done.out


@pytest.mark.parametrize(
    ("endpoint", "version", "url", "dated"),
    [
        (RESOURCE, VERSION, RESOURCE, VERSION),
        (f"{RESOURCE}/", VERSION, RESOURCE, VERSION),
        (f"{RESOURCE}/openai/", VERSION, RESOURCE, VERSION),
        (f"{RESOURCE}/openai/v1/", VERSION, f"{RESOURCE}/openai/v1", None),
        (RESOURCE, "", f"{RESOURCE}/openai/v1", None),
        (RESOURCE, "preview", f"{RESOURCE}/openai/v1", None),
    ],
)
def test_the_address_is_understood_as_people_copy_it(
    tmp_path: Path, endpoint: str, version: str, url: str, dated: str | None
) -> None:
    """From the portal, from the docs of either interface, with or without a last slash."""
    for name in ("AZURE_OPENAI_ENDPOINT", "OPENAI_BASE_URL"):
        found = loaded(tmp_path, **{name: endpoint, "AZURE_OPENAI_API_VERSION": version})

        assert (found.azure, found.base_url, found.azure_version) == (True, url, dated)


def test_the_address_of_one_deployment_is_refused_with_what_to_give(tmp_path: Path) -> None:
    """The portal shows it as target URI."""
    target = f"{RESOURCE}/openai/deployments/gpt/chat/completions?api-version={VERSION}"

    with pytest.raises(ConfigError, match=r"the resource's, like https://NAME") as refused:
        loaded(tmp_path, AZURE_OPENAI_ENDPOINT=target)

    assert str(refused.value).startswith("AZURE_OPENAI_ENDPOINT: ")


def test_azures_key_goes_to_azure_only(tmp_path: Path) -> None:
    """Whoever has both set, and names another server, keeps them apart."""
    both = {"AZURE_OPENAI_API_KEY": AZURE_KEY, "OPENAI_API_KEY": KEY}
    there = loaded(tmp_path, AZURE_OPENAI_ENDPOINT=RESOURCE, **both)
    elsewhere = loaded(
        tmp_path, "--base-url", "http://127.0.0.1:1/v1", AZURE_OPENAI_ENDPOINT=RESOURCE, **both
    )
    nowhere = loaded(tmp_path, **both)
    alone = loaded(tmp_path, AZURE_OPENAI_ENDPOINT=RESOURCE, OPENAI_API_KEY=KEY)

    assert (there.api_key, there.sources["api_key"]) == (AZURE_KEY, "AZURE_OPENAI_API_KEY")
    assert (elsewhere.api_key, elsewhere.azure) == (KEY, False)
    assert (nowhere.api_key, nowhere.base_url) == (KEY, None)
    assert alone.api_key == KEY
    assert set(there.secrets.values()) == {AZURE_KEY, KEY}


def test_a_deployment_counts_on_azure_unless_a_model_is_named(tmp_path: Path) -> None:
    """A deployment's name means nothing to OpenAI."""
    names = {"AZURE_OPENAI_DEPLOYMENT": "thinker", "SMART_LLM": "gpt-4o"}
    here = {"AZURE_OPENAI_ENDPOINT": RESOURCE, **names}

    models = [
        loaded(tmp_path, **here).model,
        loaded(tmp_path, "--model", "typed", **here).model,
        loaded(tmp_path, AUTOAGENT_MODEL="ours", **here).model,
        loaded(tmp_path, **names).model,
    ]

    assert models == ["thinker", "typed", "ours", "gpt-4o"]


def test_a_key_without_an_address_is_said(tmp_path: Path) -> None:
    """It is not sent to OpenAI."""
    program = Program(tmp_path, variables={"OPENAI_API_KEY": "", "AZURE_OPENAI_API_KEY": AZURE_KEY})

    done = program.run("--goal", "go")

    assert done.code == 2
    assert "AZURE_OPENAI_API_KEY counts with AZURE_OPENAI_ENDPOINT only." in done.err


def test_a_host_that_only_looks_like_azures_is_none() -> None:
    """The key would go there."""
    keys = {"api_key": None, "azure_key": AZURE_KEY, "azure_version": None}
    for url in ("https://openai.azure.com.evil.example", "https://evil.example/.openai.azure.com"):
        assert azure.server(url, "OPENAI_BASE_URL", keys)["api_key"] is None


def test_openais_own_faults_are_named_as_before() -> None:
    """The names of Azure's variables would mislead there."""
    fault = of_status(401, {}, "{}", Asked("https://api.openai.com/v1", "m", "k"))

    assert str(fault).endswith("Check OPENAI_API_KEY.")
