"""A branch of a session: a new one that begins as another did, up to one of its steps."""

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from autoagent import sessions
from autoagent.assembling import Inputs
from autoagent.errors import ConfigError, StateError
from autoagent.events import (
    Aimed,
    Changed,
    Checkpointed,
    Event,
    Executed,
    Fed,
    Forked,
    Limited,
    Noticed,
    Refused,
    Reported,
    Started,
    Switched,
    Visited,
)
from autoagent.journal import Entry, hash_of, line_of, load
from autoagent.running import ResultFiles
from autoagent.session import Session
from autoagent.sessions.spans import tree_spans
from autoagent.starting import resume
from autoagent.state import State, fold
from commands.atomic import sync, synced


def fork(inputs: Inputs, found: sessions.Kept, step: int | None) -> Session:
    """A new session that goes on after that step of the other, or its last that is complete.

    The other may be running: its journal only grows. When the new one can't be begun,
    nothing is left of it.
    """
    entries = load(found.journal).entries
    kept = upto(entries, step, found.folder.name)
    before = fold([entry.event for entry in kept])
    _check(before, inputs)
    branch = begun(found, kept)
    try:
        return resume(inputs, branch, [_said(found.folder, before, entries)])
    except BaseException:
        shutil.rmtree(branch.folder, ignore_errors=True)
        raise


def upto(entries: Sequence[Entry], step: int | None, name: str) -> Sequence[Entry]:
    """The entries up to the end of that step, with what came of it and what the person said
    to it; None: of the last that is complete. ConfigError when there is no such step."""
    ends = {
        entry.event.step: number
        for number, entry in enumerate(entries)
        if isinstance(entry.event, Executed | Refused)
    }
    if not ends:
        raise ConfigError(f"Session {name} has made no step yet: start a new one with its goal.")
    last = max(ends)
    end = ends.get(last if step is None else step)
    if end is None:
        raise ConfigError(
            f"Session {name} has no step {step} that is complete; the last is {last}."
        )
    end += 1
    while end < len(entries) and _belongs(entries[end].event):
        end += 1
    return entries[:end]


def _belongs(event: Event) -> bool:
    """Whether an event after a step's result still is of that step."""
    match event:
        case Changed() | Limited() | Switched() | Aimed():
            return True
        case Checkpointed() | Fed() | Visited():
            return True
        case Noticed(topic=topic):
            return topic in ("place", "host", "undo")
        case _:
            return False


def _check(state: State, inputs: Inputs) -> None:
    """ConfigError for what can't be branched."""
    assert state.started is not None
    name = state.started.session
    if state.started.dry_run:
        raise ConfigError(
            f"Session {name} is a dry run, and a branch would need its copy of the workspace: "
            f"resume it, or bring its changes in first (autoagent apply {name}) and start anew."
        )
    last = state.past[-1] if state.past else None
    is_done = last is not None and (last.step, last.name, last.ok) == (state.step, "finish", True)
    if is_done and not inputs.settings.goals:
        raise ConfigError(
            f"Step {state.step} of session {name} ended it as done. Give the branch one goal more "
            f"(--fork {name} --goal '…'), or name an earlier step (--fork {name}@{state.step - 1})."
        )


def begun(found: sessions.Kept, kept: Sequence[Entry]) -> sessions.Kept:
    """A new session on disk that begins with these entries of another: the whole results
    that they name first, then the journal at once."""
    before = fold([entry.event for entry in kept])
    folder = sessions.new_folder(found.folder.parent)
    started = replace(found.started, session=folder.name)
    try:
        _copy_results(found.folder, folder, kept)
        forked = Forked(before.maker(before.step), before.step)
        _write(folder / sessions.JOURNAL, b"".join(_lines(kept, started, forked)))
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise StateError(f"{folder} can't be written: {error.strerror}.") from error
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return sessions.Kept(folder, started)


def _lines(kept: Sequence[Entry], started: Started, forked: Forked) -> Iterator[bytes]:
    """The journal's lines, chained anew: the first names the new session, the last the old."""
    first, *rest = kept
    last = Entry(len(kept), "", time.time(), forked)
    previous = ""
    for entry in (replace(first, event=started), *rest, last):
        line = line_of(replace(entry, previous=previous))
        previous = hash_of(line)
        yield line


def _copy_results(source: Path, target: Path, kept: Sequence[Entry]) -> None:
    """The whole results that these steps name, and step 0, which is standard input."""
    named = {e.event.step for e in kept if isinstance(e.event, Executed) and e.event.whole}
    given, taken = (ResultFiles(folder / "results") for folder in (source, target))
    for step in (0, *sorted(named)):
        text = given.read(step)
        if text is not None:
            taken.write(step, text)
    for entry in kept:
        if isinstance(entry.event, Reported) and entry.event.whole:
            taken.write(0, given.read(0, entry.event.name) or "", entry.event.name)


def _write(path: Path, data: bytes) -> None:
    """All of it under its name, on disk, or nothing."""
    new = path.with_name(f"{path.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123
        file.write(data)
        file.flush()
        synced(descriptor)
    new.rename(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    sync(folder)
    os.close(folder)


def _said(folder: Path, before: State, entries: Sequence[Entry]) -> str:
    """What a person must know of a branch: the files are not those of that step, and whoever
    was at work is left behind."""
    name, step = folder.name, before.step
    left = [member for member, each in before.team.members.items() if each.open]
    spans = tree_spans(folder, fold([entry.event for entry in entries]))
    text = f"A branch of session {name} after step {step}; the files stay as they are now."
    if left:
        text += f" Sub-agents at work then don't go on in it: {', '.join(left)}."
    if any(span.step > step for span in spans):
        text += f" As they were then: autoagent undo {name} --to {step}"
    return text
