"""What commands can change where they may only read: nothing but temporary files."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from commands.cancel import Cancel
from commands.command import Refusal
from commands.context import Cage
from commands.sandbox.bounds import Bounds
from commands.sandbox.bubblewrap import Bubblewrap
from commands.sandbox.choose import Wanted, choose, describe
from commands.workspace import Workspace
from tests.caged import bash, cage, ended, environment
from tests.trees import picture

CAGED = pytest.mark.parametrize("kind", ["bubblewrap", "landlock"])

# Each would change something without the cage; $1 is the workspace, $2 a folder beside it that
# --allow-write names.
CHANGES = {
    "a new file": "echo x > new",
    "a file replaced": "echo x > a",
    "a file cut": "python3 -c 'import os; os.truncate(\"a\", 0)'",
    "a file gone": "rm -f a",
    "a file moved": "mv a b",
    "a file moved out": 'mv a "$TMPDIR/a"',
    "a new folder": "mkdir new",
    "a folder gone": "rm -rf folder",
    "a link": "ln -s a new",
    "a link by proc": 'ln -s a "/proc/self/cwd/new"',
    "by proc": 'echo x > "/proc/self/root$1/new"',
    "by the parent of a file": 'echo x > "$1/folder/../new"',
    "a hard link from outside": 'echo x > "$TMPDIR/x"; ln "$TMPDIR/x" new',
    "a hard link written to": 'ln a "$TMPDIR/hard" && echo x > "$TMPDIR/hard"',
    "an open file from proc": "exec 3< a; echo x > /proc/self/fd/3",
    "mapped": 'python3 -c \'import mmap,os; f = os.open("a", os.O_RDWR); '
    'mmap.mmap(f, 0)[0:1] = b"x"\'',
    "remounted": "mount -o remount,rw,bind . ; echo x > new",
    "remounted in a namespace": "unshare -Urm sh -c 'mount -o remount,rw,bind . ; echo x > new'",
    "bound anew": "unshare -Urm sh -c 'mkdir -p /tmp/m && mount --bind . /tmp/m && "
    "mount -o remount,rw,bind /tmp/m; echo x > /tmp/m/new'",
    "git's settings": "git config user.name x",
    "a hook": "echo x > .git/hooks/post-commit",
    "a commit": "git -c user.name=a -c user.email=b commit -q --allow-empty -m x",
    "a folder beside": 'echo x > "$2/new"',
    "a shell file": "echo x > .bashrc",
    "an attribute": 'python3 -c \'import os; os.setxattr("a", "user.x", b"x")\'',
    "a process apart": "(setsid sh -c 'echo x > new') & wait",
}
# Landlock has no rights for these; `describe` says so.
STATUS = {"a mode": "chmod 600 a", "times": "touch -d 2001-01-01 a"}


@pytest.fixture
def home() -> Iterator[Path]:
    """Not below /tmp, so that nothing but the cage keeps it apart."""
    home = Path("/var/tmp") / f"autoagent-test-{uuid4().hex}"
    (home / "project/folder").mkdir(parents=True)
    (home / "beside").mkdir()
    root = home / "project"
    (root / "a").write_text("a")
    (root / "folder/b").write_text("b")
    subprocess.run(["git", "init", "-q", str(root)], check=True, timeout=30)
    yield home
    shutil.rmtree(home)


def reading(home: Path) -> Bounds:
    workspace = Workspace(home / "project")
    return Bounds(
        workspace.root,
        workspace.protected_paths,
        workspace.masked_paths,
        extra_write=[home / "beside"],
        quarantine=home / "quarantine",
        read_only=True,
    )


def tried(made: Cage, scripts: dict[str, str], home: Path) -> dict[str, bool]:
    """By name, whether the script changed anything in the home folder or what stands there."""
    found: dict[str, bool] = {}
    for name, script in scripts.items():
        before = look(home)
        argv = ["bash", "-c", script, "bash", str(home / "project"), str(home / "beside")]
        made.run(argv, timeout_s=30, cancel=Cancel())
        found[name] = look(home) != before
    return found


def look(home: Path) -> object:
    status = (home / "project/a").stat() if (home / "project/a").exists() else None
    return picture(home), status and (status.st_mtime_ns, status.st_nlink)


@CAGED
def test_nothing_in_the_workspace_changes_by_any_way(kind: Wanted, home: Path) -> None:
    """A reviewer's commands read and run; what they must not do, the kernel refuses."""
    with_all = {**CHANGES, **(STATUS if kind == "bubblewrap" else {})}

    assert tried(cage(kind, reading(home), home), with_all, home) == dict.fromkeys(with_all, False)


