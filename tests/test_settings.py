"""Settings: what counts, where it came from, and a sentence for what can't be meant."""

from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from autoagent.configuration import options, settings, values
from autoagent.configuration.settings import DEFAULTS, Settings
from autoagent.configuration.sources import VARIABLES
from autoagent.errors import ConfigError
from autoagent.model import Price

ROOT = Path(__file__).parent.parent


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A folder inside an otherwise empty home."""
    folder = tmp_path / "home" / "work"
    folder.mkdir(parents=True)
    return folder


def loaded(workspace: Path, *argv: str, **environ: str) -> Settings:
    """The settings when started in the workspace with its parent as home."""
    environ = {"HOME": str(workspace.parent), **environ}
    return settings.load(options.parse(list(argv)), environ, cwd=workspace)


def refusal(workspace: Path, *argv: str, **environ: str) -> str:
    """The line that answers these settings."""
    with pytest.raises(ConfigError) as refused:
        loaded(workspace, *argv, **environ)
    return str(refused.value)


def user_file(workspace: Path, name: str, content: str) -> Path:
    """A file in the user's configuration folder."""
    folder = workspace.parent / ".config" / "autoagent"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(content)
    return folder / name


def test_nothing_set_gives_the_defaults_of_the_surface(workspace: Path) -> None:
    """surface.md: 100 steps, 3 dollars, 2,000,000 tokens, no time limit."""
    found = loaded(workspace)

    limits = (found.max_steps, found.max_cost, found.max_tokens, found.max_time_s)
    assert limits == (100, 3.0, 2_000_000, None)
    assert (found.window, found.base_url, found.temperature) == (None, None, None)
    assert set(found.sources.values()) == {"default"}
    assert not found.explicit("max_cost")


def test_each_source_counts_before_the_next(workspace: Path) -> None:
    """option > environment > .env (named, then the user's) > TOML (named, then the user's)."""
    config = user_file(workspace, "config.toml", 'model = "seven"\n')
    named = workspace / "named.toml"
    named.write_text('model = "six"\n')
    dotenv = user_file(workspace, ".env", "SMART_LLM=five\n")
    chosen = workspace / "chosen.env"
    chosen.write_text("SMART_LLM=four\n")
    toml, env = ["--config", "named.toml"], ["--env-file", "chosen.env"]
    shell = {"SMART_LLM": "three", "AUTOAGENT_MODEL": "two"}

    runs = [
        loaded(workspace, *toml, *env, "--model", "one", **shell),
        loaded(workspace, *toml, *env, **shell),
        loaded(workspace, *toml, *env, SMART_LLM="three"),
        loaded(workspace, *toml, *env),
        loaded(workspace, *toml),
    ]
    dotenv.unlink()
    runs += [loaded(workspace, *toml), loaded(workspace)]

    assert [(run.model, run.sources["model"]) for run in runs] == [
        ("one", "--model"),
        ("two", "AUTOAGENT_MODEL"),
        ("three", "SMART_LLM"),
        ("four", f"SMART_LLM in '{chosen}'"),
        ("five", f"SMART_LLM in '{dotenv}'"),
        ("six", f"model in '{named}'"),
        ("seven", f"model in '{config}'"),
    ]


def test_an_empty_variable_counts_as_unset(workspace: Path) -> None:
    """`OPENAI_BASE_URL= autoagent` and compose files set variables to nothing."""
    empty = dict.fromkeys(VARIABLES, "")

    assert loaded(workspace, **empty, XDG_CONFIG_HOME="") == loaded(workspace)


@pytest.mark.parametrize("name", ["OPENAI_BASE_URL", "OPENAI_API_BASE_URL", "OPENAI_API_BASE"])
def test_the_server_goes_by_each_of_its_usual_names(workspace: Path, name: str) -> None:
    """What worked with another program works here."""
    assert loaded(workspace, **{name: "http://x/v1"}).base_url == "http://x/v1"


def test_a_value_equal_to_the_default_is_known_as_the_users(workspace: Path) -> None:
    """An explicit --max-cost with an unknown price is an error; the default is replaced."""
    assert loaded(workspace, "--max-cost", "3.00").explicit("max_cost")
    assert not loaded(workspace, "--max-cost", "3.00").explicit("max_tokens")


