"""What a kind of cage guarantees on this machine, found by trying to break each guarantee."""

import fcntl
import json
import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from commands.cancel import Cancel
from commands.context import Cage
from commands.guard import Guard
from commands.sandbox import probe, rlimits
from commands.sandbox.bounds import Bounds, CageFault, Limits
from commands.sandbox.choose import Wanted, choose
from commands.sandbox.toolchains import our_python

GUARANTEES: Mapping[str, str] = {
    "write": "files outside the workspace can't be written",
    "modes": "their modes and times can't be changed",
    "read": "your other files can't be read",
    "state": "autoagent's sessions and settings can't be read",
    "agent": "the agent's variables can't be read",
    "dotenv": "a .env in the workspace is hidden",
    "config": "git's own settings can't be changed",
    "hooks": "new git hooks, shell and editor settings are put aside",
    "see": "other processes can't be seen",
    "signal": "other processes can't be signalled",
    "trace": "other processes can't be traced",
    "network": "this machine's ports and the network are closed",
    "sockets": "Unix sockets outside are closed",
    "abstract": "abstract Unix sockets are closed",
    "namespaces": "no further namespaces",
    "stays": "all that a command started ends with it",
    "time": "a deaf command ends at its time limit",
    "memory": "a process's memory is limited",
    "file": "a file's size is limited",
    "scratch": "temporary files are limited",
    "processes": "the number of all processes is limited",
}
"""By name, as the person reads it. The order is that of the table."""

_LIMITS = Limits(processes=48, file_bytes=4 << 20, scratch_bytes=16 << 20)
_CONFIG = "[core]\n\tbare = false\n"
_TRY_S = 20.0
_DEAF_S = 0.5
_MANY = 96
_FORKS = f"""
import os, time
for _ in range({_MANY}):
    if os.fork() == 0:
        time.sleep(30)
        os._exit(0)
time.sleep(0.6)
print("managed")
"""
_DEAF = """
import fcntl, os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
fcntl.flock(os.open("deaf", os.O_RDWR | os.O_CREAT), fcntl.LOCK_EX)
time.sleep(60)
"""


def kept(kind: Wanted, folder: Path, env: Mapping[str, str]) -> dict[str, bool]:
    """For each of GUARANTEES whether it holds in this kind of cage, here and now.

    Makes a cage on a workspace below `folder`, runs a few programs in it for some seconds at
    most, and leaves nothing. CageFault when there is no such cage, or nothing runs in it.
    """
    with ExitStack() as stack:
        stage = stack.enter_context(_staged(folder))
        cage = choose(kind, stage.bounds, env)
        stack.callback(cage.close)
        python = str(our_python(Path(env.get("HOME", "/")))[0])
        managed = _tried(cage, stage, python)
        managed["stays"] = _is_held(stage.root / "stays")
        managed["signal"] = managed["signal"] and stage.other_has_ended()
        managed["hooks"] = (stage.root / ".git/hooks/post-commit").exists()
        managed["config"] = _text(stage.root / ".git/config") != _CONFIG
        deaf = cage.run([python, "-I", "-S", "-c", _DEAF], timeout_s=_DEAF_S, cancel=Cancel())
        managed["time"] = deaf.stopped != "time" or _is_held(stage.root / "deaf")
        many = cage.run([python, "-I", "-S", "-c", _FORKS], timeout_s=_TRY_S, cancel=Cancel())
        managed["processes"] = b"managed" in many.stdout
    return {name: not managed[name] for name in GUARANTEES}


def _tried(cage: Cage, stage: "_Stage", python: str) -> dict[str, bool]:
    argv = [python, "-I", "-S", "-", json.dumps(stage.places)]
    program = Path(probe.__file__).read_bytes()
    done = cage.run(argv, timeout_s=_TRY_S, cancel=Cancel(), stdin=program)
    try:
        found = json.loads(done.stdout)
        return {name: bool(found[name]) for name in GUARANTEES if name in found}
    except (ValueError, KeyError) as error:
        said = done.stderr.decode(errors="replace").strip()[-200:]
        raise CageFault(f"Nothing could be tried in it (exit {done.exit}): {said}") from error


@dataclass(frozen=True, slots=True)
class _Stage:
    """A workspace and what lies around it, for a probe to reach for."""

    root: Path
    bounds: Bounds
    places: Mapping[str, object]
    other: "subprocess.Popen[bytes]"

    def other_has_ended(self) -> bool:
        try:
            self.other.wait(1)
        except subprocess.TimeoutExpired:
            return False
        return True


@contextmanager
def _staged(folder: Path) -> Iterator[_Stage]:
    with ExitStack() as stack:
        base = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="probe-", dir=folder)))
        root, outside, state = (base.resolve() / name for name in ("work", "outside", "state"))
        for place in (root / ".git/hooks", outside, state):
            place.mkdir(parents=True)
        word = uuid4().hex
        for path in (root / ".env", outside / "kept", state / "kept"):
            path.write_text(word)
        (root / ".git/config").write_text(_CONFIG)
        port = stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
        for address in (_short(stack, outside / "socket"), f"\0{word}"):
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(address)
            listener.listen()
        other = stack.enter_context(_waiting(word))
        memory = rlimits.memory_bytes(_LIMITS)
        places = {
            "word": word,
            "name": word,
            "outside": str(outside),
            "state": str(state / "kept"),
            "agent": os.getpid(),
            "other": other.pid,
            "port": port,
            "memory": memory + (memory >> 4),
            "file": _LIMITS.file_bytes + 1,
            "scratch": _LIMITS.scratch_bytes,
        }
        guard = Guard(root, ())
        bounds = Bounds(
            root,
            protected=guard.protected_paths,
            masked=guard.masked_paths,
            hidden=(state,),
            limits=_LIMITS,
            quarantine=base.resolve() / "quarantine",
        )
        yield _Stage(root, bounds, places, other)


def _short(stack: ExitStack, path: Path) -> str:
    """The path as a socket's address, which has at most 107 bytes."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    stack.callback(os.close, folder)
    return f"/proc/self/fd/{folder}/{path.name}"


@contextmanager
def _waiting(word: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A process of the user's beside the cage, with the word in its command line."""
    argv = ["sh", "-c", f": {word}; read line"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as other:  # noqa: S603
        try:
            yield other
        finally:
            other.kill()


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _is_held(lock: Path) -> bool:
    """Whether somebody still has the lock that was taken there."""
    with lock.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
