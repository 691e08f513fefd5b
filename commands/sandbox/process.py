"""A tree of processes followed to its end: input, output, time, cancel."""

import os
import selectors
import time
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from io import FileIO
from threading import Lock
from typing import Protocol

from commands.cancel import Cancel
from commands.context import Finished
from commands.sandbox.ring import Ring

KILLED = 137
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class Ended:
    """How a tree ended: the program's exit status, and why if not by itself.

    `stopped` is "processes", "memory", or "cage" when the cage ended with all that was in it.
    """

    exit: int
    stopped: str = ""


class Tree(Protocol):
    """A started program with all that it starts. Any thread may call any of this."""

    @property
    def over(self) -> int:
        """A descriptor that becomes readable when the program has ended; open until `end`."""
        ...

    def terminate(self) -> None:
        """Ask everything in it to end."""
        ...

    def kill(self) -> None:
        """Have everything in it killed, without waiting for it."""
        ...

    def end(self) -> Ended:
        """Kill what is left and return when nothing is; again, it says the same."""
        ...


Begin = Callable[[Sequence[str], int, int, int], Tree]
"""Starts a program with these descriptors for its input, output and error output."""


def not_started() -> Finished:
    """What a command comes to when it was cancelled before it began."""
    return Finished(exit=130, stdout=b"", stderr=b"", seconds=0.0, stopped="cancel")


def follow(
    begin: Begin,
    argv: Sequence[str],
    *,
    stdin: bytes,
    timeout_s: float,
    cancel: Cancel,
    ceiling_bytes: int,
    hear: Callable[[str], None] | None = None,
) -> Finished:
    """Run argv until it ends or is stopped; nothing of its tree is left then."""
    began = time.monotonic()
    with ExitStack() as stack:
        flow, tree = _started(begin, argv, stdin, ceiling_bytes, stack, hear)
        try:
            with _waking(cancel) as wake:
                stopped = flow.pump(tree.over, wake, began + timeout_s)
        finally:
            ended = tree.end()
        flow.drain()
        out, err = (ring.held() for ring in flow.rings.values())
    seconds = time.monotonic() - began
    return Finished(ended.exit, out, err, seconds, stopped or ended.stopped)


def _started(
    begin: Begin,
    argv: Sequence[str],
    stdin: bytes,
    ceiling_bytes: int,
    stack: ExitStack,
    hear: Callable[[str], None] | None,
) -> tuple["_Flow", Tree]:
    """The program with pipes; our ends are closed with the stack, its own at once."""
    with ExitStack() as its:
        sink: FileIO | None = None
        if stdin:
            source, writer = os.pipe()
            sink = stack.enter_context(FileIO(writer, "w"))
            os.set_blocking(writer, False)
        else:
            source = os.open(os.devnull, os.O_RDONLY)
        its.callback(os.close, source)
        out, err = (_outlet(stack, its) for _ in range(2))
        rings = {end[0]: Ring() if hear is None else _Heard(hear) for end in (out, err)}
        flow = _Flow(sink, memoryview(stdin), rings, ceiling_bytes)
        return flow, begin(argv, source, out[1], err[1])


def _outlet(ours: ExitStack, theirs: ExitStack) -> tuple[int, int]:
    """A new pipe whose reading end doesn't block."""
    reader, writer = os.pipe()
    ours.callback(os.close, reader)
    theirs.callback(os.close, writer)
    os.set_blocking(reader, False)
    return reader, writer


class _Heard(Ring):
    """A ring that lets somebody hear what it takes.

    Each output is decoded by itself: a character may come in two pieces, with something of the
    other output between them.
    """

    def __init__(self, hear: Callable[[str], None]) -> None:
        super().__init__()
        self._hear = hear
        self._decoder = getincrementaldecoder("utf-8")("replace")

    def take(self, data: bytes) -> None:
        super().take(data)
        text = self._decoder.decode(data, final=not data)
        if text:
            self._hear(text)


@dataclass(slots=True)
class _Flow:
    """Bytes on their way in and out; the descriptors don't block."""

    sink: FileIO | None
    left: memoryview
    rings: dict[int, Ring]  # output and error output
    ceiling_bytes: int
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)

    def pump(self, over: int, wake: int, deadline: float) -> str:
        """Move bytes until the program is over; the reason when it has to be stopped instead."""
        with self._selector as selector:
            for source in (*self.rings, over, wake):
                selector.register(source, selectors.EVENT_READ)
            if self.sink is not None:
                selector.register(self.sink, selectors.EVENT_WRITE)
            while True:
                ready = {key.fd for key, _ in selector.select(deadline - time.monotonic())}
                self._move(ready)
                if over in ready:
                    return ""
                if wake in ready:
                    return "cancel"
                if sum(ring.total for ring in self.rings.values()) > self.ceiling_bytes:
                    return "output"
                if time.monotonic() >= deadline:
                    return "time"

    def _move(self, ready: set[int]) -> None:
        for source in self.rings.keys() & ready:
            if not take(source, self.rings[source]):
                self._selector.unregister(source)
        if self.sink is not None and self.sink.fileno() in ready:
            self.left = self.left[_written(self.sink.fileno(), self.left) :]
            if not self.left:
                self._selector.unregister(self.sink)
                self.sink.close()
                self.sink = None

    def drain(self) -> None:
        """Take what is still in the pipes; one that a stranger holds open is left as it is."""
        for source, ring in self.rings.items():
            drain(source, ring, self.ceiling_bytes)


def take(source: int, ring: Ring) -> int:
    """Move what is there into the ring; 0 at the end."""
    data = os.read(source, _CHUNK)
    ring.take(data)
    return len(data)


def drain(source: int, ring: Ring, ceiling_bytes: int) -> None:
    """Move all that is there, the descriptor doesn't block, up to a ceiling."""
    with suppress(BlockingIOError):
        while ring.total <= ceiling_bytes and take(source, ring):
            pass


def _written(sink: int, data: memoryview) -> int:
    """How many bytes went in; all of them when nobody reads any more."""
    try:
        return os.write(sink, data[:_CHUNK])
    except BrokenPipeError:
        return len(data)


@contextmanager
def _waking(cancel: Cancel) -> Iterator[int]:
    """A descriptor that becomes readable when cancel is set."""
    reader, writer = os.pipe()
    lock = Lock()
    is_open = True

    def wake() -> None:
        # The setter may be late: by then the number may belong to somebody else's file.
        with lock:
            if is_open:
                os.write(writer, b"x")

    try:
        with cancel.calling(wake):
            yield reader
    finally:
        with lock:
            is_open = False
            os.close(reader)
            os.close(writer)