def test_every_kind_of_value_is_read_from_the_command_line(workspace: Path) -> None:
    """One of each, compared to what it means."""
    (workspace.parent / "data").mkdir()
    argv = ["--max-time", "1h30m", "--price", "0.25,0.025,2", "--max-tokens", "1,000"]
    argv += [
        "--protect",
        "tests",
        "--protect",
        str(workspace / "a/../b"),
        "--allow-read",
        "../data",
    ]
    argv += [
        "--pass-env",
        "TZ",
        "--verify",
        "a, b",
        "--verify",
        "c",
        "--network",
        "--memory",
        "none",
    ]

    found = loaded(workspace, *argv)

    assert found.max_time_s == 5400
    assert found.price == Price(0.25, 0.025, 2.0)
    assert found.max_tokens == 1000
    assert found.protect == ("tests", "b")
    assert found.allow_read == (workspace.parent / "data",)
    assert (found.pass_env, found.verify) == (("TZ",), ("a, b", "c"))
    assert (found.network, found.memory) == (True, None)


def test_the_same_values_are_read_from_variables_and_from_toml(workspace: Path) -> None:
    """A setting means the same wherever it stands."""
    toml = workspace.parent / "a.toml"
    toml.write_text(
        'max_time = "1h30m"\nprice = [0.25, 0.025, 2]\nmax_cost = 1\ndisable = ["a", "b"]\n'
        'verify = ["x, y", "z"]\nnetwork = true\n'
    )
    variables = {
        "AUTOAGENT_MAX_TIME": "1h30m",
        "AUTOAGENT_PRICE": "0.25,0.025,2",
        "AUTOAGENT_MAX_COST": "1",
        "AUTOAGENT_DISABLE": "a, b",
        "AUTOAGENT_VERIFY": "x, y\nz\n",
        "AUTOAGENT_NETWORK": "yes",
    }
    keys = ("max_time_s", "price", "max_cost", "disable", "verify", "network")

    by_file, by_shell = loaded(workspace, "--config", str(toml)), loaded(workspace, **variables)

    assert [getattr(by_file, key) for key in keys] == [getattr(by_shell, key) for key in keys]
    expected = [5400.0, Price(0.25, 0.025, 2.0), 1.0, ("a", "b"), ("x, y", "z"), True]
    assert [getattr(by_file, key) for key in keys] == expected


def test_paths_in_a_file_start_where_the_file_is(workspace: Path) -> None:
    """A settings file is read from many folders."""
    folder = workspace.parent / "elsewhere"
    (folder / "data").mkdir(parents=True)
    (folder / "a.toml").write_text('allow_read = ["data", "~/work"]\n')

    found = loaded(
        workspace / "..", "--config", "elsewhere/a.toml", "-w", "work", HOME=str(workspace.parent)
    )

    assert found.allow_read == (folder / "data", workspace)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["-l", "0"], "--max-steps: '0' isn't a whole number above 0, like 100."),
        (["-l", "-3"], "--max-steps: '-3' isn't a whole number above 0, like 100."),
        (["-l", "2.5"], "--max-steps: '2.5' isn't a whole number above 0, like 100."),
        (["--max-cost", "nan"], "--max-cost: 'nan' isn't an amount in US dollars, like 2.50."),
        (["--max-cost", "-1"], "--max-cost: '-1' isn't an amount in US dollars, like 2.50."),
        (["--max-cost", "inf"], "--max-cost: 'inf' isn't an amount in US dollars, like 2.50."),
        (["--max-time", "0"], "--max-time: '0' isn't a time like 90, 90s, 30m, 2h or 1h30m."),
        (["--max-time", "5x"], "--max-time: '5x' isn't a time like 90, 90s, 30m, 2h or 1h30m."),
        (["--max-time", ""], "--max-time: '' isn't a time like 90, 90s, 30m, 2h or 1h30m."),
        (["--temperature", "2.1"], "--temperature: '2.1' isn't a number from 0 to 2."),
        (
            ["--price", "1,2"],
            "--price: '1,2' isn't three prices in US dollars per million tokens: "
            "IN,CACHED,OUT, like 0.25,0.025,2.",
        ),
        (
            ["--sandbox", "bublewrap"],
            "--sandbox: 'bublewrap' isn't one of auto, bubblewrap, landlock, none."
            " Did you mean bubblewrap?",
        ),
        (["--pass-env", "A=1"], "--pass-env: 'A=1' isn't a name of letters, digits and _."),
        (["-g", " "], "--goal: ' ' isn't a text."),
        (["  "], "The goal is empty; say what is to be reached."),
        (["-i", "-c"], "--interactive and --continuous contradict each other; give one of them."),
    ],
)
def test_a_bad_value_is_named_with_what_is_right(
    workspace: Path, argv: list[str], said: str
) -> None:
    """The person sees what they typed and what to type instead."""
    assert refusal(workspace, *argv) == said


