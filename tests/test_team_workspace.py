"""What a session's agents do to one workspace: told apart, kept from each other, taken back."""

from collections.abc import Callable
from pathlib import Path
from threading import Barrier

from autoagent.events import Executed
from tests.fake_openai import Body
from tests.program import Program
from tests.teams import Troupe, says
from tests.trees import picture


def _met(both: Barrier, reply: str) -> Callable[[Body], str]:
    def answer(_: Body) -> str:
        both.wait(20)
        return reply

    return answer


def test_of_two_sub_agents_at_one_file_the_second_sees_what_the_first_wrote(
    tmp_path: Path,
) -> None:
    """Neither loses its work without knowing, and each learns whose it is."""
    both = Barrier(2)

    def script(name: str) -> list[str | Callable[[Body], str]]:
        write = says("write_file", path="a.txt", content=f"{name}\n")
        done = says("finish", answer="ok")
        return [says("read_file", path="a.txt"), _met(both, write), done]

    with Troupe(
        tmp_path,
        main=[
            says("start_agent", name="one", task="one"),
            says("start_agent", name="two", task="two"),
            says("wait_for_agents"),
            says("finish", answer="ok"),
        ],
        one=script("one"),
        two=script("two"),
    ) as troupe:
        (troupe.workspace / "a.txt").write_text("old\n")
        troupe.run("main")

        written = (troupe.workspace / "a.txt").read_text().strip()
        loser = {"one": "two", "two": "one"}[written]
        told = troupe.prompt_of(loser, 2)
    assert f"'a.txt' was changed by agent {written} since step 1; nothing was done." in told
    assert f"-old\n+{written}" in told


def test_an_undo_of_the_session_takes_back_what_its_sub_agents_did(tmp_path: Path) -> None:
    """They worked while their agent ran no command that changes anything."""
    with Troupe(
        tmp_path,
        main=[
            says("write_file", path="first", content="main"),
            says("start_agent", name="one", task="one"),
            says("wait_for_agents"),
            says("finish", answer="ok"),
        ],
        one=[
            says("execute_shell", command_line="rm kept; echo 1 > new; mkdir folder"),
            says("write_file", path="folder/file", content="x"),
            says("finish", answer="ok"),
        ],
    ) as troupe:
        (troupe.workspace / "kept").write_text("kept")
        before = picture(troupe.workspace)
        session = troupe.run("main")
        changed = [e.changed for e in troupe.events("one") if isinstance(e, Executed)]
        program = Program(tmp_path, troupe.server.base_url)

        newest = program.run("undo").code, set(picture(troupe.workspace))
        everything = program.run("undo", "--to", "0").code

    assert changed == [("kept", "new"), ("folder/file",), ()]
    assert [span.step for span in session.state.spans] == [1]
    assert newest == (0, {"first", "new", "folder"})
    assert (everything, picture(troupe.workspace)) == (0, before)
