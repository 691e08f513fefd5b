"""Calls on the background loop can be cut, and leave nothing that holds the process."""

import asyncio
import subprocess
import sys
from concurrent.futures import CancelledError
from pathlib import Path
from threading import Event, Thread

import pytest

from commands.background import Background
from commands.cancel import Cancel


async def nothing() -> None:
    """The last thing that a closed loop does, when there is nothing to do."""


def test_work_gives_its_outcome_or_raises_its_fault() -> None:
    """A caller sees what it would see without a thread between."""
    background = Background()

    async def divide(by: int) -> float:
        return 1 / by

    assert background.run(divide(2), Cancel(), 10) == 0.5
    with pytest.raises(ZeroDivisionError):
        background.run(divide(0), Cancel(), 10)
    background.close(nothing)


def test_work_is_cut_by_cancel_and_by_time_and_is_told_so() -> None:
    """The coroutine's own clean-up runs: connections are closed in it."""
    background = Background()
    cleaned = [Event(), Event()]

    async def wait(number: int, begun: Event) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cleaned[number].set()

    begun, cancel = Event(), Cancel()
    setter = Thread(target=lambda: cancel.set("time") if begun.wait(10) else None)
    setter.start()
    with pytest.raises(CancelledError):
        background.run(wait(0, begun), cancel, 10)
    with pytest.raises(TimeoutError):
        background.run(wait(1, Event()), Cancel(), 0.05)

    assert cleaned[0].wait(10)
    assert cleaned[1].wait(10)
    setter.join()
    background.close(nothing)


def test_closing_cuts_what_still_runs() -> None:
    """Leaving a session leaves nothing running, not even a thread that waits for a call."""
    background = Background()
    begun, ended = Event(), Event()

    async def wait() -> None:
        begun.set()
        await asyncio.Event().wait()

    def call() -> None:
        with pytest.raises(CancelledError):
            background.run(wait(), Cancel(), 30)
        ended.set()

    caller = Thread(target=call)
    caller.start()
    assert begun.wait(10)
    background.close(nothing)

    assert ended.wait(10)
    caller.join()


def test_a_resolver_that_hangs_does_not_hold_the_process() -> None:
    """Law 9: after Cancel the program ends within seconds; a pool's threads would be joined."""
    code = """
import asyncio, threading
from commands.background import Background
from commands.cancel import Cancel
async def resolve():
    await asyncio.get_running_loop().run_in_executor(None, threading.Event().wait)
try:
    Background().run(resolve(), Cancel(), 0.1)
except TimeoutError:
    print("cut", flush=True)
"""
    root = Path(__file__).parents[1]

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=30
    )

    assert (done.stdout, done.stderr) == ("cut\n", "")
