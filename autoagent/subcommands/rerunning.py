"""The commands of a session's agents once more, in another folder: which results differ."""

import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path

from autoagent import sessions
from autoagent.configuration.folders import check_workspace
from autoagent.configuration.settings import Settings
from autoagent.errors import ConfigError, RefusedError
from autoagent.events import Event, Executed, Limits, Started
from autoagent.models.choosing import Chosen
from autoagent.session import Session
from autoagent.sessions.tree import entries_of
from autoagent.subcommands.again import InTurn, Part, Replay, order_of, parts_of
from autoagent.terminal.escape import escaped, one_line
from autoagent.terminal.layout import told
from autoagent.terminal.output import Output
from autoagent.terminal.plain import voices
from commands.agents import start_agent
from commands.guard import is_masked

_SECONDS = re.compile(r"\b\d+(\.\d+)? s\b")
_TOKENS = 1_000_000_000  # a script costs nothing
_WIDTH = 120


@dataclass(frozen=True, slots=True)
class Difference:
    """A step whose result isn't what it was; None where there was none."""

    step: int
    name: str
    was: str | None
    now: str | None
    agent: str = ""


def rerun(
    settings: Settings,
    environ: Mapping[str, str],
    wanted: str,
    into: str | None,
    out: Output,
    *,
    copy: bool,
) -> int:
    """`autoagent sessions replay [ID] --run --into DIR`: 0, however many results differ."""
    found = sessions.find(settings.places.sessions, wanted, settings.workspace)
    if into is None:
        raise ConfigError(
            "--run works in a folder of its own: --into DIR, which is made; with --copy what the "
            "session's workspace holds now is in it first."
        )
    folder = _made(Path(into), Path(found.started.workspace), settings, copy=copy)
    entries = entries_of(found.folder)
    parts = parts_of(entries, folder)
    replays = _played(parts, order_of(entries, parts), settings, environ, out)
    found_ones = [each for name, part in parts.items() for each in _of(name, part, replays)]
    steps = sum(isinstance(e, Executed) for part in parts.values() for e in part.events)
    _tell(found_ones, steps, replays, settings, out)
    return 0


def _played(
    parts: Mapping[str, Part],
    order: Sequence[str],
    settings: Settings,
    environ: Mapping[str, str],
    out: Output,
) -> dict[str, Replay]:
    """Every agent's steps again, in that order; each agent begins with its first."""
    quiet = settings.quiet or settings.output_format != "text"
    view = voices(out, watched=settings.verbose, quiet=quiet)
    replays: dict[str, Replay] = {}
    with ExitStack() as stack:

        def replay_of(agent: str) -> Replay:
            if agent not in replays:
                part = parts[agent]
                stack.callback(_forget, settings.places.memory(_memory_of(part.started)))
                session, model = _begun(settings, environ, part)
                stack.enter_context(session)
                replays[agent] = Replay(session, model, part, view.of(agent))
            return replays[agent]

        replay_of("")
        for agent in order:
            replay_of(agent).step()
        for replay in replays.values():
            replay.end()
    return replays


def _of(agent: str, part: Part, replays: Mapping[str, Replay]) -> Iterator[Difference]:
    """The differences of one agent, by the steps of the first time."""
    after = replays[agent].events if agent in replays else ()
    for each in differences(part.events, after, (part.started.workspace, str(part.folder))):
        known = each.step <= len(part.steps)
        yield replace(each, agent=agent, step=part.steps[each.step - 1] if known else each.step)


def _forget(memory: Path) -> None:
    for file in memory.parent.glob(f"{memory.name}*"):
        file.unlink(missing_ok=True)


def differences(
    before: Sequence[Event], after: Sequence[Event], places: tuple[str, str]
) -> Iterator[Difference]:
    """The steps whose results aren't the same but for times and the workspace's own path."""
    first, second = (
        {e.step: e for e in events if isinstance(e, Executed)} for events in (before, after)
    )
    for step in sorted(first.keys() | second.keys()):
        was, now = first.get(step), second.get(step)
        if _result(was, places[0]) != _result(now, places[1]):
            name = (was or now or _NOTHING).name
            yield Difference(step, name, *_told_apart(was, now, places))


def _result(event: Executed | None, place: str) -> tuple[object, ...] | None:
    if event is None:
        return None
    texts = (_SECONDS.sub("", text).replace(place, "") for text in (event.note, event.text))
    return event.name, event.ok, *texts, event.changed


