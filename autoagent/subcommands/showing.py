"""A session from its journal: read, followed live, played again."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from autoagent import sessions
from autoagent.configuration.settings import Settings
from autoagent.events import Executed, Noticed, Refused, Replied, Stopped
from autoagent.journal import Entry, load
from autoagent.running import ResultFiles
from autoagent.sessions.following import followed
from autoagent.sessions.summary import ended, facts_of
from autoagent.sessions.tree import entries_of, folder_of
from autoagent.team.reports import reckoned
from autoagent.terminal.chorus import Chorus
from autoagent.terminal.escape import escaped
from autoagent.terminal.layout import told
from autoagent.terminal.output import Output
from autoagent.terminal.receipt import receipt, typed_name
from autoagent.terminal.telling import Telling

_LONGEST_PAUSE_S = 3.0
_DIED = 8


class _View(Protocol):
    def show(self, entry: Entry) -> None: ...

    def skip(self, entry: Entry) -> None: ...

    def close(self) -> None: ...


def show(settings: Settings, wanted: str, out: Output) -> int:
    """`autoagent sessions show [ID]`: all of it, from top to end."""
    found = sessions.find(settings.places.sessions, wanted, settings.workspace)
    view = _view(settings, found, out, alive=False)
    for entry in entries_of(found.folder):
        view.show(entry)
        if out.lost is not None:
            break
    view.close()
    return 0


def replay(
    settings: Settings,
    wanted: str,
    out: Output,
    speed: float,
    pause: Callable[[float], None],
) -> int:
    """`autoagent sessions replay [ID]`: as it was, so many times faster, no pause over 3 s."""
    found = sessions.find(settings.places.sessions, wanted, settings.workspace)
    view = _view(settings, found, out, alive=speed < float("inf"))
    entries = entries_of(found.folder)
    at = entries[0].at if entries else 0.0
    for entry in entries:
        wait_s = min(_LONGEST_PAUSE_S, (entry.at - at) / speed)
        at = entry.at
        if wait_s > 0:
            pause(wait_s)
        view.show(entry)
        if out.lost is not None:
            break
    view.close()
    return 0


def follow(settings: Settings, wanted: str, out: Output, *, tail: bool) -> int:
    """`autoagent sessions follow [ID]`: live, until the run ends; its exit code."""
    found = _running_one(settings, wanted)
    view = _view(settings, found, out, alive=True)
    try:
        _follow(found, view, out, tail=tail)
    except KeyboardInterrupt:
        out.write("")  # ends the passing line
        Output(sys.stderr).line("autoagent: No longer followed; the run goes on.")
        return 130
    view.close()
    loaded = load(found.journal)
    last = loaded.entries[-1].event if loaded.entries else None
    return last.exit_code if isinstance(last, Stopped) else _DIED


def _follow(found: sessions.Kept, view: _View, out: Output, *, tail: bool) -> None:
    first = True
    for entries in followed(found.folder):
        skipped = _before_last_step(entries) if tail and first else 0
        first = False
        for number, entry in enumerate(entries):
            (view.skip if number < skipped else view.show)(entry)
        if out.lost is not None:
            return


def _running_one(settings: Settings, wanted: str) -> sessions.Kept:
    """The session of that ID; without one the newest of this workspace that runs, or else the
    newest."""
    for each in sessions.kept(settings.places.sessions) if not wanted else ():
        here = each.started.workspace == str(settings.workspace)
        if here and sessions.holder_of(each.folder) is not None:
            return each
    return sessions.find(settings.places.sessions, wanted, settings.workspace)


def _before_last_step(entries: list[Entry]) -> int:
    """How many entries stand before the first of the last step that has its reply, of those of
    the session's own agent."""
    own = [(number, entry.event) for number, entry in enumerate(entries) if not entry.agent]
    replies = [event for _, event in own if isinstance(event, Replied | Refused)]
    if not replies:
        return 0
    last = replies[-1].step
    return next(number for number, event in own if getattr(event, "step", 0) == last)


def _view(settings: Settings, found: sessions.Kept, out: Output, *, alive: bool) -> _View:
    match settings.output_format:
        case "text":
            return _Text(found, out, whole=settings.verbose, alive=alive)
        case "stream-json":
            return _Lines(found, out, each=True)
        case "json":
            return _Lines(found, out, each=False)


class _Text:
    """For a person; ends with the receipt, or with what there is instead."""

    def __init__(self, found: sessions.Kept, out: Output, *, whole: bool, alive: bool) -> None:
        def telling(out: Output, agent: str) -> Telling:
            text = whole_results(folder_of(found.folder, agent)) if whole else None
            return Telling(out, text, alive=alive)

        self._chorus = Chorus(out, telling)
        self._found = found
        self._out = out
        self._network = False

    def show(self, entry: Entry) -> None:
        self._network |= _opens_network(entry)
        self._chorus.of(entry.agent).show(entry)

    def skip(self, entry: Entry) -> None:
        self._network |= _opens_network(entry)
        self._chorus.of(entry.agent).skip(entry)

    def close(self) -> None:
        out, found = self._out, self._found
        state = self._chorus.main.view.state
        states = {agent: each.view.state for agent, each in self._chorus.voices.items()}
        out.write("")  # ends the passing line
        if out.lost is not None:
            return
        if state.stopped is None and (who := sessions.holder_of(found.folder)) is not None:
            told(out, f"It runs, as process {who.pid}. To follow it:")
            out.line(f"  autoagent sessions follow {escaped(found.folder.name)}", "bold")
            return
        died = state.stopped is None
        if died:
            ended(state, running=False)
        assert state.stopped is not None
        whole = reckoned(state, states, running=False)
        program = typed_name(sys.argv[0])
        receipt(out, whole, found.journal, network=self._network, program=program)
        if not died:
            out.line(f"It ended with exit code {state.stopped.exit_code}.")


class _Lines:
    """For a program: each event as it stands on disk, or none of them, and at last one object."""

    def __init__(self, found: sessions.Kept, out: Output, *, each: bool) -> None:
        self._found = found
        self._out = out
        self._each = each

    def show(self, entry: Entry) -> None:
        if self._each:
            self._out.line(json.dumps(entry.to_dict()))

    def skip(self, entry: Entry) -> None:
        pass

    def close(self) -> None:
        running = sessions.holder_of(self._found.folder) is not None
        self._out.line(json.dumps(facts_of(self._found.folder, running=running)))


def result_of(folder: Path, step: int) -> str | None:
    """The whole text of that step's result in the agent's journal there; None: it has none."""
    for entry in reversed(load(folder / sessions.JOURNAL).entries):
        if isinstance(entry.event, Executed) and entry.event.step == step:
            return whole_results(folder)(entry.event)
    return None


def whole_results(folder: Path) -> Callable[[Executed], str]:
    """What gives the whole text of a result, by the folder of its agent's journal."""
    files = ResultFiles(folder / "results")

    def text(event: Executed) -> str:
        whole = None if event.whole is None else files.read(event.step)
        return event.text if whole is None else whole

    return text


def _opens_network(entry: Entry) -> bool:
    from commands.sandbox.choose import WHOLE_NETWORK

    event = entry.event
    return isinstance(event, Noticed) and event.topic == "place" and WHOLE_NETWORK in event.text
