"""What a program in the Landlock cage can do to the world outside, looked at from outside."""

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from commands.cancel import Cancel
from commands.sandbox.bounds import Bounds, CageFault
from commands.sandbox.landlock import Landlock
from tests.caged import SECRET, bash, ended, environment


@pytest.fixture
def home() -> Iterator[Path]:
    """Not below /tmp, so that nothing but the cage keeps it apart."""
    home = Path("/var/tmp") / f"autoagent-test-{uuid4().hex}"
    home.mkdir(mode=0o700)
    (home / "key").write_text(SECRET)
    yield home
    shutil.rmtree(home)


@pytest.fixture
def root(home: Path) -> Path:
    root = home / "project"
    root.mkdir()
    return root


def landlock(root: Path, home: Path, network: bool = False) -> Landlock:
    """The cage, or a skipped test where it can't be; in CI that is a failure."""
    try:
        return Landlock(Bounds(root, network=network), environment(home))
    except CageFault as fault:
        if "CI" in os.environ:
            raise
        pytest.skip(str(fault))


# Each would succeed without the cage; it is run in bash with the home folder as $1, the agent's
# process as $2, a port where something listens as $3, and ends with 0 when it did its work.
CLOSED = {
    "write a file in the home folder": 'echo x > "$1/made"',
    "write to a file of the home folder": 'echo x >> "$1/key"',
    "cut a file": 'python3 -c "import os,sys; os.truncate(sys.argv[1], 0)" "$1/key"',
    "read a file of the home folder": 'cat "$1/key"',
    "list the home folder": 'ls "$1"',
    "reach it by a link": 'ln -s "$1/key" link; cat link',
    "reach it by /proc": 'cat "/proc/self/root$1/key"',
    "reach it by a path upwards": "cat ../key",
    "link a file into the workspace": 'ln "$1/key" hard',
    "move a file into the workspace": 'mv "$1/key" moved',
    "move a file out": 'echo x > f; mv f "$1/made"',
    "delete a file": 'rm -f "$1/key"; ! test -e "$1/key"',
    "make a folder": 'mkdir "$1/made"',
    "make a socket outside": 'python3 -c "import os,sys,stat; os.mknod(sys.argv[1], stat.S_IFSOCK)"'
    ' "$1/made"',
    "run a program of the home folder": '"$1/program"',
    "write in /tmp": "echo x > /tmp/made-$$",
    "write in /dev/shm": "echo x > /dev/shm/made-$$",
    "change the system": "echo x > /etc/made || echo x > /usr/made",
    "make a device": "mknod null c 1 3",
    "open a terminal of the user": 'for t in /dev/pts/[0-9]* /dev/tty; do : < "$t" && exit; done;'
    " exit 1",
    "read the agent's variables": 'cat "/proc/$2/environ"',
    "read the agent's memory": 'head -c 1 "/proc/$2/mem"',
    "see the agent's open files": 'readlink "/proc/$2/fd/0"',
    "trace the agent": 'python3 -c "import ctypes,sys;'
    ' sys.exit(ctypes.CDLL(None).ptrace(16, int(sys.argv[1]), 0, 0) != 0)" "$2"',
    "change the agent's limits": 'prlimit --pid "$2" --nofile=1000:1000',
    "reach a port": "exec 3<>/dev/tcp/127.0.0.1/$3",
    "send a datagram": "echo x > /dev/udp/127.0.0.1/$3",
    "listen": 'python3 -c "import socket; socket.create_server((str(), 0))"',
    "reach a Unix socket": 'python3 -c "import socket,sys;'
    ' socket.socket(socket.AF_UNIX).connect(sys.argv[1])" "$1/socket"',
    "send to a Unix socket by a pair": 'python3 -c "import socket,sys;'
    " a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM);"
    ' a.sendto(b\'x\', sys.argv[1])" "$1/datagrams"',
    "make namespaces": "unshare -Ur true",
    "mount": "mount -t tmpfs none .",
}
# What Landlock can't close; `lacks` says so.
OPEN = {
    "change the mode of a file": 'chmod 600 "$1/key"',
    "change the times of a file": 'touch -c -d 2001-01-01 "$1/key"',
    "see that a file is there": 'stat "$1/key"',
    "see the command lines of others": 'grep -q . "/proc/$2/cmdline"',
    "read a .env of the workspace": "cat .env",
}


