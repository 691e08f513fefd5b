"""What a writing command would change in a file that is there, line by line."""

import difflib
import re
from dataclasses import dataclass

from autoagent.reply import Command
from commands.command import Catalogue, CommandError
from commands.editing import edited
from commands.encoding import encoding_of, plain_lines
from commands.files import edit_file, write_file
from commands.workspace import MissingPath, Workspace

_LARGEST = 4 << 20  # bytes
_MOST_LINES = 2_000  # that differ; comparing takes their square
_CONTEXT = 3
_WRITING = Catalogue([edit_file, write_file])


@dataclass(frozen=True, slots=True)
class Preview:
    """The lines of a unified difference, without its head; none when the text stays."""

    path: str
    lines: tuple[str, ...]


def preview(workspace: Workspace, command: Command) -> Preview | None:
    """None when the command writes no text over text, or when too much differs to compare.

    CommandError says why the command would fail.
    """
    try:
        spec = _WRITING.find(command.name)
    except CommandError:
        return None
    args = spec.checked(command.args)
    before = _text_at(workspace, args["path"])
    if before is None:
        return None
    if spec is edit_file:
        after = edited(before, args["old"], args["new"], args.get("until")).text
    else:
        after = args["content"]
    lines = _unified(plain_lines(before).split("\n"), plain_lines(after).split("\n"))
    return None if lines is None else Preview(args["path"], lines)


def _text_at(workspace: Workspace, path: str) -> str | None:
    try:
        found = workspace.read(path, _LARGEST)
    except MissingPath:
        return None
    encoding = encoding_of(found.data) if found.size == len(found.data) else None
    return encoding.decode(found.data) if encoding else None


def _unified(before: list[str], after: list[str]) -> tuple[str, ...] | None:
    start = _same(before, after)
    end = _same(before[start:][::-1], after[start:][::-1])
    if max(len(before), len(after)) - start - end > _MOST_LINES:
        return None
    first = max(0, start - _CONTEXT)
    upto = min(0, _CONTEXT - end) or None
    lines = difflib.unified_diff(before[first:upto], after[first:upto], lineterm="", n=_CONTEXT)
    return tuple(_shifted(line, first) for line in lines)[2:]


def _same(one: list[str], other: list[str]) -> int:
    """How many lines both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(one), len(other)))


def _shifted(line: str, by: int) -> str:
    """A line of the difference; where it says a place, counted from the file's beginning."""
    if not line.startswith("@@"):
        return line
    return re.sub(r"(?<=[-+])\d+", lambda number: str(int(number[0]) + by), line)
