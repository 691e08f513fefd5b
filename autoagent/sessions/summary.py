"""What a session came to: folded once from its whole journal, then kept beside it."""

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

from autoagent import __version__
from autoagent.errors import StateError
from autoagent.events import Stopped
from autoagent.journal import Entry, Journal, NewerVersion, first_of
from autoagent.sessions.folders import JOURNAL
from autoagent.sessions.holder import holder_of
from autoagent.sessions.tree import Tree
from autoagent.state import State
from autoagent.team.reports import reckoned, rows

_NAME = "summary.json"
STATUSES = (
    *("running", "done", "gave_up", "limit", "unreachable", "refused", "stuck", "interrupted"),
    *("error", "died", "damaged", "newer"),
)
"""Of a session on disk: how its last run ended, that it runs, or why that can't be said."""


@dataclass(frozen=True, slots=True)
class Summary:
    """One session. `facts` are what a program gets: the names of a run's result object, and
    workspace, started_at, last_at (seconds since 1970), journal_bytes."""

    session: str
    status: str
    goals: tuple[str, ...]
    steps: int
    cost: float | None  # US dollars; None: unknown
    last_at: float  # seconds since 1970
    workspace: str  # "" where even that can't be read
    fault: str  # why it can't be read
    facts: Mapping[str, Any]


def summary(folder: Path) -> Summary:
    """What that session came to, and whether it still runs.

    The figures are those of the run itself, which leaves them beside its journal; they count as
    long as that has this size and time. Where there are none, the whole journal is folded, once.
    """
    try:
        key = _key(folder / JOURNAL)
        facts = _kept(folder, key)
        if facts is None:
            # Asked first: what is written until somebody lets go of it is read then.
            who = holder_of(folder)
            facts = facts_of(folder, running=who is not None)
            if who is None:
                _keep(folder, key, facts)
    except NewerVersion as error:
        return _unread(folder, "newer", str(error))
    except (StateError, OSError) as error:
        return _unread(folder, "damaged", str(error))
    if facts["status"] == "died" and holder_of(folder) is not None:
        facts |= _ALIVE
    return Summary(
        session=facts["session"],
        status=facts["status"],
        goals=tuple(facts["goals"]),
        steps=facts["steps"],
        cost=facts["cost_usd"],
        last_at=facts["last_at"],
        workspace=facts["workspace"],
        fault="",
        facts=facts,
    )


_ALIVE = {"status": "running", "exit_code": None, "error": None, "resume": None}


def facts_of(folder: Path, *, running: bool) -> dict[str, Any]:
    """The session as one object; StateError when its journal has no beginning."""
    tree = Tree(folder)
    entries = tree.more()
    states = states_of(entries)
    state = states[""]
    if state.started is None:
        raise StateError("its journal has no readable beginning")
    unfinished = state.stopped is None
    if unfinished:
        ended(state, running=running)
    state = reckoned(state, states, running=unfinished and running)
    times = entries[0].at, max(entry.at for entry in entries)
    facts = _facts(state, tree.main.hash, times, tree.main.size_bytes)
    if unfinished and running:
        facts |= {**_ALIVE, "agents": [asdict(row) for row in rows(state, states, alive=True)]}
    elif unfinished:
        facts |= {"status": "died", "exit_code": None}
    return facts


def states_of(entries: Iterable[Entry]) -> dict[str, State]:
    """Where each agent of a session stands, by its name; "" is the session's own."""
    states = {"": State()}
    for entry in entries:
        states.setdefault(entry.agent, State()).apply(entry.event)
    return states


def note_end(state: State, journal: Journal) -> None:
    """Keep what a run came to that was folded as it went on, so that nobody has to again."""
    try:
        key = _key(journal.path)
        # Not if somebody went on with it already.
        if key[1] == journal.size_bytes:
            facts = _facts(state, journal.hash, _times(journal.path), journal.size_bytes)
            _keep(journal.path.parent, key, facts)
    except (OSError, ValueError, KeyError):
        return  # the next list folds it


def _facts(
    state: State, journal_hash: str, times: tuple[float, float], size: int
) -> dict[str, Any]:
    from autoagent.terminal.receipt import result_object

    assert state.started is not None
    return {
        **result_object(state, journal_hash),
        "type": "session",
        "workspace": state.started.workspace,
        "started_at": times[0],
        "last_at": times[1],
        "journal_bytes": size,
    }


def _times(path: Path) -> tuple[float, float]:
    """When the first and the last line of a journal were written."""
    with path.open("rb") as file:
        first = file.readline()
        step = 1 << 16
        end = file.seek(0, os.SEEK_END)
        tail = b""
        while tail.count(b"\n") < 2 and end > 0:
            begin = max(0, end - step)
            file.seek(begin)
            tail = file.read(end - begin) + tail
            end = begin
    last = tail.rstrip(b"\n").split(b"\n")[-1]
    return json.loads(first)["at"], json.loads(last.decode("utf-8", "surrogatepass"))["at"]


def _key(journal: Path) -> list[Any]:
    """By which a note counts: as long as the journal is as it was."""
    seen = journal.stat()
    return [__version__, seen.st_size, seen.st_mtime_ns, seen.st_ino]


def ended(state: State, *, running: bool) -> None:
    """Close a state that no Stopped closed. A call that nobody waits for any more stays paid."""
    assert state.started is not None
    stopped = Stopped(
        "interrupted",
        130,
        f"It ended without a word after step {state.step}: killed, or the machine went down.",
        go_on=f"autoagent --resume {state.started.session}",
        elapsed_s=state.spent.elapsed_s,
    )
    if running:
        state.stopped = stopped
    else:
        state.apply(stopped)


def _unread(folder: Path, status: str, fault: str) -> Summary:
    started = first_of(folder / JOURNAL)
    last_at = 0.0
    with suppress(OSError):
        last_at = (folder / JOURNAL).stat().st_mtime
    facts = {"type": "session", "session": folder.name, "status": status, "error": fault}
    goals = started.goals if started else ()
    workspace = started.workspace if started else ""
    return Summary(folder.name, status, goals, 0, None, last_at, workspace, fault, facts)


def _kept(folder: Path, key: list[Any]) -> dict[str, Any] | None:
    """What was noted of the journal as it is now; None: nothing."""
    try:
        noted = json.loads((folder / _NAME).read_bytes())
        facts: dict[str, Any] = noted["facts"]
        return facts if noted["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _keep(folder: Path, key: list[Any], facts: dict[str, Any]) -> None:
    """Only to be quicker the next time: where it can't be written, it isn't."""
    temporary = folder / f".{_NAME}-{token_hex(4)}"
    with suppress(OSError):
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(file, "w", encoding="ascii") as text:  # noqa: PTH123
            json.dump({"key": key, "facts": facts}, text)
        temporary.replace(folder / _NAME)
