"""Auto-GPT's ai_settings.yaml: what it says reaches the model; what can't be is said by line."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoagent.configuration import options, settings
from autoagent.configuration.ai_settings import LARGEST, AISettings, parse
from autoagent.configuration.settings import Settings
from autoagent.errors import ConfigError
from tests.fake_openai import FakeOpenAI
from tests.program import Program, of_type, says

FILE = Path("/x/ai_settings.yaml")
# As Auto-GPT 0.4 and 0.5 write it: keys sorted, yaml.dump's own style.
WRITTEN = """ai_goals:
- Find out which port the database listens on
- 'Write it to port.txt: one line, no more'
ai_name: Port-GPT
ai_role: an AI designed to look into configuration files
  and to write down what they say.
api_budget: 1.5
"""
ROLE = "an AI designed to look into configuration files and to write down what they say."
GOALS = (
    "Find out which port the database listens on",
    "Write it to port.txt: one line, no more",
)


def loaded(tmp_path: Path, *argv: str, **environ: str) -> Settings:
    """The settings with WRITTEN named by -C."""
    work = tmp_path / "home" / "work"
    work.mkdir(parents=True, exist_ok=True)
    (work / "ai_settings.yaml").write_text(WRITTEN)
    environ = {"HOME": str(work.parent), **environ}
    parsed = options.parse(["-C", "ai_settings.yaml", *argv])
    return settings.load(parsed, environ, cwd=work)


def refusal(text: str | bytes) -> str:
    """The line that answers a file with this in it."""
    with pytest.raises(ConfigError) as refused:
        parse(FILE, text if isinstance(text, bytes) else text.encode())
    return str(refused.value)


def test_a_file_of_auto_gpts_is_read_as_it_meant_it() -> None:
    """By the form that its own `save` gives it."""
    found = parse(FILE, WRITTEN.encode())

    assert found == AISettings(FILE, "Port-GPT", ROLE, GOALS, 1.5)
    assert found.persona == f"You are Port-GPT, {ROLE}"


def test_what_people_wrote_by_hand_is_read_too() -> None:
    """Without the prefix; a colon that makes a mapping of a goal; numbers; nothing; a BOM."""
    text = "\ufeffname: 7\ngoals:\n  - Note: keep it short\n  - 42\n  -\n  - ''\nrole:\n"
    text += "api_budget: 0\n"

    found = parse(FILE, text.encode())

    assert found == AISettings(FILE, "7", "", ("Note: keep it short", "42"), None)
    assert found.persona == "You are 7"
    assert parse(FILE, b"ai_role: a cook").persona == "Your role: a cook"
    assert parse(FILE, b"ai_goals: [a, b]").persona == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ai_name: x\nai_goals: [a\n", "', line 3: not YAML: "),
        ("ai_name: x\n\tai_role: y\n", "', line 2: not YAML: "),
        ("ai_goals:\n- &a x\n- *a\n", "line 3: not YAML: *a refers to another place"),
        ("ai_name: !!python/object/apply:os.system [id]\n", "line 1: ai_name is one text"),
        ("a: 1\n---\nb: 2\n", "line 2: not YAML: "),
        ("ai_goals: all of it\n", "line 1: ai_goals is a list, one goal on each line after -."),
        ("ai_goals:\n- x\n- [a, b]\n", "line 3: a goal is one text; put it in quotes."),
        ("ai_goals:\n- {a: 1, b: 2}\n", "line 2: a goal is one text; put it in quotes."),
        ("ai_name: x\napi_budget: lots\n", "line 2: api_budget: 'lots' isn't an amount in US"),
        ("api_budget: .nan\n", "line 1: api_budget: '.nan' isn't an amount in US dollars"),
        ("api_budget: -1\n", "line 1: api_budget: '-1' isn't an amount in US dollars"),
        ("api_budget: [1]\n", "line 1: api_budget is one text"),
        ("ai_name: x\nai_goal:\n- y\n", "line 2: 'ai_goal'; did you mean 'ai_goals'?"),
        ("ai_name: x\nname: y\n", "line 2: ai_name stands there twice."),
        ("[x]: y\n", "line 1: a key is a word like ai_goals."),
        ("just text\n", "doesn't look like Auto-GPT's ai_settings.yaml"),
        ("", "doesn't look like Auto-GPT's ai_settings.yaml"),
        (b"ai_name: x\nai_role: \xff\n", "line 2: not UTF-8; save it as UTF-8."),
        ("ai_name: x\nai_role: a\x07b\n", "line 2: a character that YAML doesn't allow."),
        ("ai_name: " + "[" * 5000, "lists in lists without end"),
        ("#" * (LARGEST + 1), "is larger than 64 kB"),
    ],
)
def test_what_cannot_be_meant_is_said_with_file_and_line(text: str | bytes, said: str) -> None:
    """The person mends it without a search; nothing is built from what stands there."""
    line = refusal(text)

    assert line.startswith(f"'{FILE}'")
    assert said in line
    assert "\n" not in line


def test_a_short_file_cannot_become_a_long_text() -> None:
    """Nine lines of references would be three billion words."""
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]

    assert "line 2: not YAML: *a0 refers to another place" in refusal("\n".join(lines))


def test_what_is_in_it_and_is_not_read_is_noticed() -> None:
    """A fork of Auto-GPT may have more in it."""
    found = parse(FILE, b"ai_name: x\nplugins_allowed: true\n")

    assert found.notices == (f"'{FILE}', line 2: 'plugins_allowed' isn't read.",)


@given(st.text(max_size=60) | st.binary(max_size=60))
def test_any_content_is_understood_or_refused_in_one_line(content: str | bytes) -> None:
    """Never a traceback, whatever file was named."""
    raw = content if isinstance(content, bytes) else content.encode("utf-8", "replace")
    try:
        said = parse(FILE, raw).persona + "."
    except ConfigError as refused:
        said = str(refused)

    assert said
    assert "\n" not in said or said.startswith("You")


def test_the_budget_counts_next_after_the_command_line(tmp_path: Path) -> None:
    """It stands in a file that the command line names."""
    file = tmp_path / "home" / "work" / "ai_settings.yaml"
    label = f"api_budget in '{file}'"
    found = [
        loaded(tmp_path),
        loaded(tmp_path, AUTOAGENT_MAX_COST="9"),
        loaded(tmp_path, "--max-cost", "2"),
    ]
    (file.parent / "autoagent.toml").write_text("max_cost = 0.5\n")
    found.append(loaded(tmp_path))

    costs = [(each.max_cost, each.sources["max_cost"]) for each in found]

    assert costs == [(1.5, label), (1.5, label), (2.0, "--max-cost"), (1.5, label)]


def test_its_goals_come_first_and_do_not_make_it_one_shot(tmp_path: Path) -> None:
    """Auto-GPT asks before each step with -C; --goal and -c are what never asks here."""
    found = loaded(tmp_path, "one more")

    assert found.goals == (*GOALS, "one more")
    assert not found.one_shot
    assert loaded(tmp_path, "--goal", "x").one_shot


def test_name_role_goals_and_budget_reach_the_run(tmp_path: Path) -> None:
    """The model is told who it is before its goals; the limit is in the journal."""
    with FakeOpenAI([says("finish", answer="5433")]) as server:
        program = Program(tmp_path, server.base_url)
        (program.workspace / "ai.yaml").write_text(WRITTEN)
        done = program.run("-C", "ai.yaml", "--price", "1,1,1")
        resumed = program.run("--resume", "-C", "ai.yaml")
        opening = server.chats[0]["messages"][1]["content"]
    (began,) = of_type(program.journal(), "Started")

    assert (done.code, done.out) == (0, "5433\n")
    assert opening.startswith(f"You are Port-GPT, {ROLE}\n\nGoals\n1. {GOALS[0]}\n2. {GOALS[1]}\n")
    assert (began["goals"], began["limits"]["cost"]) == (list(GOALS), 1.5)
    assert (resumed.code, "--ai-settings goes with a new session" in resumed.err) == (2, True)


def test_a_budget_that_cannot_be_kept_is_named_by_its_place(tmp_path: Path) -> None:
    """Nobody typed --max-cost; the person looks where it stands."""
    with FakeOpenAI() as server:
        program = Program(tmp_path, server.base_url)
        (program.workspace / "ai.yaml").write_text(WRITTEN)
        done = program.run("-C", "ai.yaml")
        missing = program.run("-C", "other.yaml")

    assert done.code == 2
    assert f"so api_budget in '{program.workspace / 'ai.yaml'}' can't be kept" in done.err
    assert missing.code == 2
    assert "other.yaml' can't be read: No such file or directory." in missing.err
