"""Python in a process of its own, for work on foreign data that a thread couldn't stop."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Timer

from commands.cancel import Cancel


@contextmanager
def python_apart(
    *argv: str, timeout_s: float, cancel: Cancel
) -> Iterator["subprocess.Popen[bytes]"]:
    """Such a process with pipes, killed on cancel, after timeout_s, and when the block ends.

    A kill shows as the end of its output or a BrokenPipeError. It sees no variable, no module
    of ours and none that was installed.
    """
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    process = subprocess.Popen(  # noqa: S603 (our own program, no shell)
        [sys.executable, "-I", "-S", *argv],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env=kept,
        start_new_session=True,
    )
    timer = Timer(timeout_s, process.kill)
    timer.daemon = True
    try:
        timer.start()
        with cancel.calling(process.kill):
            yield process
    finally:
        timer.cancel()
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):  # what was left in it for a process that is gone
                pipe and pipe.close()