@pytest.mark.parametrize(
    "url",
    [
        "localhost:11434",
        "ftp://x/v1",
        "http://",
        "http://x:99999/v1",
        "http://a b/",
        "//x",
        "http:x",
    ],
)
def test_a_malformed_address_is_refused(workspace: Path, url: str) -> None:
    """Otherwise the client fails later with a message about something else."""
    assert refusal(workspace, "--base-url", url).startswith(f"--base-url: {url!r} isn't an address")


def test_a_password_in_an_address_is_refused_and_not_repeated(workspace: Path) -> None:
    """Error lines end up in logs."""
    said = refusal(workspace, OPENAI_BASE_URL="https://me:hunter2@host/v1")

    assert "hunter2" not in said
    assert said.startswith("OPENAI_BASE_URL: 'https://…@host/v1' isn't an address")


def test_a_broken_key_is_refused_and_not_repeated(workspace: Path) -> None:
    """A key pasted with a line break in it can't stand in a header."""
    said = refusal(workspace, OPENAI_API_KEY="sk-12345678\n9012345")

    assert said == "OPENAI_API_KEY: this isn't a key of visible ASCII characters."


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("max_step = 5", "there is no setting 'max_step'; did you mean 'max_steps'?"),
        ("goal = 'x'", "'goal' can't stand in a file; use --goal."),
        ("openai_api_key = 'x'", "'openai_api_key' can't stand here; put it into .env"),
        ("max_steps = '5'", "'5' isn't a whole number above 0, like 100"),
        ("max_steps = true", "True isn't a whole number above 0, like 100"),
        ("max_steps = 0", "'0' isn't a whole number above 0, like 100"),
        ("max_cost = nan", "'nan' isn't an amount in US dollars, like 2.50"),
        ("model = 5", "5 isn't a text in quotes"),
        ("network = 'yes'", "'yes' isn't true or false"),
        ("sandbox = 1", "1 isn't one of auto, bubblewrap, landlock, none in quotes"),
        ("disable = [1]", "1 isn't a name of letters, digits and _ in quotes"),
        ("model = ", "isn't TOML: "),
    ],
)
def test_a_fault_in_a_file_is_said_with_file_and_key(
    workspace: Path, content: str, said: str
) -> None:
    """A limit that was misspelled and silently ignored would cost money."""
    file = user_file(workspace, "config.toml", content + "\n")

    line = refusal(workspace)

    assert str(file) in line
    assert said in line
    assert "\n" not in line


@pytest.mark.parametrize("option", ["--config", "--env-file", "--goal-file"])
def test_a_named_file_that_can_not_be_read_is_said(workspace: Path, option: str) -> None:
    """The user meant something by it."""
    missing = workspace / "missing"

    said = refusal(workspace, option, "missing")
    folder = refusal(workspace, option, ".")

    assert said == f"{option} '{missing}' can't be read: No such file or directory."
    assert folder == f"{option} '{workspace}' can't be read: Is a directory."


def test_a_line_that_is_no_variable_is_said_with_its_number(workspace: Path) -> None:
    """In the user's own .env, where a lost line may be a lost limit."""
    file = user_file(workspace, ".env", "A=1\nAUTOAGENT_MAX_STEPS 5\n")

    assert refusal(workspace) == f"'{file}', line 2: not NAME=value."


def test_a_misspelled_variable_is_noticed(workspace: Path) -> None:
    """Not an error: a newer version's variables may be set for good."""
    found = loaded(workspace, AUTOAGENT_MAX_STEP="5")

    assert found.max_steps == 100
    assert found.notices == (
        "'AUTOAGENT_MAX_STEP' is no setting of this version, so it changes nothing; "
        "did you mean AUTOAGENT_MAX_STEPS?",
    )


