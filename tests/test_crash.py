"""kill -9 at each write of a run: nothing shown is lost, and nothing runs twice."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """In memory where there is such a place: it is processes that die here, not machines."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with TemporaryDirectory(dir=memory) as name:
        yield Path(name)


@pytest.mark.parametrize("how", ["before", "within"])
def test_a_run_that_is_killed_at_any_write_loses_nothing_and_repeats_nothing(
    folder: Path, how: str
) -> None:
    """Laws 1 and 2, at every place where the disk changes: journal, results, memory and the
    workspace itself. Two harnesses share the places; each run is resumed in a second process."""
    command = [sys.executable, "-m", "tests.crashing", str(folder), how]
    halves = [
        subprocess.Popen([*command, f"{first}", "2"], cwd=ROOT, stdout=subprocess.PIPE)
        for first in (0, 1)
    ]

    try:
        outcomes = [half.communicate(timeout=120)[0] for half in halves]
    finally:
        for half in halves:
            half.kill()
            half.communicate()

    assert [half.returncode for half in halves] == [0, 0]
    found = [json.loads(line) for output in outcomes for line in output.splitlines()]
    assert len(found) > 20  # appends alone: a step has three
    assert sum(each["lived"] for each in found) == 2
    for each in found:
        _check(each)
    if how != "within":
        assert any(each["interrupted"] for each in found)


def _check(crash: dict[str, Any]) -> None:
    """What holds after any crash and its resume."""
    assert crash["kept"], crash
    assert crash["lost"] == [], crash
    assert crash["status"] == "done", crash
    assert sorted(set(crash["executed"])) == crash["executed"], crash
    # Steps in which each file is appended to; the third reply is refused and has no command.
    for name, step in {"first": 1, "second": 2, "third": 5}.items():
        allowed = (0, 1) if step in crash["interrupted"] else (1,)
        assert crash["lines"][name] in allowed, crash
