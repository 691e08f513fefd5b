"""A cage as a person would have it, for the tests that look at one from outside."""

import os
import sys
from pathlib import Path

import pytest

from commands.cancel import Cancel
from commands.context import Cage, Finished
from commands.sandbox.bounds import Bounds, CageFault
from commands.sandbox.choose import Wanted, choose

SECRET = "sk-the-secret-that-nobody-may-see"
KINDS = pytest.mark.parametrize("kind", ["bubblewrap", "landlock", "none"])


def environment(home: Path) -> dict[str, str]:
    """A person's environment: a home of their own, this Python first on PATH, a key."""
    path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
    return {"HOME": str(home), "PATH": path, "OPENAI_API_KEY": SECRET, "TZ": "UTC"}


def cage(kind: Wanted, bounds: Bounds, home: Path) -> Cage:
    """The cage, or a skipped test where it can't be; in CI that is a failure."""
    try:
        return choose(kind, bounds, environment(home))
    except CageFault as fault:
        if "CI" in os.environ:
            raise
        pytest.skip(str(fault))


def needs(kind: Wanted, folder: Path) -> None:
    """The same for a test of the whole program; nothing is left in the folder."""
    cage(kind, Bounds(folder), folder).close()


def bash(cage: Cage, script: str, *, timeout_s: float = 30, cancel: Cancel | None = None) -> str:
    done = ended(cage, script, timeout_s=timeout_s, cancel=cancel)
    return (done.stdout + done.stderr).decode(errors="replace")


def ended(
    cage: Cage, script: str, *, timeout_s: float = 30, cancel: Cancel | None = None
) -> Finished:
    return cage.run(["bash", "-c", script], timeout_s=timeout_s, cancel=cancel or Cancel())
