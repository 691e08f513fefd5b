"""A first run without a way to a model: what it asks, what it tries, what it keeps."""

import io
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest
from dotenv.parser import parse_stream
from hypothesis import given
from hypothesis import strategies as st

from autoagent.configuration.keeping import keep, text_with
from autoagent.configuration.places import Places
from autoagent.errors import ConfigError
from autoagent.model import NotListening, Rejected
from autoagent.models.trying import Way, find_way
from tests.fake_openai import Answer, Body, FakeOpenAI
from tests.program import KEY, Program, at_once, of_type
from tests.screens import DONE, Screen, beside

WRONG = "sk-proj-9e77aa1b52c04d31f8"
WHICH = "Which? 1/2/3: "
SECRET = "Key (isn't shown): "
GOAL = "an empty line ends.\r\n> "
NOWHERE = "There is no model to ask: OPENAI_API_KEY isn't set, OPENAI_BASE_URL isn't set"
LOST = {"OPENAI_API_KEY": "", "OPENAI_BASE_URL": "", "SMART_LLM": ""}


@contextmanager
def first_run(
    folder: Path, server: FakeOpenAI, *args: str, shell: str = "", **variables: str
) -> Iterator[Screen]:
    """autoagent at a terminal, with nothing that leads to a model."""
    variables = {**LOST, **variables}
    with beside(server, folder, *args, columns=80, shell=shell, **variables) as screen:
        screen.child.logfile_read = io.StringIO()
        yield screen


def seen(screen: Screen) -> str:
    """All that was on the screen, as one line."""
    return " ".join(screen.child.logfile_read.getvalue().split())


def env_file(screen: Screen) -> Path:
    return screen.program.home / ".env"


def gives_key(screen: Screen, key: str, address: str = "") -> None:
    screen.answers(WHICH, "1")
    screen.answers("Address (Enter: ", address)
    screen.answers(SECRET, key)


def gives_goal(screen: Screen) -> int:
    """The exit code of the session."""
    screen.answers(GOAL, "say done")
    screen.answers("> ", "")
    return screen.ends()


def holding(folder: Path, word: str) -> list[Path]:
    """The files below that hold the word."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return [path for path in files if word.encode() in path.read_bytes()]


def test_a_key_is_tried_kept_and_shown_nowhere(tmp_path: Path) -> None:
    """The session goes on with it; the next run, which may be unattended, finds it."""
    log = ("--log-file", str(tmp_path / "run.log"))
    with (
        FakeOpenAI(["hi", DONE, DONE], key=KEY) as server,
        first_run(tmp_path, server, *log) as screen,
    ):
        screen.shows("No model server was looked for on this machine")
        gives_key(screen, KEY, server.base_url)
        code = gives_goal(screen)
        later = Program(tmp_path, variables=LOST).run("--goal", "go")
        kept, screened = env_file(screen), seen(screen)

    assert (code, later.code, later.out) == (0, 0, "all is done\n")
    assert f"fake-model answers at {server.base_url}." in screened
    assert f"SMART_LLM: kept where only you can read it, {kept} " in screened
    lines = [f"OPENAI_API_KEY={KEY}", f"OPENAI_BASE_URL={server.base_url}", "SMART_LLM=fake-model"]
    assert kept.read_text().splitlines() == lines
    assert [stat.S_IMODE(p.stat().st_mode) for p in (kept, kept.parent)] == [0o600, 0o700]
    assert (tmp_path / "run.log").exists()
    assert KEY not in screened
    assert holding(tmp_path, KEY) == [kept]


def test_a_wrong_key_is_said_and_asked_for_again(tmp_path: Path) -> None:
    """The address that was typed is offered again, and the wrong key stands nowhere."""
    with (
        FakeOpenAI(["hi", DONE], key=KEY) as server,
        first_run(tmp_path, server, "say done") as screen,
    ):
        gives_key(screen, WRONG, server.base_url)
        screen.shows("HTTP 401")
        gives_key(screen, KEY)
        code = screen.ends()
        tries = [r.path for r in server.requests if WRONG in r.headers.get("authorization", "")]
        screened = seen(screen)

    assert code == 0
    assert "Check OPENAI_API_KEY." in screened
    assert f"Address (Enter: {server.base_url}): " in screened
    assert tries == ["/v1/models"]
    assert not any(word in screened for word in (KEY, WRONG))
    assert holding(tmp_path, WRONG) == []


def test_after_three_tries_it_leaves(tmp_path: Path) -> None:
    """Whoever has no right key at hand must come back to the shell."""
    with FakeOpenAI(key=KEY) as server, first_run(tmp_path, server) as screen:
        gives_key(screen, WRONG, server.base_url)
        gives_key(screen, "two words")
        gives_key(screen, WRONG)
        code = screen.ends()
        screened, written = seen(screen), env_file(screen).exists()

    assert (code, written) == (2, False)
    assert screened.count("Incorrect API key provided") == 2
    assert "OPENAI_API_KEY holds a sign that no key has." in screened
    assert NOWHERE in screened


def test_what_was_typed_before_the_first_question_is_a_goal(tmp_path: Path) -> None:
    """Whoever types on while it starts means the work, not one of three numbers."""
    with FakeOpenAI(["hi", DONE]) as server, first_run(tmp_path, server) as screen:
        screen.child.sendline("3")
        screen.answers(WHICH, "2")
        screen.answers("Address: ", server.base_url)
        screen.shows("an empty line ends.\r\n> 3\r\n")
        screen.answers("> ", "")
        code = screen.ends()
        goals = of_type(screen.program.journal(), "Started")[0]["goals"]

    assert (code, goals) == (0, ["3"])


@pytest.mark.parametrize("typed", ["{}/", "{}", "{root}", "{root}/", "{bare}", "{}/models"])
def test_an_address_may_be_typed_in_any_usual_way(typed: str) -> None:
    """With and without http://, /v1 and a slash at the end, as servers print it."""
    with FakeOpenAI(["hi"], models=["a", "b"]) as server:
        root = server.base_url.removesuffix("/v1")
        address = typed.format(server.base_url, root=root, bare=root.removeprefix("http://"))

        way = find_way(address, "", None, "gpt-5-mini", check_s=10.0)

    assert way == Way(server.base_url, "a", ("b",))


