"""A run at a console: goals in, events shown, answer, receipt and exit code out."""

import argparse
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from autoagent import sessions
from autoagent.answer_schema import read_schema
from autoagent.asking import after_trust, trust_question, with_way
from autoagent.citing import with_sources
from autoagent.configuration import places
from autoagent.configuration import settings as setting
from autoagent.configuration.places import private_folder
from autoagent.configuration.secrets import Redactor
from autoagent.configuration.settings import Settings
from autoagent.configuration.values import from_text
from autoagent.errors import AutoAgentError, ConfigError
from autoagent.events import SCHEMA_VERSION, Stopped
from autoagent.outlets import Outlets
from autoagent.relaying import Question
from autoagent.standard_input import standard_input
from autoagent.state import State
from autoagent.terminal.bar import bar
from autoagent.terminal.desk import Desk, line_desk, live_desk, lives
from autoagent.terminal.escape import one_line
from autoagent.terminal.output import Output, standard_error
from autoagent.terminal.plain import Voices, states_of, voices
from autoagent.terminal.ringing import Ringing
from autoagent.terminal.signals import Signals
from autoagent.terminal.standard_output import StandardOutput
from autoagent.terminal.unheard import keep_unheard
from autoagent.uncollected import uncollected
from commands.cancel import Cancel

if TYPE_CHECKING:
    from autoagent.answer_schema import Schema
    from autoagent.assembling import Inputs
    from autoagent.session import Session
    from autoagent.terminal.interactive import Terminal


