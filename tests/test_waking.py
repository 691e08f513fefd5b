"""The bell that wakes an agent: whoever rings it may come when nobody listens any more."""

import os
from pathlib import Path

from autoagent.team.bell import Bell


def test_a_bell_that_is_closed_writes_into_nobody_elses_file(tmp_path: Path) -> None:
    """Its descriptors' numbers go to whatever is opened next: a journal, a file of the user's."""
    bell = Bell()
    bell.ring()
    bell.close()
    opened = [os.open(tmp_path / str(n), os.O_WRONLY | os.O_CREAT) for n in range(8)]

    bell.ring()

    for descriptor in opened:
        os.close(descriptor)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b""] * 8