def test_a_server_of_ones_own_is_kept_with_the_model_that_answered(tmp_path: Path) -> None:
    """Without a key; the models that don't chat are passed over, --continuous asks as well."""

    def no_chat(body: Body) -> Answer | None:
        refuses = body["model"] != "qwen3:8b"
        return Answer(status=400, body={"error": "no chat"}) if refuses else None

    models = ["nomic-embed-text", "tts", "qwen3:8b"]
    with (
        FakeOpenAI(["hi", DONE], models=models, check=no_chat) as server,
        first_run(tmp_path, server, "--continuous") as screen,
    ):
        screen.answers(WHICH, "2")
        screen.answers("Address: ", server.base_url.removesuffix("/v1") + "/")
        code = gives_goal(screen)
        kept, screened = env_file(screen).read_text(), seen(screen)

    assert code == 0
    said = f"qwen3:8b answers at {server.base_url} (others: nomic-embed-text, tts; --model or "
    assert said in screened
    assert kept == f"OPENAI_BASE_URL={server.base_url}\nSMART_LLM=qwen3:8b\n"


@pytest.mark.parametrize(
    "typed", [["3\n"], ["\x04"], ["\x03"], ["1\n", "\x03"], ["2\n", "\x04"], ["1\n", "\n", "\x03"]]
)
def test_whoever_leaves_finds_nothing_written(tmp_path: Path, typed: list[str]) -> None:
    """At each question: the sentence that says what to set, and a terminal that echoes."""
    with (
        FakeOpenAI() as server,
        first_run(tmp_path, server, shell='trap : INT; "$@"; echo "code $?"; stty -a') as screen,
    ):
        for question, keys in zip((WHICH, "Address", SECRET), typed, strict=False):
            screen.shows(question)
            screen.child.send(keys)
        screen.shows("code 2", " echo ")
        screened, written = seen(screen), env_file(screen).exists()
        asked = server.requests

    assert NOWHERE in screened
    assert (written, asked) == (False, [])


def test_ctrl_c_ends_a_try_that_hangs(tmp_path: Path) -> None:
    """A server that takes the question and says nothing must not hold the person."""
    hold = Answer("late", hold=Event())
    with FakeOpenAI([hold]) as server, first_run(tmp_path, server) as screen:
        screen.answers(WHICH, "2")
        screen.answers("Address: ", server.base_url)
        asked = server.wait_for_chats(1)
        screen.child.sendintr()
        code = screen.ends()
        written = env_file(screen).exists()

    assert (asked, code, written) == (True, 2, False)


