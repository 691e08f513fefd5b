"""A command's processes from start to end: what goes in, what comes out, what is left."""

import os
import select
import subprocess
import sys
import threading
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands.cancel import Cancel
from commands.sandbox.bounds import Bounds
from commands.sandbox.choose import Wanted
from commands.sandbox.ring import Ring
from tests.caged import KINDS, bash, cage, ended

CHECKOUT = Path(__file__).parents[1]


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


def lasting(marker: str) -> str:
    """A script that leaves four stubborn processes, says so in the FIFO, and goes on.

    They carry the marker as their name; the script's own text holds it only in two parts.
    """
    return f"""
        export MARK={marker[:4]}; MARK+={marker[4:]}; trap '' TERM HUP INT
        (exec -a $MARK sleep 1000) &
        (exec -a $MARK sleep 1000) & STOPPED=$!
        ((setsid bash -c 'trap "" TERM; exec -a $MARK sleep 1000' >/dev/null 2>&1 &) &)
        (exec env -i setsid bash -c "exec -a $MARK sleep 1000" </dev/null >/dev/null 2>&1 &)
        until [ $(grep -l "^$MARK" /proc/[0-9]*/cmdline 2>/dev/null | wc -l) = 4 ]; do :; done
        kill -STOP $STOPPED; echo four > ready
    """


def named(marker: str) -> list[int]:
    """The processes of this machine that carry the marker."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if marker.encode() in (place / "cmdline").read_bytes():
                found.append(int(place.name))
        except OSError:
            continue
    return found


def cancel_when(ready: Path, cancel: Cancel) -> None:
    os.mkfifo(ready)

    def wait() -> None:
        if told(ready) == b"four\n":
            cancel.set("interrupt")

    threading.Thread(target=wait, daemon=True).start()


def told(ready: Path) -> bytes:
    """What somebody writes into the FIFO; b"" when nobody does."""
    reader = os.open(ready, os.O_RDONLY | os.O_NONBLOCK)
    try:
        return os.read(reader, 99) if select.select([reader], [], [], 30)[0] else b""
    finally:
        os.close(reader)


@KINDS
@pytest.mark.parametrize(
    ("then", "timeout_s", "stopped", "status"),
    [
        ("exit 7", 60.0, "", 7),
        ("sleep 1000", 60.0, "cancel", 137),
        ("sleep 1000", 2.0, "time", 137),
    ],
)
def test_nothing_is_left_running(
    kind: Wanted, then: str, timeout_s: float, stopped: str, status: int, home: Path, root: Path
) -> None:
    """Also what was forked twice, has a session of its own, ignores signals or is stopped."""
    marker = uuid4().hex
    cancel = Cancel()
    if stopped == "cancel":
        cancel_when(root / "ready", cancel)
    made = cage(kind, Bounds(root), home)

    done = ended(made, lasting(marker) + then, timeout_s=timeout_s, cancel=cancel)

    assert (done.stopped, done.exit) == (stopped, status)
    if stopped != "cancel":
        assert (root / "ready").read_text() == "four\n"
    assert named(marker) == []


@KINDS
def test_the_death_of_the_agent_ends_its_commands(kind: Wanted, home: Path, root: Path) -> None:
    """kill -9 leaves no time to clean up, so the kernel or a second process must."""
    marker = uuid4().hex
    cage(kind, Bounds(root), home)
    os.mkfifo(root / "ready")
    program = (
        "import sys; from pathlib import Path\n"
        "from commands.sandbox.bounds import Bounds; from tests.caged import cage, ended\n"
        "kind, root, home, script = sys.argv[1:]\n"
        "ended(cage(kind, Bounds(Path(root)), Path(home)), script, timeout_s=60)"
    )
    script = lasting(marker) + "sleep 1000"
    argv = [sys.executable, "-c", program, kind, str(root), str(home), script]

    with subprocess.Popen(argv, cwd=CHECKOUT, env=os.environ | {"TMPDIR": str(home)}) as agent:
        said = told(root / "ready")
        watched = [os.pidfd_open(pid) for pid in named(marker)]
        agent.kill()
    ends = [select.select([fd], [], [], 10)[0] for fd in watched]

    assert (said, len(watched)) == (b"four\n", 4)
    assert all(ends)
    for fd in watched:
        os.close(fd)


@KINDS
def test_a_cancelled_command_does_not_begin(kind: Wanted, home: Path, root: Path) -> None:
    """The person pressed Ctrl-C before it ran: then it has no effect at all."""
    cancel = Cancel()
    cancel.set("interrupt")

    done = ended(cage(kind, Bounds(root), home), "touch made", cancel=cancel)

    assert done.stopped == "cancel"
    assert not (root / "made").exists()


@KINDS
def test_endless_output_is_stopped_and_both_ends_kept(kind: Wanted, home: Path, root: Path) -> None:
    """`yes` would fill the memory within a minute."""
    done = ended(cage(kind, Bounds(root), home), "echo start; yes")

    assert done.stopped == "output"
    assert done.stdout.startswith(b"start\ny\n")
    assert b" bytes left out" in done.stdout
    assert len(done.stdout) < 1_100_000


@KINDS
def test_input_is_read_whole_and_otherwise_empty(kind: Wanted, home: Path, root: Path) -> None:
    """A megabyte is more than a pipe holds; a command that asks must not wait for ever."""
    made = cage(kind, Bounds(root), home)
    data = os.urandom(1_000_000)

    fed = made.run(["cat"], timeout_s=30, cancel=Cancel(), stdin=data)
    ignored = made.run(["true"], timeout_s=30, cancel=Cancel(), stdin=data)
    empty = made.run(["cat"], timeout_s=30, cancel=Cancel())

    assert (fed.stdout == data, ignored.exit, empty.stdout) == (True, 0, b"")


@KINDS
def test_a_missing_program_is_an_ordinary_end(kind: Wanted, home: Path, root: Path) -> None:
    """The model mistyped a name: it is told which."""
    done = cage(kind, Bounds(root), home).run(["no-such-tool"], timeout_s=30, cancel=Cancel())

    assert (done.exit, done.stderr) == (127, b"no-such-tool: No such file or directory\n")


@KINDS
def test_temporary_files_are_gone_afterwards(kind: Wanted, home: Path, root: Path) -> None:
    """TMPDIR is the command's own, and nothing of it stays on the machine."""
    name = uuid4().hex
    script = f'touch "$TMPDIR/{name}" && cd "$TMPDIR" && pwd'

    place = bash(cage(kind, Bounds(root), home), script).strip()

    assert place.startswith("/tmp")
    assert not Path(place, name).exists()


@given(st.lists(st.binary(max_size=40)), st.integers(1, 30))
def test_a_ring_holds_head_and_tail_and_counts_the_rest(chunks: list[bytes], end: int) -> None:
    """What a result shows of a long output is true at both ends."""
    ring = Ring(end)
    whole = b"".join(chunks)

    for chunk in chunks:
        ring.take(chunk)

    missing = len(whole) - 2 * end
    line = f"\n…{missing:,} bytes left out…\n".encode()
    assert ring.held() == (whole if missing <= 0 else whole[:end] + line + whole[-end:])
