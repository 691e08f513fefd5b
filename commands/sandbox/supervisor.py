"""A program of its own, the first process of a cage: runs commands and ends their trees.

`python -I -S supervisor.py RLIMITS PROCESSES MEMORY CONTROL` with the number of an open
SOCK_SEQPACKET socket last, a word of `NUMBER=VALUE,…` for setrlimit, how many processes and
bytes of memory there may be at once. It sends `ready`, then takes messages with five
descriptors: a file with a program's arguments, each ended by NUL; the program's input, output
and error output; a SOCK_SEQPACKET socket, its channel. `t` on the channel sends SIGTERM to the
program's tree, the channel's end SIGKILL. When the program has ended and nothing of its tree
is left, `STATUS WHY` comes back: the exit status (128 + n for signal n), and "", "processes",
"memory", or "stuck" when something could not be ended. CONTROL's end ends all.

Each program has a keeper between itself and us: a copy of this process that is child
subreaper, so that whatever a program starts, however it detaches itself, has the keeper
above it. What has no living keeper above it belongs to nobody and is killed.

The programs run as the same user in the same namespace. They can't signal us, since the
first process of a namespace hears no signal without a handler, and can't trace us nor
open what we have open, since we can't be dumped. So nothing here may install a handler
but SIGCHLD's. It imports nothing of ours and little else, to start fast.
"""

import _socket
import ctypes
import os
import resource
import select
import signal
import sys
import time
from contextlib import suppress

_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_DESCRIPTORS = 5  # of a request
_MOST_OPEN = 1024  # descriptors that a keeper closes
_OOM_SCORE = b"700"  # when memory runs out, the kernel ends a program first, not us
_LOOK_S = 0.1
_LOOK_SHARE = 0.05  # of one processor's time
_KILL_S = 5.0
_NAP_MS = 20
_PASSES = 4  # over a tree that grows while it is being killed, before it is frozen
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Job:
    """A program that was asked for: its keeper, its channel, how it ended and why."""

    __slots__ = ("channel", "keeper", "status", "why")

    def __init__(self, keeper: int, channel: _socket.socket) -> None:
        self.keeper = keeper
        self.channel = channel
        self.status: int | None = None
        self.why = ""

    def kill(self, why: str = "") -> None:
        if self.status is None:  # not reaped, so the number is still its own
            self.why = self.why or why
            os.kill(self.keeper, signal.SIGKILL)


class Process:
    """A line of the table of processes."""

    __slots__ = ("pages", "parent", "threads")

    def __init__(self, stat: bytes) -> None:
        fields = stat.rpartition(b")")[2].split()
        self.parent = int(fields[1])
        self.threads = int(fields[17])
        self.pages = int(fields[21])


