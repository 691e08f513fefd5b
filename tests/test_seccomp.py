"""The filter of system calls: what it denies on either architecture, and what still works."""

import errno
import json
import os
import platform
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands.sandbox.bounds import CageFault
from commands.sandbox.landlock import LAUNCHER
from commands.sandbox.seccomp import DENIED, JUDGED, SHARED, lone_program, program

MACHINES = ["x86_64", "aarch64"]
COLUMN = {"x86_64": 0, "aarch64": 1}
ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # linux/audit.h
I386 = 0x40000003
ALLOW, KILL = 0x7FFF0000, 0x80000000
EPERM, ENOSYS = 0x50001, 0x50026
each_machine = pytest.mark.parametrize("machine", MACHINES)


def verdict(filter: bytes, machine: str, number: int, *args: int, arch: int = 0) -> int:
    """What the kernel would do: the filter run as bpf(4) describes the instructions."""
    given_args = [*args, *[0] * (6 - len(args))]
    data = struct.pack("<IIQ6Q", number, arch or ARCHITECTURE[machine], 0, *given_args)
    at = accumulator = 0
    value: int
    while True:
        code, yes, no, value = struct.unpack_from("<HBBI", filter, at * 8)
        at += 1
        match code:
            case 0x20:
                accumulator = struct.unpack_from("<I", data, value)[0]
            case 0x54:
                accumulator &= value
            case 0x15:
                at += yes if accumulator == value else no
            case 0x35:
                at += yes if accumulator >= value else no
            case 0x45:
                at += yes if accumulator & value else no
            case 0x06:
                return value
            case _:
                raise AssertionError(hex(code))


@each_machine
def test_every_denied_call_is_denied_and_other_numbers_are_not(machine: str) -> None:
    """Also those that this machine can't try."""
    column = COLUMN[machine]
    denied = {number for each in DENIED.values() if (number := each[column]) is not None}
    judged = {each[column] for each in JUDGED.values()}
    others = set(range(600)) - denied - judged

    made = program(machine)

    assert {verdict(made, machine, number) for number in denied} == {EPERM}
    assert {verdict(made, machine, number) for number in others} == {ALLOW}


@given(
    st.sampled_from(MACHINES),
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(0, 2**64 - 1), max_size=6),
)
def test_the_filter_has_an_answer_to_everything(machine: str, number: int, args: list[int]) -> None:
    """And for the lone one it is never milder."""
    order = [ALLOW, ENOSYS, EPERM, KILL]

    shared = verdict(program(machine), machine, number, *args)
    lone = verdict(lone_program(machine, network=True), machine, number, *args)
    cut_off = verdict(lone_program(machine, network=False), machine, number, *args)

    assert order.index(shared) <= order.index(lone) <= order.index(cut_off)


@each_machine
def test_other_tables_of_calls_end_the_program(machine: str) -> None:
    """In 32 bits, and in x32, the same calls have other numbers."""
    made = program(machine)

    assert verdict(made, machine, 1, arch=I386) == KILL
    if machine == "x86_64":
        assert verdict(made, machine, 0x40000000 + 101) == KILL
        assert verdict(made, machine, 0xFFFFFFFF) == ENOSYS


