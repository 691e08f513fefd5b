"""One cage for a session: what lives between commands, what ends with them, what can't be hurt."""

import os
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path
from uuid import uuid4

import pytest

from commands.cancel import Cancel
from commands.context import Finished
from commands.sandbox.bounds import Bounds, CageFault, Limits
from commands.sandbox.bubblewrap import Bubblewrap
from tests.caged import bash, cage, ended, environment
from tests.test_command_trees import CHECKOUT, named, told

MEMORY_BYTES = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


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


def supervisors() -> set[int]:
    """The first processes of this program's cages, by their number outside."""
    ours = os.getpid()
    found = set()
    for pid in named("/.autoagent/supervisor.py"):
        status = Path(f"/proc/{pid}/status").read_text()
        parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        above = Path(f"/proc/{parent}/stat").read_text().rpartition(")")[2].split()[1]
        if "NSpid:" in status and status.partition("NSpid:")[2].split("\n")[0].split()[-1] == "1":
            found |= {pid} if int(above) == ours else set()
    return found


def test_temporary_files_live_from_command_to_command_and_end_with_the_cage(
    home: Path, root: Path
) -> None:
    """A build in two commands needs them; nobody needs them afterwards."""
    made = cage("bubblewrap", Bounds(root), home)
    name = uuid4().hex

    bash(made, f"echo one > /tmp/{name}")
    second = bash(made, f"cat /tmp/{name}")
    made.close()
    again = bash(cage("bubblewrap", Bounds(root), home), f"cat /tmp/{name}")

    assert second == "one\n"
    assert "No such file" in again
    assert not Path("/tmp", name).exists()


def test_a_closed_cage_leaves_nothing_and_runs_nothing(home: Path, root: Path) -> None:
    """The end of a session is the end of everything in it."""
    made = cage("bubblewrap", Bounds(root), home)
    marker = uuid4().hex
    made.lasting.start(["bash", "-c", f"exec -a {marker} sleep 1000"])
    before = supervisors()

    made.close()
    made.close()

    assert named(marker) == []
    assert len(before - supervisors()) >= 1
    with pytest.raises(CageFault, match="closed"):
        ended(made, "true")


HOSTILE = """
import ctypes, os, signal
libc = ctypes.CDLL(None, use_errno=True)
done = []
for number in signal.valid_signals():
    try:
        os.kill(1, number)
    except OSError:
        pass
def tried(name, call):
    try:
        if call() not in (-1, None):
            done.append(name)
    except OSError:
        pass
tried("left open", lambda: 1 if len(os.listdir("/proc/self/fd")) > 4 else None)
tried("attach", lambda: libc.ptrace(16, 1, 0, 0))
tried("seize", lambda: libc.ptrace(0x4206, 1, 0, 0))
tried("memory", lambda: open("/proc/1/mem", "r+b"))
tried("environment", lambda: open("/proc/1/environ", "rb").read())
for number in range(64):
    tried("descriptor", lambda: os.open(f"/proc/1/fd/{number}", os.O_RDWR))
    tried("taken", lambda: libc.syscall(438, os.pidfd_open(1), number, 0))
buffer = ctypes.create_string_buffer(8)
part = (ctypes.c_size_t * 2)(ctypes.addressof(buffer), 8)
far = (ctypes.c_size_t * 2)(0x400000, 8)
tried("read", lambda: libc.syscall(310, 1, part, 1, far, 1, 0))
tried("written", lambda: libc.syscall(311, 1, part, 1, far, 1, 0))
print("done:", done)
"""


def test_a_command_cannot_reach_the_supervisor(home: Path, root: Path) -> None:
    """Whoever held its sockets could forge results, or outlive their command; here without
    the filter of system calls, which would deny most of it as well."""
    cage("bubblewrap", Bounds(root), home)
    made = Bubblewrap(Bounds(root), environment(home))
    bash(made, "touch /tmp/still-the-same-cage")

    done = made.run(["python3", "-"], timeout_s=30, cancel=Cancel(), stdin=HOSTILE.encode())
    after = ended(made, "ls /tmp/still-the-same-cage")

    assert done.stdout == b"done: []\n"
    assert (after.exit, after.notices) == (0, ())


def test_a_supervisor_that_died_is_told_and_replaced(home: Path, root: Path) -> None:
    """The kernel may choose it when memory runs out; the run must go on, and honestly."""
    before = supervisors()
    made = cage("bubblewrap", Bounds(root), home)
    (supervisor,) = supervisors() - before
    os.mkfifo(root / "ready")
    marker = uuid4().hex
    results: list[Finished] = []
    script = f"touch /tmp/x; (exec -a {marker} sleep 1000) & echo four > ready; wait"
    thread = threading.Thread(target=lambda: results.append(ended(made, script)))
    thread.start()

    ready = told(root / "ready")
    os.kill(supervisor, signal.SIGKILL)
    thread.join(30)
    after = ended(made, "ls /tmp/x")

    assert ready == b"four\n"
    assert [(done.exit, done.stopped) for done in results] == [(137, "cage")]
    assert named(marker) == []
    assert after.exit == 2
    assert after.notices == (
        "the cage was made anew (it had ended): /tmp is empty, started processes have ended",
    )


def test_a_command_that_kills_its_keeper_ends_with_all_it_started(home: Path, root: Path) -> None:
    """What has nobody above it any more belongs to nobody, not to the session."""
    marker = uuid4().hex
    made = cage("bubblewrap", Bounds(root), home)
    script = (
        f"setsid bash -c 'exec -a {marker[:9]}{marker[9:]} sleep 1000' & kill -9 $PPID; sleep 9"
    )

    done = ended(made, script)

    assert (done.exit, done.stopped) == (137, "")
    assert named(marker) == []


