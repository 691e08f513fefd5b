"""The workflow of docs/ci.md is run, step by step, as it stands there."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fake_openai import Answer, Scripted
from tests.machine import Machine, served
from tests.program import ROOT, says

PAGE = (ROOT / "docs" / "ci.md").read_text("utf-8")


def steps() -> dict[str, dict[str, Any]]:
    """The steps of the workflow that run something, by name."""
    (text,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    workflow = yaml.safe_load(text)
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
        (machine.folder / "b").unlink()
        applied = machine.run("git", "apply", str(tmp_path / "change.patch"))
        assert (applied.code, (machine.folder / "b").read_text()) == (0, "2\n")


def test_every_variable_of_the_workflow_comes_from_where_the_steps_say() -> None:
    """Nothing that somebody typed stands in a script."""
    assert [name for name, step in steps().items() if "${{" in step["run"]] == []
    assert {name: sorted(step.get("env", {})) for name, step in steps().items()} == {
        "Install": [],
        "Work": ["GOAL", "OPENAI_API_KEY"],
        "Summary": ["RESULT"],
    }
