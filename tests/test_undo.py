"""Undo, diff, apply and dry runs by the real program, and what of an undo may go wrong."""

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

from autoagent.checkpoints.checkpoint import Checkpoints
from autoagent.checkpoints.keeping import open_keeper
from autoagent.checkpoints.objects import Objects
from autoagent.checkpoints.undo import NOT_KEPT_NOW, settled, undo
from autoagent.events import Checkpointed, Executing, Noticed, Span
from commands.cancel import Cancel
from tests.fake_openai import Body, FakeOpenAI
from tests.program import KEY, Done, Program, of_type, says
from tests.trees import picture

ROOT = Path(__file__).parents[1]
DONE = says("finish", answer="ok")
SECRET = "drawn-by-nobody-4711-secret"


def worked(folder: Path, *answers: str, options: tuple[str, ...] = ()) -> tuple[Program, Done]:
    """A program whose session ran these commands in folder/work."""
    with FakeOpenAI([*answers, DONE]) as server:
        program = Program(folder, server.base_url)
        done = program.run("--goal", "go", *options)
    assert done.code == 0, done.err
    return program, done


def shell(line: str) -> str:
    return says("execute_shell", command_line=line)


def repository(folder: Path) -> None:
    """A workspace with a commit, a link, modes, an empty folder, an ignored file and secrets."""
    work = folder / "work"
    (work / "src").mkdir(parents=True)
    (work / "empty").mkdir(mode=0o750)
    (work / "src" / "a.py").write_text("print('a')\n")
    (work / "run").write_text("#!/bin/sh\n")
    (work / "run").chmod(0o755)
    (work / "link").symlink_to("src/a.py")
    (work / ".gitignore").write_text("ignored\n.env\n")
    (work / "ignored").write_bytes(b"\0\xff not in git\r\n")
    (work / ".env").write_text(f"KEY={SECRET}\n")
    git = "git init -q && git add . && git -c user.name=a -c user.email=a@b commit -qm first"
    subprocess.run(["sh", "-c", git], cwd=work, check=True)


def test_what_a_shell_command_destroyed_comes_back_git_included(tmp_path: Path) -> None:
    """Issue 3: shell commands included, `rm -rf .git` included, ignored files included."""
    repository(tmp_path)
    before = picture(tmp_path / "work")
    program, _ = worked(
        tmp_path,
        shell("rm -rf .git src run empty ignored; ln -sfn nowhere link; mkdir new; echo x > new/x"),
    )
    broken = picture(program.workspace)

    done = program.run("undo")

    assert (done.code, broken != before) == (0, True)
    assert picture(program.workspace) == before


def test_an_undo_goes_to_any_step_and_a_second_one_takes_it_back(tmp_path: Path) -> None:
    """surface.md: `--to STEP`: as it was after that step; an undo is a change like any other."""
    program, _ = worked(tmp_path, *(shell(f"echo {n} >> f; touch f{n}") for n in (1, 2, 3)))
    left = picture(program.workspace)

    after_first = (program.run("undo", "--to", "1").code, set(picture(program.workspace)))
    back = (program.run("undo").code, picture(program.workspace))
    program.run("undo", "--to", "0")

    assert after_first == (0, {"f", "f1"})
    assert back == (0, left)
    assert picture(program.workspace) == {}


def test_an_undo_without_a_step_takes_back_the_newest_change_only(tmp_path: Path) -> None:
    """What users know of undo."""
    program, _ = worked(tmp_path, shell("echo 1 > a"), shell("ls"), shell("echo 2 > b"))

    program.run("undo")

    assert picture(program.workspace).keys() == {"a"}


def test_what_a_person_changed_since_is_named_and_left_until_force_is_given(
    tmp_path: Path,
) -> None:
    """Exit 6: it needs a person. The workspace keeps both works."""
    program, _ = worked(tmp_path, shell("echo agent > mine; echo agent > other"))
    (program.workspace / "mine").write_text("by hand")

    done = program.run("undo", "--to", "0")
    kept = set(picture(program.workspace)), (program.workspace / "mine").read_text()
    forced = program.run("undo", "--to", "0", "--force")

    assert (done.code, kept) == (6, ({"mine"}, "by hand"))
    assert "mine: it was changed since" in done.out
    assert (forced.code, picture(program.workspace)) == (0, {})
    program.run("undo")
    assert (program.workspace / "mine").read_text() == "by hand"


