"""The command line: what is understood, and one clear line for what isn't."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoagent.configuration.options import OPTIONS, help_text, parse
from autoagent.configuration.usage import SUBCOMMANDS
from autoagent.errors import ConfigError

ROOT = Path(__file__).parent.parent


def refusal(*argv: str) -> str:
    """The line that answers this command line."""
    with pytest.raises(ConfigError) as refused:
        parse(list(argv))
    return str(refused.value)


def test_a_first_word_that_is_no_subcommand_is_the_goal() -> None:
    """`autoagent "demo the product"` must not start the demo."""
    given = parse(["demo the product", "--model", "m"])

    assert (given.command, given.text, given.model) == ("run", "demo the product", "m")


def test_options_stand_before_and_after_the_goal() -> None:
    """People append an option to the line they just ran."""
    given = parse(["-l", "5", "mend it", "--plain", "-"])

    assert (given.text, given.max_steps, given.plain) == ("mend it", "5", True)
    assert given.reads_stdin


def test_standard_input_is_read_only_when_a_hyphen_stands_there() -> None:
    """A pipe that never closes hangs whoever reads it unasked."""
    assert not parse(["--goal", "x"]).reads_stdin
    assert parse(["--goal", "x", "-"]).reads_stdin


def test_resume_takes_no_hyphen_for_a_session() -> None:
    """`--resume -` means the newest session with context from standard input."""
    given = parse(["--resume", "-"])

    assert (given.resume, given.reads_stdin) == ("", True)


def test_the_name_from_auto_gpt_sets_the_step_limit() -> None:
    """surface.md: `--continuous-limit` is the same as `--max-steps`."""
    assert parse(["--continuous-limit", "7"]).max_steps == "7"


def test_what_follows_a_double_hyphen_goes_to_the_cage_as_it_is() -> None:
    """Options of the caged program are not ours."""
    given = parse(["sandbox", "--network", "--", "ls", "--help", "--", "-la"])

    assert (given.command, given.network) == ("sandbox", True)
    assert given.words == ["ls", "--help", "--", "-la"]


@pytest.mark.parametrize("argv", [["--help"], ["--goal", "x", "-h"], ["-h", "--nonsense"]])
def test_help_wins_over_what_follows_it(argv: list[str]) -> None:
    """Who asks for help may not know how to write the rest."""
    assert (parse(argv).command, parse(argv).topic) == ("help", "")


@pytest.mark.parametrize(("argv", "topic"), [(["help"], ""), (["help", "undo"], "undo")])
def test_help_without_hyphens_is_no_goal(argv: list[str], topic: str) -> None:
    """A session that works on "help" would cost money and tell nothing."""
    assert (parse(argv).command, parse(argv).topic) == ("help", topic)


def test_a_subcommand_has_its_own_page() -> None:
    """Only the options that go with it are on it."""
    given = parse(["sandbox", "--help"])
    page = help_text(given.topic)

    assert given.topic == "sandbox"
    assert "--allow-write" in page
    assert "--max-cost" not in page


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--modle", "x"], "There is no option '--modle'; did you mean --model?"),
        (["--goall=x"], "There is no option '--goall'; did you mean --goal?"),
        (["--qqqqqq"], "There is no option '--qqqqqq'; see autoagent --help."),
        (["--goal"], "--goal needs a value: --goal TEXT (one that starts with -: --goal=-x)."),
        (["--plain=1"], "--plain takes no value, but '1' was given."),
        (["fix", "it"], "The goal is one argument: put it in quotes, autoagent 'fix it'."),
        (["-v", "demo"], "'demo' comes first (autoagent demo …); as a goal, use --goal demo."),
        (["sandbox", "ls"], "Write `autoagent sandbox -- CMD`, not 'ls'."),
        (["sandbox", "--"], "Write `autoagent sandbox -- CMD`."),
        (["undo", "--to"], "--to needs a value: --to STEP (one that starts with -: --to=-x)."),
        (["demo", "now"], "Write `autoagent demo`, not 'now'."),
        (["tell", "ID"], "Write `autoagent tell ID TEXT`; TEXT in quotes."),
        (["sessions", "delete"], "Write `autoagent sessions delete ID…`."),
        (["sessions", "list", "x"], "Write `autoagent sessions list`, not 'x'."),
        (["memory", "add"], "Write `autoagent memory add TEXT`; TEXT in quotes."),
        (
            ["doctor", "--output-format", "json"],
            "--output-format doesn't go with `autoagent doctor`; see autoagent doctor --help.",
        ),
        (
            ["trust", "-g", "x"],
            "--goal doesn't go with `autoagent trust`; see autoagent trust --help.",
        ),
    ],
)
def test_wrong_usage_is_one_line_that_names_what_is_right(argv: list[str], said: str) -> None:
    """Not argparse's page of usage; surface.md: one line and exit 2."""
    assert refusal(*argv) == said