@each_machine
@pytest.mark.parametrize(
    ("name", "args", "expected"),
    [
        ("clone", (0x01200011,), ALLOW),  # fork
        ("clone", (0x003D0F00,), ALLOW),  # a thread
        ("clone", (0x10000011,), EPERM),  # CLONE_NEWUSER
        ("clone", (0x40000011,), EPERM),  # CLONE_NEWNET
        ("clone", (0x00020011,), EPERM),  # CLONE_NEWNS
        ("clone3", (), ENOSYS),
        ("unshare", (0x400,), ALLOW),  # CLONE_FILES
        ("unshare", (0x80,), EPERM),  # CLONE_NEWTIME
        ("unshare", (0x02000000,), EPERM),  # CLONE_NEWCGROUP
        ("ioctl", (0, 0x5401), ALLOW),  # TCGETS
        ("ioctl", (0, 0x5412), EPERM),  # TIOCSTI
        ("ioctl", (0, 0x7FFF00005412), EPERM),  # the kernel ignores the upper half
        ("ioctl", (0, 0x541C), EPERM),  # TIOCLINUX
        ("personality", (0xFFFFFFFF,), ALLOW),
        ("personality", (0x0040000,), EPERM),  # ADDR_NO_RANDOMIZE
        ("personality", (0x0400000,), EPERM),  # READ_IMPLIES_EXEC
        ("socket", (1, 1, 0), ALLOW),  # AF_UNIX
        ("socket", (2, 1, 0), ALLOW),  # AF_INET
        ("socket", (10, 2, 0), ALLOW),  # AF_INET6
        ("socket", (16, 3, 0), ALLOW),  # NETLINK_ROUTE
        ("socket", (16, 3, 12), EPERM),  # NETLINK_NETFILTER
        ("socket", (17, 3, 0), EPERM),  # AF_PACKET
        ("socket", (38, 5, 0), EPERM),  # AF_ALG
        ("socket", (40, 1, 0), EPERM),  # AF_VSOCK
        ("socketpair", (1, 2, 0), ALLOW),
    ],
)
def test_what_depends_on_the_arguments(
    machine: str, name: str, args: tuple[int, ...], expected: int
) -> None:
    """Numbers from the kernel's own headers (sched.h, socket.h, ioctls.h, personality.h)."""
    assert verdict(program(machine), machine, JUDGED[name][COLUMN[machine]], *args) == expected


@each_machine
@pytest.mark.parametrize("network", [True, False])
def test_beside_other_programs_only_connected_pairs_of_unix_sockets_are_left(
    machine: str, network: bool
) -> None:
    """A socket of the container engine or of the desktop makes a command the user."""
    made = lone_program(machine, network=network)
    column = COLUMN[machine]
    socket, pair, limits = (JUDGED[n][column] for n in ("socket", "socketpair", "prlimit64"))

    inet = ALLOW if network else EPERM
    assert [verdict(made, machine, socket, family) for family in (1, 2, 10)] == [EPERM, inet, inet]
    kinds = [verdict(made, machine, pair, 1, kind | 0o2000000) for kind in (1, 2, 5)]
    assert kinds == [ALLOW, EPERM, ALLOW]
    assert [verdict(made, machine, limits, pid) for pid in (0, 1)] == [ALLOW, EPERM]
    shared = [number for each in SHARED.values() if (number := each[column]) is not None]
    assert {verdict(made, machine, number) for number in shared} == {EPERM}


def test_an_unknown_architecture_is_said() -> None:
    """Numbers of another one would deny the wrong calls."""
    with pytest.raises(CageFault, match="riscv64"):
        program("riscv64")