def test_commands_at_the_same_time_end_for_themselves(home: Path, root: Path) -> None:
    """Agents beside each other share the cage; the end of one must not end the other's work."""
    made = cage("bubblewrap", Bounds(root), home)
    os.mkfifo(root / "ready")
    os.mkfifo(root / "go")
    results: list[Finished] = []
    script = "(setsid bash -c 'cat go > got' &) ; echo four > ready; until [ -s got ]; do :; done"
    thread = threading.Thread(target=lambda: results.append(ended(made, script)))
    thread.start()

    ready = told(root / "ready")
    other = ended(made, "sleep 1000 & exit 3")
    (root / "go").write_text("went on\n")
    thread.join(30)

    assert (ready, other.exit) == (b"four\n", 3)
    assert [done.exit for done in results] == [0]
    assert (root / "got").read_text() == "went on\n"


RESTLESS = """
import os
open("began", "w").close()
while True:
    if os.fork():
        os._exit(0)
    os.setsid()
"""


def test_a_process_that_changes_its_number_all_the_time_is_ended(home: Path, root: Path) -> None:
    """It has always just gone when one looks; the others in the cage go on."""
    made = cage("bubblewrap", Bounds(root), home)
    marker = uuid4().hex
    number = made.lasting.start(["bash", "-c", "echo up; exec sleep 1000"])
    script = (
        f"setsid python3 -c '{RESTLESS}' {marker[:9]}{marker[9:]} & until [ -e began ]; do :; done"
    )

    done = ended(made, script)

    assert (done.exit, done.stopped) == (0, "")
    assert named(marker) == []
    assert made.lasting.read(number, wait_s=0, cancel=Cancel()).ended is None


CROWD = """
import os, time
for _ in range(400):
    try:
        if os.fork() == 0:
            time.sleep(1000)
    except BlockingIOError:
        print("refused")
        break
time.sleep(1000)
"""


def test_too_many_processes_end_a_command_roots_too(home: Path, root: Path) -> None:
    """The kernel's own limit doesn't hold for root, and a container's user is root."""
    made = cage("bubblewrap", Bounds(root, limits=Limits(processes=100)), home)
    marker = uuid4().hex

    done = ended(made, f"exec -a {marker} python3 -c '{CROWD}'", timeout_s=20)

    assert done.stopped == ("processes" if os.getuid() == 0 else "time")
    assert (b"refused" in done.stdout) == (os.getuid() != 0)
    assert named(marker) == []


def test_memory_is_counted_for_a_whole_tree(home: Path, root: Path) -> None:
    """Ten processes within their limits can take all there is as well as one; what they
    share counts once."""
    limits = Limits(memory_share=250e6 / MEMORY_BYTES)
    made = cage("bubblewrap", Bounds(root, limits=limits), home)
    code = "import os, time; {}; [os.fork() or {} for _ in range(4)]; time.sleep({})"
    many = code.format("0", "(x := b'x' * 100_000_000) and time.sleep(1000)", 1000)
    shared = code.format("x = b'x' * 100_000_000", "(time.sleep(1), os._exit(0))", 1)

    done = ended(made, f'python3 -c "{many}"')
    fine = ended(made, f'python3 -c "{shared}"')

    assert (done.exit, done.stopped) == (137, "memory")
    assert (fine.exit, fine.stopped) == (0, "")


def test_temporary_places_have_a_size(home: Path, root: Path) -> None:
    """They are memory."""
    made = cage("bubblewrap", Bounds(root, limits=Limits(scratch_bytes=1 << 20)), home)

    said = bash(
        made, "for d in /tmp /var/tmp /dev/shm ~; do head -c 3000000 /dev/zero > $d/x; done"
    )

    assert said.count("No space left") == 4


def test_output_has_a_limit_that_can_be_set(home: Path, root: Path) -> None:
    """Both streams together."""
    made = cage("bubblewrap", Bounds(root, limits=Limits(output_bytes=100_000)), home)

    assert ended(made, "yes >&2").stopped == "output"


def test_a_forgotten_cage_ends(home: Path, root: Path) -> None:
    """A caller's mistake must not leave a process for the rest of the day."""
    before = supervisors()
    made = cage("bubblewrap", Bounds(root), home)
    during = supervisors()

    del made

    assert len(during) == len(before) + 1
    assert supervisors() == before


def test_the_death_of_the_agent_ends_what_should_last(home: Path, root: Path) -> None:
    """kill -9 leaves no time to clean up."""
    cage("bubblewrap", Bounds(root), home)
    marker = uuid4().hex
    os.mkfifo(root / "ready")
    program = (
        "import sys; from pathlib import Path\n"
        "from commands.sandbox.bounds import Bounds; from tests.caged import cage\n"
        "root, marker = Path(sys.argv[1]), sys.argv[2]\n"
        "made = cage('bubblewrap', Bounds(root), root.parent)\n"
        "made.lasting.start(['bash', '-c', f'setsid bash -c \"exec -a {marker} sleep 1000\" &'\n"
        "    ' echo four > ready; trap \"\" TERM; sleep 1000'])\n"
        "input()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, root, marker], stdin=subprocess.PIPE, cwd=CHECKOUT
    ) as agent:
        ready = told(root / "ready")
        pids = named(marker)
        agents = [os.pidfd_open(pid) for pid in pids]
        agent.kill()

    assert ready == b"four\n"
    assert len(pids) >= 1
    for gone in agents:
        assert_ends(gone)
    assert named(marker) == []


def assert_ends(process: int) -> None:
    """Wait for a process to be gone, with an end to the wait."""
    try:
        assert select.select([process], [], [], 20)[0]
    finally:
        os.close(process)
