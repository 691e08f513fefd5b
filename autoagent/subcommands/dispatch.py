"""The subcommands beside a run: what there is, what is trusted, a try in the cage."""

import argparse
import sys
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

from autoagent.configuration import role_files, trust
from autoagent.configuration import settings as setting
from autoagent.configuration.settings import Settings
from autoagent.errors import StateError
from autoagent.terminal.escape import escaped
from autoagent.terminal.output import Output, output_to, standard_error


def run(given: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """`autoagent SUBCOMMAND`: its exit code."""
    settings = setting.load(given, environ, cwd=Path.cwd())
    out = output_to(sys.stdout, settings.color, environ, plain=settings.plain)
    code = _run(given, settings, environ, out)
    if out.lost is None:
        return code
    if isinstance(out.lost, BrokenPipeError):
        return 141  # as of a program that SIGPIPE ended
    raise StateError(f"Standard output can't be written: {out.lost.strerror}.")


def _run(
    given: argparse.Namespace, settings: Settings, environ: Mapping[str, str], out: Output
) -> int:
    match given.command:
        case "trust":
            return _trust(settings, out)
        case "commands":
            from autoagent.subcommands.commands import commands

            return commands(settings, environ, out)
        case "sessions":
            from autoagent.subcommands import sessions as sessions_command

            return sessions_command.run(given, settings, environ, out)
        case "memory":
            from autoagent.subcommands import memory as memory_command

            return memory_command.run(given.words, given.session, settings, out)
        case "undo" | "diff" | "apply":
            return _taking_back(given, settings, out)
        case "tell":
            from autoagent.subcommands import speaking

            return speaking.tell(settings, given.words[0], given.words[1], out)
        case "stop":
            from autoagent.subcommands import speaking

            return speaking.stop(settings, given.words[0] if given.words else "", out)
        case "doctor":
            from autoagent.subcommands.doctor import doctor

            return doctor(settings, environ, out)
        case "config":
            from autoagent.subcommands.config import show

            return show(settings, out)
        case "sandbox":
            return _sandbox(settings, environ, given.words)
        case "demo":
            from autoagent.subcommands.demo import demo

            return demo(settings, environ, standard_error(settings.color, environ))
    raise AssertionError(f"options let {given.command!r} through")


def _trust(settings: Settings, out: Output) -> int:
    names = trust.grant(settings.places, settings.workspace)
    folder = escaped(str(settings.workspace))
    for each in trust.roles(settings.places, settings.workspace).left_out:
        out.line(escaped(str(each)))
    if not names:
        nothing = f"neither {' nor '.join(trust.FILES)} nor a role in {role_files.FOLDER}"
        out.line(f"{folder} has {nothing}.")
        return 0
    out.line(f"Trusted as they are now in {folder}: {escaped(', '.join(names))}.")
    return 0


def _taking_back(given: argparse.Namespace, settings: Settings, out: Output) -> int:
    from autoagent.subcommands import taking_back

    wanted = given.words[0] if given.words else ""
    match given.command:
        case "undo":
            force = bool(given.force)
            return taking_back.take_back(settings, wanted, given.to, out, force=force)
        case "apply":
            return taking_back.bring_in(settings, wanted, out, force=bool(given.force))
    return taking_back.show(settings, wanted, given.step, out)


def _sandbox(settings: Settings, environ: Mapping[str, str], words: list[str]) -> int:
    from autoagent.caging import make_cage, make_way_out
    from commands.cancel import Cancel
    from commands.workspace import Workspace

    workspace = Workspace(settings.workspace, protected=settings.protect)
    with ExitStack() as stack:
        if way := make_way_out(settings, workspace.root, environ):
            stack.enter_context(way)
        cage = make_cage(settings, workspace, environ, attended=False, way=way)
        stack.callback(cage.close)
        done = cage.run(words, timeout_s=settings.command_timeout_s, cancel=Cancel())
    with suppress(OSError):  # what isn't written stays in the buffer, and main tells
        sys.stdout.buffer.write(done.stdout)
        sys.stdout.buffer.flush()
    sys.stderr.buffer.write(done.stderr)
    said = [f"stopped: {done.stopped}"] if done.stopped else []
    for line in (*said, *done.notices):
        standard_error(settings.color, environ).line(f"autoagent: {escaped(line)}")
    return done.exit
