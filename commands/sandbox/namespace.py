"""The processes of one bubblewrap call: begun behind a gate, limited, ended all together."""

import json
import os
import resource
import select
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from commands.sandbox.bounds import CageFault, Limits
from commands.sandbox.process import Tree

_SETUP_S = 10.0
_KILL_S = 10.0
_OOM_SCORE = 700  # when memory runs out, the kernel ends a caged process first, not ours
_COUNTS_APART = (5, 14)  # from this Linux on, a user namespace has its own count of processes


@contextmanager
def gate() -> Iterator[int]:
    """A pipe's descriptor that a reader waits at, also when we die: its end never comes."""
    reader, writer = os.pipe()
    try:
        both = os.open(f"/proc/self/fd/{reader}", os.O_RDWR)
    finally:
        os.close(reader)
        os.close(writer)
    try:
        yield both
    finally:
        os.close(both)


def admit(leader: subprocess.Popen[bytes], over: int, waiting: int, limits: Limits) -> Tree:
    """Take hold of the namespace's first process, limit it, and let it through the gate."""
    try:
        pid = _first_process(over)
        init = os.pidfd_open(pid)
    except (EOFError, ProcessLookupError):  # bubblewrap failed: why is on its stderr
        return Tree(leader, over, lambda: _end_leader(leader))
    except BaseException:
        _end_leader(leader)
        raise
    tree = Tree(leader, over, lambda: _end(leader, pid, init))
    try:
        with suppress(ProcessLookupError):
            _limit(pid, limits)
        os.write(waiting, b"x")
    except BaseException:
        tree.end()
        raise
    return tree


def exit_was_told(over: int) -> bool:
    """Whether bubblewrap, which has ended, had got as far as starting the program."""
    return b"exit-code" in os.read(over, 4096)


def _first_process(over: int) -> int:
    """The first process's number, which bubblewrap tells in a line of several writes."""
    line = b""
    while not line.endswith(b"\n"):
        ready, _, _ = select.select([over], [], [], _SETUP_S)
        if not ready:
            raise CageFault(f"The sandbox did not begin within {_SETUP_S:g} s.")
        line += _byte(over)
    return int(json.loads(line)["child-pid"])


def _byte(source: int) -> bytes:
    if byte := os.read(source, 1):
        return byte
    raise EOFError


def _limit(pid: int, limits: Limits) -> None:
    memory = int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * limits.memory_share)
    wanted = {
        resource.RLIMIT_CORE: 0,
        # Not the address space: that also counts what is only reserved (Node, Java, Go).
        resource.RLIMIT_DATA: memory,
        resource.RLIMIT_FSIZE: limits.file_bytes,
        resource.RLIMIT_NOFILE: limits.open_files,
    }
    if _linux() >= _COUNTS_APART:
        wanted[resource.RLIMIT_NPROC] = limits.processes
    for name, value in wanted.items():
        _, most = resource.prlimit(pid, name)
        least = value if most == resource.RLIM_INFINITY else min(value, most)
        resource.prlimit(pid, name, (least, least))
    with suppress(OSError):  # a courtesy to the machine, no part of the cage
        Path(f"/proc/{pid}/oom_score_adj").write_text(str(_OOM_SCORE))


def _linux() -> tuple[int, ...]:
    major, minor = os.uname().release.split(".")[:2]
    return int(major), int("".join(c for c in minor if c.isdecimal()))


def _end(leader: subprocess.Popen[bytes], pid: int, init: int) -> None:
    """Kill the first process, and with it, by the kernel, all in its namespace."""
    try:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(init, signal.SIGKILL)
        # It counts as ended only when every other process there is gone.
        ended, _, _ = select.select([init], [], [], _KILL_S)
    finally:
        os.close(init)
        _end_leader(leader, after_s=_KILL_S)
    if not ended:
        raise CageFault("The processes of the command could not be ended; restart the machine.")
    # Where we are what orphans come to (in a container), nobody else buries it.
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _end_leader(leader: subprocess.Popen[bytes], *, after_s: float = 0.0) -> None:
    try:
        leader.wait(after_s)
    except subprocess.TimeoutExpired:
        leader.kill()
        leader.wait(_KILL_S)