def test_what_a_person_changed_between_steps_is_what_an_undo_goes_back_to(
    tmp_path: Path,
) -> None:
    """It is named; with --force nothing of it stays, until that is undone."""
    program, _ = worked(tmp_path, shell("echo 1 > a; echo 1 > b"))
    (program.workspace / "b").write_text("by hand")
    with FakeOpenAI([shell("echo 2 >> b"), DONE]) as server:
        Program(tmp_path, server.base_url).run("--resume", "--goal", "more")

    done = program.run("undo", "--to", "0")
    left = {path.name: path.read_text() for path in program.workspace.iterdir()}
    program.run("undo", "--to", "0", "--force")

    assert (done.code, left) == (6, {"b": "by hand"})
    assert "b: as somebody else changed it between the steps" in done.out
    assert picture(program.workspace) == {}


def test_a_secret_in_a_files_name_is_told_by_no_undo(tmp_path: Path) -> None:
    """Names are foreign text like a file's content."""
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / f"{KEY}.txt").write_text("1\n")
    program, worked_out = worked(tmp_path, shell("for f in *.txt; do echo 2 >> $f; done"))

    done = program.run("undo")

    assert (program.workspace / f"{KEY}.txt").read_text() == "1\n"
    assert "  [secret OPENAI_API_KEY].txt (changed back)\n1 change taken back." in done.out
    assert KEY not in worked_out.err + done.out + json.dumps(program.journal())


def test_what_a_process_beside_the_commands_writes_between_them_is_undone_as_well(
    tmp_path: Path,
) -> None:
    """Issue 3: background processes included. It writes while the model thinks."""
    log = tmp_path / "work" / "log"

    def once_written(body: Body) -> str:
        (tmp_path / "work" / "pipe").write_text("go\n")
        while not log.exists():
            pass
        return shell("echo 2 >> log")

    line = "read line < pipe; echo 1 > log; exec sleep 60"
    start = says("start_process", command_line=line)
    with FakeOpenAI([shell("mkfifo pipe"), start, once_written, DONE]) as server:
        program = Program(tmp_path, server.base_url)
        program.run("--goal", "go")

    done = program.run("undo", "--to", "0")

    assert (done.code, picture(program.workspace)) == (0, {})


def test_the_model_is_told_of_an_undo_with_its_next_prompt(tmp_path: Path) -> None:
    """It would go on from files that are no longer there."""
    program, _ = worked(tmp_path, says("write_file", path="a.txt", content="x"))
    program.run("undo")

    with FakeOpenAI([DONE]) as server:
        Program(tmp_path, server.base_url).run("--resume", "--goal", "more")

    said = server.chats[0]["messages"][-1]["content"]
    assert 'the user took back changes, as before your first step are now: "a.txt"]' in said
    assert of_type(program.journal(), "Undone")[0]["paths"] == ["a.txt"]


def test_the_receipt_says_how_to_undo_and_what_programs_changed(tmp_path: Path) -> None:
    """The line is ready to paste."""
    program, done = worked(tmp_path, shell("echo 1 > a; mkdir -p node_modules; date > .x"))
    line = next(line for line in done.err.splitlines() if line.startswith("undo "))

    program.run(*line.split()[2:])

    assert "files    .x, a" in done.err.splitlines()
    assert picture(program.workspace) == {}


def test_an_undo_while_the_session_runs_is_refused(tmp_path: Path) -> None:
    """It would pull files from under a running command."""
    with FakeOpenAI([shell("echo 1 > a; sleep 30"), DONE]) as server:
        program = Program(tmp_path, server.base_url)
        with program.started("--goal", "go", "--output-format", "stream-json") as running:
            running.until("Executing")

            done = program.run("undo")

    assert (done.code, "is held by process" in done.err) == (8, True)


