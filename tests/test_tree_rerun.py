"""The commands of a session's agents once more: each in its folder, in the order of the first
time."""

from dataclasses import replace
from pathlib import Path

import pytest

from autoagent.errors import StateError
from autoagent.events import Event, Executed, Executing, Replied, Stopped
from autoagent.sessions.tree import entries_of
from autoagent.subcommands.again import order_of, parts_of
from tests.past import step
from tests.past_teams import Team, reported, spawned
from tests.program import Program, says


def ran(number: int, command_line: str, text: str, *changed: str) -> list[Event]:
    """A step that ran this in the shell, with what came of it."""
    note = "exit 0, 0.1 s" + "".join(f", changed {name}" for name in changed)
    reply = says("execute_shell", command_line=command_line)
    events = step(number, name="execute_shell", args={"command_line": command_line})
    return [
        replace(e, raw=reply)
        if isinstance(e, Replied)
        else replace(e, about=command_line, text=text, note=note, changed=changed)
        if isinstance(e, Executed)
        else e
        for e in events
    ]


def of_team(number: int, name: str) -> list[Event]:
    """A step of the session's agent that deals with a sub-agent."""
    reply = says(name, name="tests", task="Test.")
    events = step(number, name=name, args={"name": "tests"})
    return [replace(e, raw=reply) if isinstance(e, Replied) else e for e in events]


def finished(number: int) -> list[Event]:
    reply = says("finish", answer="ok")
    events = step(number, name="finish", args={"answer": "ok"}, text="")
    return [
        replace(e, raw=reply)
        if isinstance(e, Replied)
        else replace(e, about="", note="done", text="ok")
        if isinstance(e, Executed)
        else e
        for e in events
    ]


def worked(program: Program, read: str = "one\nroot\n") -> Team:
    """`tests` reads in its part of the workspace what its agent wrote there before, then its
    agent reads what `tests` wrote."""
    team = Team(program.home, program.workspace)
    team.add("", *ran(1, "mkdir sub; echo one > sub/a", "", "sub/a"))
    team.add("", *of_team(2, "start_agent"))
    team.begin("tests", "Test.", folder="sub", at=2)
    read_one = f"one\n{program.workspace}/sub\n"
    team.add("tests", *ran(1, "cat a; echo root >> a; pwd", read_one, "a"))
    team.add("tests", *finished(2))
    team.end("tests", "ok", reported("tests"))
    team.add("", *of_team(3, "wait_for_agents"))
    team.add("", *ran(4, "cat sub/a", read))
    team.add("", *finished(5), Stopped("done", 0, "ok"))
    return team


def test_the_commands_of_all_run_in_their_folders_in_the_order_of_the_first_time(
    tmp_path: Path,
) -> None:
    """Each needs what another did before; no model is asked, no agent is started by a word."""
    program = Program(tmp_path, "http://127.0.0.1:9/v1")
    worked(program)

    again = program.run("sessions", "replay", "--run", "--into", "../again")

    assert again.code == 0, again.err
    assert (tmp_path / "again" / "sub" / "a").read_text() == "one\nroot\n"
    assert "5 of 5 results are as they were." in again.out
    assert "tests: step 1: execute_shell cat a; echo root >> a; pwd: exit 0" in again.out
    assert "\nThat of tests: " in again.out


def test_a_result_that_differs_is_named_with_its_agent_and_the_step_it_had(
    tmp_path: Path,
) -> None:
    """Steps that were left out don't shift the numbers that a person knows."""
    program = Program(tmp_path)
    worked(program, read="something else\n")

    options = ("--run", "--into", "../again", "--output-format", "json")
    told = program.run("sessions", "replay", *options).object

    differ = [(d["agent"], d["step"], d["command"], d["was"]) for d in told["differ"]]
    assert differ == [("", 4, "execute_shell", "something else")]
    assert told["agents"].keys() == {"tests"}
    assert sorted([told["session"], *told["agents"].values()]) == sorted(
        folder.name for folder in program.sessions if folder.name != "S"
    )


def test_whose_turn_it_is_follows_what_took_effect(tmp_path: Path) -> None:
    """Not what was thought of first; commands of the team have no turn."""
    team = Team(tmp_path, tmp_path / "work")
    team.add("", *of_team(1, "start_agent"))
    team.begin("tests", "Test.")
    mine, its = ran(2, "true", ""), ran(1, "true", "")
    team.add("", *[e for e in mine if not isinstance(e, Executing | Executed)])
    team.add("tests", *its)
    team.add("", *[e for e in mine if isinstance(e, Executing | Executed)])
    entries = entries_of(team.folder)

    parts = parts_of(entries, tmp_path / "again")

    assert order_of(entries, parts) == ["tests", ""]
    assert (parts[""].steps, parts["tests"].steps) == ((2,), (1,))


def test_what_a_sub_agent_may_not_do_it_may_not_again(tmp_path: Path) -> None:
    """It tried to write, which its agent didn't let it; and nothing starts sub-agents anew."""
    program = Program(tmp_path)
    team = Team(program.home, program.workspace)
    team.add("", *of_team(1, "start_agent"))
    team.begin("tests", "Test.")
    reply = says("write_file", path="a", content="a")
    tried = step(1, name="write_file", args={"path": "a", "content": "a"})
    team.add("tests", *[replace(e, raw=reply) if isinstance(e, Replied) else e for e in tried])
    team.add("tests", *finished(2))
    starts = [{"name": "start_agent", "args": {"name": "b", "task": "b"}}]
    many = says("batch", commands=starts)
    batch = step(2, name="batch", args={})
    team.add("", *[replace(e, raw=many) if isinstance(e, Replied) else e for e in batch])
    team.add("", *finished(3), Stopped("done", 0, "ok"))

    again = program.run("sessions", "replay", "--run", "--into", "../again")

    assert again.code == 0, again.err
    assert list((tmp_path / "again").iterdir()) == []
    assert "tests: step 1 write_file differs:" in again.out
    made = [folder for folder in program.sessions if folder.name != "S"]
    assert [list(folder.glob("agents/*")) for folder in made] == [[], []]


def test_a_folder_outside_of_the_workspace_is_refused(tmp_path: Path) -> None:
    """A journal may have been changed: commands must not run wherever it says."""
    team = Team(tmp_path, tmp_path / "work")
    team.add("", spawned("tests", "Test.", folder="../../etc"))

    with pytest.raises(StateError, match="isn't in the workspace"):
        parts_of(entries_of(team.folder), tmp_path / "again")
