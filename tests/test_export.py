"""`autoagent sessions export`: for readers, for programs, for training; without secrets."""

import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autoagent.events import Cut, Executed, Refused, Stopped
from autoagent.history import messages
from autoagent.model import Usage
from autoagent.sessions.export import as_chats
from tests.past import DONE, kept, started, step
from tests.program import KEY, Program
from tests.runs import Run, says


def refused(number: int) -> Refused:
    return Refused(number, "{", "{", "Not readable.", misread=True, usage=Usage(5, 5, cost=0.0))


def roles(chat: dict[str, Any]) -> str:
    return "".join(message["role"][0] for message in chat["messages"])


def test_a_conversation_is_the_prompt_as_the_model_saw_it_up_to_its_last_reply(
    tmp_path: Path,
) -> None:
    """System, then user and assistant in turns, as trainers demand."""
    run = Run(tmp_path, says("list_files"), says("finish", answer="ok"))
    events = list(run)

    (chat,) = as_chats(events)

    seen = [{"role": m.role, "content": m.content} for m in messages(run.state)]
    assert chat == {"messages": seen[:-1]}  # the last is the result of finish
    assert roles(chat) == "suaua"


def test_each_good_reply_is_learned_from_once() -> None:
    """A refused one is no example; one that stays over a cut stands in two conversations."""
    cut = Cut(1, "[steps 1-1 have left this conversation]")
    events = [started("a", "/w"), *step(1), refused(2), *step(3), cut, *step(4), DONE]

    before, after = as_chats(events)

    def learned(chat: dict[str, Any]) -> list[str]:
        replies = [m for m in chat["messages"] if m["role"] == "assistant" and "weight" not in m]
        return [json.loads(m["content"])["thoughts"] for m in replies]

    assert learned(before) == ["Thought 1.", "Thought 3."]
    assert learned(after) == ["Thought 4."]
    assert (roles(before), roles(after)) == ("suauaua", "suauaua")
    assert {m.get("weight") for m in after["messages"][:-1]} == {None, 0}


def test_a_session_without_a_reply_has_no_conversation() -> None:
    assert list(as_chats([started("a", "/w"), Stopped("unreachable", 5, "No.")])) == []


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """With a session whose journal holds what became a secret afterwards."""
    made = Program(tmp_path, variables={"LATE_TOKEN": "tok-9f83kd02mmq1"})
    texts = f"it is tok-9f83kd02mmq1 and {KEY}\n```\n# no heading of ours"
    kept(made.home, [started("a", str(made.workspace)), *step(1, text=texts), *step(2), DONE])
    return made


@pytest.mark.parametrize("form", ["markdown", "json", "chat"])
def test_what_is_known_as_a_secret_now_is_taken_out_of_every_form(
    program: Program, form: str
) -> None:
    """The journal was written before anybody knew; an export goes to others."""
    done = program.run("sessions", "export", "--format", form)

    assert done.code == 0
    assert "tok-9f83kd02mmq1" not in done.out
    assert KEY not in done.out
    assert "[secret LATE_TOKEN]" in done.out


def test_json_holds_the_object_and_all_events(program: Program) -> None:
    """By the names of the run's result."""
    whole = program.run("sessions", "export", "a", "--format", "json").object

    assert (whole["session"], whole["status"], whole["steps"]) == ("a", "done", 2)
    assert [event["type"] for event in whole["events"]][:2] == ["Started", "Reserved"]
    assert len(whole["events"]) == 10


def test_no_line_of_a_result_gets_out_of_its_fence(program: Program) -> None:
    """Markdown's own fence is three backticks; a result may hold them."""
    page = program.run("sessions", "export", "a").out

    fences = re.findall(r"^(`{3,})$", page, re.MULTILINE)
    assert "````" in fences
    inside = re.search(r"^````\n(.*?)^````$", page, re.MULTILINE | re.DOTALL)
    assert inside is not None
    assert "# no heading of ours" in inside[1]
    assert page.index("## Step 1") < page.index("## Step 2") < page.index("> The answer.")


def test_a_file_is_written_whole_for_its_owner_alone_and_never_over_another(
    program: Program,
) -> None:
    """What stood there may be the only copy of something."""
    first = program.run("sessions", "export", "a", "--format", "json", "-o", "out.json")
    target = program.workspace / "out.json"
    content = target.read_bytes()
    again = program.run("sessions", "export", "a", "-o", "out.json")
    nowhere = program.run("sessions", "export", "a", "-o", "no/out.json")

    assert (first.code, first.out) == (0, "")
    assert target.stat().st_mode & 0o777 == 0o600
    assert json.loads(content)["session"] == "a"
    assert (again.code, target.read_bytes()) == (2, content)
    assert "is there already and was left as it is" in again.err
    assert nowhere.code == 2
    assert [path.name for path in program.workspace.iterdir()] == ["out.json"]


def test_a_whole_result_is_exported_on_request(program: Program) -> None:
    """-v, as with show; else what the model saw of it."""
    events = [replace(e, whole="1.txt") if isinstance(e, Executed) else e for e in step(1)]
    folder = kept(program.home, [started("b", "/w"), *events, DONE])
    (folder / "results").mkdir()
    (folder / "results/1.txt").write_text("all of it")

    short = program.run("sessions", "export", "b").out
    whole = program.run("sessions", "export", "b", "-v").out

    assert ("```\na result\n```" in short, "all of it" in short) == (True, False)
    assert ("```\nall of it\n```" in whole, "a result" in whole) == (True, False)


def test_an_export_into_a_closed_pipe_ends_quietly(program: Program) -> None:
    """`| head` is how people look."""
    read = subprocess.Popen(["true"], stdin=subprocess.PIPE)
    read.wait()
    with program.started("sessions", "export", "a", stdout=read.stdin) as running:
        code = running.process.wait(30)
    assert read.stdin is not None
    read.stdin.close()

    assert (code, running.errors) == (141, "")


@pytest.mark.parametrize("action", [["export"], ["prune"], ["delete", "x"]])
def test_a_form_of_output_that_an_action_does_not_have_is_refused(
    program: Program, action: list[str]
) -> None:
    """Else a script that asks for JSON gets Markdown, or nothing it can read."""
    done = program.run("sessions", *action, "--output-format", "json")

    assert (done.code, done.out) == (2, "")
    assert "--output-format goes with list, show, follow and replay, not with" in done.err
    assert ("for export there is --format" in done.err) == (action == ["export"])