def test_after_a_kill_in_mid_command_what_it_did_can_be_undone(tmp_path: Path) -> None:
    """The checkpoint before it is on disk before the command runs."""
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "a").write_text("before")
    with FakeOpenAI([shell("echo half > a; echo > new; sleep 30"), DONE]) as server:
        program = Program(tmp_path, server.base_url)
        with program.started("--goal", "go", "--output-format", "stream-json") as running:
            running.until("Executing")
            while not (program.workspace / "new").exists():
                assert running.process.poll() is None
            running.process.send_signal(signal.SIGKILL)
            running.process.wait()

    done = program.run("undo")

    assert (done.code, (program.workspace / "a").read_text()) == (0, "before")
    assert not (program.workspace / "new").exists()


def test_the_difference_is_a_patch_that_others_can_apply(tmp_path: Path) -> None:
    """`autoagent diff | patch -p1` on a copy of what was there before."""
    before = tmp_path / "before"
    for folder in (before, tmp_path / "work"):
        folder.mkdir()
        (folder / "changed").write_text("one\ntwo\nthree")
        (folder / "gone").write_text("x\n")
    line = "printf '1\\n2\\n3' > changed; rm gone; printf 'n\\n' > new; printf '\\0' > binary"
    program, _ = worked(tmp_path, shell(line))

    done = program.run("diff")

    subprocess.run(["patch", "-s", "-p1"], input=done.out.encode(), cwd=before, check=True)
    assert "file binary: binary or long, 0 bytes became 1" in done.out
    assert done.out.splitlines()[-1] == "4 paths: 2 new, 1 gone, 1 changed, +4 -4 lines"
    (program.workspace / "binary").unlink()
    assert picture(before) == picture(program.workspace)


def test_a_dry_run_leaves_the_workspace_alone_until_it_is_applied(tmp_path: Path) -> None:
    """The same commands, on a copy; what a person changed meanwhile stays."""
    repository(tmp_path)
    before = picture(tmp_path / "work")
    line = "echo '# more' >> src/a.py; rm run; mkdir -p new/folder; echo x >> .gitignore"
    program, done = worked(tmp_path, shell(line), options=("--dry-run",))
    session = program.sessions[-1].name
    unchanged = picture(program.workspace) == before
    (program.workspace / ".gitignore").write_text("by hand")

    applied = program.run("apply", session)

    after = picture(program.workspace)
    assert unchanged and "+# more" in done.err and f"autoagent apply {session}" in done.err
    assert (applied.code, "  .gitignore: it was changed since" in applied.out) == (6, True)
    assert (program.workspace / "src/a.py").read_text() == "print('a')\n# more\n"
    assert after[".gitignore"][2] == b"by hand" and "run" not in after and "new/folder" in after
    program.run("undo", session)
    assert picture(program.workspace) == {**before, ".gitignore": after[".gitignore"]}


def test_a_dry_run_never_copies_secrets(tmp_path: Path) -> None:
    """Neither into the copy nor into the store."""
    repository(tmp_path)

    program, _ = worked(tmp_path, shell("cat .env; ls -A"), options=("--dry-run",))

    held = [path for path in program.home.rglob("*") if path.is_file()]
    assert [path for path in held if SECRET.encode() in path.read_bytes()] == []


def test_a_session_that_worked_for_real_does_not_become_a_dry_run(tmp_path: Path) -> None:
    """Its steps were made in the workspace; a copy from now on would be neither."""
    program, _ = worked(tmp_path, shell("echo > a"))

    done = program.run("--resume", "--dry-run", "--goal", "more")

    assert (done.code, "works in the workspace itself" in done.err) == (2, True)


def test_only_a_dry_run_can_be_applied(tmp_path: Path) -> None:
    program, _ = worked(tmp_path, shell("echo > a"))

    done = program.run("apply", program.sessions[-1].name)

    assert (done.code, "--dry-run makes a session work on a copy" in done.err) == (2, True)


@pytest.mark.parametrize("step", ["x", "-1", "9", "1.5", ""])
def test_a_step_that_the_session_did_not_make_is_refused(tmp_path: Path, step: str) -> None:
    program, _ = worked(tmp_path, shell("echo > a"))

    done = program.run("undo", f"--to={step}")

    assert (done.code, "isn't a step of this session: it made 2" in done.err) == (2, True)