def _told_apart(
    was: Executed | None, now: Executed | None, places: tuple[str, str]
) -> tuple[str | None, str | None]:
    """Their notes where these differ, else the first lines of the text that do."""
    if was is None or now is None or _SECONDS.sub("", was.note) != _SECONDS.sub("", now.note):
        return _why(was), _why(now)
    lines = (e.text.replace(p, "").splitlines() for e, p in zip((was, now), places, strict=True))
    for one, other in zip_longest(*lines, fillvalue=""):
        if _SECONDS.sub("", one) != _SECONDS.sub("", other):
            return one, other
    return ", ".join(was.changed), ", ".join(now.changed)


def _why(event: Executed | None) -> str | None:
    """Its note, and of one that was refused or failed the first line of the reason."""
    if event is None or event.ok or not event.text:
        return event.note if event else None
    return f"{event.note}: {event.text.splitlines()[0]}"


_NOTHING = Executed(0, "nothing", "", True, False, "", "", "")


def _made(folder: Path, workspace: Path, settings: Settings, *, copy: bool) -> Path:
    """The folder, new or empty, with a copy of the workspace if that is wished."""
    folder = folder.resolve()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"--into {str(folder)!r} isn't an empty folder; name a new one.")
    if folder.is_relative_to(workspace) or workspace.is_relative_to(folder):
        raise ConfigError(
            f"--into {str(folder)!r} and the session's workspace {str(workspace)!r} lie in each "
            "other; name another folder."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        check_workspace(folder, settings.places)
        if copy:
            shutil.copytree(
                workspace, folder, symlinks=True, dirs_exist_ok=True, ignore=_without_secrets
            )
    except (OSError, shutil.Error) as error:
        raise ConfigError(f"--into {str(folder)!r} can't be filled: {error}") from error
    return folder


def _without_secrets(_: str, names: list[str]) -> list[str]:
    return [name for name in names if is_masked(name)]


def _begun(settings: Settings, environ: Mapping[str, str], part: Part) -> tuple[Session, InTurn]:
    from autoagent.assembling import Inputs
    from autoagent.starting import begin
    from autoagent.team.acting import role_told

    started = part.started
    script = InTurn(part.replies, window=started.window)
    limits = Limits(len(part.replies) + 1, _TOKENS, None, None)
    private = replace(
        settings,
        workspace=_there(part.folder),
        memory=_memory_of(started),
        protect=started.protect,
        disable=(*started.disable, start_agent.name),
        commands=tuple(Path(each) for each in started.commands if Path(each).exists()),
        verify=started.verify,
        dry_run=False,
    )
    pick = Chosen("scripted", None, script.card, started.window, limits)
    # A sub-agent has the commands that it was told of, no more.
    role = role_told(started) if started.role or started.sub_agent else None
    inputs = Inputs(private, environ, attended=True, role=role)
    session = begin(inputs, started.goals, pick, lambda _: script)
    if session.cage == "none" and not settings.unsafe:
        with session:
            session.cancel.set("terminate")
        raise RefusedError(
            "There is no sandbox here, so nothing was run again: autoagent doctor says what to "
            "do. --unsafe runs the commands without one."
        )
    return session, script


def _there(folder: Path) -> Path:
    """A part of the workspace in which a sub-agent works; made where nobody made it yet."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{str(folder)!r} can't be made: {error.strerror}.") from error
    return folder


def _memory_of(started: Started) -> str:
    """A memory of its own, empty, so that what was remembered later plays no part."""
    return f"replay-{started.session.replace('/', '-')}"


def _tell(
    found: Sequence[Difference],
    steps: int,
    replays: Mapping[str, Replay],
    settings: Settings,
    out: Output,
) -> None:
    made = {agent: replay.session.folder.name for agent, replay in replays.items()}
    if settings.output_format != "text":
        rows = [
            {"agent": d.agent, "step": d.step, "command": d.name, "was": d.was, "now": d.now}
            for d in found
        ]
        told_of = {"session": made.pop(""), "agents": made, "steps": steps, "differ": rows}
        out.line(json.dumps(told_of))
        return
    for each in found:
        who = f"{one_line(each.agent, _WIDTH)}: " if each.agent else ""
        out.line(f"{who}step {each.step} {escaped(each.name)} differs:", "magenta")
        for label, text in (("was", each.was), ("now", each.now)):
            out.line(f"  {label}: {'nothing' if text is None else one_line(text, _WIDTH)}")
    same = steps - len([each for each in found if each.was is not None])
    told(out, f"{same} of {steps} results are as they were.")
    told(out, f"The session of this replay: {made.pop('')}")
    for agent, session in made.items():
        told(out, f"That of {agent}: {session}")
