"""What a process that goes on leaves behind after the last command."""

import os
import select
from pathlib import Path

from autoagent.events import Executed, Noticed, Stopped
from tests.runs import Run, says

_PLANT = (
    "until test -e go; do sleep 0.02; done; "
    "mkdir .vscode; echo {} > .vscode/tasks.json; echo > planted; sleep 1000"
)


def test_what_a_lasting_process_plants_last_is_told_before_the_run_stops(tmp_path: Path) -> None:
    """Nothing looks after the last command any more; the person must hear of it all the same."""
    run = Run(
        tmp_path,
        says("start_process", command_line=_PLANT),
        says("write_file", path="go", content=""),
        says("finish", answer="done"),
    )

    os.mkfifo(run.workspace / "planted")
    planted = os.open(run.workspace / "planted", os.O_RDONLY | os.O_NONBLOCK)

    events = []
    for event in run:
        events.append(event)
        if isinstance(event, Executed) and event.name == "write_file":
            assert select.select([planted], [], [], 20)[0]
    os.close(planted)

    told = [e.text for e in events if isinstance(e, Noticed) and ".vscode" in e.text]
    assert len(told) == 1
    assert not (run.workspace / ".vscode").exists()
    assert isinstance(events[-1], Stopped)
