"""Processes that go on while other commands run, until they are stopped or the session ends."""

import os
import select
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Condition, Lock, Thread

from commands.cancel import Cancel
from commands.command import CommandError
from commands.sandbox.process import Begin, Ended, Tree, drain, take
from commands.sandbox.ring import Ring

MOST = 8
_KEPT = 64  # of those that ended
_TERM_S = 2.0
_KILL_S = 30.0  # longer than ending any tree takes


@dataclass(frozen=True, slots=True)
class Seen:
    """What is new of a process: its output, both streams as they came, and its end, if any."""

    output: bytes
    ended: Ended | None


class Lasting:
    """At most MOST at once, by number from 1 on; `begin` starts each.

    CommandError says which number is unknown, or that there are too many. `output_bytes` is
    what one may write between two reads before it is ended.
    """

    def __init__(self, begin: Begin, output_bytes: int) -> None:
        self._begin = begin
        self._output_bytes = output_bytes
        self._lock = Lock()
        self._all: dict[int, _Process] = {}
        self._last = 0

    def start(self, argv: Sequence[str]) -> int:
        """Start a program; its number."""
        with self._lock:
            running = [str(n) for n, process in self._all.items() if process.ended is None]
            if len(running) >= MOST:
                raise CommandError(
                    f"{MOST} processes run already ({', '.join(running)}); stop_process ends one."
                )
            for number in [n for n in self._all if str(n) not in running][:-_KEPT]:
                del self._all[number]
            self._last += 1
            self._all[self._last] = _Process(self._begin, argv, self._output_bytes)
            return self._last

    @property
    def running(self) -> bool:
        """Does any of them go on?"""
        with self._lock:
            return any(process.ended is None for process in self._all.values())

    def read(self, number: int, *, wait_s: float, cancel: Cancel) -> Seen:
        """What came since the last read; where that is nothing, wait for something."""
        return self._found(number).read(wait_s, cancel)

    def stop(self, number: int, cancel: Cancel) -> Seen:
        """Ask it to end, kill it when it doesn't; what came since the last read."""
        process = self._found(number)
        process.stop(cancel)
        return process.read(0, cancel)

    def close(self) -> None:
        """Kill all of them; none is left then."""
        with self._lock:
            for process in self._all.values():
                process.kill()
            for process in self._all.values():
                process.wait(_KILL_S)

    def _found(self, number: int) -> "_Process":
        with self._lock:
            process = self._all.get(number)
            known = ", ".join(map(str, self._all)) or "none; start_process gives a number"
        if process is None:
            raise CommandError(f"There is no process {number}. There are: {known}.")
        return process


class _Process:
    """One of them, its output read by a thread of its own."""

    def __init__(self, begin: Begin, argv: Sequence[str], output_bytes: int) -> None:
        self._changed = Condition()
        self._ring = Ring()
        self._output_bytes = output_bytes
        self._ended: Ended | None = None
        self._source, sink = os.pipe()
        nothing = os.open(os.devnull, os.O_RDONLY)
        try:
            os.set_blocking(self._source, False)
            self._tree: Tree = begin(argv, nothing, sink, sink)
        except BaseException:
            os.close(self._source)
            raise
        finally:
            os.close(sink)
            os.close(nothing)
        Thread(target=self._follow, name="process", daemon=True).start()

    @property
    def ended(self) -> Ended | None:
        return self._ended

    def read(self, wait_s: float, cancel: Cancel) -> Seen:
        with self._told(cancel), self._changed:
            self._changed.wait_for(
                lambda: self._ring.total or self._ended or cancel.reason, timeout=wait_s
            )
            ring, self._ring = self._ring, Ring()
            return Seen(ring.held(), self._ended)

    def stop(self, cancel: Cancel) -> None:
        self._tree.terminate()
        with self._told(cancel), self._changed:
            self._changed.wait_for(lambda: self._ended or cancel.reason, timeout=_TERM_S)
        self._tree.kill()
        self.wait(_KILL_S)

    def kill(self) -> None:
        self._tree.kill()

    def wait(self, timeout_s: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._ended, timeout=timeout_s)

    @contextmanager
    def _told(self, cancel: Cancel) -> Iterator[None]:
        """Wake who waits when cancel is set."""

        def wake() -> None:
            with self._changed:
                self._changed.notify_all()

        with cancel.calling(wake):
            yield

    def _follow(self) -> None:
        """Read until it has ended, and then keep how."""
        why = self._pumped()
        ended = _how(self._tree.end)
        with self._changed:
            drain(self._source, self._ring, self._output_bytes)
            os.close(self._source)
            self._ended = Ended(ended.exit, why or ended.stopped)
            self._changed.notify_all()

    def _pumped(self) -> str:
        poll = select.poll()
        poll.register(self._source, select.POLLIN)
        poll.register(self._tree.over, select.POLLIN)
        over = self._tree.over
        while True:
            ready = {number for number, _ in poll.poll()}
            if self._source in ready:
                with self._changed:
                    if not take(self._source, self._ring):
                        poll.unregister(self._source)
                    self._changed.notify_all()
                    if self._ring.total > self._output_bytes:
                        return "output"
            if over in ready:
                return ""


def _how(end: Callable[[], Ended]) -> Ended:
    try:
        return end()
    except CommandError:  # it could not be ended: there is nobody here to tell
        return Ended(137, "stuck")
