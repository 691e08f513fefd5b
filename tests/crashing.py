"""Kills a run's process at each of its writes in turn and resumes it; run by test_crash.py.

    python -m tests.crashing FOLDER HOW FIRST STEP

Each run is a child of its own, forked so that nothing needs to be imported again. HOW is
"before" (of each call that changes the disk: write, fsync, rename, a transaction of the
memory's; after it is before the next one) or "within" (half of a write to the journal is
done). Children are killed at place FIRST, FIRST + STEP, … until one lives to its end. A line
of JSON for each tells what was shown, and what then stood in journal and workspace.
"""

import json
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from autoagent.event_json import to_dict
from autoagent.events import Event, Executed, Refused, Replied, Stopped
from autoagent.journal import load
from tests.runs import DONE, Mind, Run, bag_of_words, says

STEPS = (
    says("append_file", path="first", content="x\n"),
    says("execute_shell", command_line="echo x >> second; seq 400"),
    "no object",
    says("remember", text="The third is next."),
    says("append_file", path="third", content="x\n"),
)
FILES = ("first", "second", "third")
_WRITING = {"write", "pwrite", "fsync", "rename", "replace", "link", "ftruncate", "transaction"}
_TIMEOUT_S = 30


class Killer:
    """Ends its own process at the n-th call that changes a disk."""

    def __init__(self, place: int, how: str) -> None:
        self._left = place
        self.within = how == "within"

    def watch(self) -> None:
        if not self.within:
            sys.setprofile(self._seen)

    def _seen(self, frame: FrameType, event: str, function: Any) -> None:
        if event not in ("call", "c_call") or frame.f_code.co_filename == __file__:
            return
        name = function.__name__ if event == "c_call" else frame.f_code.co_name
        if name in _WRITING:
            self.count()

    def count(self) -> bool:
        self._left -= 1
        if self._left < 0 and not self.within:
            die()
        return self._left < 0

    def write(self, descriptor: int, data: bytes) -> int:
        """As a journal's disk: half of the data at the place, then the end."""
        if self.within and self.count():
            os.write(descriptor, data[: len(data) // 2])
            die()
        return os.write(descriptor, data)

    def fsync(self, descriptor: int) -> None:
        os.fsync(descriptor)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _run(folder: Path, answers: Sequence[str], killer: Killer | None) -> None:
    """Show each event on a file of its own as soon as it comes out of the run."""
    shown = os.open(folder / "shown", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    mind = Mind(answers, vector_of=bag_of_words)
    run = Run(folder, model=mind, window=8000, memory=True, disk=killer)
    if killer:
        killer.watch()
    for event in run:
        os.write(shown, json.dumps(to_dict(event)).encode() + b"\n")
    sys.setprofile(None)


def _forked(work: Callable[[], None]) -> bool:
    """Do it in a child; whether it lived."""
    child = os.fork()
    if child == 0:
        signal.alarm(_TIMEOUT_S)  # every wait has an end
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    if status not in (0, signal.SIGKILL):
        raise SystemExit(f"a child ended with status {status}")
    return status == 0


def _journaled(folder: Path) -> list[Event]:
    path = folder / "one" / "journal.jsonl"
    return [entry.event for entry in load(path).entries] if path.exists() else []


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def crashed(folder: Path, place: int, how: str) -> dict[str, Any]:
    """Kill a run at that place, resume it, and tell what is left of both."""
    folder.mkdir()
    lived = _forked(lambda: _run(folder, (*STEPS, DONE), Killer(place, how)))
    before = _journaled(folder)
    replies = sum(isinstance(event, Replied | Refused) for event in before)
    if not lived:
        _forked(lambda: _run(folder, (*STEPS[replies:], DONE, DONE), None))
    after = _journaled(folder)
    shown = (folder / "shown").read_bytes().splitlines() if (folder / "shown").exists() else []
    return {
        "place": place,
        "lived": lived,
        "kept": [to_dict(event) for event in after[: len(before)]] == list(map(to_dict, before)),
        "lost": [
            line.decode() for line in shown if json.loads(line) not in list(map(to_dict, after))
        ],
        "lines": {name: _lines(folder / "workspace" / name) for name in FILES},
        "interrupted": [
            e.step for e in after if isinstance(e, Executed) and e.note == "interrupted"
        ],
        "executed": [e.step for e in after if isinstance(e, Executed)],
        "status": after[-1].status if isinstance(after[-1], Stopped) else "",
    }


def main() -> None:
    folder, how, place, step = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    whole = folder / f"{how}-whole-{place}"
    whole.mkdir()
    _run(whole, (*STEPS, DONE), None)  # imports all that the children need
    while True:
        result = crashed(folder / f"{how}-{place}", place, how)
        print(json.dumps(result), flush=True)  # noqa: T201
        if result["lived"]:
            break
        place += step


if __name__ == "__main__":
    main()
