"""Programs that go on beside the commands: started, read, stopped, and never left behind."""

import os
from pathlib import Path
from uuid import uuid4

import pytest

from commands.builtin import catalogue
from commands.cancel import Cancel
from commands.command import CommandError, Result
from commands.context import Cage, Context
from commands.execution import execute_shell
from commands.processes import read_process, start_process, stop_process
from commands.sandbox.bounds import Bounds, Limits
from commands.sandbox.choose import Wanted
from commands.sandbox.lasting import MOST
from commands.workspace import Workspace
from tests.caged import KINDS, cage
from tests.test_command_trees import named
from tests.test_execution import Nothing


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    return home


@pytest.fixture
def root(home: Path) -> Path:
    root = home / "project"
    root.mkdir()
    return root


def context(made: Cage, root: Path) -> Context:
    return Context(
        workspace=Workspace(root),
        cage=made,
        memories=Nothing(),
        results=Nothing(),
        catalogue=catalogue(interactive=False),
        cancel=Cancel(),
        command_timeout_s=30,
        ask=None,
    )


def until_over(ctx: Context, number: int) -> list[Result]:
    """What is read of a process up to its end; each read waits for something new."""
    read: list[Result] = []
    while not read or read[-1].note.endswith(": runs"):
        read.append(read_process.run(ctx, number))
        assert len(read) < 20
    return read


SERVER = """python3 -c "
import http.server as h
server = h.ThreadingHTTPServer(('127.0.0.1', 0), h.SimpleHTTPRequestHandler)
print(server.server_port, flush=True)
server.serve_forever()
"
"""


@pytest.mark.parametrize("kind", ["bubblewrap", "none"])  # Landlock's has no loopback
def test_a_server_answers_the_commands_after_it(kind: Wanted, home: Path, root: Path) -> None:
    """A development server, in the same /tmp and on the same loopback, is what this is for."""
    (root / "page").write_text("hello")
    ctx = context(cage(kind, Bounds(root), home), root)

    started = start_process.run(ctx, SERVER)
    port = (started.text or read_process.run(ctx, 1).text).strip()
    ask = f"import urllib.request as u; print(u.urlopen('http://127.0.0.1:{port}/page').read())"
    answer = execute_shell.run(ctx, f'python3 -c "{ask}"')
    stopped = stop_process.run(ctx, 1)
    after = execute_shell.run(ctx, f'python3 -c "{ask}"')

    assert (started.note, started.ok) == ("process 1: runs", True)
    assert answer.text == "b'hello'\n"
    assert (stopped.note, stopped.ok) == ("process 1: has ended", True)
    assert "refused" in after.text


@KINDS
def test_each_read_gives_what_is_new_and_the_end(kind: Wanted, home: Path, root: Path) -> None:
    """The model must not read a log again and again."""
    ctx = context(cage(kind, Bounds(root), home), root)
    os.mkfifo(root / "go")

    first = start_process.run(ctx, "echo one; cat go; echo two >&2; exit 3")
    while not first.text:  # a start waits for a second at most
        first = read_process.run(ctx, 1)
    (root / "go").write_text("now\n")
    rest = until_over(ctx, 1)
    again = read_process.run(ctx, 1)

    assert first.text == "one\n"
    assert "".join(result.text for result in rest) == "now\ntwo\n"
    assert (rest[-1].note, rest[-1].ok) == ("process 1: exit 3", False)
    assert (again.text, again.note) == ("", "process 1: exit 3")


def stubborn(marker: str) -> str:
    return (
        f"trap 'echo asked' TERM; setsid bash -c 'trap \"\" TERM; exec -a {marker} sleep 1000' &"
        f" (setsid bash -c 'exec -a {marker} sleep 1000' &) ; echo up;"
        " while :; do sleep 1000 & wait; done"
    )


@KINDS
def test_a_stop_asks_first_and_then_kills_all_of_it(kind: Wanted, home: Path, root: Path) -> None:
    """A server may have to write something; what doesn't listen ends nevertheless."""
    ctx = context(cage(kind, Bounds(root), home), root)
    marker = uuid4().hex
    start_process.run(ctx, stubborn(marker))

    stopped = stop_process.run(ctx, 1)

    assert "asked\n" in stopped.text
    assert stopped.ok
    assert named(marker) == []


@KINDS
def test_the_end_of_the_session_ends_them(kind: Wanted, home: Path, root: Path) -> None:
    """Also what they started and left behind."""
    made = cage(kind, Bounds(root), home)
    marker = uuid4().hex
    start_process.run(context(made, root), stubborn(marker))
    before = len(named(marker))

    made.close()

    assert before >= 1
    assert named(marker) == []


@KINDS
def test_too_much_output_ends_one(kind: Wanted, home: Path, root: Path) -> None:
    """An endless log that nobody reads costs a processor all night."""
    ctx = context(cage(kind, Bounds(root, limits=Limits(output_bytes=100_000)), home), root)
    marker = uuid4().hex

    start_process.run(ctx, f"exec -a {marker} yes")
    for _ in range(10_000):
        if not named(marker):
            break
    end = until_over(ctx, 1)[-1]

    assert (end.note, end.ok) == ("process 1: stopped: too much output", False)


def test_there_are_only_so_many_and_wrong_numbers_are_told(home: Path, root: Path) -> None:
    """A model that forgets its servers is reminded of them."""
    ctx = context(cage("bubblewrap", Bounds(root), home), root)
    for _ in range(MOST):
        assert start_process.run(ctx, "echo up; sleep 1000").ok

    with pytest.raises(CommandError, match="8 processes run already"):
        start_process.run(ctx, "true")
    with pytest.raises(CommandError, match=r"no process 9\. There are: 1, 2, 3, 4, 5, 6, 7, 8"):
        read_process.run(ctx, 9)
    stop_process.run(ctx, 3)
    assert start_process.run(ctx, "echo up; sleep 1000").note == "process 9: runs"


def test_a_wait_for_output_ends_with_a_cancel(home: Path, root: Path) -> None:
    """Whoever stops a run must not wait for a silent server."""
    ctx = context(cage("bubblewrap", Bounds(root), home), root)
    start_process.run(ctx, "sleep 1000")
    ctx.cancel.set("interrupt")

    seen = ctx.cage.lasting.read(1, wait_s=1000, cancel=ctx.cancel)

    assert (seen.output, seen.ended) == (b"", None)


def test_what_one_plants_is_found_as_well(home: Path, root: Path) -> None:
    """It works on after the command that started it was looked at."""
    workspace = Workspace(root)
    quarantine = home / "quarantine"
    bounds = Bounds(workspace.root, workspace.protected_paths, quarantine=quarantine)
    ctx = context(cage("bubblewrap", bounds, home), root)

    start_process.run(ctx, "touch .bashrc; echo done; sleep 1000")
    text = stop_process.run(ctx, 1).text + execute_shell.run(ctx, "true").text

    assert not (root / ".bashrc").exists()
    assert (quarantine / "1-.bashrc/it").exists()
    assert text.count("quarantine/1-.bashrc") <= 1  # else the first result said it


def test_usual_names_are_understood() -> None:
    """Models know these from other agents."""
    commands = catalogue(interactive=False)

    assert commands.find("kill_process").checked({"process": "3"}) == {"id": 3}
    assert [commands.find(f"{verb}_process").effect for verb in ("start", "read", "stop")] == [
        "execute",
        "read",
        "note",
    ]
