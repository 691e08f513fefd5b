"""The subcommand sessions: what was run and what runs, and how it leaves."""

import argparse
import json
import re
import time
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from autoagent import sessions
from autoagent.amounts import money
from autoagent.configuration.settings import Settings
from autoagent.configuration.usage import CAGE, SETTINGS
from autoagent.errors import ConfigError, StateError
from autoagent.events import Started
from autoagent.journal import first_of
from autoagent.sessions.folders import folders
from autoagent.sessions.summary import STATUSES, Summary, summary
from autoagent.sizes import spelled, taken
from autoagent.terminal.escape import escaped, one_line
from autoagent.terminal.layout import told
from autoagent.terminal.output import Output, Style

if TYPE_CHECKING:
    from autoagent.sessions.removal import Freed

_GOES_WITH: Mapping[str, str] = {
    "status": "list",
    "since": "list",
    "tail": "follow",
    "speed": "replay",
    "at_once": "replay",
    "run": "replay",
    "into": "replay",
    "copy": "replay",
    "format": "export",
    "output": "export",
    "dry_run": "prune",
}
_UNITS_S = {"m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_STYLES: Mapping[str, Style] = {
    "running": "green",
    "died": "red",
    "damaged": "red",
    "error": "red",
    "unreachable": "red",
}
_LEAST_GOAL = 24  # columns
_LONGEST_GOAL = 200


def run(
    given: argparse.Namespace, settings: Settings, environ: Mapping[str, str], out: Output
) -> int:
    """`autoagent sessions ACTION …`: the exit code."""
    action, *words = given.words
    for key, wanted in _GOES_WITH.items():
        if getattr(given, key, None) is not None and action != wanted:
            flag = f"--{key.replace('_', '-')}"
            raise ConfigError(f"{flag} goes with `sessions {wanted}`, not with {action}.")
    if given.output_format is not None and action in ("export", "delete", "prune"):
        other = "; for export there is --format" if action == "export" else ""
        raise ConfigError(
            f"--output-format goes with list, show, follow and replay, not with {action}{other}."
        )
    session = words[0] if words else ""
    _check_rerun(given)
    match action:
        case "list":
            return _list(given, settings, out)
        case "delete":
            return _delete(settings, words, out)
        case "prune":
            return _prune(settings, out, preview=bool(given.dry_run))
        case "export":
            from autoagent.subcommands.exporting import export

            return export(settings, session, given.format, given.output, out)
    from autoagent.subcommands import showing

    match action:
        case "follow":
            return showing.follow(settings, session, out, tail=bool(given.tail))
        case "replay" if given.run:
            from autoagent.subcommands.rerunning import rerun

            return rerun(settings, environ, session, given.into, out, copy=bool(given.copy))
        case "replay":
            return showing.replay(settings, session, out, _speed(given), time.sleep)
    return showing.show(settings, session, out)


def _check_rerun(given: argparse.Namespace) -> None:
    """What belongs to commands that run says nothing where none do."""
    wanted = ("into", "copy", *sorted(CAGE - SETTINGS))
    odd = [key for key in wanted if getattr(given, key) is not None]
    if odd and not given.run:
        raise ConfigError(f"--{odd[0].replace('_', '-')} goes with `sessions replay --run`.")


def _speed(given: argparse.Namespace) -> float:
    """How many times faster than it was; infinite for --at-once."""
    if given.at_once:
        return float("inf")
    try:
        speed = float(given.speed or 1)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise ConfigError(f"--speed: {given.speed!r:.80} isn't a number above 0, like 4 or 0.5.")
    return speed


# The list.


def _list(given: argparse.Namespace, settings: Settings, out: Output) -> int:
    found = _chosen(given, settings)
    match settings.output_format:
        case "text":
            some = False
            for each in found:
                some = True
                out.line(_line(each, settings.workspace, out), _STYLES.get(each.status))
            if not some:
                out.line(_none(given, settings))
        case "stream-json":
            for each in found:
                out.line(json.dumps(each.facts))
        case "json":
            out.line(json.dumps([each.facts for each in found]))
    return 0


def _chosen(given: argparse.Namespace, settings: Settings) -> Iterator[Summary]:
    """The sessions that the filters let through, the newest first."""
    wanted = _status(given.status)
    since = None if given.since is None else time.time() - _seconds(given.since)
    here = str(settings.workspace) if given.workspace is not None else None
    for folder in folders(settings.places.sessions):
        each = summary(folder)
        if not folder.exists():
            continue  # removed meanwhile
        if (
            wanted in (None, each.status)
            and (since is None or each.last_at >= since)
            and here in (None, each.workspace or here)
        ):
            yield each


def _none(given: argparse.Namespace, settings: Settings) -> str:
    filters = (given.status, given.since, given.workspace)
    if filters == (None, None, None) or not folders(settings.places.sessions):
        return "No session yet."
    return "No session fits; all of them: autoagent sessions list"