def test_it_holds_without_the_filter_and_with_further_namespaces(home: Path) -> None:
    """Some systems can have neither: then the mounts alone must do."""
    cage("bubblewrap", reading(home), home)
    loose = Bubblewrap(reading(home), environment(home), tight=False)

    assert tried(loose, CHANGES, home) == dict.fromkeys(CHANGES, False)


def test_the_same_attempts_change_something_where_writing_is_allowed(home: Path) -> None:
    """Else the table above would prove nothing."""
    names = ["a new file", "a file cut", "a file moved", "by proc", "a hook", "a commit"]
    names += ["an open file from proc", "mapped", "git's settings", "a folder beside"]
    free = choose("none", Bounds(home / "project"), environment(home))

    again = "rm -rf new; echo a > a; "
    scripts = {f"{name}{n}": each for name in names for n, each in ((0, again), (1, CHANGES[name]))}
    found = tried(free, scripts, home)

    assert [name for name in names if not found[f"{name}1"]] == []


@CAGED
def test_reading_and_temporary_files_work(kind: Wanted, home: Path) -> None:
    """Tests are run and history is read in it."""
    made = cage(kind, reading(home), home)

    said = bash(
        made,
        'cat a; git status --short; echo x > "$TMPDIR/f"; cat "$TMPDIR/f"; echo y > ~/g; cat ~/g',
    )

    assert said == "a?? a\n?? folder/\nx\ny\n"


@CAGED
def test_a_process_that_goes_on_writes_nothing_either(kind: Wanted, home: Path) -> None:
    """It is started by the same door."""
    made = cage(kind, reading(home), home)
    number = made.lasting.start(["bash", "-c", "echo x > new || echo refused; exec sleep 60"])

    said = made.lasting.read(number, wait_s=10, cancel=Cancel()).output
    made.close()

    assert b"new: " in said
    assert not (home / "project/new").exists()


def test_a_masked_file_stays_masked(home: Path) -> None:
    """Read-only is no leave to read."""
    (home / "project/.env").write_text("KEY=1")

    assert bash(cage("bubblewrap", reading(home), home), "cat .env; echo over") == "over\n"


def test_a_socket_of_the_workspace_can_still_be_spoken_to(home: Path) -> None:
    """A limit that docs/cage.md names: whoever listens there decides what it does."""
    made = cage("bubblewrap", reading(home), home)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(home / "project/socket"))
        listener.listen()

        done = ended(
            made, "python3 -c \"import socket; socket.socket(socket.AF_UNIX).connect('socket')\""
        )

    assert done.exit == 0, done.stderr


def test_without_a_cage_no_program_runs_and_that_is_final(home: Path) -> None:
    """A promise that nothing could keep isn't made."""
    free = choose("none", reading(home), environment(home))

    with pytest.raises(Refusal, match="can't be kept from writing"):
        ended(free, "touch new")
    with pytest.raises(Refusal, match="can't be kept from writing"):
        free.lasting.start(["touch", "new"])

    assert not (home / "project/new").exists()


def test_the_line_about_a_cage_says_that_it_only_reads(home: Path) -> None:
    """A person reads it before anything runs."""
    said = {
        kind: describe(cage(kind, reading(home), home))
        for kind in ("bubblewrap", "landlock", "none")
    }

    for kind in ("bubblewrap", "landlock"):
        assert f"Cage: {kind}. Commands write temporary files only, have no" in said[kind]
    assert "modes and times of its files in reach" in said["landlock"]
    assert said["none"] == "Cage: none. Nothing could keep commands from writing, so none runs."


@pytest.mark.skipif(os.getuid() != 0, reason="others can't open it for writing anyway")
@CAGED
def test_roots_commands_change_no_more_than_others(kind: Wanted, home: Path) -> None:
    """Whoever runs the agent as root: a file of mode 0444 isn't what protects it."""
    (home / "project/a").chmod(0o666)

    made = cage(kind, reading(home), home)

    assert tried(made, {"a": "echo x > a"}, home) == {"a": False}