def test_what_stood_in_the_file_stays(tmp_path: Path) -> None:
    """Comments and other variables are the person's; the key's old line is replaced."""
    before = "# mine\nTAVILY_API_KEY=tv-1\n\nOPENAI_API_KEY=\nAUTOAGENT_MAX_STEPS=7"
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / ".env").write_text(before)
    (tmp_path / "state" / ".env").chmod(0o644)
    with (
        FakeOpenAI(["hi", DONE], key=KEY) as server,
        first_run(tmp_path, server, "say done", SMART_LLM="fake-model") as screen,
    ):
        gives_key(screen, KEY, server.base_url)
        code = screen.ends()
        kept = env_file(screen)

    assert code == 0
    assert kept.read_text() == (
        f"# mine\nTAVILY_API_KEY=tv-1\n\nOPENAI_API_KEY={KEY}\nAUTOAGENT_MAX_STEPS=7\n"
        f"OPENAI_BASE_URL={server.base_url}\n"
    )
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """What was typed is lost then, and the person must know."""
    (tmp_path / "taken").write_text("a file")
    with (
        FakeOpenAI(["hi"], key=KEY) as server,
        first_run(tmp_path, server, AUTOAGENT_HOME=str(tmp_path / "taken" / "in")) as screen,
    ):
        gives_key(screen, KEY, server.base_url)
        code = screen.ends()
        screened = seen(screen)

    assert code == 8
    assert "can't be made" in screened
    assert KEY not in screened


def test_a_link_to_a_file_kept_elsewhere_stays_one(tmp_path: Path) -> None:
    """Some people keep their settings in a repository and link them."""
    config, elsewhere = tmp_path / "config", tmp_path / "elsewhere"
    config.mkdir()
    elsewhere.mkdir()
    (config / ".env").symlink_to(elsewhere / "env")

    keep(Places(None, config, tmp_path), {"OPENAI_API_KEY": KEY})

    assert (config / ".env").is_symlink()
    assert (elsewhere / "env").read_text() == f"OPENAI_API_KEY={KEY}\n"
    assert [each.name for each in elsewhere.iterdir()] == ["env"]


def test_nobody_is_asked_where_nobody_may_sit(tmp_path: Path) -> None:
    """--goal, a pipe and a CI job end with the sentence, as before."""
    with FakeOpenAI() as server:
        program = Program(tmp_path, variables=LOST)
        piped = at_once((program, ["--goal", "go"]), (program, ["do it"]))
        with first_run(tmp_path, server, "--goal", "go") as screen:
            scripted = screen.ends()
            said = seen(screen)
        with first_run(tmp_path, server, "go", CI="true") as screen:
            built = screen.ends()
            said += seen(screen)

    assert [each.code for each in piped] == [2, 2]
    assert (scripted, built) == (2, 2)
    assert said.count(NOWHERE) == 2
    assert WHICH not in said + "".join(each.err for each in piped)


def test_a_server_without_a_model_is_named(tmp_path: Path) -> None:
    """Not "no server answers": it is there, and a model is what is missing."""
    with FakeOpenAI(models=()) as server:
        ports = str(server.port)
        with first_run(tmp_path, server, "go", AUTOAGENT_LOCAL_PORTS=ports) as screen:
            screen.answers(WHICH, "3")
            code = screen.ends()
            screened = seen(screen)

    assert code == 2
    assert f"answers at {server.base_url}, but has no model yet." in screened


def test_what_a_server_says_cannot_reach_the_terminal_raw(tmp_path: Path) -> None:
    """Its words and the names of its models are foreign text."""
    evil = "\x1b[2Jgone\u202e"
    refusing = {"/v1/models": Answer(status=401, body={"error": {"message": evil}})}
    with FakeOpenAI(routes=refusing) as server, first_run(tmp_path, server) as screen:
        gives_key(screen, KEY, server.base_url)
        screen.shows("HTTP 401", WHICH)
        screen.child.sendline("3")
        screen.ends()
        raw = screen.child.logfile_read.getvalue()
    with FakeOpenAI(["hi"], models=[evil, "b"]) as server:
        way = find_way(server.base_url, "", None, "gpt-5-mini", check_s=10.0)

    assert "\x1b[2Jgone" not in raw
    assert "\u202e" not in raw
    assert way.model == "b"


