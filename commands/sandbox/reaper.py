"""A program of its own: runs another and ends when nothing that came of it is left.

`python -I -S reaper.py CONTROL OVER RLIMITS PROGRAM ARGUMENT…` with the numbers of two open
descriptors and a word of `NUMBER=VALUE,…` for setrlimit. A byte on CONTROL sends SIGTERM to the
whole tree; when its other end is closed, also by the death of who held it, the tree is killed;
OVER is closed with this program. It imports nothing of ours, to start fast.
"""

import ctypes
import os
import resource
import select
import signal
import sys
from contextlib import suppress

_PR_SET_CHILD_SUBREAPER = 36
_RESCAN_S = 0.05  # a child may have been born while we looked


def main(control: int, over: int, rlimits: str, argv: list[str]) -> int:
    """Run argv; its exit status, 128 + n for signal n, 127 when it can't be started."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    os.set_inheritable(control, False)
    os.set_inheritable(over, False)
    for number, value in (map(int, one.split("=")) for one in rlimits.split(",")):
        _, most = resource.getrlimit(number)
        least = value if most == resource.RLIM_INFINITY else min(value, most)
        resource.setrlimit(number, (least, least))
    ended, wakeup = os.pipe()
    os.set_blocking(wakeup, False)
    signal.set_wakeup_fd(wakeup)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    try:
        # An own group, so that `kill 0` does not reach us.
        child = os.posix_spawnp(
            argv[0], argv, os.environ, setpgroup=0, setsigdef=[signal.SIGPIPE, signal.SIGXFSZ]
        )
    except OSError as error:
        sys.stderr.write(f"{argv[0]}: {error.strerror}\n")
        return 127
    status = _waited(child, control, ended)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)
    strays = _reaped(child, ended)
    status = strays if status is None else status
    return 128 - status if status < 0 else status


def _waited(child: int, control: int, ended: int) -> int | None:
    """The child's status; None when control was closed first. Strangers are reaped by the way."""
    while True:
        ready, _, _ = select.select([control, ended], [], [])
        if ended in ready:
            os.read(ended, 512)
            with suppress(ChildProcessError):
                while (found := os.waitpid(-1, os.WNOHANG))[0]:
                    if found[0] == child:
                        return os.waitstatus_to_exitcode(found[1])
        if control in ready:
            if not os.read(control, 16):
                return None
            for pid in _descendants():
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGTERM)
                    os.kill(pid, signal.SIGCONT)


def _reaped(child: int, ended: int) -> int:
    """Kill and reap until no child is left; the child's status if it was still there."""
    status = -signal.SIGKILL.value
    while True:
        for pid in _children():
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        try:
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                if found[0] == child:
                    status = os.waitstatus_to_exitcode(found[1])
        except ChildProcessError:
            return status
        if select.select([ended], [], [], _RESCAN_S)[0]:
            os.read(ended, 512)


def _children() -> list[int]:
    """Processes whose parent we are; the orphans of those that we kill come to us next."""
    return [pid for pid, parent in _parents().items() if parent == os.getpid()]


def _descendants() -> list[int]:
    """Processes that we are above of."""
    parents = _parents()
    found = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return sorted(found - {os.getpid()})


def _parents() -> dict[int, int]:
    """Of each process of this machine its parent."""
    found: dict[int, int] = {}
    if sys.platform != "linux":
        return found
    with os.scandir("/proc") as entries:
        for pid in (int(entry.name) for entry in entries if entry.name.isdecimal()):
            # Not by pathlib, whose import takes longer than all the rest.
            with suppress(OSError), open(f"/proc/{pid}/stat", "rb") as stat:  # noqa: PTH123
                found[pid] = int(stat.read().rpartition(b")")[2].split()[1])
    return found


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:]))
