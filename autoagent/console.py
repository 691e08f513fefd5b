"""A run at a console: goals in, events shown, answer, receipt and exit code out."""

import argparse
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from autoagent.answer_schema import read_schema
from autoagent.asking import after_trust, trust_question, with_way
from autoagent.citing import with_sources
from autoagent.configuration import settings as setting
from autoagent.configuration.places import private_folder
from autoagent.configuration.secrets import Redactor
from autoagent.configuration.settings import Settings
from autoagent.earlier import Earlier, earlier
from autoagent.errors import AutoAgentError, ConfigError
from autoagent.events import SCHEMA_VERSION, Stopped
from autoagent.lookups import Lookups
from autoagent.outlets import Outlets
from autoagent.relaying import Question
from autoagent.standard_input import standard_input
from autoagent.terminal.bar import bar
from autoagent.terminal.desk import Desk, in_foreground, line_desk, live_desk, lives
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
    from autoagent.terminal.listening import Listening


def run(given: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """`autoagent [TEXT]`, with or without --goal: the exit code of the run."""
    if sys.stdout is None:
        raise ConfigError(
            "Standard output is closed, so the answer would be lost; send it to a file."
        )
    settings = None
    outlets = Outlets(environ)
    try:
        found = earlier(given, environ)
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


def _run(
    given: argparse.Namespace,
    environ: Mapping[str, str],
    settings: Settings,
    found: Earlier | None,
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
    is_done = found is not None and found.is_done
    asks_goals = at_terminal and not settings.goals and (found is None or is_done)
    listens = at_terminal and not attended and _listens(settings)
    live = attended or asks_goals or listens
    with _desk(settings, environ, out, live=at_terminal and live, asks=not listens) as desk:
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
                found.tell(desk.out)
            goals = desk.prompter.goals() if at_terminal else []
            if any(goal.lower() == "/quit" for goal in goals):
                goals = []
            settings = replace(settings, goals=setting.checked_goals(tuple(goals)))
            if not goals:
                raise ConfigError('There is no goal. Say what is to be reached: --goal "…".')
        if not (attended or listens):
            desk.close()
            desk = line_desk(out)
        return _begin(settings, environ, desk, attended, (goals, context, schema), found, outlets)


def _begin(
    settings: Settings,
    environ: Mapping[str, str],
    desk: Desk,
    attended: bool,
    given: tuple[list[str], str, "Schema | None"],
    found: Earlier | None,
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
    look_up = Lookups(settings, view)
    person = _person(desk, inputs, look_up, ringing) if attended else None
    listener = None
    # From here on there is something to end in order.
    with Signals(inputs.cancel, *((person.leave, person.catches) if person else ())):
        try:
            with uncollected():
                session = _begun(inputs, goals, found)
        finally:
            out.write("")  # ends the passing line
        if out.lives and person is None:
            from autoagent.terminal.listening import Listening

            clean = Redactor(settings.secrets).clean
            inside = (inputs.cancel, session.folder, clean)
            listener = Listening(desk, view.main.state, look_up, *inside)
        views = [view, *outlets.views(out)]
        code = _follow(session, views, (person, listener), settings, desk, outlets)
    ringing.ends()
    return code


def _person(desk: Desk, inputs: "Inputs", look_up: Lookups, ringing: Ringing) -> "Terminal":
    from autoagent.terminal.interactive import Terminal

    state = look_up.view.main.state
    return Terminal(
        *(desk.out, desk.keys, desk.prompter, inputs.environ, state, inputs.cancel),
        changes=look_up.changes,
        export=look_up.export,
        results=look_up.result,
        states=look_up.states,
        ringing=ringing,
    )


def _listens(settings: Settings) -> bool:
    """Whether words are taken from who watches a run that asks nothing."""
    alone = settings.continuous and not settings.one_shot and not settings.quiet
    return alone and in_foreground()


def _desk(
    settings: Settings, environ: Mapping[str, str], out: Output, *, live: bool, asks: bool
) -> Desk:
    """Where the person sits; `live`: they are to be asked, or watch. `asks`: the run does."""
    if not (live and settings.output_format == "text" and lives(out, environ)):
        return line_desk(out)
    from autoagent.terminal.listening import WORDS_HERE
    from autoagent.terminal.slash import WORDS

    words = WORDS if asks else WORDS_HERE
    private_folder(settings.places.state)
    history = settings.places.state / "history"
    return live_desk(out, environ, history, words, Redactor(settings.secrets).clean_so_far)


def _begun(inputs: "Inputs", goals: list[str], found: Earlier | None) -> "Session":
    from autoagent.starting import resume, start

    if found is None:
        return start(inputs, goals)
    if not found.is_branched:
        return resume(inputs, found.session)
    from autoagent.forking import fork

    return fork(inputs, found.session, found.step)


def _make_room(settings: Settings, found: "Earlier | None", out: Output) -> None:
    """Once a day: what is kept longer than it is to be goes; said only if something went."""
    from autoagent.sessions.daily import make_room

    said = make_room(settings, time.time(), {found.session.folder.name} if found else set())
    if said and not settings.quiet:
        out.line(said, "dim")


def _at_terminal(out: Output) -> bool:
    return sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty() and out.is_terminal


def _follow(
    session: "Session",
    views: list[Voices],
    who: "tuple[Terminal | None, Listening | None]",
    settings: Settings,
    desk: Desk,
    outlets: Outlets,
) -> int:
    """Show the run to its end, answer its questions, give its answer and receipt."""
    from autoagent.sessions.summary import note_end
    from autoagent.sessions.tree import entries_of
    from autoagent.terminal.receipt import PLAIN, receipt, result_object, typed_name

    out = desk.out
    person, listener = who
    results = StandardOutput(session.cancel)
    for view, entry in product(views, entries_of(session.folder) if session.past else ()):
        view.of(entry.agent).state.apply(entry.event)
    state = views[0].main.state
    streams = settings.output_format == "stream-json"
    try:
        if person is not None:
            _attend(session, person, desk)
        if listener is not None:
            desk.when_typed(lambda: session.interject(Question(lambda _: None)))
        _show(session, views, who, out, results if streams else None)
        note_end(state, session.journal)
    except AutoAgentError as error:
        # Not in the journal, which may be what failed.
        elapsed_s = state.spent.elapsed_s
        state.apply(Stopped("error", error.exit_code, str(error), None, error.go_on, elapsed_s))
    desk.close()
    if person is not None:
        clean = Redactor(settings.secrets).clean
        keep_unheard(out, person.unheard(), person.begun, session.folder, state, clean)
    if listener is not None:
        listener.ends()
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

    desk.when_typed(lambda: session.interject(Question(look)))


def _show(
    session: "Session",
    views: list[Voices],
    who: "tuple[Terminal | None, Listening | None]",
    out: Output,
    results: StandardOutput | None,
) -> None:
    from autoagent.journal import Entry

    person, listener = who
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
            if listener is not None:
                listener.look(item.event if isinstance(item, Entry) else None)


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