def test_without_a_store_the_run_goes_on_and_says_so(tmp_path: Path) -> None:
    """A file where its folder should be: no undo, but the goal is reached."""
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "checkpoints").write_text("")

    program, done = worked(tmp_path, shell("echo > a"))

    assert "Nothing in this run can be undone." in done.err
    assert picture(program.workspace).keys() == {"a"}


def test_a_store_without_room_is_said_once_and_commands_run_on(tmp_path: Path) -> None:
    """SQLite's own limit stands for a full disk; what was kept until then stays."""
    (tmp_path / "tree").mkdir()
    keeper = open_keeper(tmp_path / "store", tmp_path / "tree", Cancel())
    first = [*chain.from_iterable(keeper.before(1)), *keeper.after(1).events]
    keeper.objects.connection.execute("PRAGMA max_page_count = 1")
    (tmp_path / "tree" / "a").write_bytes(os.urandom(500_000))

    second = [*chain.from_iterable(keeper.before(2)), *keeper.after(2).events]
    third = [*chain.from_iterable(keeper.before(3)), *keeper.after(3).events]

    keeper.close()
    kept, after = Checkpointed(1, "before", 1), Checkpointed(1, "after", 1)
    assert first == [kept, Executing(1), after]
    notice, *rest = second
    assert isinstance(notice, Noticed) and "the disk is full" in notice.text
    assert (rest, third) == ([Executing(2)], [Executing(3)])


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[tuple[Path, Objects]]:
    (tmp_path / "tree").mkdir()
    objects = Objects(tmp_path / "store")
    yield tmp_path / "tree", objects
    objects.close()


def taken_back(root: Path, objects: Objects, line: str) -> None:
    """Run a shell command in the tree and undo it; nothing may be skipped."""
    checkpoints = Checkpoints(root, objects)
    before = checkpoints.take().number
    subprocess.run(["sh", "-c", line], cwd=root, check=True)
    span = Span(1, before, checkpoints.take().number)
    done = undo(checkpoints, objects, "one", [span], 0)
    settled(objects, "one")
    assert done.skipped == ()


@pytest.mark.parametrize(
    "line",
    [
        "rm -r folder && echo file > folder",
        "rm file && mkdir file && echo > file/inner",
        "rm link && mkdir link",
        "rm -r folder && ln -s file folder",
        "chmod 4711 file; chmod 700 folder; chmod 1777 .",
        "mv file FILE",
        "mv folder elsewhere; mkdir folder; mv elsewhere folder/inner",
        "mkfifo pipe",
    ],
)
def test_whatever_took_the_place_of_something_goes_and_that_comes_back(
    tree: tuple[Path, Objects], line: str
) -> None:
    root, objects = tree
    (root / "folder" / "deep").mkdir(parents=True)
    (root / "folder" / "deep" / "a").write_text("a")
    (root / "file").write_text("file")
    (root / "link").symlink_to("folder")
    before = picture(root)

    taken_back(root, objects, line)

    assert picture(root) == before


def test_a_file_too_large_to_keep_goes_only_by_force(tree: tuple[Path, Objects]) -> None:
    """It couldn't be brought back; a sparse file of 5 GB counts by what programs read of it."""
    root, objects = tree
    checkpoints = Checkpoints(root, objects)
    before = checkpoints.take().number
    subprocess.run(["truncate", "-s", "5G", str(root / "image")], check=True)
    span = Span(1, before, checkpoints.take().number)

    left = undo(checkpoints, objects, "one", [span], 0)
    settled(objects, "one")
    still_there = (root / "image").exists()
    forced = undo(checkpoints, objects, "one", [span], 0, force=True)

    assert ([one.why for one in left.skipped], still_there) == ([NOT_KEPT_NOW], True)
    assert (forced.skipped, picture(root)) == ((), {})


def test_names_of_one_file_get_their_bytes_back(tree: tuple[Path, Objects]) -> None:
    """What isn't promised is that they stay one file: docs/undo.md says so."""
    root, objects = tree
    (root / "a").write_text("same")
    (root / "b").hardlink_to(root / "a")

    taken_back(root, objects, "echo more >> a; chmod 600 b")

    assert [(root / name).read_text() for name in "ab"] == ["same", "same"]


