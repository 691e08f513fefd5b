"""The subcommands tell and stop: a word to a running session, and its end in order."""

import os
import select
import sys
from collections.abc import Iterator
from pathlib import Path

from autoagent import sessions
from autoagent.configuration.settings import Settings
from autoagent.configuration.values import printable
from autoagent.errors import ConfigError, StateError
from autoagent.inbox import INBOX, LARGEST, Inbox
from autoagent.journal import load
from autoagent.sessions import holder
from autoagent.sessions.holder import Holder, holder_of
from autoagent.state import State, fold
from autoagent.terminal.escape import escaped, one_line
from autoagent.terminal.output import Output

_END_S = 30.0
_SILENCE_S = 300.0
_ROOM = 2  # of a window of so many tokens: bytes, about an eighth of it


def tell(settings: Settings, wanted: str, text: str, out: Output) -> int:
    """`autoagent tell ID TEXT`; `-` reads the text from standard input. The exit code."""
    found = _found(settings, wanted)
    state = _state(found)
    _refuse_done(state)
    message = _standard_input() if text == "-" else printable(text)
    if not message.strip():
        raise ConfigError("The message is empty; say what the agent shall know.")
    Inbox(found.folder / INBOX).put(message, state.window // _ROOM)
    # It may have ended meanwhile: then there is no next prompt.
    if holder_of(found.folder) is not None and _state(found).stopped is None:
        out.line("Told: the agent reads it with its next prompt.")
        return 0
    out.line("Kept: nobody works on that session now; the agent reads it when it goes on:")
    out.line(f"  {escaped(_going_on(_state(found)))}", "bold")
    return 0


def stop(settings: Settings, wanted: str, out: Output) -> int:
    """`autoagent stop ID`: ask it to end, as SIGTERM does, and wait for that. The exit code."""
    if not wanted:
        return _name_running(settings, out)
    try:
        found = _found(settings, wanted)
    except ConfigError as error:
        nobody = "" if any(_running(settings)) else "No session is running. "
        raise ConfigError(f"{nobody}{error}") from None
    held, state = holder_of(found.folder), _state(found)
    name = found.folder.name
    if held is not None and state.stopped is not None:
        raise StateError(
            f"Session {name} has ended, and process {held.pid or 'unknown'} is at work on it: an "
            "undo, or it is just being resumed. It was left alone; try again in a moment."
        )
    if held is None:
        out.line(f"Session {escaped(name)} isn't running.")
    else:
        out.line(f"Session {escaped(name)} is asked to end (process {held.pid}).")
        _end(found.folder, held)
        state = _state(found)
        status = state.stopped.status if state.stopped else "in the middle"
        out.line(f"It has ended: {status}.")
    out.line("To go on:")
    out.line(f"  {escaped(_going_on(state))}", "bold")
    return 0


def _end(folder: Path, held: Holder) -> None:
    if not holder.end(folder, held, _END_S):
        raise StateError(
            f"Process {held.pid} still works on session {folder.name} after {_END_S:.0f} s. What "
            f"ends it for certain: kill -9 {held.pid}. Nothing that was shown is lost by that."
        )


def _name_running(settings: Settings, out: Output) -> int:
    """Without an ID: which there are to choose from."""
    running = list(_running(settings))
    if not running:
        out.line("No session is running.")
        return 0
    goals = (
        f"{each.folder.name} ({one_line('; '.join(each.started.goals), 60)})" for each in running
    )
    raise ConfigError(f"Say which session: autoagent stop ID. Running: {', '.join(goals)}.")


def _running(settings: Settings) -> Iterator[sessions.Kept]:
    return (
        each
        for each in sessions.kept(settings.places.sessions)
        if holder_of(each.folder) is not None
    )


def _found(settings: Settings, wanted: str) -> sessions.Kept:
    if not wanted:
        raise ConfigError("Say which session: autoagent sessions list")
    return sessions.find(settings.places.sessions, wanted, settings.workspace)


def _state(found: sessions.Kept) -> State:
    """As its journal has it at this moment; a line that is being written is left out."""
    return fold([entry.event for entry in load(found.journal).entries])


def _refuse_done(state: State) -> None:
    if state.stopped is not None and state.stopped.status == "done":
        raise ConfigError(
            "That session is done, so nobody would read it. Give it one goal more: "
            f"{_resumed(state)} --goal '…'"
        )


def _going_on(state: State) -> str:
    """The command line that goes on from where it ended."""
    return (state.stopped.go_on if state.stopped else "") or _resumed(state)


def _resumed(state: State) -> str:
    assert state.started is not None
    return f"autoagent --resume {state.started.session}"


def _standard_input() -> str:
    """All of it, as far as a message may be long; ConfigError when it stays open and silent."""
    if sys.stdin is None:
        raise ConfigError("Standard input is closed, so `-` has nothing to read.")
    data = b""
    while len(data) <= LARGEST:
        if not select.select([0], [], [], _SILENCE_S)[0]:
            raise ConfigError(
                f"Standard input stayed open and silent for {_SILENCE_S:.0f} s; `-` reads it to "
                "its end: close it, or give the text as an argument."
            )
        chunk = os.read(0, 65536)
        if not chunk:
            break
        data += chunk
    return data.decode("utf-8", "replace").strip("\n")
