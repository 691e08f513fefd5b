"""Every command line of docs/scripting.md is run as it stands there, with a model that answers."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fake_openai import Answer, Body, FakeOpenAI, Scripted
from tests.program import KEY, LIMIT_S, ROOT, Done, says

PAGE = (ROOT / "docs" / "scripting.md").read_text("utf-8")
BLOCKS: list[tuple[str, str, str]] = re.findall(
    r"^(?:<!-- file: (\S+) -->\n)?```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL
)
FILES = {name: text for name, _, text in BLOCKS if name}
HOOK = "https://hooks.example.org/autoagent"
VERDICT = {"pass": True, "findings": []}
MODEL = "fake-model"


def block(word: str) -> str:
    """The one block without a name in which that word stands."""
    (found,) = [text for name, _, text in BLOCKS if not name and word in text]
    return found


def answer(body: Body) -> str:
    """A model that is done at once, in the form that is asked for."""
    wants_json = "JSON Schema" in body["messages"][1]["content"]
    return says("finish", answer=json.dumps(VERDICT) if wants_json else "All is well.")


class Machine:
    """A person's machine: a home, autoagent on PATH, settings where cron finds them, too."""

    def __init__(self, folder: Path, server: FakeOpenAI) -> None:
        self.home = folder / "home"
        self.folder = self.home / "shop"
        self.bin = folder / "bin"
        for each in (self.folder, self.bin):
            each.mkdir(parents=True)
        self.tool("autoagent", f'exec env PYTHONPATH={ROOT} {sys.executable} -m autoagent "$@"')
        settings = {
            "OPENAI_API_KEY": KEY,
            "OPENAI_BASE_URL": server.base_url,
            "SMART_LLM": MODEL,
            "AUTOAGENT_PRICE": "1,0.1,2",  # so that a limit of money counts
            "AUTOAGENT_MEMORY": "none",
        }
        config = self.home / ".config" / "autoagent"
        config.mkdir(parents=True)
        (config / ".env").write_text("".join(f"{n}={v}\n" for n, v in settings.items()))

    def tool(self, name: str, script: str) -> None:
        """A program on PATH."""
        (self.bin / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.bin / name).chmod(0o755)

    def run(self, *argv: str, **variables: str) -> Done:
        """Run it in the folder, with nothing in the environment but what cron gives."""
        path = f"{self.bin}:/usr/local/bin:/usr/bin:/bin"
        env = {"HOME": str(self.home), "PATH": path, "SHELL": "/bin/sh", **variables}
        done = subprocess.run(
            argv, cwd=self.folder, env=env, stdin=subprocess.DEVNULL, capture_output=True,
            timeout=LIMIT_S, check=False,
        )  # fmt: skip
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    def git(self) -> None:
        """Make the folder a repository with a change that isn't committed."""
        git = "git -c user.name=me -c user.email=me@example.org"
        done = self.run(
            "sh", "-ec", f"git init -q; echo 1 >a; git add a; {git} commit -qm a; echo 2 >a"
        )
        assert done.code == 0, done.err


def served(answers: Iterable[Scripted] | None = None, **more: Any) -> FakeOpenAI:
    return FakeOpenAI([answer] * 9 if answers is None else answers, models=[MODEL], **more)


def test_a_pipe_gives_the_object(tmp_path: Path) -> None:
    """The page's table has each field that there is, and no other."""
    with served() as server:
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
    with served() as server:
        machine = Machine(tmp_path, server)
        done = machine.run("bash", "-ec", block("--resume"))

    assert (done.code, done.out) == (0, "All is well.\n" * 2)
    assert (machine.folder / "answer.txt").read_text() == "All is well.\n"


def test_an_answer_by_a_schema(tmp_path: Path) -> None:
    with served() as server:
        machine = Machine(tmp_path, server)
        machine.git()
        (machine.folder / "verdict.json").write_text(FILES["verdict.json"])
        done = machine.run("bash", "-c", block("verdict.json |"))

    assert (done.code, done.lines) == (0, [VERDICT])


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")
def test_a_notification_at_the_end(tmp_path: Path) -> None:
    with served(routes={"/hook": {}}) as server:
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


def steps() -> dict[str, dict[str, Any]]:
    """The steps of the workflow that run something, by name."""
    workflow = yaml.safe_load(FILES["agent.yml"])
    return {each["name"]: each for each in workflow["jobs"]["agent"]["steps"] if "run" in each}


@pytest.mark.parametrize(
    ("answers", "codes", "told"),
    [
        (
            [says("write_file", path="b", content="2\n"), says("finish", answer="Mended.")],
            (0, 0),
            "Mended.",
        ),
        ([says("give_up", reason="It can't be.")], (0, 3), "It can't be."),
        ([Answer(status=401, body={"error": {"message": "no such key"}})], (5, 5), "no such key"),
    ],
    ids=["done", "gave up", "no key"],
)
def test_the_workflow_tells_a_limit_from_a_fault(
    tmp_path: Path, answers: list[Scripted], codes: tuple[int, int], told: str
) -> None:
    """Its steps as the runner runs them: bash, stopping at the first error."""
    with served(answers) as server:
        machine = Machine(tmp_path, server)
        machine.git()
        (machine.folder / "run-tests.sh").write_text("exit 0\n")
        for name in ("sudo", "pipx"):  # no network here
            machine.tool(name, f'echo {name} "$@" >>{tmp_path}/installed')
        files = {name: tmp_path / name.lower() for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        given = {name: str(path) for name, path in files.items()}
        given |= {"RUNNER_TEMP": str(tmp_path), "GOAL": "Mend it; echo $HOME `id`", "CI": "true"}
        given |= {"RESULT": f"{tmp_path}/result.json"}
        done = {
            name: machine.run("bash", "-e", "-c", step["run"], **given)
            for name, step in steps().items()
        }
        goals = server.chats[0]["messages"][1]["content"]

    assert [each.code for each in done.values()] == [0, codes[0], 0], done
    assert files["GITHUB_OUTPUT"].read_text() == f"code={codes[1]}\n"
    assert told in files["GITHUB_STEP_SUMMARY"].read_text()
    shown = [line for line in done["Work"].out.splitlines() if not line.startswith("| ")]
    assert [line[:11] for line in shown] == ["::warning::"] * (codes == (0, 3))
    assert "\n| cost " in done["Work"].out
    assert "1. Mend it; echo $HOME `id`\n" in goals
    installed = (tmp_path / "installed").read_text().splitlines()
    assert installed == ["sudo apt-get install -y bubblewrap", "pipx install autoagent-cli"]
    if codes[1] == 0:
        patch = (tmp_path / "change.patch").read_text()
        assert "+++ b/b" in patch and "\n+2\n" in patch


def test_every_variable_of_the_workflow_comes_from_where_the_steps_say() -> None:
    """Nothing that somebody typed stands in a script."""
    assert [name for name, step in steps().items() if "${{" in step["run"]] == []
    assert {name: sorted(step.get("env", {})) for name, step in steps().items()} == {
        "Install": [],
        "Work": ["GOAL", "OPENAI_API_KEY"],
        "Summary": ["RESULT"],
    }


def test_every_block_of_the_page_is_one_that_a_test_runs() -> None:
    """A line that was never run is a claim."""
    tested = [
        block(word) for word in ('"review" - ', "--resume", "verdict.json |", "--on-end", "MAILTO")
    ]

    assert sorted(text for name, _, text in BLOCKS if not name) == sorted(tested)
    assert sorted(FILES) == ["agent.yml", "run.sh", "verdict.json"]
