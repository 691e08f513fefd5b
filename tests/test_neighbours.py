"""Several cages in one workspace: none disturbs another, and what is found is told to its maker."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import pytest

from commands.context import Cage, Finished
from commands.sandbox.bounds import Bounds
from commands.sandbox.bubblewrap import Bubblewrap
from commands.sandbox.choose import Wanted, choose, like
from commands.workspace import Workspace
from tests.caged import KINDS, bash, cage, ended, environment

MOVED = "(protected from change) was moved out of the workspace, to quarantine/"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    (home / "project").mkdir(parents=True)
    return home


def bounds_of(home: Path) -> Bounds:
    workspace = Workspace(home / "project")
    return Bounds(
        workspace.root,
        workspace.protected_paths,
        workspace.masked_paths,
        quarantine=home / "quarantine",
    )


@contextmanager
def cages(kind: Wanted, home: Path, count: int) -> Iterator[list[Cage]]:
    """So many of one session."""
    with ExitStack() as stack:
        first = cage(kind, bounds_of(home), home)
        made = [first]
        made += [like(first, bounds_of(home), environment(home)) for _ in range(count - 1)]
        for each in made:
            stack.callback(each.close)
        yield made


@contextmanager
def held(cage: Cage, script: str, root: Path) -> Iterator["Future[Finished]"]:
    """The script has run; its command ends with the block."""
    begun, over = root / f"begun-{id(cage)}", root / f"over-{id(cage)}"
    os.mkfifo(begun)
    os.mkfifo(over)
    with ThreadPoolExecutor() as pool:
        lines = f"{script}\necho > {begun.name}; read line < {over.name}"
        future = pool.submit(ended, cage, lines)
        begun.read_text()
        try:
            yield future
        finally:
            over.write_text("\n")


@KINDS
def test_what_one_plants_is_told_to_it_though_another_looks_first(kind: Wanted, home: Path) -> None:
    """It is moved away at the first look; the agent that rests would not know what is meant."""
    with cages(kind, home, 2) as (one, other):
        bash(other, "true")

        with held(one, "mkdir .vscode", home / "project") as command:
            seen_by_other = other.notices()
            stands = (home / "project/.vscode").exists()
        told = command.result().notices

        assert (seen_by_other, stands) == ((), False)
        assert told == (f".vscode {MOVED}1-.vscode",)
        assert one.notices() == other.notices() == ()


@KINDS
def test_what_either_may_have_planted_is_told_to_both_once(kind: Wanted, home: Path) -> None:
    """Nobody can know which it was; to tell neither would lose it."""
    with cages(kind, home, 2) as (one, other):
        bash(other, "true")
        with held(one, "mkdir .vscode", home / "project") as command:
            second = ended(other, "true").notices
            third = ended(other, "true").notices

        assert second == command.result().notices == (f".vscode {MOVED}1-.vscode",)
        assert third == ()


@KINDS
def test_a_cage_that_only_reads_is_told_nothing_and_moves_nothing(kind: Wanted, home: Path) -> None:
    """It can't have made it."""
    if kind == "none":
        pytest.skip("it runs nothing")
    with cages(kind, home, 1) as (one,):
        reader = like(one, replace(bounds_of(home), read_only=True), environment(home))
        with held(one, "mkdir .vscode", home / "project") as command:
            said = ended(reader, "ls -d .vscode")

        assert (said.stdout, said.notices) == (b".vscode\n", ())
        assert command.result().notices == (f".vscode {MOVED}1-.vscode",)
        reader.close()


@KINDS
def test_all_that_many_plant_at_once_is_moved_and_told_and_none_of_it_twice(
    kind: Wanted, home: Path
) -> None:
    """Two that look at the same moment must not both take it, nor miss it."""
    names = [".vscode", ".idea", ".zed", ".claude", ".codex", ".cursor"]
    barrier = Barrier(len(names))

    def plant(each: tuple[Cage, str]) -> Sequence[str]:
        barrier.wait(30)
        return [*ended(each[0], f"echo x > {each[1]}").notices, *each[0].notices()]

    with cages(kind, home, len(names)) as made, ThreadPoolExecutor(len(names)) as pool:
        told = list(pool.map(plant, zip(made, names, strict=True)))

    kept = sorted(path.name.partition("-")[2] for path in (home / "quarantine").iterdir())
    assert kept == sorted(names)
    for name, said in zip(names, told, strict=True):
        assert sum(line.startswith(f"{name} {MOVED}") for line in said) == 1
        assert len(said) == len(set(said))
        assert not [line for line in said if MOVED not in line]