class Supervisor:
    """Serves until the control socket's other end is closed."""

    def __init__(self, control: int, rlimits: str, processes: int, memory: int) -> None:
        self._control = _socket.socket(fileno=control)
        self._limits = [tuple(map(int, one.split("="))) for one in rlimits.split(",")]
        self._most_processes = processes
        self._most_memory = memory
        self._jobs: dict[int, Job] = {}  # by their keepers
        self._look_at = 0.0
        self._prctl = ctypes.CDLL(None, use_errno=True).prctl
        if self._prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "PR_SET_DUMPABLE")
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Python's own handler would hear it
        self._woken, wakeup = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(wakeup, False)
        signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._nap = select.poll()
        self._nap.register(self._woken, select.POLLIN)
        self._poll = select.poll()
        self._poll.register(self._woken, select.POLLIN)
        self._poll.register(control, select.POLLIN)

    def serve(self) -> None:
        """Say that we are there, then take what comes; doesn't return."""
        self._control.send(b"ready")
        channels: dict[int, Job] = {}
        while True:
            wait_ms = max(0.0, self._look_at - time.monotonic()) * 1000 if self._jobs else None
            ready = [number for number, _ in self._poll.poll(wait_ms)]
            if self._control.fileno() in ready:
                self._begin(channels)
            for job in (channels[number] for number in ready if number in channels):
                self._heard(job)
            self._reap()
            if over := [job for job in self._jobs.values() if job.status is not None]:
                self._bury(over, channels)
            if self._jobs and time.monotonic() >= self._look_at:
                self._look()

    def _begin(self, channels: dict[int, Job]) -> None:
        """Start the program of one request."""
        room = _socket.CMSG_SPACE(4 * _DESCRIPTORS)
        data, rights, _, _ = self._control.recvmsg(16, room, _socket.MSG_CMSG_CLOEXEC)
        if not data:
            os._exit(0)  # the agent is gone; with us goes everything
        files = [n for _, _, raw in rights for n in memoryview(raw).cast("i")]
        channel = _socket.socket(fileno=files.pop()) if len(files) == _DESCRIPTORS else None
        try:
            if channel is None:
                return  # no room for more open files; the missing answer says so
            keeper = os.fork()
            if keeper == 0:
                try:
                    self._keep(files)
                finally:
                    os._exit(126)
            job = self._jobs[keeper] = channels[channel.fileno()] = Job(keeper, channel)
            self._poll.register(job.channel.fileno(), select.POLLIN)
        except OSError as error:
            os.write(files[3], f"No process can be started: {error.strerror}.\n".encode())
            if channel is not None:
                channel.send(b"126 ")
        finally:
            for number in files:
                os.close(number)

    def _keep(self, files: list[int]) -> None:
        """In the keeper: start the program, and end with its status."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if self._prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "PR_SET_CHILD_SUBREAPER")
        size = os.fstat(files[0]).st_size
        argv = os.pread(files[0], size, 0).split(b"\0")[:-1]
        for place, file in enumerate(files[1:]):
            os.dup2(file, place)
        os.closerange(3, _MOST_OPEN)
        self._limit()
        signals = [signal.SIGPIPE, signal.SIGXFSZ]
        try:
            # Not by fork: it copies the table of our memory once more.
            program = os.posix_spawnp(argv[0], argv, os.environ, setsid=True, setsigdef=signals)
        except OSError as error:
            os.write(2, argv[0] + f": {error.strerror}\n".encode())
            os._exit(127)
        os.closerange(0, 3)
        while True:
            pid, status = os.wait()
            if pid == program:
                os._exit(_exit_status(status))

    def _limit(self) -> None:
        """Take on the program's limits. Nothing is open here any more that needs hiding."""
        self._prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)  # or its score could not be written
        for number, value in self._limits:
            _, most = resource.getrlimit(number)
            least = value if most == resource.RLIM_INFINITY else min(value, most)
            resource.setrlimit(number, (least, least))
        with suppress(OSError):  # a courtesy to the machine, no part of the cage
            score = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
            os.write(score, _OOM_SCORE)
            os.close(score)

    def _heard(self, job: Job) -> None:
        """Do what the channel says; its end says to kill."""
        word = b""
        with suppress(OSError):
            word = job.channel.recv(16)
        if word == b"t":
            table = self._table()
            for pid in table:
                if pid != job.keeper and self._owner(pid, table) == job.keeper:
                    _send(pid, signal.SIGTERM)
                    _send(pid, signal.SIGCONT)
        else:
            self._poll.unregister(job.channel.fileno())
            job.kill()

    def _reap(self) -> bool:
        """Take in whoever has ended; True when no child is left at all."""
        with suppress(BlockingIOError):
            os.read(self._woken, 512)
        try:
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                if job := self._jobs.get(found[0]):
                    job.status = _exit_status(found[1])
        except ChildProcessError:
            return True
        return False

    def _bury(self, over: list[Job], channels: dict[int, Job]) -> None:
        """Kill what is left of these trees, then tell how they ended."""
        for job in over:
            del self._jobs[job.keeper]
        all_gone = self._cleared()
        for job in over:
            with suppress(KeyError):
                self._poll.unregister(job.channel.fileno())
            del channels[job.channel.fileno()]
            with suppress(OSError):  # whoever asked is gone
                job.channel.send(f"{job.status} {job.why if all_gone else 'stuck'}".encode())
            job.channel.close()

    def _cleared(self) -> bool:
        """Kill and reap what has no keeper until there is none; False when that takes too long."""
        deadline = time.monotonic() + _KILL_S
        passes = 0
        while time.monotonic() < deadline:
            if not self._jobs:
                _send(-1, signal.SIGKILL)  # all but us
                if self._reap():
                    return True
            else:
                frozen = passes >= _PASSES
                if frozen:
                    _send(-1, signal.SIGSTOP)
                unsure = self._killed_strays()
                if frozen:
                    _send(-1, signal.SIGCONT)
                if not unsure:
                    return True
                passes += 1
            self._nap.poll(_NAP_MS)
            self._reap()
        return False

    def _killed_strays(self) -> bool:
        """One pass over all processes; whether there was something to kill, or may have been."""
        table = self._table()
        owners = {pid: self._owner(pid, table) for pid in table}
        for pid in (pid for pid, owner in owners.items() if owner == 1):
            _send(pid, signal.SIGKILL)
        return any(owner in (1, None) for owner in owners.values())

    def _owner(self, pid: int, table: dict[int, Process]) -> int | None:
        """The keeper above a process, 1 when there is none, None when it moved while we read.

        0 is what came in from outside, which is not ours to judge.
        """
        for _ in range(len(table) + 1):
            if pid in self._jobs or pid <= 1:
                return pid
            if pid not in table:
                return None
            pid = table[pid].parent
        return None

    def _table(self) -> dict[int, Process]:
        """Every process but us; the dead that nobody reaped yet among them."""
        table: dict[int, Process] = {}
        for name in os.listdir("/proc"):  # noqa: PTH208 (pathlib takes longer to import than all)
            if name.isdecimal() and name != "1":
                with suppress(OSError):
                    table[int(name)] = Process(_content(f"/proc/{name}/stat"))
        return table

    def _look(self) -> None:
        """End the largest tree when there are too many processes, or too much is in memory."""
        began = time.monotonic()
        table = self._table()
        trees: dict[int, list[int]] = {keeper: [] for keeper in self._jobs}
        for pid in table:
            trees.get(self._owner(pid, table) or 0, []).append(pid)
        threads = {k: sum(table[pid].threads for pid in tree) for k, tree in trees.items()}
        memory = {k: sum(table[pid].pages for pid in tree) for k, tree in trees.items()}
        if sum(threads.values()) > self._most_processes:
            self._jobs[max(threads, key=threads.__getitem__)].kill("processes")
        elif sum(memory.values()) * _PAGE_BYTES > self._most_memory:
            # That counted what processes share once for each: now exactly, which takes longer.
            exact = {k: sum(map(_share_bytes, tree)) for k, tree in trees.items()}
            if sum(exact.values()) > self._most_memory:
                self._jobs[max(exact, key=exact.__getitem__)].kill("memory")
        ended = time.monotonic()
        self._look_at = ended + max(_LOOK_S, (ended - began) / _LOOK_SHARE)


def _send(pid: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _exit_status(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code


def _share_bytes(pid: int) -> int:
    """A process's memory, of what it shares with others its part; 0 when it has gone."""
    with suppress(OSError):
        for line in _content(f"/proc/{pid}/smaps_rollup").splitlines():
            if line.startswith(b"Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def _content(path: str) -> bytes:
    number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(number, 4096)
    finally:
        os.close(number)


def main(rlimits: str, processes: str, memory: str, control: str) -> None:
    os.set_inheritable(int(control), False)
    os.closerange(3, int(control))
    os.closerange(int(control) + 1, _MOST_OPEN)
    Supervisor(int(control), rlimits, int(processes), int(memory)).serve()


if __name__ == "__main__":
    main(*sys.argv[1:])
