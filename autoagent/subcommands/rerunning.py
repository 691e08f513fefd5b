"""The commands of a session once more, in another folder: which results differ."""

import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path

from autoagent import sessions
from autoagent.approval import Answer, Concern
from autoagent.configuration.folders import check_workspace
from autoagent.configuration.settings import Settings
from autoagent.errors import ConfigError, RefusedError
from autoagent.events import Decided, Event, Executed, Limits, Refused, Replied, Started
from autoagent.journal import Entry, load
from autoagent.models.choosing import Chosen
from autoagent.reply import Reply
from autoagent.scripted import Scripted
from autoagent.session import Session
from autoagent.terminal.escape import escaped, one_line
from autoagent.terminal.layout import told
from autoagent.terminal.output import Output
from autoagent.terminal.plain import Plain
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


class Recorded:
    """The person of the first run: what they decided and answered, and yes where they weren't
    asked."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._decided = {e.step: e for e in events if isinstance(e, Decided)}
        asked = (e for e in events if isinstance(e, Executed) and e.name == "ask_user")
        self._answers = iter([e.text for e in asked])

    def decide(self, step: int, reply: Reply, scope: str, concerns: Sequence[Concern]) -> Answer:
        known = self._decided.get(step)
        if known is None:  # a path or an address that was never opened stays closed
            closed = any(each.place or each.address for each in concerns)
            return Answer(Decided(step, "refuse" if closed else "run", "as it was"))
        return Answer(replace(known, count=0, scope=""))

    def ask(self, question: str) -> str:
        return next(self._answers, "")

    def heard(self) -> list[str]:
        return []

    def wants_room(self) -> bool:
        return False

    def interrupted(self) -> str | None:
        return None


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
    events = [entry.event for entry in load(found.journal).entries]
    session = _begun(replace(settings, workspace=folder), environ, found.started, events)
    try:
        again = _shown(session, Recorded(events), settings, out)
    finally:
        memory = settings.places.memory(_memory_of(found.started))
        for file in memory.parent.glob(f"{memory.name}*"):
            file.unlink(missing_ok=True)
    places = (found.started.workspace, str(folder))
    _tell(list(differences(events, again, places)), events, session, settings, out)
    return 0


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
    if was is None or now is None or was.note != now.note:
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


def _begun(
    settings: Settings, environ: Mapping[str, str], started: Started, events: Sequence[Event]
) -> Session:
    from autoagent.assembling import Inputs
    from autoagent.starting import begin
    from autoagent.team.acting import role_told

    replies = [e.raw for e in events if isinstance(e, Replied | Refused)]
    script = Scripted(replies, window=started.window)
    limits = Limits(len(replies) + 1, _TOKENS, None, None)
    settings = replace(
        settings,
        memory=_memory_of(started),
        protect=started.protect,
        disable=started.disable,
        commands=tuple(Path(each) for each in started.commands if Path(each).exists()),
        verify=started.verify,
        dry_run=False,
    )
    pick = Chosen("scripted", None, script.card, started.window, limits)
    role = role_told(started) if started.role else None
    inputs = Inputs(settings, environ, attended=True, role=role)
    session = begin(inputs, started.goals, pick, lambda _: script)
    if session.cage == "none" and not settings.unsafe:
        with session:
            session.cancel.set("terminate")
        raise RefusedError(
            "There is no sandbox here, so nothing was run again: autoagent doctor says what to "
            "do. --unsafe runs the commands without one."
        )
    return session


def _memory_of(started: Started) -> str:
    """A memory of its own, empty, so that what was remembered later plays no part."""
    return f"replay-{started.session}"


def _shown(session: Session, person: Recorded, settings: Settings, out: Output) -> list[Event]:
    quiet = settings.quiet or settings.output_format != "text"
    view = Plain(out, watched=settings.verbose, quiet=quiet)
    events: list[Event] = []
    with session:
        for item in session.items():
            if isinstance(item, Entry):
                events.append(item.event)
                view.show(item.event)
            else:
                item.reply(item.put(person))
    return events


def _tell(
    found: Sequence[Difference],
    before: Sequence[Event],
    session: Session,
    settings: Settings,
    out: Output,
) -> None:
    steps = sum(isinstance(event, Executed) for event in before)
    if settings.output_format != "text":
        rows = [{"step": d.step, "command": d.name, "was": d.was, "now": d.now} for d in found]
        out.line(json.dumps({"session": session.folder.name, "steps": steps, "differ": rows}))
        return
    for each in found:
        out.line(f"step {each.step} {escaped(each.name)} differs:", "magenta")
        for label, text in (("was", each.was), ("now", each.now)):
            out.line(f"  {label}: {'nothing' if text is None else one_line(text, _WIDTH)}")
    same = steps - len([each for each in found if each.was is not None])
    told(out, f"{same} of {steps} results are as they were.")
    told(out, f"The session of this replay: {session.folder.name}")
