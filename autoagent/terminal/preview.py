"""What a writing command would do to its file, line by line where there is text already."""

import difflib
import re
from dataclasses import dataclass

from autoagent.reply import Command
from autoagent.sizes import spelled
from commands.command import Catalogue, CommandError
from commands.editing import edited
from commands.encoding import encoding_of, line_count, plain_lines
from commands.files import append_file, edit_file, write_file
from commands.workspace import Content, MissingPath, Workspace

_LARGEST = 4 << 20  # bytes
_MOST_LINES = 2_000  # that differ; comparing takes their square
_CONTEXT = 3
_WRITING = Catalogue([append_file, edit_file, write_file])


@dataclass(frozen=True, slots=True)
class Preview:
    """`note` says what becomes of the file at `path`: "new, 2 lines, 14 bytes".

    `lines` are those of a unified difference, without its head; none when the text stays. None:
    there is nothing to compare with, and `text` is what would be written.
    """

    path: str
    note: str
    lines: tuple[str, ...] | None
    text: str


def preview(workspace: Workspace, command: Command) -> Preview | None:
    """None when the command writes no text, or an edit would change too much to compare.

    CommandError says why the command would fail.
    """
    try:
        spec = _WRITING.find(command.name)
    except CommandError:
        return None
    args = spec.checked(command.args)
    path = args["path"]
    try:
        found = workspace.read(path, _LARGEST)
    except MissingPath:
        if spec is edit_file:
            raise
        return _new(path, args["content"])
    before = _text_of(found)
    if spec is not edit_file:
        add = spec is append_file
        return (_added if add else _replaced)(path, found, before, args["content"])
    if before is None:
        return None
    after = edited(before, args["old"], args["new"], args.get("until")).text
    lines = _difference(before, after)
    return None if lines is None else Preview(path, _counted(lines), lines, "")


def _new(path: str, content: str) -> Preview:
    return Preview(path, f"new, {_measured(content)}", None, content)


def _added(path: str, found: Content, before: str | None, content: str) -> Preview:
    to = _size(found.size) if before is None else f"{line_count(before):,}"
    return Preview(path, f"adds {_many(line_count(content))} to {to}", None, content)


def _replaced(path: str, found: Content, before: str | None, content: str) -> Preview:
    if before is None:
        note = f"replaces {_size(found.size)} by {_measured(content)}"
        return Preview(path, note, None, content)
    note = f"replaces {_many(line_count(before))} by {line_count(content):,}"
    return Preview(path, note, _difference(before, content), content)


def _text_of(found: Content) -> str | None:
    encoding = encoding_of(found.data) if found.size == len(found.data) else None
    return encoding.decode(found.data) if encoding else None


def _measured(content: str) -> str:
    size = len(content.encode("utf-8", "surrogatepass"))
    return f"{_many(line_count(content))}, {_size(size)}"


def _size(size: int) -> str:
    return spelled(size) if size >= 1000 else f"{size} byte{'' if size == 1 else 's'}"


def _many(lines: int) -> str:
    return f"{lines:,} line{'' if lines == 1 else 's'}"


def _counted(lines: tuple[str, ...]) -> str:
    """ "+3 -2 lines"."""
    signs = [line[:1] for line in lines]
    return f"+{signs.count('+')} -{signs.count('-')} lines"


def _difference(before: str, after: str) -> tuple[str, ...] | None:
    return _unified(plain_lines(before).split("\n"), plain_lines(after).split("\n"))


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
