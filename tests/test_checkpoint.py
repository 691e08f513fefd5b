"""Taking checkpoints: what is kept, what is left out and named, what is read again."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from autoagent.checkpoints.checkpoint import Checkpoints, is_settled
from autoagent.checkpoints.manifest import Bounds, Stamp, stamp_of
from autoagent.checkpoints.objects import LARGE_BYTES, CheckpointFault, MissingContent, Objects
from autoagent.checkpoints.timeline import Timeline

SECRET = "sk-a-secret-that-nothing-may-hold"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    return folder


@pytest.fixture
def objects(tmp_path: Path) -> Iterator[Objects]:
    store = Objects(tmp_path / "store")
    yield store
    store.close()


def everything_in(store: Path) -> bytes:
    return b"".join(path.read_bytes() for path in store.rglob("*") if path.is_file())


def test_the_store_can_be_read_by_its_owner_only(tmp_path: Path, root: Path) -> None:
    """It holds copies of whatever the workspace held."""
    (root / "small").write_text("x")
    (root / "large").write_bytes(b"y" * LARGE_BYTES)
    objects = Objects(tmp_path / "private" / "store")

    Checkpoints(root, objects).take()

    objects.close()
    modes = {oct(path.stat().st_mode & 0o077) for path in (tmp_path / "private").rglob("*")}
    assert modes == {"0o0"}


def test_nothing_of_a_masked_file_is_kept_by_whatever_name(
    tmp_path: Path, root: Path, objects: Objects
) -> None:
    """`.env`, another name of the same file, and what a link of that name leads to."""
    (root / "app").mkdir()
    (root / ".env").write_text(f"KEY={SECRET}")
    (root / "copy").hardlink_to(root / ".env")
    (root / "app" / "vault").write_text(f"KEY={SECRET}2")
    (root / "app" / ".env.local").symlink_to("vault")
    (root / "harmless").write_text("kept")

    Checkpoints(root, objects).take()

    held = everything_in(tmp_path / "store")
    assert (SECRET.encode() in held, b"kept" in held) == (False, True)


def test_a_file_that_becomes_masked_by_a_link_is_no_longer_kept(
    tmp_path: Path, root: Path, objects: Objects
) -> None:
    """The list of what is masked follows the tree."""
    (root / "vault").write_text("nothing yet")
    checkpoints = Checkpoints(root, objects)
    checkpoints.take()
    (root / ".env").symlink_to("vault")
    (root / "vault").write_text(SECRET)

    checkpoints.take()

    assert SECRET.encode() not in everything_in(tmp_path / "store")
    assert checkpoints.known["vault"].node.kind == "masked"


def test_an_unchanged_tree_makes_no_new_checkpoint(root: Path, objects: Objects) -> None:
    """So a step that changes nothing writes nothing."""
    (root / "a").write_text("x")
    checkpoints = Checkpoints(root, objects)
    first = checkpoints.take()

    second = checkpoints.take()

    assert (second.number, second.changed) == (first.number, ())


def test_a_file_that_changed_a_moment_ago_is_read_again_whatever_stat_says(
    root: Path, objects: Objects
) -> None:
    """Same size, same times, same inode: git calls such an entry racily clean. Where the
    kernel's stamps are finer than a tick it can't be provoked, so what is known is made old."""
    (root / "a").write_text("new")
    checkpoints = Checkpoints(root, objects)
    checkpoints.take()
    known = checkpoints.known["a"]
    old = replace(known.node, digest=objects.put(b"old"))
    checkpoints.known["a"] = replace(known, node=old)

    taken = checkpoints.take()

    assert (known.sure, taken.changed) == (False, ("a",))


@pytest.mark.parametrize(
    ("age_ns", "fraction_ns", "settled"),
    [
        (1_000_000, 7, False),
        (60_000_000, 7, True),
        (60_000_000, 0, False),  # perhaps a file system that keeps whole seconds
        (3_000_000_000, 0, True),
    ],
)
def test_a_stamp_is_settled_once_a_later_change_must_differ_from_it(
    age_ns: int, fraction_ns: int, settled: bool
) -> None:
    """A tick of Linux is at most 10 ms; file systems of whole seconds have two at most."""
    changed_ns = 1_700_000_000 * 1_000_000_000 + fraction_ns
    stamp = Stamp(0o100644, 1, changed_ns, changed_ns, 1, 0, 0)

    assert is_settled(stamp, changed_ns + age_ns) is settled


def test_special_files_are_noted_and_never_opened(root: Path, objects: Objects) -> None:
    """A pipe that nobody writes to would be waited for without end."""
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(root / "socket"))

        taken = Checkpoints(root, objects).take()

    assert taken.changed == ("pipe", "socket")


def test_a_tools_folder_that_is_too_large_is_left_out_and_named(
    root: Path, objects: Objects
) -> None:
    """node_modules can be made again; a stall in every step can't be taken back."""
    for folder in ("node_modules", "src", "lib/.venv"):
        (root / folder).mkdir(parents=True)
        for number in range(20):
            (root / folder / str(number)).touch()

    taken = Checkpoints(root, objects, bounds=Bounds(tool_entries=10)).take()

    assert sorted(taken.left_out) == ["lib/.venv", "node_modules"]
    assert [path for path in taken.changed if path.startswith("src/")] == sorted(
        f"src/{number}" for number in range(20)
    )