def _status(word: str | None) -> str | None:
    if word is None:
        return None
    name = word.strip().lower().replace(" ", "_").replace("-", "_")
    if name not in STATUSES:
        near = get_close_matches(name, STATUSES, 1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise ConfigError(f"--status: {word!r:.80} isn't one of {', '.join(STATUSES)}.{hint}")
    return name


def _seconds(text: str) -> float:
    parts = re.fullmatch(r"([0-9]{1,6})([mhdw])", text)
    if parts is None:
        raise ConfigError(f"--since: {text!r:.80} isn't a time like 90m, 12h, 7d or 4w.")
    return int(parts[1]) * _UNITS_S[parts[2]]


def _line(each: Summary, workspace: Path, out: Output) -> str:
    age = _age(time.time() - each.last_at)
    if each.fault:
        return f"{each.session}  {each.status:<11} {age:>6}  {one_line(each.fault, 400)}"
    cost = "$?" if each.cost is None else money(each.cost)
    steps = f"{each.steps} step{'s' if each.steps != 1 else ' '}"
    head = f"{each.session}  {each.status:<11} {steps:>9} {cost:>8} {age:>6}  "
    elsewhere = each.workspace != str(workspace)
    agents = len(each.facts.get("agents", ()))
    place = f"  ({agents} agent{'s' if agents > 1 else ''})" if agents else ""
    place += f"  ({escaped(each.workspace)})" if elsewhere else ""
    room = out.width - 1 - len(head) - len(place) if out.is_terminal else _LONGEST_GOAL
    return head + one_line("; ".join(each.goals), max(_LEAST_GOAL, room)) + place


def _age(seconds: float) -> str:
    """ "5 min", "3 h", "12 d"."""
    if seconds < 3600:
        return f"{max(0, int(seconds / 60))} min"
    return f"{int(seconds / 3600)} h" if seconds < 172_800 else f"{int(seconds / 86_400)} d"


# How sessions leave.


def _delete(settings: Settings, words: list[str], out: Output) -> int:
    from autoagent.sessions import removal

    places = settings.places
    meant = [sessions.named(places.sessions, word) for word in dict.fromkeys(words)]
    for folder in meant:
        if (who := sessions.holder_of(folder)) is not None:
            raise StateError(
                f"Session {folder.name} runs, as process {who.pid}: end it first "
                f"(autoagent stop {folder.name}). Nothing was deleted."
            )
    begun = [first_of(folder / sessions.JOURNAL) for folder in meant]
    for folder in meant:
        size = removal.remove(folder)
        out.line(f"Deleted {folder.name}: {spelled(size)}.")
    known = [started for started in begun if started is not None]
    for line in _remembered(settings, known):
        told(out, line)
    stores = {places.checkpoints(Path(started.workspace)) for started in known}
    freed = removal.free_stores(places, sorted(stores))
    for line in _of_checkpoints(freed, "They stay"):
        told(out, line)
    return 0


def _of_checkpoints(freed: "Freed", stay: str) -> Iterator[str]:
    if freed.unclear:
        names = ", ".join(freed.unclear)
        yield (
            f"Checkpoints: {stay}, for {names} can't be read, so nobody knows which it needs: "
            f"autoagent sessions delete {freed.unclear[0]}"
        )
        return
    yield f"Checkpoints: {spelled(freed.size)} freed that no other session needs."
    for store in freed.in_use:
        yield (f"Those in {store} are in use by a run; later: autoagent sessions prune")


def _remembered(settings: Settings, deleted: list[Started]) -> Iterator[str]:
    """What long-term memory still has of them."""
    from memory_store import StoreError, open_store

    for started in deleted:
        path = settings.places.memory(started.memory)
        if started.memory == "none" or not path.exists():
            continue
        try:
            with open_store(path) as store:
                count = sum(memory.session == started.session for memory in store.every())
        except StoreError as error:
            yield f"Its memory can't be read: {error}"
            continue
        if count:
            yield (
                f"{count} of its memories {'stays' if count == 1 else 'stay'}: autoagent memory "
                f"list --memory {started.memory} --session {started.session}, then "
                "autoagent memory delete"
            )


def _prune(settings: Settings, out: Output, *, preview: bool) -> int:
    from autoagent.sessions import retention

    gone, before, after = retention.leaving(settings, time.time())
    if preview:
        for one in gone:
            out.line(f"{one.folder.name}  {one.why}")
        told(
            out,
            f"{_sessions(len(gone))} would leave; {spelled(before)} kept now, then about "
            f"{spelled(max(0, after))} ({_rules(settings)}).",
        )
        return 0
    removed, freed = retention.carry_out(settings, gone)
    for one in removed:
        out.line(f"{one.folder.name}  {one.why}")
    left = taken(settings.places.sessions) + taken(settings.places.all_checkpoints)
    told(
        out,
        f"{_sessions(len(removed))} removed, {spelled(freed.size)} freed; "
        f"{spelled(left)} kept ({_rules(settings)}).",
    )
    if freed.unclear or freed.in_use:
        for line in list(_of_checkpoints(freed, "all stay"))[0 if freed.unclear else 1 :]:
            told(out, line)
    if settings.keep_size is not None and left > settings.keep_size:
        told(
            out,
            "That is still more: what is left runs, is of the last day, or is a run's checkpoints.",
        )
    return 0


def _sessions(count: int) -> str:
    return f"{count} session{'' if count == 1 else 's'}"


def _rules(settings: Settings) -> str:
    """How long and how much."""
    rules = [] if settings.keep_days is None else [f"{settings.keep_days} days"]
    rules += [] if settings.keep_size is None else [spelled(settings.keep_size)]
    return f"at most {', '.join(rules)}: keep_days, keep_size" if rules else "without end"
