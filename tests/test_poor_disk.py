"""A state folder whose file system knows no locks or no fsync: said once, and the run goes on."""

from pathlib import Path

import pytest

from tests.fake_openai import FakeOpenAI
from tests.program import Program, of_type, says
from tests.without import FRONT

WRITE_THEN_DONE = [
    says("write_file", path="a.txt", content="kept\n"),
    says("execute_shell", command_line="cat a.txt"),
    says("finish", answer="done"),
]


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("locks", "knows no locks"),
        ("fsync", "knows no fsync"),
        ("locks,fsync", "knows no locks"),
    ],
)
def test_a_run_on_such_a_disk_says_so_once_and_is_done(
    tmp_path: Path, missing: str, said: str
) -> None:
    """What still holds is said with it; network folders and some containers are like that."""
    with FakeOpenAI(WRITE_THEN_DONE) as server:
        program = Program(tmp_path, server.base_url, front=(*FRONT, missing))

        done = program.run("--goal", "write a.txt")

        assert (done.code, done.out) == (0, "done\n"), done.err
        assert (program.workspace / "a.txt").read_text() == "kept\n"
        lines = [event["text"] for event in of_type(program.journal(), "Noticed")]
        assert sum(said in line for line in lines) == 1, lines
        assert done.err.count(said) == 1


def test_such_a_session_is_resumed_and_says_it_again(tmp_path: Path) -> None:
    """Each run may stand on another disk."""
    with FakeOpenAI([*WRITE_THEN_DONE, says("finish", answer="again")]) as server:
        program = Program(tmp_path, server.base_url, front=(*FRONT, "locks,fsync"))
        program.run("--goal", "write a.txt")

        again = program.run("--resume", "--goal", "once more")

        assert (again.code, again.out) == (0, "again\n"), again.err
        assert again.err.count("knows no locks") == 1


def test_the_disk_below_all_this_can_both(tmp_path: Path) -> None:
    """Else the tests above would show nothing."""
    with FakeOpenAI([says("finish", answer="done")]) as server:
        program = Program(tmp_path, server.base_url)

        done = program.run("--goal", "nothing")

        assert done.code == 0
        assert "knows no" not in done.err