def test_doctor_says_that_a_session_would_ask(tmp_path: Path) -> None:
    """It is where a newcomer looks; the file to write by hand is named as well."""
    program = Program(tmp_path, variables=LOST)

    done = program.run("doctor", "--sandbox", "none")

    assert NOWHERE in done.out
    assert str(program.home / ".env") in done.out
    assert "start autoagent at a terminal: it asks for a key or an address" in done.out


def test_a_wrong_key_is_not_tried_on_each_model() -> None:
    """Some providers list their models to anybody; eight refusals may lock an account."""
    refusing = {"/v1/chat/completions": Answer(status=401, body={"error": {"message": "no"}})}
    with FakeOpenAI(models=["a", "b", "c"], routes=refusing) as server:
        with pytest.raises(Rejected, match="Check OPENAI_API_KEY"):
            find_way(server.base_url, KEY, None, "gpt-5-mini", check_s=10.0)
        asked = len(server.chats)

    assert asked == 1


def test_a_key_that_may_not_list_models_may_chat() -> None:
    """OpenAI's restricted keys are such; the usual model is asked then."""
    refusing = {"/v1/models": Answer(status=403, body={"error": {"message": "no scope"}})}
    with FakeOpenAI(["hi"], routes=refusing) as server:
        way = find_way(server.base_url, KEY, None, "gpt-5-mini", check_s=10.0)

    assert way == Way(server.base_url, "gpt-5-mini", ())


def test_the_usual_model_goes_before_the_first_of_the_list() -> None:
    """A provider lists what it likes first."""
    with FakeOpenAI(["hi"], models=["a", "gpt-5-mini"]) as server:
        way = find_way(server.base_url, KEY, None, "gpt-5-mini", check_s=10.0)
        asked = [chat["model"] for chat in server.chats]

    assert (way.model, asked) == ("gpt-5-mini", ["gpt-5-mini"])


@pytest.mark.parametrize(
    ("typed", "kind", "said"),
    [
        ("http://127.0.0.1:9", NotListening, "http://127.0.0.1:9/v1 doesn't answer: "),
        ("", ConfigError, "That is no address; one looks like"),
        (WRONG, ConfigError, "That is no address; one looks like"),
        ("http://me:pass@host/v1", ConfigError, "holds a name or password"),
        ("https://me.openai.azure.com", ConfigError, "AZURE_OPENAI_ENDPOINT"),
    ],
)
def test_what_is_no_way_is_said_in_a_sentence(typed: str, kind: type[Exception], said: str) -> None:
    """A key at the wrong question isn't repeated, and not looked up as a host."""
    with pytest.raises(kind) as caught:
        find_way(typed, "", None, "gpt-5-mini", check_s=10.0)

    assert said in str(caught.value)
    assert WRONG not in str(caught.value)


_KEYS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1)
_FILES = st.lists(
    st.sampled_from(
        [
            "# a word\n",
            "\n",
            "A=1\n",
            "export OPENAI_API_KEY='old'\n",
            "OPENAI_API_KEY=\n",
            'B="x\ny"\n',
        ]
    )
).map("".join)


@given(_FILES, _KEYS)
def test_any_key_is_read_as_it_was_typed_and_the_rest_as_it_was(text: str, key: str) -> None:
    """Keys may hold #, quotes and backslashes, which mean something in such a file."""
    after = text_with(text, {"OPENAI_API_KEY": key})

    before, now = (_variables(each) for each in (text, after))
    rest = [pair for pair in now if pair[0] != "OPENAI_API_KEY"]
    assert [value for name, value in now if name == "OPENAI_API_KEY"] == [key]
    assert rest == [pair for pair in before if pair[0] != "OPENAI_API_KEY"]
    assert after.count("# a word\n") == text.count("# a word\n")


def _variables(text: str) -> list[tuple[str | None, str | None]]:
    bindings = list(parse_stream(io.StringIO(text)))
    assert not any(binding.error for binding in bindings)
    return [(binding.key, binding.value) for binding in bindings if binding.key]
