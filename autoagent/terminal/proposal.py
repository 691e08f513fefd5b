"""A command on the screen, whole or with how much of it is hidden, for a person to decide on."""

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from autoagent.approval import Concern
from autoagent.reply import Command
from autoagent.terminal.columns import columns
from autoagent.terminal.escape import escaped, one_line
from autoagent.terminal.layout import barred, shown_lines, told
from autoagent.terminal.output import Line, Output, Style
from autoagent.terminal.preview import Preview, preview
from commands.command import Catalogue, CommandError
from commands.execution import execute_python, execute_shell
from commands.processes import start_process
from commands.workspace import Workspace

MOST_LINES = 12
_RUNNING = Catalogue([execute_python, execute_shell, start_process])
_RUN_AS = {"code": "python", "command_line": "bash"}
_SIGNS: dict[str, Style] = {"+": "green", "-": "red", "@": "dim"}


def propose(
    out: Output,
    root: Path,
    command: Command,
    most: int | None,
    concerns: Sequence[Concern] = (),
) -> None:
    """Show the command: a change of a file that is there as the difference it makes, a new
    one with how much it holds, else each argument as it is. At most so many lines of one text,
    None: all.

    `root` is the workspace. `concerns` are reasons why it is asked for; what stands in a masked
    file isn't shown.
    """
    out.line(one_line(command.name, out.width - 1), "bold")
    for concern in concerns:
        told(out, f"{concern.said}.", "magenta")
    if any(concern.place for concern in concerns):
        told(out, "y opens it to this command alone; programs in the cage stay shut out.")
    try:
        workspace = _workspace(root)
        with workspace.permitting(concern.place for concern in concerns if concern.place):
            secret = any(concern.is_masked for concern in concerns)
            change = None if secret else preview(workspace, command)
    except CommandError as error:
        told(out, f"It will fail as things are: {str(error).partition(chr(10))[0]}", "magenta")
        change = None
    if change is None:
        _arguments(out, command, most)
    else:
        _change(out, change, most)


def _change(out: Output, change: Preview, most: int | None) -> None:
    path = escaped(change.path)
    head = f"  {path}  {change.note}"
    # Two blanks in a path could pass for the end of it.
    if "  " in path or not path.isprintable() or columns(head) >= out.width:
        _argument(out, "path", change.path, most)
        told(out, f"{change.note[0].upper()}{change.note[1:]}.")
    else:
        out.line(head)
    if change.lines is None:
        _text(out, change.text, most, _language_of(out, change.path))
        return
    _left_out(out, coloured(out, change.lines, most))
    if not change.lines:
        told(out, "Nothing in its text would change.")


def _workspace(root: Path) -> Workspace:
    """CommandError when it is gone: another agent may have moved a sub-agent's folder."""
    try:
        return Workspace(root)
    except OSError as error:
        raise CommandError(f"{str(root)!r}: {error.strerror}.") from error


def arguments(out: Output, command: Command, most: int | None) -> None:
    """Each argument as it is, at most so many lines of one."""
    for name, value in command.args.items():
        _argument(out, name, value, most)


def _arguments(out: Output, command: Command, most: int | None) -> None:
    """The same, what is source text as such."""
    path = command.args.get("path")
    usual = _language_of(out, path) if isinstance(path, str) else ""
    for name, value in command.args.items():
        _argument(out, name, value, most, _run_as(command.name, name) or usual)


def _run_as(name: str, argument: str) -> str:
    """The language of an argument that is run."""
    with suppress(CommandError):
        spec = _RUNNING.find(name)
        return _RUN_AS.get(spec.argument_aliases.get(argument, argument), "")
    return ""


def _language_of(out: Output, path: str) -> str:
    if not out.sets_type:
        return ""
    from autoagent.terminal.live.highlighting import language_of

    return language_of(path)


def coloured(out: Output, lines: Iterable[str], most: int | None = None) -> int:
    """The lines of a difference, each fenced; how many are left out."""
    styled = ([(escaped(line).expandtabs(), _SIGNS.get(line[:1]))] for line in lines)
    return barred(out, styled, most)


def _argument(out: Output, name: str, value: Any, most: int | None, language: str = "") -> None:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    label = one_line(name, 30)
    shown = escaped(text)
    if "\n" not in text and "\t" not in text and columns(label + shown) < out.width - 5:
        (line,) = _lines(out, text, most, language)
        out.line(f"  {label}: {out.set_line(line)}")
        return
    out.line(f"  {label}:")
    _text(out, text, most, language)


def _text(out: Output, text: str, most: int | None, language: str) -> None:
    _left_out(out, barred(out, _lines(out, text, most, language), most))


def _lines(out: Output, text: str, most: int | None, language: str) -> list[Line]:
    """The escaped lines of a text, the first of them in the styles of that language."""
    lines = shown_lines(text)
    first = None
    if language and out.sets_type:
        from autoagent.terminal.live.highlighting import highlighted

        first = highlighted("\n".join(lines[:most]), language)
    first = first or []
    return [*first, *([(line, None)] for line in lines[len(first) :])]


def _left_out(out: Output, lines: int) -> None:
    if lines:
        out.line(f"({lines:,} {'line' if lines == 1 else 'lines'} more: d shows all)", "dim")