@pytest.mark.parametrize("kind", ["landlock", "none"])
def test_two_that_both_spoil_gits_settings_are_both_told(kind: Wanted, home: Path) -> None:
    """Where nothing is mounted a program can write there; each must learn what became of it."""
    root = home / "project"
    subprocess.run(["git", "init", "-q", str(root)], check=True, timeout=30)
    spoil = "git config core.fsmonitor evil"
    with cages(kind, home, 2) as (one, other):
        bash(other, "true")
        with held(one, spoil, root) as command:
            ended(other, "true")
            again = ended(other, f"git init -q . ; {spoil}").notices
        first = command.result().notices

    for said in (first, again):
        assert any(line.startswith(".git/config (sets core.fsmonitor) was moved") for line in said)
    assert not (root / ".git/config").exists()


@KINDS
def test_what_a_person_let_one_change_is_moved_away_by_none(kind: Wanted, home: Path) -> None:
    """Their leave is for the workspace, not for one agent's idea of it."""
    root = home / "project"
    with cages(kind, home, 2) as (one, other):
        for each in (one, other):
            bash(each, "true")
        (root / ".vscode").mkdir()
        one.accept([".vscode"])

        told = [notice for each in (other, one) for notice in ended(each, "true").notices]

    assert (root / ".vscode").exists()
    assert not [notice for notice in told if MOVED in notice]


def test_a_file_of_secrets_that_one_made_ends_no_others_cage(home: Path) -> None:
    """With its cage an agent loses its temporary files and what it had started."""
    with cages("bubblewrap", home, 2) as (one, other):
        bash(other, "echo kept > /tmp/file")
        bash(one, "echo A=1 > .env")

        done = ended(other, "cat /tmp/file .env")

    assert (done.stdout, done.notices) == (b"kept\nA=1\n", ())


def test_one_that_the_user_adds_while_an_agent_only_reads_is_masked(home: Path) -> None:
    """What no program made is no agent's to see."""
    with cages("bubblewrap", home, 1) as (one,):
        reader = like(one, replace(bounds_of(home), read_only=True), environment(home))
        bash(one, "true")
        with held(reader, "true", home / "project"):
            (home / "project/.env").write_text("KEY=1")

        assert bash(reader, "cat .env") == bash(one, "cat .env") == ""
        reader.close()


@KINDS
def test_another_cage_is_of_the_same_kind_and_starts_nothing_by_itself(
    kind: Wanted, home: Path
) -> None:
    """A sub-agent that runs no command costs no process."""
    with cages(kind, home, 1) as (one,):
        before = children()
        more = [like(one, bounds_of(home), environment(home)) for _ in range(8)]

        assert {type(each) for each in more} == {type(one)}
        assert children() == before
        assert bash(more[0], "echo works") == "works\n"


def test_another_cage_is_as_tight_as_the_first(home: Path) -> None:
    """What the first one's probe found out holds for all."""
    cage("bubblewrap", bounds_of(home), home)
    first = Bubblewrap(bounds_of(home), environment(home), tight=False, seccomp=b"")

    made = like(first, bounds_of(home), environment(home))

    assert isinstance(made, Bubblewrap)
    assert (made.tight, made.filtered, made.sized) == (False, False, first.sized)


def test_a_cage_begins_though_what_it_would_mount_is_taken_away_meanwhile(home: Path) -> None:
    """Another one's look may move a file out between the list of mounts and the mounting."""
    planted = home / "project/.vscode"

    def masked() -> list[str]:  # asked after it was seen that the other is there
        if planted.exists():
            planted.rmdir()
        return []

    bounds = replace(bounds_of(home), protected=lambda: [".vscode"], masked=masked)

    cage("bubblewrap", bounds_of(home), home).close()
    planted.mkdir(exist_ok=True)
    made = Bubblewrap(bounds, environment(home))

    assert bash(made, "echo works") == "works\n"


def test_cages_of_other_folders_know_nothing_of_each_other(home: Path) -> None:
    """A part of the workspace has protected paths of its own."""
    part = home / "project/part"
    part.mkdir()
    free = choose("none", bounds_of(home), environment(home))
    inner = like(free, replace(bounds_of(home), root=part), environment(home))

    with held(inner, "echo x > .bashrc", part) as command:
        assert ended(free, "true").notices == ()

    assert command.result().notices == (f".bashrc {MOVED}1-.bashrc",)


def children() -> int:
    return len(Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split())