def run(given: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """`autoagent [TEXT]`, with or without --goal: the exit code of the run."""
    if sys.stdout is None:
        raise ConfigError(
            "Standard output is closed, so the answer would be lost; send it to a file."
        )
    settings = None
    outlets = Outlets(environ)
    try:
        found = _earlier(given, environ)
        settings = setting.load(given, environ, cwd=Path.cwd())
        outlets.open(settings)
        return _run(given, environ, settings, found, outlets)
    except AutoAgentError as error:
        failure = _failure(given, settings, error)
        wanted = settings.output_format if settings else given.output_format
        if wanted in ("json", "stream-json"):
            StandardOutput(Cancel()).line(failure)
        outlets.fail(failure, error)
        raise
    finally:
        outlets.close()


@dataclass(frozen=True, slots=True)
class _Earlier:
    """The session that a run goes on with, or begins a branch of, after that step."""

    session: "sessions.Kept"
    is_branched: bool
    step: int | None


def _earlier(given: argparse.Namespace, environ: Mapping[str, str]) -> _Earlier | None:
    """The session of --resume or --fork; it brings its workspace along."""
    meant = _meant(given, environ)
    if meant is None:
        return None
    option, text = meant
    wanted, step = from_text("branch", text, option) if option == "--fork" else (text, None)
    cwd = Path.cwd()
    named = given.workspace or environ.get("AUTOAGENT_WORKSPACE")
    folder = Path(named).resolve() if named else cwd
    found = sessions.find(places.find(environ, cwd=cwd).sessions, wanted, folder)
    if given.workspace and str(folder) != found.started.workspace:
        raise ConfigError(
            f"Session {found.folder.name} works in {found.started.workspace!r}, not in "
            f"{str(folder)!r}; leave --workspace out."
        )
    given.workspace = found.started.workspace
    return _Earlier(found, option == "--fork", step)


def _meant(given: argparse.Namespace, environ: Mapping[str, str]) -> tuple[str, str] | None:
    """--resume or --fork with its value, typed rather than of the environment; None: neither."""
    typed = {"--fork": given.fork, "--resume": given.resume}
    variables = {"--fork": "AUTOAGENT_FORK", "--resume": "AUTOAGENT_RESUME"}
    usual = {option: environ.get(name) or None for option, name in variables.items()}
    for values in (typed, usual):
        found = [(option, text) for option, text in values.items() if text is not None]
        if len(found) > 1:
            raise ConfigError("--fork begins a new session, --resume goes on with one: give one.")
        if found:
            return found[0]
    return None


def _run(
    given: argparse.Namespace,
    environ: Mapping[str, str],
    settings: Settings,
    found: _Earlier | None,
    outlets: Outlets,
) -> int:
    out = standard_error(settings.color, environ, plain=settings.plain)
    at_terminal = _at_terminal(out) and not settings.reads_stdin
    if settings.interactive and not at_terminal:
        raise ConfigError("--interactive needs a terminal on standard input, output and error.")
    if found and settings.reads_stdin:
        raise ConfigError("`-` goes with a new session: leave it out, or --resume and --fork.")
    if found and settings.ai_settings:
        raise ConfigError("--ai-settings goes with a new session; give this one a --goal.")
    one_shot = settings.one_shot or settings.continuous or not at_terminal
    attended = settings.interactive or not one_shot
    is_done = found is not None and not found.is_branched and _is_done(found.session)
    asks_goals = at_terminal and not settings.goals and (found is None or is_done)
    with _desk(settings, environ, out, live=at_terminal and (attended or asks_goals)) as desk:
        if attended and (question := trust_question(settings)):
            settings = after_trust(given, environ, settings, desk.prompter, question)
            outlets.open(settings)
        led = settings.api_key or settings.base_url or (found and found.session.started.base_url)
        if not led and at_terminal and not settings.one_shot and not environ.get("CI"):
            settings = with_way(given, environ, settings, desk.out, desk.prompter)
            outlets.open(settings)
        schema = read_schema(settings.answer_schema) if settings.answer_schema else None
        context = standard_input(out) if settings.reads_stdin else ""
        goals = list(settings.goals)
        if not goals and (found is None or asks_goals):
            if found is not None:
                _tell_done(found.session, desk.out)
            goals = desk.prompter.goals() if at_terminal else []
            settings = replace(settings, goals=setting.checked_goals(tuple(goals)))
            if not goals:
                raise ConfigError('There is no goal. Say what is to be reached: --goal "…".')
        if not attended:
            desk.close()
            desk = line_desk(out)
        return _begin(settings, environ, desk, attended, (goals, context, schema), found, outlets)


def _begin(
    settings: Settings,
    environ: Mapping[str, str],
    desk: Desk,
    attended: bool,
    given: tuple[list[str], str, "Schema | None"],
    found: _Earlier | None,
    outlets: Outlets,
) -> int:
    out = desk.out
    goals, context, schema = given
    _make_room(settings, found, out)
    from autoagent.assembling import Inputs

    if not settings.quiet:
        out.status("starting…")
    inputs = Inputs(settings, environ, attended, context, schema, glimpsed=desk.glimpsed)
    desk.cleans(Redactor(settings.secrets).clean_so_far)
    verbose = settings.verbose
    how = {"quiet": settings.quiet, "verbose": verbose, "attended": attended}
    view = voices(out, watched=attended or verbose, **how)
    ringing = Ringing(out, settings.bell, environ)
    person = None
    if attended:
        from autoagent.terminal.interactive import Terminal

        person = Terminal(
            *(out, desk.keys, desk.prompter, environ, view.main.state, inputs.cancel),
            changes=partial(_changes, settings),
            export=partial(_export, settings),
            results=partial(_result, settings, view.main.state),
            states=partial(states_of, view),
            ringing=ringing,
        )
    # From here on there is something to end in order.
    with Signals(inputs.cancel, *((person.leave, person.catches) if person else ())):
        try:
            with uncollected():
                session = _begun(inputs, goals, found)
        finally:
            out.write("")  # ends the passing line
        code = _follow(session, [view, *outlets.views(out)], person, settings, desk, outlets)
    ringing.ends()
    return code


def _desk(settings: Settings, environ: Mapping[str, str], out: Output, *, live: bool) -> Desk:
    """Where the person sits; `live`: they are to be asked, or watch."""
    if not (live and settings.output_format == "text" and lives(out, environ)):
        return line_desk(out)
    from autoagent.terminal.slash import WORDS

    private_folder(settings.places.state)
    history = settings.places.state / "history"
    return live_desk(out, environ, history, WORDS, Redactor(settings.secrets).clean_so_far)


def _begun(inputs: "Inputs", goals: list[str], found: _Earlier | None) -> "Session":
    from autoagent.starting import resume, start

    if found is None:
        return start(inputs, goals)
    if not found.is_branched:
        return resume(inputs, found.session)
    from autoagent.forking import fork

    return fork(inputs, found.session, found.step)


def _make_room(settings: Settings, found: "_Earlier | None", out: Output) -> None:
    """Once a day: what is kept longer than it is to be goes; said only if something went."""
    from autoagent.sessions.daily import make_room

    said = make_room(settings, time.time(), {found.session.folder.name} if found else set())
    if said and not settings.quiet:
        out.line(said, "dim")


def _is_done(session: "sessions.Kept") -> bool:
    from autoagent.sessions.summary import summary

    return summary(session.folder).status == "done"


def _tell_done(session: "sessions.Kept", out: Output) -> None:
    """What was reached, before one asks for more."""
    from autoagent.sessions.summary import summary

    goals = "; ".join(summary(session.folder).goals)
    out.line(one_line(f"Session {session.folder.name} is done: {goals}", out.width - 1), "dim")


def _at_terminal(out: Output) -> bool:
    return sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty() and out.is_terminal


def _changes(settings: Settings, state: State, step: int | None) -> list[str]:
    """The difference that the session has made so far, or that step, and what it comes to."""
    from autoagent.subcommands.taking_back import difference_of

    clean = Redactor(settings.secrets).clean
    return [clean(line) for line in difference_of(settings.places, state, step)]


def _export(settings: Settings, state: State, target: str) -> str:
    """The session so far in a new file; where."""
    from autoagent.subcommands.exporting import to_new_file

    assert state.started is not None
    return to_new_file(settings, state.started.session, target)


def _result(settings: Settings, state: State, agent: str, step: int) -> str | None:
    """The whole text of what that step of an agent of the session brought."""
    from autoagent.sessions.tree import folder_of
    from autoagent.subcommands.showing import result_of

    assert state.started is not None
    return result_of(folder_of(settings.places.sessions / state.started.session, agent), step)


def _follow(
    session: "Session",
    views: list[Voices],
    person: "Terminal | None",
    settings: Settings,
    desk: Desk,
    outlets: Outlets,
) -> int:
    """Show the run to its end, answer its questions, give its answer and receipt."""
    from autoagent.sessions.summary import note_end
    from autoagent.sessions.tree import entries_of
    from autoagent.terminal.receipt import PLAIN, receipt, result_object, typed_name

    out = desk.out
    results = StandardOutput(session.cancel)
    for view, entry in product(views, entries_of(session.folder) if session.past else ()):
        view.of(entry.agent).state.apply(entry.event)
    state = views[0].main.state
    streams = settings.output_format == "stream-json"
    try:
        if person is not None:
            _attend(session, person, desk)
        _show(session, views, person, out, results if streams else None)
        note_end(state, session.journal)
    except AutoAgentError as error:
        # Not in the journal, which may be what failed.
        elapsed_s = state.spent.elapsed_s
        state.apply(Stopped("error", error.exit_code, str(error), None, error.go_on, elapsed_s))
    desk.close()
    if person is not None:
        clean = Redactor(settings.secrets).clean
        keep_unheard(out, person.unheard(), person.begun, session.folder, state, clean)
    stopped = state.stopped
    assert stopped is not None
    result = result_object(state, session.journal.hash)
    if settings.output_format != "text":
        results.line(result)
    elif stopped.status == "done":
        if sys.stdout.isatty():
            out.line()
        answer, is_prose = with_sources(stopped.answer, state), state.answer_schema is None
        results.answer(answer, outlets.answer_screen, is_prose=is_prose)
    kept = outlets.keep(result, state, out)
    attended, program = person is not None, typed_name(sys.argv[0])
    how = {"network": settings.network, "attended": attended}
    receipt(out, state, session.journal.path, **how, program=program)
    outlets.receipt(state, session.journal.path, attended=attended)
    if state.started is not None and state.started.dry_run:
        from autoagent.subcommands.taking_back import tell_dry_run

        tell_dry_run(settings.places, state, out, program=program if out.is_terminal else PLAIN)
    outlets.end(result, out)
    if results.lost is not None:
        out.line(f"autoagent: Standard output can't be written: {results.lost.strerror}.")
    if stopped.status != "done":
        return stopped.exit_code
    return results.exit_code if results.lost is not None else 0 if kept else 8


def _attend(session: "Session", person: "Terminal", desk: Desk) -> None:
    """What is typed unasked is looked at as soon as it is typed."""

    def look(_: object) -> None:
        if person.look():
            session.nudge()

    question = Question(look)
    desk.when_typed(lambda: session.interject(question))


def _show(
    session: "Session",
    views: list[Voices],
    person: "Terminal | None",
    out: Output,
    results: StandardOutput | None,
) -> None:
    from autoagent.journal import Entry

    began = time.monotonic() - views[0].main.state.spent.elapsed_s
    if person is not None:
        person.begins(began)
    with session:
        for item in session.items():
            if isinstance(item, Entry):
                for view in views:
                    view.of(item.agent).show(item.event)
                out.bar(bar(views[0].main.state, states_of(views[0]), began))
                if results is not None:
                    results.line(item.to_dict())
            else:
                try:
                    item.reply(person.answer(item) if person else None)
                finally:
                    item.reply(None)  # whatever became of it, somebody waits
                if person is not None and item.agent and person.has_words:
                    session.nudge()


def _failure(
    given: argparse.Namespace, settings: Settings | None, error: AutoAgentError
) -> dict[str, object]:
    """The object of a run that could not begin; its fields are those of `result_object`."""
    counts = ("prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens")
    return {
        "type": "result",
        "schema_version": SCHEMA_VERSION,
        "session": None,
        "status": "refused" if error.exit_code == 6 else "error",
        "exit_code": error.exit_code,
        "goals": list(settings.goals if settings else given.goal or ()),
        "answer": None,
        "verified": None,
        "steps": 0,
        "duration_s": 0.0,
        "usage": dict.fromkeys(counts, 0),
        "cost_usd": 0.0,
        "model": settings.model if settings else None,
        "files_changed": [],
        "hosts": [],
        "sources": [],
        "refused": [],
        "agents": [],
        "error": str(error),
        "resume": error.go_on or None,
        "journal_hash": None,
    }