@pytest.mark.parametrize(
    ("column", "header"),
    [
        (0, "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
        (1, "/usr/include/asm-generic/unistd.h"),
    ],
    ids=MACHINES,
)
def test_the_numbers_are_those_of_the_kernels_headers(column: int, header: str) -> None:
    """A wrong number would deny something else."""
    if not Path(header).exists():
        pytest.skip("no headers of the kernel here")
    text = Path(header).read_text()
    known = dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", text))
    ours = {name: each[column] for name, each in (DENIED | SHARED | JUDGED).items()}

    found = {name: int(known[name]) for name in ours if name in known}

    assert found == {name: number for name, number in ours.items() if name in known}
    # Newer than some headers; all others that we number must be in there.
    missing = {name for name, number in ours.items() if number and name not in known}
    assert missing <= {"open_tree_attr"}


def filtered(*argv: str, made: bytes | None = None) -> subprocess.CompletedProcess[str]:
    """The program under the filter alone."""
    spec = {"abi": 0, "files": 0, "net": 0, "scopes": 0, "rules": []}
    spec["filter"] = (program() if made is None else made).hex()
    return subprocess.run(
        [sys.executable, "-I", "-S", str(LAUNCHER), json.dumps(spec), *argv],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )


TRY = """
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
for number in map(int, sys.argv[1:]):
    ctypes.set_errno(0)
    libc.syscall(number, -1, -1, -1, -1, -1, -1)
    print(ctypes.get_errno(), end=" ")
"""


@pytest.mark.skipif(platform.machine() not in MACHINES, reason="no filter for this machine")
def test_the_kernel_takes_the_filter_and_denies_each_call() -> None:
    """Arguments of -1 would get another error from the kernel itself, or do nothing."""
    column = COLUMN[platform.machine()]
    harmless = {n: e for n, e in DENIED.items() if n not in ("vhangup", "_sysctl", "nfsservctl")}
    numbers = [str(each[column]) for each in harmless.values() if each[column] is not None]
    clone3 = str(JUDGED["clone3"][column])

    done = filtered(sys.executable, "-c", TRY, *numbers, clone3)

    assert done.stdout.split() == [str(errno.EPERM)] * len(numbers) + [str(errno.ENOSYS)]


ORDINARY = {
    "threads and processes": (
        "python3",
        "import multiprocessing as m, threading\n"
        "t = threading.Thread(target=print, args=('a',)); t.start(); t.join()\n"
        "if __name__ == '__main__': print(m.get_context('fork').Pool(2).map(abs, [-1]))",
        "a\n[1]\n",
    ),
    "sockets": (
        "python3",
        "import asyncio, socket, subprocess\n"
        "a = socket.create_server(('127.0.0.1', 0)); socket.create_connection(a.getsockname())\n"
        "socket.socketpair(); socket.if_nameindex()\n"
        "asyncio.run(asyncio.create_subprocess_exec('true'))\n"
        "print(subprocess.run(['echo', 'b'], capture_output=True).stdout)",
        "b'b\\n'\n",
    ),
    "pipes and jobs": (
        "bash",
        "set -e; seq 3 | tac | paste -sd,; sleep 0 & wait; cat <(echo c)",
        "3,2,1\nc\n",
    ),
    "an archive": (
        "bash",
        "cd $(mktemp -d); echo d > f; tar czf a.tgz f; rm f; tar xzf a.tgz; cat f",
        "d\n",
    ),
    "git": (
        "git",
        "cd $(mktemp -d); git init -q .; git -c user.name=a -c user.email=b commit -q --allow-empty"
        " -m e; git log --format=%s",
        "e\n",
    ),
    "gcc": (
        "gcc",
        "cd $(mktemp -d); echo 'int puts(const char*); int main(){puts(\"f\");return 0;}' > a.c;"
        " gcc -pipe -O1 a.c -o a; ./a",
        "f\n",
    ),
    "node": (
        "node",
        "console.log(String(require('child_process').execSync('echo g')).trim())",
        "g\n",
    ),
    "java": ("java", "java -version 2>&1 | grep -c -i version", "1\n"),
    "a terminal": ("python3", "import pty; pty.spawn(['echo', 'h'])", "h\n"),
}


@pytest.mark.skipif(platform.machine() not in MACHINES, reason="no filter for this machine")
@pytest.mark.parametrize(("program", "script", "expected"), ORDINARY.values(), ids=ORDINARY)
def test_ordinary_programs_work(program: str, script: str, expected: str, tmp_path: Path) -> None:
    """A cage in which nothing builds is left open."""
    if shutil.which(program) is None:
        pytest.skip(f"no {program} here")
    argv = {"python3": [sys.executable, "-c"], "node": ["node", "-e"]}.get(program, ["bash", "-c"])

    done = filtered(*argv, script)

    assert (done.stdout.replace("\r\n", "\n"), done.returncode) == (expected, 0), done.stderr


def test_root_has_no_rights_over_the_machine_left() -> None:
    """Without namespaces an ordinary root would mount and trace at will."""
    status = filtered("cat", "/proc/self/status").stdout
    found = dict(line.split(":\t") for line in status.splitlines() if ":\t" in line)

    if os.getuid() == 0:
        assert {found[name] for name in ("CapPrm", "CapEff", "CapBnd")} == {"0" * 16}
    assert (found["NoNewPrivs"], found["Seccomp"]) == ("1", "2")
