"""`autoagent config`: each setting with where it came from, and never a secret."""

from pathlib import Path

import pytest

from autoagent.configuration.settings import DEFAULTS
from autoagent.configuration.sources import KIND
from tests.program import KEY, Done, Program

TOKEN = "tvly-9a8b7c6d5e4f3a2b1c0d"


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """One with each kind of source."""
    program = Program(tmp_path, "http://127.0.0.1:9/v1", {"AUTOAGENT_MAX_TIME": "90m"})
    program.home.mkdir()
    (program.home / "config.toml").write_text("max_steps = 7\nprice = [0.25, 0.025, 2]\n")
    (program.home / ".env").write_text(f"SEARCH_TOKEN={TOKEN}\nEMBEDDING_MODEL=mine\n")
    (program.workspace / "autoagent.toml").write_text("max_tokens = 1000\nnetwork = true\n")
    return program


def rows(done: Done) -> dict[str, tuple[str, list[str]]]:
    """By setting: under which heading, and the words of its line."""
    found, title = {}, ""
    for line in done.out.splitlines():
        if line and not line.startswith(" "):
            title = line
        elif line and title in ("Set", "Default"):
            key, *words = line.split()
            found[key] = (title, words)
    return found


def test_each_setting_has_its_value_and_its_source(program: Program) -> None:
    """By the command line, the environment, both kinds of files, and by default."""
    done = program.run("config", "--max-steps", "5", "--verify", "make test", "--model", "m")
    found = rows(done)

    toml = str(program.home / "config.toml")
    own = str(program.workspace / "autoagent.toml")
    assert (done.code, done.err) == (0, "")
    assert set(found) == set(DEFAULTS)
    assert found["max_steps"] == ("Set", ["5", "--max-steps"])
    assert found["verify"] == ("Set", ["make", "test", "--verify"])
    assert found["model"] == ("Set", ["m", "--model"])
    assert found["max_time"] == ("Set", ["90m", "AUTOAGENT_MAX_TIME"])
    assert found["price"] == ("Set", ["0.25,0.025,2", "price", "in", f"'{toml}'"])
    assert found["max_tokens"] == ("Set", ["1000", "max_tokens", "in", f"'{own}'"])
    assert found["embedding_model"][1][:3] == ["mine", "EMBEDDING_MODEL", "in"]
    assert found["network"] == ("Default", ["false"])
    assert found["max_cost"] == ("Default", ["3.00"])
    assert found["command_file_size"] == ("Default", ["8G"])
    assert found["temperature"] == ("Default", ["-", "the", "server's", "own"])


def test_what_is_set_comes_before_what_is_not(program: Program) -> None:
    """A person looks for what differs."""
    titles = [title for title, _ in rows(program.run("config")).values()]

    assert titles == sorted(titles, key=["Set", "Default"].index)


def test_files_are_named_whether_they_are_there_or_not(program: Program) -> None:
    """And what was ignored for want of trust, with how to allow it."""
    done = program.run("config")

    lines = [line.strip() for line in done.out.splitlines()]
    assert lines[lines.index("Files, the strongest first") + 1 :] == [
        f"{program.workspace / '.env'}: not there",
        f"{program.home / '.env'}: read",
        f"{program.workspace / 'autoagent.toml'}: not trusted, so it may only lower limits",
        f"{program.home / 'config.toml'}: read",
        "autoagent.toml of this folder isn't trusted, so it may only lower limits; ignored: "
        "network. To allow it: autoagent trust (or --config autoagent.toml)",
    ]


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_secret_is_shown_wherever_it_stands(program: Program, form: str) -> None:
    """Configurations are pasted into bug reports."""
    done = program.run(
        "config", "--output-format", form, "--verify", f"curl -H {TOKEN}", "--model", KEY
    )

    assert done.code == 0
    assert KEY not in done.out
    assert TOKEN not in done.out
    assert "[secret SEARCH_TOKEN]" in done.out


def test_programs_get_one_object(program: Program) -> None:
    """Values as JSON has them: seconds, bytes, lists; of a key only that it is set."""
    done = program.run("config", "--output-format", "json", "--max-steps", "5")
    (given,) = done.lines

    found = given["settings"]
    assert set(found) == set(DEFAULTS)
    assert found["max_steps"] == {"value": 5, "set": True, "source": "--max-steps"}
    assert found["max_time"]["value"] == 5400
    assert found["price"]["value"] == [0.25, 0.025, 2.0]
    assert found["command_file_size"]["value"] == 8 << 30
    assert found["local_ports"]["value"] == []
    assert found["window"] == {"value": None, "set": False, "source": "default"}
    assert found["api_key"] == {"value": None, "set": True, "source": "OPENAI_API_KEY"}
    assert [each["state"] for each in given["files"]][:2] == ["not there", "read"]
    assert given["workspace"] == str(program.workspace)
    assert len(given["notices"]) == 1


def test_every_key_is_known_as_a_secret_by_its_kind() -> None:
    """A new one would be shown otherwise."""
    named = {key for key in DEFAULTS if "key" in key}

    assert {key for key in DEFAULTS if KIND[key] == "key"} == named


def test_a_control_character_in_a_value_is_written_out(program: Program) -> None:
    """A file of the workspace could hide what it sets."""
    done = program.run("config", "--model", "a\x1b[2Jb\u202e")

    assert rows(done)["model"] == ("Set", ["a\\x1b[2Jb\\u{202e}", "--model"])


def test_a_broken_file_is_named(program: Program) -> None:
    """One line and exit 2, as for a run."""
    (program.home / "config.toml").write_text("max_steps = 'x'\n")

    done = program.run("config")

    assert (done.code, done.out) == (2, "")
    assert f"max_steps in '{program.home / 'config.toml'}'" in done.err
