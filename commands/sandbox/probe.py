"""A program of its own: tries what a cage must refuse, and prints what it managed, as JSON.

`python -I -S - PLACES` with this file as its input; PLACES is JSON: see `guarantees.py`.
It imports nothing of ours, so that it runs where nothing of ours is to be seen.
"""

import ctypes
import fcntl
import json
import os
import socket
import sys
import time

_PTRACE_SEIZE = 0x4206
_CLONE_NEWUSER = 0x10000000
_STAY_S = 60


def main(places: dict) -> None:  # type: ignore[type-arg]
    """Try everything, in the folder that is the workspace."""
    outside, word = places["outside"], places["word"].encode()
    libc = ctypes.CDLL(None)
    attempts = {
        "write": lambda: _write(f"{outside}/made"),
        "modes": lambda: os.chmod(f"{outside}/kept", 0o600),  # noqa: PTH101
        "read": lambda: word in _content(f"{outside}/kept"),
        "state": lambda: word in _content(places["state"]),
        "agent": lambda: bool(_content(f"/proc/{places['agent']}/environ")),
        "dotenv": lambda: word in _content(".env"),
        "config": lambda: _write(".git/config"),
        "hooks": lambda: _write(".git/hooks/post-commit"),
        "see": lambda: word in _content(f"/proc/{places['other']}/cmdline"),
        "trace": lambda: libc.ptrace(_PTRACE_SEIZE, places["other"], None, None) == 0,
        "network": lambda: _reach(socket.AF_INET, ("127.0.0.1", places["port"])),
        "sockets": lambda: _reach(socket.AF_UNIX, f"{_short(outside)}/socket"),
        "abstract": lambda: _reach(socket.AF_UNIX, f"\0{places['name']}"),
        "memory": lambda: bool(bytearray(places["memory"])),
        "file": lambda: _long(places["file"]),
        "scratch": lambda: _room(os.environ["TMPDIR"]) > places["scratch"],
        "signal": lambda: os.kill(places["other"], 15),
        "namespaces": lambda: libc.unshare(_CLONE_NEWUSER) == 0,
    }
    done = {name: _managed(attempt) for name, attempt in attempts.items()}
    sys.stdout.write(json.dumps(done))
    sys.stdout.flush()
    _stay("stays")


def _managed(attempt) -> bool:  # type: ignore[no-untyped-def]
    try:
        return attempt() is not False
    except (OSError, MemoryError, ValueError):
        return False


def _write(path: str) -> None:
    with open(path, "w") as file:  # noqa: PTH123
        file.write("made")


def _content(path: str) -> bytes:
    with open(path, "rb") as file:  # noqa: PTH123
        return file.read(4096)


def _reach(family: int, address: object) -> None:
    with socket.socket(family) as one:
        one.settimeout(1)
        one.connect(address)  # type: ignore[arg-type]


def _short(folder: str) -> str:
    """As part of a socket's address, which has at most 107 bytes."""
    return f"/proc/self/fd/{os.open(folder, os.O_PATH | os.O_DIRECTORY)}"


def _long(size: int) -> None:
    with open("long", "wb") as file:  # noqa: PTH123
        os.truncate(file.fileno(), size)


def _room(folder: str) -> int:
    found = os.statvfs(folder)
    return found.f_blocks * found.f_frsize


def _stay(lock: str) -> None:
    """Leave a process that holds a lock, as far away from us as it can get."""
    begun, ready = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            fcntl.flock(os.open(lock, os.O_RDWR | os.O_CREAT), fcntl.LOCK_EX)
            null = os.open(os.devnull, os.O_RDWR)
            for number in range(3):
                os.dup2(null, number)
            os.write(ready, b"x")
            time.sleep(_STAY_S)
        os._exit(0)
    os.read(begun, 1)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
