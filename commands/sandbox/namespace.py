"""One bubblewrap call with our supervisor in it: begun, asked to run programs, ended."""

import os
import select
import signal
import socket
import struct
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from threading import Lock, Thread

from commands.sandbox.bounds import CageFault
from commands.sandbox.process import KILLED, Ended

_SETUP_S = 10.0
_KILL_S = 10.0  # longer than the supervisor takes by itself
_CREDENTIALS = struct.Struct("iII")  # a process, its user, its group


class Namespace:
    """A running cage with all that runs in it; it ends with `end`, or with this process."""

    def __init__(self, argv: Sequence[str], files: Sequence[int], env: Mapping[str, str]) -> None:
        """Start bubblewrap; argv ends in the supervisor's, all but the number of its socket.

        `files` are the descriptors that argv names. CageFault tells what bubblewrap said.
        """
        self._lock = Lock()
        self._is_over = False
        with ExitStack() as undo, ExitStack() as setup:
            self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            undo.callback(self._control.close)
            setup.enter_context(theirs)
            said = os.memfd_create("stderr")
            setup.callback(os.close, said)
            # With it a message tells its sender's number, as it is here.
            self._control.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            passed = (*files, theirs.fileno())
            self._leader, self._holder = _held([*argv, str(theirs.fileno())], passed, env, said)
            undo.callback(self._holder.join, _KILL_S)
            undo.callback(self._leader.kill)
            theirs.close()
            self._init = _greeted(self._control, said)
            undo.pop_all()
        self._service: tuple[Sequence[str], bytes] | None = None
        self._serving: Job | None = None

    @property
    def is_over(self) -> bool:
        """Whether it has ended, or is about to."""
        if self._is_over:
            return True
        with self._lock:
            return self._is_over or bool(select.select([self._init], [], [], 0)[0])

    def serve(self, argv: Sequence[str], greeting: bytes) -> None:
        """Start a program of ours that stays, and again whenever a command has ended it.

        It is there when it has written the greeting.
        """
        self._service = argv, greeting
        self._serving = self._served(argv, greeting)

    def run(self, argv: Sequence[str], stdin: int, stdout: int, stderr: int) -> "Job":
        """Start a program in it with these descriptors; CageFault when it has ended."""
        if self._service and self._serving and self._serving.is_over:
            self._serving.end()
            self._serving = self._served(*self._service)
        return self._started(argv, stdin, stdout, stderr)

    def _served(self, argv: Sequence[str], greeting: bytes) -> "Job":
        reader, writer = os.pipe()
        nothing = os.open(os.devnull, os.O_RDWR)
        try:
            job = self._started(argv, nothing, writer, nothing)
        finally:
            os.close(writer)
            os.close(nothing)
        try:
            if not select.select([reader], [], [], _SETUP_S)[0] or os.read(reader, 64) != greeting:
                job.end()
                raise CageFault("The way out of the cage could not be set up.")
        finally:
            os.close(reader)
        return job

    def _started(self, argv: Sequence[str], stdin: int, stdout: int, stderr: int) -> "Job":
        words = [os.fsencode(word) for word in argv]
        if any(b"\0" in word for word in words):
            raise CageFault(f"{argv[0]!r:.200} could not be started: a NUL in its arguments.")
        channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        request = os.memfd_create("request")
        try:
            with open(request, "wb", closefd=False) as file:
                file.write(b"".join(word + b"\0" for word in words))
            files = [request, stdin, stdout, stderr, theirs.fileno()]
            socket.send_fds(self._control, [b"run"], files)
        except OSError as error:
            channel.close()
            raise CageFault(f"The cage ended just now ({error.strerror}); try again.") from error
        finally:
            os.close(request)
            theirs.close()
        return Job(self, channel)

    def end(self) -> None:
        """Kill the first process, and with it, by the kernel, all others; again does nothing."""
        with self._lock:
            if self._is_over:
                return
            self._is_over = True
            try:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(self._init, signal.SIGKILL)
                # It counts as ended only when every other process there is gone.
                ended, _, _ = select.select([self._init], [], [], _KILL_S)
            finally:
                os.close(self._init)
                self._control.close()
                self._holder.join(_KILL_S)
        if self._serving:
            self._serving.end()
        if not ended:
            raise CageFault("The processes of the cage could not be ended; restart the machine.")


class Job:
    """A program in a namespace, with all that it starts."""

    def __init__(self, namespace: Namespace, channel: socket.socket) -> None:
        self._namespace = namespace
        self._channel = channel
        self._lock = Lock()
        self._ended: Ended | None = None

    @property
    def over(self) -> int:
        return self._channel.fileno()

    @property
    def is_over(self) -> bool:
        return bool(select.select([self._channel], [], [], 0)[0])

    def terminate(self) -> None:
        with suppress(OSError):
            self._channel.send(b"t")

    def kill(self) -> None:
        with suppress(OSError):
            self._channel.shutdown(socket.SHUT_WR)

    def end(self) -> Ended:
        with self._lock:
            if self._ended is None:
                self.kill()
                self._ended = self._answer()
                self._channel.close()
            return self._ended

    def _answer(self) -> Ended:
        """What the supervisor says of the end; without a word from it, the cage is ended."""
        with suppress(OSError):
            if select.select([self._channel], [], [], _KILL_S)[0]:
                status, _, why = self._channel.recv(64).decode().partition(" ")
                if status and why != "stuck":
                    return Ended(int(status), why)
        self._namespace.end()
        return Ended(KILLED, "cage")


def _held(
    argv: Sequence[str], passed: Sequence[int], env: Mapping[str, str], stderr: int
) -> tuple["subprocess.Popen[bytes]", Thread]:
    """The program, and a thread that started it and lives as long as it does.

    With the end of the thread that started it the kernel would end it (--die-with-parent).
    """
    begun: Future[subprocess.Popen[bytes]] = Future()

    def hold() -> None:
        try:
            leader = subprocess.Popen(  # noqa: S603 (bubblewrap)
                argv,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                pass_fds=passed,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            begun.set_exception(CageFault(f"The sandbox could not be started: {error}."))
        else:
            begun.set_result(leader)
            leader.wait()

    holder = Thread(target=hold, name="cage", daemon=True)
    holder.start()
    return begun.result(), holder


def _greeted(control: socket.socket, said: int) -> int:
    """A descriptor of the supervisor's process, when it has said that it is there."""
    if not select.select([control], [], [], _SETUP_S)[0]:
        raise CageFault(f"The sandbox did not begin within {_SETUP_S:g} s.")
    with suppress(OSError):
        word, facts, _, _ = control.recvmsg(16, socket.CMSG_SPACE(_CREDENTIALS.size))
        if word and facts:
            return os.pidfd_open(_CREDENTIALS.unpack(facts[0][2])[0])
    reason = os.pread(said, 4000, 0).decode(errors="replace").strip()
    raise CageFault(f"The sandbox could not be set up: {reason or 'no reason given'}.")
