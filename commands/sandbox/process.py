"""A running tree of processes followed to its end: input, output, time, cancel."""

import os
import selectors
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Lock
from typing import IO

from commands.cancel import Cancel
from commands.context import Finished
from commands.sandbox.ring import Ring

CEILING_BYTES = 64 << 20  # of output, both streams together
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class Tree:
    """A started program with all that it starts.

    `over` is a descriptor that becomes readable when the program itself has ended. `end`
    kills what is left of the tree, returns when nothing is, and may be called twice.
    """

    leader: subprocess.Popen[bytes]
    over: int
    end: Callable[[], None]


def not_started() -> Finished:
    """What a command comes to when it was cancelled before it began."""
    return Finished(exit=130, stdout=b"", stderr=b"", seconds=0.0, stopped="cancel")


def follow(
    tree: Tree,
    *,
    stdin: bytes,
    timeout_s: float,
    cancel: Cancel,
    ceiling_bytes: int = CEILING_BYTES,
) -> Finished:
    """Feed and read a tree until its program ends or is stopped; nothing of it is left then."""
    began = time.monotonic()
    leader = tree.leader
    streams = {stream: Ring() for stream in (leader.stdout, leader.stderr) if stream}
    try:
        with _waking(cancel) as wake:
            deadline = began + timeout_s
            stopped = _pump(tree, streams, stdin, wake, deadline, ceiling_bytes)
    finally:
        tree.end()
        if leader.stdin:
            with suppress(BrokenPipeError):
                leader.stdin.close()
    for stream, ring in streams.items():
        _drain(stream, ring, ceiling_bytes)
        stream.close()
    out, err = (ring.held() for ring in streams.values())
    status = leader.returncode
    exit_status = 128 - status if status < 0 else status
    return Finished(exit_status, out, err, time.monotonic() - began, stopped)


def _pump(
    tree: Tree,
    streams: dict[IO[bytes], Ring],
    stdin: bytes,
    wake: int,
    deadline: float,
    ceiling_bytes: int,
) -> str:
    """Move bytes until the program is over; the reason when it has to be stopped instead."""
    with selectors.DefaultSelector() as selector:
        for stream in streams:
            os.set_blocking(stream.fileno(), False)
            selector.register(stream, selectors.EVENT_READ)
        if tree.leader.stdin:
            os.set_blocking(tree.leader.stdin.fileno(), False)
            selector.register(tree.leader.stdin, selectors.EVENT_WRITE)
        selector.register(tree.over, selectors.EVENT_READ)
        selector.register(wake, selectors.EVENT_READ)
        left = memoryview(stdin)
        while True:
            ready = {key.fileobj for key, _ in selector.select(deadline - time.monotonic())}
            for stream in streams.keys() & ready:
                if not _read(stream, streams[stream]):
                    selector.unregister(stream)
            if tree.leader.stdin in ready:
                left = left[_written(tree.leader.stdin, left) :]
                if not left:
                    selector.unregister(tree.leader.stdin)
                    tree.leader.stdin.close()
            if tree.over in ready:
                return ""
            if wake in ready:
                return "cancel"
            if sum(ring.total for ring in streams.values()) > ceiling_bytes:
                return "output"
            if time.monotonic() >= deadline:
                return "time"


def _read(stream: IO[bytes], ring: Ring) -> int:
    """Take what is there; 0 at the end."""
    data = os.read(stream.fileno(), _CHUNK)
    ring.take(data)
    return len(data)


def _written(stream: IO[bytes], data: memoryview) -> int:
    """How many bytes went in; all of them when nobody reads any more."""
    try:
        return os.write(stream.fileno(), data[:_CHUNK])
    except BrokenPipeError:
        return len(data)


def _drain(stream: IO[bytes], ring: Ring, ceiling_bytes: int) -> None:
    """Take what is still in a pipe; one that a stranger holds open is left as it is."""
    os.set_blocking(stream.fileno(), False)
    with suppress(BlockingIOError):
        while ring.total <= ceiling_bytes and _read(stream, ring):
            pass


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