@pytest.fixture
def listening(home: Path) -> Iterator[int]:
    """A TCP port, a stream and a datagram socket in the home folder."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.socket(socket.AF_UNIX) as stream,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams,
    ):
        stream.bind(str(home / "socket"))
        stream.listen()
        datagrams.bind(str(home / "datagrams"))
        yield listener.getsockname()[1]


# Runs each of its arguments after the first three, and prints the numbers of those that did it.
DRIVER = """
given=("${@:1:3}"); shift 3; n=0
for each; do
    bash -c "$each" bash "${given[@]}" </dev/null >/dev/null 2>&1 && echo $n
    n=$((n+1))
done
"""


def driven(scripts: dict[str, str], home: Path, port: int) -> list[str]:
    given = [str(home), str(os.getpid()), str(port)]
    return ["bash", "-c", DRIVER, "bash", *given, *scripts.values()]


def named(scripts: dict[str, str], numbers: bytes) -> list[str]:
    return [list(scripts)[int(number)] for number in numbers.split()]


def succeeding(cage: Landlock, scripts: dict[str, str], home: Path, port: int) -> list[str]:
    """The names of those scripts that did their work in the cage."""
    done = cage.run(driven(scripts, home, port), timeout_s=60, cancel=Cancel())
    assert (done.exit, done.stderr) == (0, b"")
    return named(scripts, done.stdout)


def test_what_is_closed_is_closed_and_what_stays_open_is_known(
    home: Path, root: Path, listening: int
) -> None:
    """The second list is what a person accepts with this kind of cage."""
    (home / "program").write_text("#!/bin/sh\n")
    (home / "program").chmod(0o755)
    (root / ".env").write_text("KEY=1\n")
    cage = landlock(root, home)

    assert succeeding(cage, CLOSED, home, listening) == []
    assert succeeding(cage, OPEN, home, listening) == list(OPEN)
    assert (home / "key").read_text() == SECRET
    assert sorted(p.name for p in home.iterdir()) == [
        *("datagrams", "key", "program", "project", "socket"),
    ]


def test_the_same_attempts_succeed_without_the_cage(home: Path, root: Path, listening: int) -> None:
    """Else the table above would prove nothing."""
    (home / "program").write_text("#!/bin/sh\n")
    (home / "program").chmod(0o755)
    names = ["cut a file", "reach it by a link", "reach a port", "send a datagram", "listen"]
    names += ["link a file into the workspace", "run a program of the home folder"]
    names += ["reach a Unix socket", "send to a Unix socket by a pair", "make a socket outside"]
    names += ["reach it by a path upwards", "reach it by /proc", "see the agent's open files"]

    scripts = {name: CLOSED[name] for name in names}

    argv = driven(scripts, home, listening)
    done = subprocess.run(argv, cwd=root, capture_output=True, timeout=60)

    assert named(scripts, done.stdout) == names


def test_signals_reach_the_commands_own_processes_only(home: Path, root: Path) -> None:
    """`kill -9 -1` in a script must not take the desktop with it."""
    cage = landlock(root, home)
    if "signals to your other processes possible" in cage.lacks():
        pytest.skip("this Landlock can't keep signals in")

    with subprocess.Popen(["sleep", "1000"]) as other:
        own = ended(cage, "sleep 1000 & kill $! && wait $!; echo $?")
        foreign = ended(cage, f"kill -9 {other.pid}")
        alive = other.poll() is None
        other.kill()

    assert own.stdout == b"143\n"
    assert foreign.exit != 0 and alive


ORDINARY = {
    "a commit": "git init -q . && git add . && git -c user.name=a -c user.email=b commit -qm x"
    " --allow-empty && git log --format=%s",
    "a build": "echo 'int main(){return 0;}' > a.c && gcc a.c -o a && ./a && echo x",
    "a script": "echo 'console.log(\"x\")' > a.js && node a.js",
    "threads": "python3 -c \"import threading as t; t.Thread(target=print, args='x').start()\"",
    "a loop of events": 'python3 -c "import asyncio as a; a.run(a.sleep(0)); print(chr(120))"',
    "an archive": "echo x > f && tar czf a.tgz f && rm f && tar xzf a.tgz && cat f",
    "temporary files": 'f=$(mktemp) && echo x > "$f" && cat "$f"',
    "a home folder": "mkdir -p ~/.cache && echo x > ~/.cache/y && cat ~/.cache/y",
    "folders moved": "mkdir -p a/b && echo x > a/c && mv a/c a/b/ && mv a/b . && cat b/c",
    "the usual devices": "head -c 1 /dev/urandom > /dev/null && cat < /dev/null && echo x",
    "pipes": "cat <(echo x) | tee /dev/null",
}


def test_ordinary_work_goes_on(home: Path, root: Path) -> None:
    """A cage in which nothing builds is left open."""
    absent = [name for name in ("git", "gcc", "node") if shutil.which(name) is None]
    scripts = {k: s for k, s in ORDINARY.items() if not any(f"{a} " in s for a in absent)}
    checked = {
        name: f'cd "$(mktemp -d -p .)" && test "$({script})" = x'
        for name, script in scripts.items()
    }

    assert succeeding(landlock(root, home), checked, home, 0) == list(scripts)


def test_a_probe_tells_whether_it_works(home: Path, root: Path) -> None:
    """A kernel may have Landlock and a container may forbid it: only trying shows."""
    assert landlock(root, home).probe() == ""


def test_temporary_files_live_as_long_as_the_session(home: Path, root: Path) -> None:
    """One command makes what the next one reads; after the end nothing is left."""
    with landlock(root, home) as cage:
        place = Path(bash(cage, 'echo x > "$TMPDIR/f"; echo ~').strip())
        again = bash(cage, 'cat "$TMPDIR/f"')
        was_there = place.is_dir()

    assert (again, was_there) == ("x\n", True)
    assert not place.parent.exists()


def test_a_commit_carries_the_users_name(home: Path, root: Path) -> None:
    """The home folder is an empty one, as in the other cage."""
    (home / ".gitconfig").write_text("[user]\n\tname = A B\n\temail = a@example.org\n")
    made = landlock(root, home)

    said = bash(made, "git init -q; git commit -q --allow-empty -m x; git log --format='%an %ae'")

    assert said == "A B a@example.org\n"


def test_a_link_in_place_of_the_home_folder_leads_nothing_of_ours_there(
    home: Path, root: Path
) -> None:
    """What a command may replace, we must not write through."""
    with landlock(root, home) as made:
        bash(made, f'rm -rf "$HOME"; ln -s {home} "$HOME"')
        bash(made, "true")

        assert not (home / ".gitconfig").exists()


def test_no_key_is_in_the_environment(home: Path, root: Path) -> None:
    """As in every kind of cage."""
    assert SECRET not in bash(landlock(root, home), "env")


def test_with_the_network_ports_are_open_and_unix_sockets_are_not(
    home: Path, root: Path, listening: int
) -> None:
    """--network means hosts, not the container engine of this machine."""
    cage = landlock(root, home, network=True)

    tried = {name: CLOSED[name] for name in ("reach a port", "reach a Unix socket", "mount")}

    assert cage.network
    assert succeeding(cage, tried, home, listening) == ["reach a port"]


def test_a_missing_program_is_an_ordinary_end(home: Path, root: Path) -> None:
    """The model mistyped a name: it is told which."""
    done = landlock(root, home).run(["no-such-tool"], timeout_s=30, cancel=Cancel())

    assert (done.exit, done.stderr) == (127, b"no-such-tool: No such file or directory\n")


def test_a_cancelled_command_and_what_it_started_are_ended(home: Path, root: Path) -> None:
    """The tree is ended from outside, so no right is missing for it."""
    cancel = Cancel()
    ready = root / "ready"
    os.mkfifo(ready)

    def set_when_ready() -> None:
        ready.read_text()
        cancel.set("interrupt")

    waiter = threading.Thread(target=set_when_ready, daemon=True)
    waiter.start()
    script = "(setsid sleep 1000 &) ; trap '' TERM INT; echo $$ > ready; sleep 1000"

    done = ended(landlock(root, home), script, cancel=cancel)
    waiter.join(10)

    assert done.stopped == "cancel"


def test_hidden_folders_of_ours_are_closed_also_inside_of_open_ones(
    home: Path, root: Path, tmp_path: Path
) -> None:
    """Landlock only adds rights, so the folder around must be opened piece by piece."""
    beside = tmp_path / "beside"
    for name in ("seen", "state"):
        (beside / name).mkdir(parents=True)
        (beside / name / "file").write_text(name)
    bounds = Bounds(root, extra_read=[beside], hidden=[beside / "state"])
    try:
        cage = Landlock(bounds, environment(home))
    except CageFault as fault:
        pytest.skip(str(fault))

    said = bash(cage, f"cat {beside}/seen/file {beside}/state/file")

    assert said.startswith("seen") and "Permission denied" in said


@pytest.mark.skipif(os.getuid() != 0, reason="others than root can't read it anyway")
def test_what_only_root_may_read_stays_closed_to_roots_commands(home: Path, root: Path) -> None:
    """Whoever runs the agent as root doesn't hand the passwords out."""
    said = bash(landlock(root, home), "head -c 4 /etc/passwd; cat /etc/shadow")

    assert said.startswith("root") and "/etc/shadow: Permission denied" in said
