"""Sessions that were: journals written as a run writes them, at times that a test chooses."""

import os
from collections.abc import Sequence
from pathlib import Path

from autoagent.events import (
    Checkpointed,
    Event,
    Executed,
    Executing,
    Limits,
    Replied,
    Reserved,
    Started,
    Stopped,
)
from autoagent.journal import Entry, hash_of, line_of
from autoagent.model import Usage

LIMITS = Limits(steps=100, tokens=1_000_000, cost=3.0)


def started(session: str, workspace: str, goal: str = "Reach the goal.") -> Started:
    return Started(
        session=session,
        version="0",
        goals=(goal,),
        system="You are an agent.",
        opening=f"Goals\n1. {goal}",
        workspace=workspace,
        model="mind",
        base_url="",
        window=32_000,
        limits=LIMITS,
        interactive=False,
        price=None,
        cage="bubblewrap",
        memory="none",
        secret="5ec4e7",
    )


def step(
    number: int,
    *,
    cost: float | None = 0.01,
    text: str = "a result",
    name: str = "read_file",
    args: dict[str, str] | None = None,
    checkpoint: int | None = None,
) -> list[Event]:
    """The events of one step; with the number of the checkpoint before its command."""
    arguments = {"path": "a.txt"} if args is None else args
    kept = [] if checkpoint is None else [Checkpointed(number, "before", checkpoint)]
    return [
        Reserved(number, "step", 1000, 500, 0.05, elapsed_s=float(number)),
        Replied(
            number,
            raw="{}",
            thoughts=f"Thought {number}.",
            reasoning="Because.",
            plan=None,
            criticism="",
            name=name,
            args=dict(arguments),
            read_as="strict",
            usage=Usage(100, 10, cost=cost),
        ),
        *kept,
        Executing(number),
        Executed(number, name, "a.txt", True, False, "1 line", text, "workspace"),
    ]


DONE = Stopped("done", 0, "The answer.", elapsed_s=7.0)


def kept(
    home: Path,
    events: Sequence[Event],
    *,
    at: float = 1_790_000_000.0,
    pauses: Sequence[float] = (),
) -> Path:
    """The folder of the session that these events began; `pauses` are before each event but
    the first, 1 s where they end. The journal's time is that of its last event."""
    first = events[0]
    assert isinstance(first, Started)
    folder = home / "sessions" / first.session
    folder.mkdir(parents=True)
    lines: list[bytes] = []
    for number, event in enumerate(events):
        if number:
            at += pauses[number - 1] if number <= len(pauses) else 1.0
        lines.append(line_of(Entry(number, hash_of(lines[-1]) if lines else "", at, event)))
    journal = folder / "journal.jsonl"
    journal.write_bytes(b"".join(lines))
    os.utime(journal, (at, at))
    return folder
