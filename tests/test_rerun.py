"""A session's commands once more, in a folder of their own."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from autoagent.events import Executed
from autoagent.subcommands.rerunning import differences
from tests.fake_openai import FakeOpenAI
from tests.program import Program, says
from tests.screens import at_terminal

STEPS = [
    says("write_file", path="a.txt", content="one\n"),
    says("execute_shell", command_line="cat a.txt given.txt"),
    says("remember", text="The port is 5433."),
    '{"thoughts": "broken',
    says("finish", answer="done"),
]


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """With a session behind it that read a file which was there before."""
    with FakeOpenAI(STEPS) as server:
        program = Program(tmp_path, server.base_url)
        (program.workspace / "given.txt").write_text("given\n")
        assert program.run("--goal", "Look and write").code == 0
    return Program(tmp_path, "http://127.0.0.1:9/v1")


def test_in_an_empty_folder_what_was_there_before_is_missed(program: Program) -> None:
    """The step that needed it is named with what came of it then and now; no model is asked."""
    again = program.run("sessions", "replay", "--run", "--into", "../again")

    assert again.code == 0, again.err
    assert "step 2 execute_shell differs:" in again.out
    assert "  was: exit 0" in again.out and "  now: exit 1" in again.out
    assert "3 of 4 results are as they were." in again.out
    assert (program.folder / "again" / "a.txt").read_text() == "one\n"


def test_with_a_copy_of_the_workspace_nothing_differs(program: Program) -> None:
    """Times and the folder's own path are no difference; the refused reply is refused again."""
    (program.workspace / "a.txt").unlink()
    (program.workspace / ".env").write_text("SECRET=1\n")

    again = program.run("sessions", "replay", "--run", "--copy", "--into", "../again")

    assert "4 of 4 results are as they were." in again.out, again.out + again.err
    assert not (program.folder / "again" / ".env").exists()
    assert len(program.sessions) == 2
    assert list((program.home / "memory").glob("replay-*")) == []


def test_a_program_gets_the_differences_as_an_object(program: Program) -> None:
    """Of the new session, by its ID."""
    options = ("--run", "--into", "../again", "--output-format", "json")

    told = json.loads(program.run("sessions", "replay", *options).out)

    assert told["session"] == program.sessions[-1].name
    assert [(d["step"], d["command"]) for d in told["differ"]] == [(2, "execute_shell")]


def test_what_a_person_refused_does_not_run_again(tmp_path: Path) -> None:
    """A replay must not do what somebody once said no to."""
    touch = says("execute_shell", command_line="touch refused")
    with at_terminal(tmp_path, [touch, says("finish", answer="ok")], "Touch") as screen:
        screen.answers("Run it?", "n")
        screen.answers("Why not?", "")
        assert screen.ends() == 0
    program = Program(tmp_path)

    again = program.run("sessions", "replay", "--run", "--into", "../again")

    assert "2 of 2 results are as they were." in again.out, again.out + again.err
    assert list((tmp_path / "again").iterdir()) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--run"], "--run works in a folder of its own: --into DIR"),
        (["--run", "--into", "."], "--into '.*' isn't an empty folder; name a new one."),
        (["--run", "--into", "sub"], "lie in each other; name another folder."),
        (["--into", "x"], "--into goes with `sessions replay --run`."),
        (["--unsafe"], "--unsafe goes with `sessions replay --run`."),
        (["--run", "--into", "../x", "nothing"], "There is no session 'nothing'."),
    ],
)
def test_what_can_not_be_meant_is_a_sentence(program: Program, words: list[str], said: str) -> None:
    """And nothing is made."""
    done = program.run("sessions", "replay", *words)

    assert done.code == 2
    assert re.search(said, done.err), done.err
    assert len(program.sessions) == 1


def test_a_step_that_is_refused_now_says_why() -> None:
    """`refused` alone tells nobody which option the replay would need."""
    was = Executed(1, "read_webpage", "", True, False, "part 1 of 1", "Hello", "web")
    why = "127.0.0.1 is on this machine; the user can allow it: --allow-host 127.0.0.1:80"
    now = replace(was, ok=False, refused=True, note="refused", text=f"{why}\nmore")

    found = list(differences([was], [now], ("/a", "/b")))

    assert [(each.was, each.now) for each in found] == [("part 1 of 1", f"refused: {why}")]