def test_what_comes_after_the_most_entries_is_left_out_and_not_taken_for_gone(
    root: Path, objects: Objects
) -> None:
    """A tree that grows past the bound must not look as if it lost files."""
    for folder in ("a", "b", "c"):
        (root / folder).mkdir()
        (root / folder / "file").touch()
    Checkpoints(root, objects).take()
    for number in range(20):
        (root / "a" / str(number)).touch()

    taken = Checkpoints(root, objects, bounds=Bounds(entries=10)).take()

    assert taken.left_out == ("b", "c")
    assert {path.split("/")[0] for path in taken.changed} == {"a"}


def test_content_beyond_the_bound_is_named_and_the_rest_is_kept(
    root: Path, objects: Objects
) -> None:
    """Disk and time have an end; the run goes on and says what undo can't bring back."""
    (root / "huge").write_bytes(b"x" * 5000)
    (root / "small").write_text("kept")

    taken = Checkpoints(root, objects, bounds=Bounds(new_bytes=1000)).take()

    assert taken.unkept == ("huge",)
    assert Timeline(objects, "").at("small", taken.number) is not None


def test_a_deep_tree_is_covered_down_to_a_bound(root: Path, objects: Objects) -> None:
    """A hostile command can nest folders deeper than a path may be long."""
    opened = os.open(root, os.O_RDONLY)
    for _ in range(600):
        os.mkdir("abcdefghij", dir_fd=opened)
        inner = os.open("abcdefghij", os.O_RDONLY, dir_fd=opened)
        os.close(opened)
        opened = inner
    os.close(opened)

    taken = Checkpoints(root, objects).take()

    assert [path.count("/") for path in taken.left_out] == [200]
    subprocess.run(["rm", "-rf", str(root / "abcdefghij")], check=True)


def test_a_large_file_with_holes_takes_no_room_for_them(
    tmp_path: Path, root: Path, objects: Objects
) -> None:
    """A sparse disk image of 200 MB is nothing but its written blocks."""
    with (root / "image").open("wb") as file:
        file.truncate(200_000_000)
        file.seek(100_000_000)
        file.write(b"data")

    taken = Checkpoints(root, objects).take()

    used = sum(path.stat().st_blocks * 512 for path in (tmp_path / "store").rglob("*"))
    node = Timeline(objects, "").at("image", taken.number)
    assert node is not None and node.digest is not None
    assert (used < 20_000_000, objects.size(node.digest)) == (True, 200_000_000)


def test_a_damaged_content_is_refused_when_it_is_read(tmp_path: Path) -> None:
    """Better nothing than something else in a file that was to be restored."""
    objects = Objects(tmp_path / "store")
    digest = objects.put(b"as it was")
    objects.commit()
    objects.connection.execute("UPDATE object SET data = ?", (b"as it is",))

    with pytest.raises(MissingContent, match="damaged"):
        list(objects.pieces(digest))

    objects.close()


def test_a_store_that_is_no_database_is_said_to_be_damaged(tmp_path: Path) -> None:
    """Exit 8 and a sentence, or a run that goes on without undo: never a traceback."""
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "store.sqlite").write_text("this is not a database, but text " * 100)

    with pytest.raises(CheckpointFault, match="can't be opened: file is not a database"):
        Objects(tmp_path / "store")