def test_a_mode_alone_is_changed_in_place(tree: tuple[Path, Objects]) -> None:
    """So that a file with two names stays one."""
    root, objects = tree
    (root / "a").write_text("same")
    (root / "b").hardlink_to(root / "a")

    taken_back(root, objects, "chmod 600 a")

    assert (root / "a").stat().st_ino == (root / "b").stat().st_ino
    assert stat.S_IMODE((root / "b").stat().st_mode) == 0o644


KILLED = """
import json, os, signal, sys
from pathlib import Path
from autoagent.checkpoints.checkpoint import Checkpoints
from autoagent.events import Span
from autoagent.checkpoints.objects import Objects
from autoagent.checkpoints.undo import undo

root, store, spans, calls = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), int(sys.argv[4])

def stop():
    global calls
    calls -= 1
    if calls < 0:
        os.kill(os.getpid(), signal.SIGKILL)

objects = Objects(Path(store))
undo(Checkpoints(Path(root), objects), objects, "one", [Span(*s) for s in spans], 0, stop=stop)
"""


@pytest.mark.parametrize("calls", [0, 3, 7, 12, 18, 23])
def test_an_undo_that_was_killed_is_completed_by_the_next(
    tmp_path: Path, tree: tuple[Path, Objects], calls: int
) -> None:
    """Wherever it was cut off; and what it did counts as one change that can be taken back."""
    root, objects = tree
    for number in range(6):
        (root / f"d{number}").mkdir()
        (root / f"d{number}" / "f").write_text(f"{number}")
    before = picture(root)
    checkpoints = Checkpoints(root, objects)
    first = checkpoints.take().number
    line = "for d in d*; do rm -r $d; echo file > $d; done; mkdir -p x/y; chmod 500 x"
    subprocess.run(["sh", "-c", line], cwd=root, check=True)
    left = picture(root)
    spans = [(1, first, checkpoints.take().number)]
    argv = [sys.executable, "-c", KILLED, str(root), str(tmp_path / "store"), json.dumps(spans)]
    killed = subprocess.run([*argv, str(calls)], env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert killed.returncode == -signal.SIGKILL

    done = undo(checkpoints, objects, "one", [], 0)
    settled(objects, "one")

    assert (picture(root), done.skipped) == (before, ())
    back = undo(checkpoints, objects, "one", [Span(1, done.before, done.after)], 1)
    assert (picture(root), back.skipped) == (left, ())


READ_ONLY = """
import os, subprocess, sys, tempfile
from pathlib import Path
from autoagent.checkpoints.checkpoint import Checkpoints
from autoagent.events import Span
from autoagent.checkpoints.objects import Objects
from autoagent.checkpoints.undo import undo
from tests.trees import picture

if os.getuid() == 0:  # whom no mode holds back
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
with tempfile.TemporaryDirectory() as folder:
    root = Path(folder, "tree")
    (root / "shut" / "in").mkdir(parents=True)
    (root / "shut" / "in" / "a").write_text("a")
    (root / "shut" / "in" / "b").write_text("b")
    (root / "shut" / "in").chmod(0o555)
    (root / "shut").chmod(0o500)
    objects = Objects(Path(folder, "store"))
    checkpoints = Checkpoints(root, objects)
    before, number = picture(root), checkpoints.take().number
    line = "chmod -R u+w shut; rm shut/in/a; echo x > shut/in/b; echo > shut/n; chmod 555 shut/in"
    subprocess.run(["sh", "-c", line], cwd=root, check=True)
    span = Span(1, number, checkpoints.take().number)
    done = undo(checkpoints, objects, "one", [span], 0)
    print(picture(root) == before, done.skipped)
    (root / "shut").chmod(0o700), (root / "shut" / "in").chmod(0o700)
"""


def test_folders_that_are_read_only_are_opened_for_a_while_and_shut_again() -> None:
    """A package manager's store is like that. As another user when the tests run as root."""
    done = subprocess.run(
        [sys.executable, "-c", READ_ONLY],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert (done.stdout, done.stderr) == ("True ()\n", "")
