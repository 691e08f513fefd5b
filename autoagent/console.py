"""A run at a console: goals in, events shown, answer, receipt and exit code out."""

import argparse
import json
import os
import select
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from autoagent import places, sessions, trust
from autoagent import settings as setting
from autoagent.errors import AutoAgentError, ConfigError
from autoagent.settings import Settings
from autoagent.terminal.escape import escaped
from autoagent.terminal.interactive import Prompter, Terminal
from autoagent.terminal.keyboard import Keyboard
from autoagent.terminal.output import Output, standard_error
from autoagent.terminal.plain import Plain

if TYPE_CHECKING:
    from autoagent.session import Session

_SILENCE_S = 300.0
_LARGEST_INPUT = 10_000_000  # bytes


def run(given: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """`autoagent [TEXT]`, with or without --goal: the exit code of the run."""
    if sys.stdout is None:
        raise ConfigError(
            "Standard output is closed, so the answer would be lost; send it to a file."
        )
    found = _session_meant(given, environ)
    settings = setting.load(given, environ, cwd=Path.cwd())
    out = standard_error(settings.color, environ)
    try:
        return _run(given, environ, settings, out, found)
    except AutoAgentError as error:
        if settings.output_format != "text":
            _write_line(_failure(settings, error))
        raise


def _session_meant(given: argparse.Namespace, environ: Mapping[str, str]) -> "sessions.Kept | None":
    """The session of --resume; it brings its workspace along."""
    if given.resume is None:
        return None
    cwd = Path.cwd()
    folder = Path(given.workspace).resolve() if given.workspace else cwd
    found = sessions.find(places.find(environ, cwd=cwd).sessions, given.resume, folder)
    given.workspace = found.started.workspace
    return found


def _run(
    given: argparse.Namespace,
    environ: Mapping[str, str],
    settings: Settings,
    out: Output,
    found: "sessions.Kept | None",
) -> int:
    keyboard = Keyboard()
    prompter = Prompter(out, keyboard)
    at_terminal = _at_terminal(out) and not settings.reads_stdin
    if settings.interactive and not at_terminal:
        raise ConfigError("--interactive needs a terminal on standard input, output and error.")
    one_shot = settings.one_shot or settings.continuous or not at_terminal
    attended = settings.interactive or not one_shot
    if attended and settings.untrusted:
        settings = _after_trust(given, environ, settings, prompter)
    context = _standard_input(out) if settings.reads_stdin else ""
    goals = list(settings.goals)
    if not goals and found is None:
        goals = prompter.goals() if at_terminal else []
        if not goals:
            raise ConfigError('There is no goal. Say what is to be reached: --goal "…".')

    from autoagent.starting import Inputs, resume, start

    inputs = Inputs(settings, environ, attended, context)
    session = resume(inputs, found) if found else start(inputs, goals)
    view = Plain(out, watched=attended or settings.verbose, quiet=settings.quiet)
    return _follow(session, view, settings, environ, out, keyboard)


def _at_terminal(out: Output) -> bool:
    return sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty() and out.is_terminal


def _follow(
    session: "Session",
    view: Plain,
    settings: Settings,
    environ: Mapping[str, str],
    out: Output,
    keyboard: Keyboard,
) -> int:
    """Show the run to its end, answer its questions, give its answer and receipt."""
    from autoagent.journal import Entry
    from autoagent.terminal.receipt import receipt, result_object
    from autoagent.terminal.signals import Signals

    for entry in session.past:
        view.state.apply(entry.event)
    person = Terminal(out, keyboard, environ, view.state, session.cancel.set)
    with Signals(session.cancel.set, keyboard), session:
        for item in session.items():
            if isinstance(item, Entry):
                view.show(item.event)
                if settings.output_format == "stream-json":
                    _write_line(item.to_dict())
            else:
                item.answer.set_result(item.put(person))
    stopped = view.state.stopped
    assert stopped is not None
    if settings.output_format != "text":
        _write_line(result_object(view.state, session.journal.hash))
    elif stopped.status == "done":
        _write_answer(stopped.answer)
    receipt(out, view.state, session.journal.path)
    return stopped.exit_code


def _after_trust(
    given: argparse.Namespace,
    environ: Mapping[str, str],
    settings: Settings,
    prompter: Prompter,
) -> Settings:
    """Ask once whether this folder's settings count; the answer yes is kept."""
    names = " and ".join(settings.untrusted)
    question = f"{settings.workspace} has {names} with settings. Do you trust this folder?"
    if not prompter.agrees(escaped(question)):
        return settings
    trust.grant(settings.places, settings.workspace)
    return setting.load(given, environ, cwd=Path.cwd())


def _standard_input(out: Output) -> str:
    """All of standard input; an end of waiting when it stays open and silent."""
    data = b""
    said = False
    while True:
        waiting_s = _SILENCE_S if said else 3.0
        if not select.select([0], [], [], waiting_s)[0]:
            if said:
                raise ConfigError(
                    f"Standard input stayed open and silent for {_SILENCE_S:.0f} s. `-` reads it "
                    "to its end; leave `-` out, or close the input."
                )
            out.line("  waiting for the end of standard input (-)", "dim")
            said = True
            continue
        chunk = os.read(0, 65536)
        if not chunk:
            return data.decode("utf-8", "replace")
        data += chunk
        if len(data) > _LARGEST_INPUT:
            raise ConfigError(
                f"Standard input is over {_LARGEST_INPUT:,} bytes; put it into a file in the "
                "workspace and name the file in the goal."
            )


def _write_answer(text: str) -> None:
    shown = escaped(text) if sys.stdout.isatty() else text
    sys.stdout.buffer.write(shown.encode("utf-8", "replace") + b"\n")
    sys.stdout.buffer.flush()


def _write_line(data: object) -> None:
    text = json.dumps(data, ensure_ascii=False)
    sys.stdout.buffer.write(text.encode("utf-8", "surrogatepass") + b"\n")
    sys.stdout.buffer.flush()


def _failure(settings: Settings, error: AutoAgentError) -> dict[str, object]:
    """The object of a run that could not begin or be kept."""
    return {
        "type": "result",
        "schema_version": 1,
        "session": None,
        "status": "refused" if error.exit_code == 6 else "error",
        "exit_code": error.exit_code,
        "goals": list(settings.goals),
        "answer": None,
        "verified": None,
        "error": str(error),
        "resume": error.go_on or None,
    }
