"""What a session's agents do to one workspace: told apart, kept from each other, taken back."""

from collections.abc import Callable
from pathlib import Path
from threading import Barrier, Event

from autoagent.events import Executed
from tests.fake_openai import Answer, Body
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


def test_a_part_of_the_workspace_opens_nothing_that_is_out_of_reach_in_the_whole(
    tmp_path: Path,
) -> None:
    """An agent that may write no hook of git could else start one in `.git` that does."""
    tries = [
        says("write_file", path="hooks/post-commit", content="evil"),
        says("execute_shell", command_line="echo evil > hooks/post-commit"),
        says("finish", answer="tried"),
    ]
    with Troupe(
        tmp_path,
        main=[
            says("start_agent", name="a", task="a", folder=".git"),
            says("start_agent", name="b", task="b", folder="docs/part"),
            says("wait_for_agents"),
            says("finish", answer="ok"),
        ],
        a=tries,
        b=tries,
    ) as troupe:
        for name in (".git/hooks", "docs/part/hooks"):
            (troupe.workspace / name).mkdir(parents=True)
        troupe.run("main", protect=["docs"])

        done = [e for a in "ab" for e in troupe.events(a) if isinstance(e, Executed)]
    assert [e.ok for e in done] == [False, False, True] * 2
    assert not list(troupe.workspace.rglob("post-commit"))


def test_a_link_in_the_place_of_an_agents_folder_is_not_followed(tmp_path: Path) -> None:
    """Programs of another one may put it there at any time; it would lead out of the cage."""
    moved = Event()
    with Troupe(
        tmp_path,
        main=[
            says("start_agent", name="a", task="a", folder="part/own"),
            says("execute_shell", command_line="mv part old; ln -s ../outside part"),
            says("wait_for_agents"),
            says("finish", answer="ok"),
        ],
        a=[
            Answer(says("read_file", path="secret"), hold=moved),
            says("write_file", path="new", content="x"),
            says("execute_shell", command_line="cat secret; touch new"),
            says("finish", answer="tried"),
        ],
    ) as troupe:
        (troupe.workspace / "part/own").mkdir(parents=True)
        (tmp_path / "outside/own").mkdir(parents=True)
        (tmp_path / "outside/own/secret").write_text("known to nobody inside")
        troupe.on_entry = lambda entry: (
            moved.set()
            if not entry.agent and isinstance(entry.event, Executed) and entry.event.step == 2
            else None
        )
        troupe.run("main")

        done = [e for e in troupe.events("a") if isinstance(e, Executed)]
    assert [e.ok for e in done] == [False, False, False, True]
    assert not any("known to nobody" in e.text for e in done)
    assert [path.name for path in (tmp_path / "outside/own").iterdir()] == ["secret"]