def test_what_decides_the_files_does_not_count_in_them(workspace: Path) -> None:
    """A .env can't move the home that it was found in."""
    file = user_file(workspace, ".env", "AUTOAGENT_HOME=/x\nAUTOAGENT_WORKSPACE=/y\n")

    found = loaded(workspace)

    assert found.workspace == workspace
    assert found.notices == (
        f"AUTOAGENT_WORKSPACE counts in the environment only, not in '{file}'.",
        f"AUTOAGENT_HOME counts in the environment only, not in '{file}'.",
    )


def test_what_is_typed_wins_over_a_standing_contrary(workspace: Path) -> None:
    """AUTOAGENT_CONTINUOUS=1 in a profile must leave -i usable."""
    found = loaded(workspace, "-i", AUTOAGENT_CONTINUOUS="1")

    assert (found.interactive, found.continuous) == (True, False)


def test_goals_come_from_each_of_their_places_in_order(workspace: Path) -> None:
    """And only --goal and --goal-file make it a run that never asks."""
    (workspace / "goal.txt").write_bytes(b"\xef\xbb\xbfthird \xff\nline two\n")

    found = loaded(
        workspace, "-g", "first", "-g", "second\udcff", "--goal-file", "goal.txt", "last"
    )

    assert found.goals == ("first", "second\ufffd", "third \ufffd\nline two", "last")
    assert found.one_shot
    assert not loaded(workspace, "only text").one_shot


def test_an_empty_goal_file_is_an_error(workspace: Path) -> None:
    """Nothing to reach is never reached."""
    (workspace / "goal.txt").write_text(" \n")

    assert "is empty" in refusal(workspace, "--goal-file", "goal.txt")


def test_the_template_explains_every_variable() -> None:
    """It is what people copy."""
    template = (ROOT / ".env.template").read_text()

    assert [name for name in [*VARIABLES, "AUTOAGENT_HOME"] if name not in template] == []


def test_the_template_as_it_is_changes_nothing_and_its_examples_are_right(workspace: Path) -> None:
    """Each line of it, with the leading sign taken away, is a setting that can be."""
    template = (ROOT / ".env.template").read_text()
    file = user_file(workspace, ".env", template)
    untouched = loaded(workspace)
    lines = [line.removeprefix("# ") for line in template.splitlines()]
    file.write_text("\n".join(line for line in lines if "=" in line.split(" ")[0]))

    uncommented = loaded(workspace)

    assert set(untouched.sources.values()) == {"default"}
    assert uncommented.notices == ()
    changed = [key for key in DEFAULTS if uncommented.sources[key] != "default"]
    assert {"max_cost", "sandbox", "model", "local_ports"} <= set(changed)
    same = set(changed) - {"base_url"}
    assert [getattr(uncommented, k, 0) for k in same] == [getattr(untouched, k, 0) for k in same]


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59))
def test_a_time_is_the_sum_of_its_parts(hours: int, minutes: int, seconds: int) -> None:
    """Written out and read back."""
    total = hours * 3600 + minutes * 60 + seconds
    assume(total > 0)

    assert values.from_text("duration", f"{hours}h{minutes}m{seconds}s", "x") == total
    assert values.from_text("duration", str(total), "x") == total


@given(st.sampled_from(sorted(values.KINDS)), st.text(st.characters(), max_size=30))
def test_any_text_is_a_value_or_a_sentence(kind: str, text: str) -> None:
    """Never a traceback, whatever stands in a variable."""
    try:
        values.from_environment(kind, text, "NAME")
    except ConfigError as refused:
        said = str(refused)
    else:
        said = "NAME: a value"

    assert said.startswith("NAME: ")
    assert said.isprintable()


@pytest.mark.parametrize("words", [["stop", "ID"], ["tell", "ID", "x"], ["sessions", "list"]])
def test_a_broken_file_keeps_nobody_from_ending_a_session(tmp_path: Path, words: list[str]) -> None:
    """At 2 a.m. one wants `stop` to work; a run itself still refuses the file."""
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "autoagent.toml").write_text("max_steps = ")

    assert loaded(tmp_path / "work", *words).max_steps == DEFAULTS["max_steps"]
    assert "isn't TOML" in refusal(tmp_path / "work", "--goal", "x")
