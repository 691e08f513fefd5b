"""A sub-agent's thread: whatever becomes of it, its agent is told and goes on."""

import threading
import time
from pathlib import Path

from autoagent.events import Limits
from autoagent.state import State
from autoagent.team.events import Spawned
from autoagent.team.link import Link
from autoagent.team.purse import Purse
from autoagent.team.slots import Slots
from autoagent.team.worker import Worker


def test_where_no_thread_can_be_had_the_sub_agent_failed_and_nobody_waits_for_it(
    tmp_path: Path,
) -> None:
    """A container's limit of processes is reached when many work, not when the run begins."""
    spawned = Spawned(1, "a", "a", "", "", Limits(1, 1))
    state = State()
    own = (spawned, "a", tmp_path, state, Purse(state), Link(), Slots(1), str)
    worker = Worker(*own)
    rung: list[bool] = []
    before = threading.stack_size(1 << 46)  # more than there is

    try:
        worker.start(lambda _: None, lambda: rung.append(True))
    finally:
        threading.stack_size(before)

    assert worker.join(time.monotonic() + 10)
    assert worker.ended
    assert worker.fault == "No thread can be had for it: can't start new thread."
    assert rung == [True]