def test_a_missing_action_is_answered_with_all_of_them() -> None:
    """And one that is mistyped, too."""
    actions = "ACTION: list, show [ID], follow [ID], replay [ID]"

    assert refusal("sessions").startswith(f"Write `autoagent sessions ACTION`. {actions}")
    assert refusal("sessions", "lst").startswith(
        f"Write `autoagent sessions ACTION`, not 'lst'. {actions}"
    )


@pytest.mark.parametrize("option", ["--rolle=x", "--mod"])
def test_options_that_are_not_there_are_refused(option: str) -> None:
    """What silently did nothing would be taken for done; a shortened name may change meaning."""
    assert refusal(option).startswith(f"There is no option '{option.split('=')[0]}'")


@given(st.lists(st.text(max_size=12) | st.sampled_from(["--goal", "-l", "-", "--", "demo", "-h"])))
def test_any_command_line_is_understood_or_refused_in_one_line(argv: list[str]) -> None:
    """Never a traceback, an exit or a print, whatever was typed."""
    try:
        said = parse(argv).command
    except ConfigError as refused:
        said = str(refused)

    assert said
    assert said.isprintable()


@pytest.mark.parametrize("topic", ["", *SUBCOMMANDS])
def test_the_help_page_fits_a_hundred_columns(topic: str) -> None:
    """It is read at a terminal and stands in the documentation."""
    assert max(map(len, help_text(topic).splitlines())) <= 100


def test_the_help_page_shows_every_option() -> None:
    """An option that isn't shown is an option that nobody has."""
    page = help_text()

    flags = [f"--{key.replace('_', '-')}" for key in OPTIONS]
    assert [flag for flag in [*flags, "--help", "--version"] if flag not in page] == []


def test_the_page_names_the_defaults_that_count() -> None:
    """Two places hold them, because the page may not import the settings."""
    from autoagent.configuration.settings import DEFAULTS

    page = help_text()

    assert f"({DEFAULTS['max_steps']})" in page
    assert f"({DEFAULTS['max_cost']:.2f})" in page
    assert f"({DEFAULTS['max_tokens']:,})" in page
    assert f"({DEFAULTS['model']})" in page
    assert f"({DEFAULTS['embedding_model']})" in page


def test_reading_the_command_line_imports_nothing_heavy() -> None:
    """`--help` has to be as quick as argparse; facts.md: dataclasses and json double it."""
    code = (
        "import sys; before = set(sys.modules); import autoagent.configuration.options as o;"
        "o.parse(['-l', '3']); o.help_text(); print(sorted(set(sys.modules) - before))"
    )

    run = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )

    loaded = set(ast.literal_eval(run.stdout))
    assert "argparse" in loaded
    assert loaded & {"dataclasses", "json", "pathlib", "typing", "difflib", "shutil"} == set()


@pytest.mark.parametrize(("typed", "meant"), [("doctr", "doctor"), ("Sesions", "sessions")])
def test_a_word_that_is_nearly_a_subcommand_is_no_goal(typed: str, meant: str) -> None:
    """Else a slip of the finger would start a session, and cost something."""
    with pytest.raises(ConfigError, match=f"did you mean '{meant}'.*--goal {typed}"):
        parse([typed])


def test_other_words_and_sentences_are_goals() -> None:
    """Also one of a single word, and one that begins with a subcommand's name."""
    for goal in ("refactor", "doctr the tests", "undo it", "Tests"):
        assert parse([goal]).text == goal