def test_two_processes_on_one_tree_see_each_others_checkpoints(
    root: Path, objects: Objects
) -> None:
    """Two sessions in one workspace may run."""
    (root / "a").write_text("1")
    one, other = Checkpoints(root, objects), Checkpoints(root, objects)
    one.take()
    (root / "a").write_text("22")

    first = other.take()
    second = one.take()

    assert (first.changed, second.number, second.changed) == (("a",), first.number, ())


def test_a_link_in_place_of_a_folder_is_not_followed(
    tmp_path: Path, root: Path, objects: Objects
) -> None:
    """A command may swap a folder for a link while a checkpoint is taken."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "key").write_text(SECRET)
    (root / "folder").mkdir()
    (root / "folder" / "key").write_text("mine")
    checkpoints = Checkpoints(root, objects)
    found = checkpoints.look()
    (root / "folder" / "key").unlink()
    (root / "folder").rmdir()
    (root / "folder").symlink_to(tmp_path / "outside")

    checkpoints.keep(found)
    checkpoints.take()

    assert SECRET.encode() not in everything_in(tmp_path / "store")


TAKING = """
import sys
from pathlib import Path
from autoagent.checkpoints.checkpoint import Checkpoints
from autoagent.checkpoints.objects import Objects
print("ready", flush=True)
checkpoints = Checkpoints(Path(sys.argv[1]), Objects(Path(sys.argv[2])))
found = checkpoints.look()
print("looked", flush=True)
print(checkpoints.keep(found).number, flush=True)
"""


def has_grown(store: Path, size: int) -> bool:
    return sum(path.stat().st_size for path in store.glob("store.sqlite*")) >= size


@pytest.mark.parametrize("written", [0, 200_000, 1_000_000, 2_000_000])
def test_killed_while_it_takes_a_checkpoint_the_store_stays_usable(
    tmp_path: Path, root: Path, written: int
) -> None:
    """Either the whole checkpoint is there, or none of it."""
    for number in range(400):
        (root / str(number)).write_text(f"{number}" * 2000)
    (root / "large").write_bytes(os.urandom(3 * LARGE_BYTES))
    with subprocess.Popen(
        [sys.executable, "-c", TAKING, str(root), str(tmp_path / "store")],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    ) as process:
        assert process.stdout is not None
        while "looked" not in process.stdout.readline():
            pass
        while process.poll() is None and not has_grown(tmp_path / "store", written):
            pass
        process.send_signal(signal.SIGKILL)
    objects = Objects(tmp_path / "store")
    checkpoints = Checkpoints(root, objects)

    number = checkpoints.take().number

    whole = sorted([*map(str, range(400)), "large"])
    assert Timeline(objects, "").changed(0, number) == whole
    nodes = [Timeline(objects, "").at(path, number) for path in whole]
    contents = [b"".join(objects.pieces(n.digest)) for n in nodes if n is not None and n.digest]
    assert contents == [(root / path).read_bytes() for path in whole]
    objects.close()


def test_no_room_for_the_store_is_said_and_what_was_kept_stays(
    tmp_path: Path, root: Path, objects: Objects
) -> None:
    """SQLite's own limit stands for a full disk: the same error by the same way."""
    (root / "a").write_text("first")
    checkpoints = Checkpoints(root, objects)
    kept = checkpoints.take()
    pages = objects.connection.execute("PRAGMA page_count").fetchone()[0]
    objects.connection.execute(f"PRAGMA max_page_count = {pages}")
    (root / "b").write_bytes(os.urandom(500_000))

    with pytest.raises(CheckpointFault, match="the disk is full"):
        checkpoints.take()

    objects.connection.execute("PRAGMA max_page_count = 1000000")
    assert checkpoints.take().changed == ("b",)
    assert Timeline(objects, "").at("a", kept.number) is not None


def test_what_nobody_refers_to_can_be_deleted_from_the_store(root: Path, objects: Objects) -> None:
    """How docs/undo.md says that old checkpoints are dropped: versions first, then contents."""
    (root / "a").write_text("old")
    checkpoints = Checkpoints(root, objects)
    checkpoints.take()
    (root / "a").write_text("newer")
    newest = checkpoints.take().number
    db: sqlite3.Connection = objects.connection

    db.execute("DELETE FROM version WHERE path = ? AND number < ?", (b"a", newest))
    db.execute("DELETE FROM object WHERE digest NOT IN (SELECT digest FROM version)")

    held = [row[0] for row in db.execute("SELECT data FROM object")]
    assert held == [b"newer"]
    assert stamp_of((root / "a").stat()) == checkpoints.known["a"].stamp
