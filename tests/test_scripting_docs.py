"""Every command line of docs/scripting.md is run as it stands there, with a model that answers."""

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.fake_openai import Answer, Body, Scripted
from tests.machine import Machine, served
from tests.program import ROOT, says

PAGE = (ROOT / "docs" / "scripting.md").read_text("utf-8")
BLOCKS: list[tuple[str, str, str]] = re.findall(
    r"^(?:<!-- file: (\S+) -->\n)?```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL
)
FILES = {name: text for name, _, text in BLOCKS if name}
HOOK = "https://hooks.example.org/autoagent"
VERDICT = {"pass": True, "findings": []}


def block(word: str) -> str:
    """The one block without a name in which that word stands."""
    (found,) = [text for name, _, text in BLOCKS if not name and word in text]
    return found


def answer(body: Body) -> str:
    """A model that is done at once, in the form that is asked for."""
    wants_json = "JSON Schema" in body["messages"][1]["content"]
    return says("finish", answer=json.dumps(VERDICT) if wants_json else "All is well.")


def test_a_pipe_gives_the_object(tmp_path: Path) -> None:
    """The page's table has each field that there is, and no other."""
    with served([answer] * 2) as server:
        machine = Machine(tmp_path, server)
        machine.git()
        done = machine.run("bash", "-c", block('"review" - '))
        prompt = server.chats[0]["messages"][1]["content"]

    table = PAGE.partition("| field | |")[2].partition("\n\n")[0]
    cells = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    named = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
    assert (done.code, done.object["answer"]) == (0, "All is well.")
    assert sorted(named) == sorted(done.object)
    assert "-1\n+2\n" in prompt


def test_a_goal_more_after_done(tmp_path: Path) -> None:
    with served([answer] * 2) as server:
        machine = Machine(tmp_path, server)
        done = machine.run("bash", "-ec", block("--resume"))

    assert (done.code, done.out) == (0, "All is well.\n" * 2)
    assert (machine.folder / "answer.txt").read_text() == "All is well.\n"


def test_an_answer_by_a_schema(tmp_path: Path) -> None:
    with served([answer] * 2) as server:
        machine = Machine(tmp_path, server)
        machine.git()
        (machine.folder / "verdict.json").write_text(FILES["verdict.json"])
        done = machine.run("bash", "-c", block("verdict.json |"))

    assert (done.code, done.lines) == (0, [VERDICT])


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")
def test_a_notification_at_the_end(tmp_path: Path) -> None:
    with served([answer], routes={"/hook": {}}) as server:
        machine = Machine(tmp_path, server)
        hook = server.base_url.replace("/v1", "/hook")
        done = machine.run("bash", "-ec", block("--on-end").replace(HOOK, hook))
        (told,) = [request.body for request in server.requests if request.path == "/hook"]

    assert HOOK in PAGE
    assert done.code == 0
    assert (told["type"], told["status"], told["answer"]) == ("result", "done", "All is well.")


def mornings() -> dict[str, tuple[list[Scripted], int]]:
    """What the model does in a night, and the exit code of it."""
    work = [says("execute_shell", command_line=f"echo {n} > report.md") for n in range(60)]
    finish = says("finish", answer="The report is there.")
    refused = Answer(status=401, body={"error": {"message": "no such key"}})
    return {
        "done": ([work[0], finish], 0),
        "limit": ([*work[:45], finish], 0),
        "unreachable": ([refused], 5),
    }


@pytest.mark.parametrize("night", ["done", "limit", "unreachable"])
def test_what_a_person_finds_in_the_morning(tmp_path: Path, night: str) -> None:
    """The crontab's line, run as cron runs it: three nights."""
    answers, code = mornings()[night]
    with served(answers) as server:
        machine = Machine(tmp_path, server)
        nightly = machine.home / "nightly"
        nightly.mkdir()
        (nightly / "run.sh").write_text(FILES["run.sh"])
        (nightly / "goal.txt").write_text("Bring report.md up to date.\n")
        line = block("MAILTO").splitlines()[-1]
        done = machine.run("/bin/sh", "-c", re.sub(r"^(\S+\s+){5}", "", line))

    result = json.loads((nightly / "result.json").read_text())
    log = (nightly / "log").read_text()
    assert (done.code, done.err, result["exit_code"]) == (code, "", code)
    if code == 0:
        assert (done.out, result["status"], result["verified"]) == ("", "done", True)
        assert ("Stopped at a limit:" in log) == (night == "limit")
    else:
        assert done.out.startswith("autoagent ended with exit code 5:\n")
        assert "no such key" in done.out
        assert done.out.endswith(f"  autoagent --resume {result['session']}\n")


def test_every_block_of_the_page_is_one_that_a_test_runs() -> None:
    """A line that was never run is a claim."""
    tested = [
        block(word) for word in ('"review" - ', "--resume", "verdict.json |", "--on-end", "MAILTO")
    ]

    assert sorted(text for name, _, text in BLOCKS if not name) == sorted(tested)
    assert sorted(FILES) == ["run.sh", "verdict.json"]
