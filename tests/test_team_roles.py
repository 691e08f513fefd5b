"""What a role forbids its sub-agent can't have, whichever way it tries."""

from collections.abc import Callable
from pathlib import Path
from threading import Barrier

from autoagent.events import Executed, Reported
from tests.fake_openai import Body
from tests.program import Program
from tests.teams import Troupe, says

_STARTS = [says("wait_for_agents"), says("finish", answer="ok")]


def _role(folder: Path, name: str, head: str, body: str = "Be brief.") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.md").write_text(f"---\nname: {name}\n{head}\n---\n{body}\n")


def test_a_role_that_only_reads_writes_by_no_command_and_by_no_program(tmp_path: Path) -> None:
    """Files, shell, Python, a background process, an agent of its own with more rights."""
    tries = [
        says("write_file", path="x", content="1"),
        says("execute_shell", command_line="echo 1 > x"),
        says("execute_python", code="open('x', 'w').write('1')"),
        says("start_process", command_line="echo 1 > x"),
        says("execute_shell", command_line="mv kept.txt x || cp kept.txt x || ln kept.txt x"),
        says("execute_shell", command_line="mount -o remount,rw . ; echo 1 > x"),
        says("read_webpage", url="http://127.0.0.1:9/"),
        says("remember", text="x"),
        says("start_agent", name="b", task="b", role="coder"),
        says("execute_shell", command_line="cat kept.txt"),
        says("finish", answer="tried all"),
    ]
    with Troupe(
        tmp_path,
        main=[says("start_agent", name="a", task="a", role="reviewer"), *_STARTS],
        a=tries,
    ) as troupe:
        (troupe.workspace / "kept.txt").write_text("kept\n")
        troupe.run("main")

        done = [e for e in troupe.events("a") if isinstance(e, Executed)]
    assert [e.ok for e in done[:-2]] == [False] * 9
    assert (done[-2].ok, done[-2].text) == (True, "kept\n")
    assert "You may not use 'write_file'. You have: " in done[0].text
    assert "You may not use 'start_agent'" in done[8].text
    assert [path.name for path in troupe.workspace.iterdir()] == ["kept.txt"]
    assert (troupe.workspace / "kept.txt").read_text() == "kept\n"


def test_what_an_agent_may_not_do_those_beneath_it_may_not_either(tmp_path: Path) -> None:
    """A role of the one above is the most that one below can have."""
    with Troupe(
        tmp_path,
        main=[says("start_agent", name="a", task="a", role="asker"), *_STARTS],
        a=[
            says("start_agent", name="b", task="b", role="coder"),
            says("wait_for_agents"),
            says("finish", answer="asked"),
        ],
        b=[
            says("write_file", path="x", content="1"),
            says("execute_shell", command_line="echo 1"),
            says("finish", answer="could not"),
        ],
    ) as troupe:
        _role(troupe.home / "agents", "asker", "tools: read_file, Task")
        troupe.run("main")

        refused = [e for e in troupe.events("a/b") if isinstance(e, Executed) and not e.ok]
    assert [e.text.split("'")[1] for e in refused] == ["write_file", "execute_shell"]
    assert not (troupe.workspace / "x").exists()


def test_a_role_brings_its_words_and_its_model(tmp_path: Path) -> None:
    """The words stand at the beginning of its prompt, the model in its requests alone."""
    with Troupe(
        tmp_path,
        main=[
            says("start_agent", name="a", task="a", role="poet"),
            says("wait_for_agents"),
            says("finish", answer="ok"),
        ],
        a=[says("finish", answer="roses")],
    ) as troupe:
        _role(troupe.home / "agents", "poet", "model: rhyming-model", "You speak in rhymes.")
        troupe.run("main", max_cost=None, price=None, variables={"AUTOAGENT_PRICE": ""})

        (asked,) = troupe.requests_of("a")
        others = {body["model"] for body in troupe.requests_of("main")}
    assert asked["model"] == "rhyming-model"
    assert others == {"fake-model"}
    assert asked["messages"][1]["content"].startswith("You speak in rhymes.")


def test_a_role_whose_model_has_no_price_is_not_given_within_a_money_limit(tmp_path: Path) -> None:
    """What a call costs at most must be known before it is made."""
    with Troupe(
        tmp_path,
        main=[
            says("start_agent", name="a", task="a", role="poet"),
            says("finish", answer="without it"),
        ],
    ) as troupe:
        _role(troupe.home / "agents", "poet", "model: rhyming-model")
        troupe.run("main", max_cost="1")

        prompt = troupe.prompt_of("main", 1)
    assert "The price of rhyming-model, the role's model, is unknown" in prompt


def test_a_role_of_a_folder_that_nobody_trusts_is_not_given(tmp_path: Path) -> None:
    """It may say anything; once it is trusted the same run knows it."""
    with Troupe(
        tmp_path,
        main=[
            says("start_agent", name="a", task="a", role="local"),
            says("wait_for_agents"),
            says("finish", answer="ok"),
        ],
        a=[says("finish", answer="local answer")],
    ) as troupe:
        _role(troupe.workspace / ".agents" / "agents", "local", "description: of this folder")
        program = Program(tmp_path, troupe.server.base_url)

        untrusted = troupe.run("main")
        refused = troupe.prompt_of("main", 1)
        program.run("trust")
        trusted = troupe.run("main")

    assert "There is no role 'local'" in refused
    assert "roles: coder, researcher, reviewer, tester" in _system(troupe, 0)
    assert "roles: coder, local, researcher, reviewer, tester" in _system(troupe, -1)
    assert [e.status for e in troupe.events() if isinstance(e, Reported)] == ["done"]
    assert untrusted.state.team.reports == []
    assert trusted.state.stopped is not None


def _system(troupe: Troupe, number: int) -> str:
    text: str = troupe.requests_of("main")[number]["messages"][0]["content"]
    return text


def test_one_that_can_change_nothing_is_not_told_of_changes_as_its_own(tmp_path: Path) -> None:
    """Another one writes while its program runs, and that one alone did it."""
    both = Barrier(2)

    def together(command_line: str) -> Callable[[Body], str]:
        def answer(_: Body) -> str:
            both.wait(20)
            return says("execute_shell", command_line=command_line)

        return answer

    with Troupe(
        tmp_path,
        main=[
            says("start_agent", name="a", task="a", role="reviewer"),
            says("start_agent", name="b", task="b"),
            *_STARTS,
        ],
        a=[together("until [ -e x ]; do :; done; sleep 0.2"), says("finish", answer="read")],
        b=[together("echo 1 > x"), says("finish", answer="wrote")],
    ) as troupe:
        troupe.run("main")

        read, wrote = troupe.prompt_of("a", 1), troupe.prompt_of("b", 1)
    assert "changed" not in read
    assert "changed x\n" in f"{wrote}\n" and "at the same time" not in wrote
