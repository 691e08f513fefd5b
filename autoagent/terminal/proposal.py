"""A command on the screen, whole or with how much of it is hidden, for a person to decide on."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from autoagent.approval import Concern
from autoagent.reply import Command
from autoagent.terminal.columns import columns
from autoagent.terminal.escape import escaped, one_line
from autoagent.terminal.layout import barred, fenced, told
from autoagent.terminal.output import Output, Style
from autoagent.terminal.preview import preview
from commands.command import CommandError
from commands.workspace import Workspace

MOST_LINES = 12
_SIGNS: dict[str, Style] = {"+": "green", "-": "red", "@": "dim"}


def propose(
    out: Output,
    root: Path,
    command: Command,
    most: int | None,
    concerns: Sequence[Concern] = (),
) -> None:
    """Show the command: a change of a file that is there as the difference it makes, else
    each argument as it is. At most so many lines of one text, None: all.

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
        arguments(out, command, most)
        return
    _argument(out, "path", change.path, most)
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


def coloured(out: Output, lines: Iterable[str], most: int | None = None) -> int:
    """The lines of a difference, each fenced; how many are left out."""
    styled = [(escaped(line).expandtabs(), _SIGNS.get(line[:1])) for line in lines]
    return barred(out, styled, most)


def _argument(out: Output, name: str, value: Any, most: int | None) -> None:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    label = one_line(name, 30)
    shown = escaped(text)
    if "\n" not in text and "\t" not in text and columns(label + shown) < out.width - 5:
        out.line(f"  {label}: {shown}")
        return
    out.line(f"  {label}:")
    _left_out(out, fenced(out, text, most))


def _left_out(out: Output, lines: int) -> None:
    if lines:
        out.line(f"({lines:,} {'line' if lines == 1 else 'lines'} more: d shows all)", "dim")
