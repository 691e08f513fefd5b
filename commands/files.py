"""Commands on one file: read, write, append, edit, move, delete."""

import io
from contextlib import suppress

from commands import finding
from commands.command import CommandError, CommandSpec, Result, command
from commands.context import Context
from commands.editing import edited
from commands.encoding import (
    Encoding,
    binary_kind,
    encoding_of,
    line_count,
    line_end,
    plain_lines,
)
from commands.guard import shown
from commands.syntax import syntax_hint
from commands.workspace import Content, MissingPath

WHOLE = 4 << 20  # bytes; of a longer file only a range is read
SCANNED = 256 << 20  # bytes that are passed to come to that range
RANGE_LINES = 2_000
LARGEST_CHANGED = 64 << 20  # bytes of a file that is held whole to be changed
SAMPLE = 64 << 10  # bytes by which a long file's encoding is told

_PATH = dict.fromkeys(("file", "filename", "file_name", "file_path", "filepath"), "path")
_CONTENT = dict.fromkeys(("text", "contents", "data", "file_content", "file_text"), "content")
_LINES = dict.fromkeys(("start", "offset", "line", "from_line", "line_start"), "start_line")
_LINES |= dict.fromkeys(("limit", "count", "num_lines", "line_count", "max_lines"), "lines")
_EDIT = dict.fromkeys(("old_string", "old_str", "old_text", "search", "find"), "old")
_EDIT |= dict.fromkeys(("new_string", "new_str", "new_text", "replace", "replacement"), "new")
_MOVE = dict.fromkeys(("src", "from", "old_path", "source_path", "path"), "source")
_MOVE |= dict.fromkeys(("dst", "dest", "destination", "to", "new_path", "target_path"), "target")


@command("read", aliases=("read", "cat", "open_file", "view_file"), argument_aliases=_PATH | _LINES)
def read_file(
    ctx: Context, path: str, start_line: int | None = None, lines: int | None = None
) -> Result:
    """text as it is, without line numbers"""
    for name, value in (("start_line", start_line), ("lines", lines)):
        if value is not None and value < 1:
            raise CommandError(f"{name} counts from 1, it can't be {value}.")
    found = ctx.workspace.read(path, WHOLE)
    whole = found.size == len(found.data)
    encoding = encoding_of(found.data, whole=whole)
    if encoding is None:
        return _not_text(found)
    if not whole:
        return _read_range(ctx, found, encoding, start_line or 1, lines or RANGE_LINES)
    ctx.seen.saw(found.path, found.data)
    text = encoding.decode(found.data)
    ends = _ends_note(text)
    text = plain_lines(text)
    total = line_count(text)
    notes = [_many(total, "line")]
    if start_line is not None or lines is not None:
        text, notes[0] = _range(text, total, start_line or 1, lines or total)
    return Result(text, "; ".join([*notes, *ends, *encoding.notes]), read=(found.path,))


@command("change", aliases=("write_to_file", "create_file"), argument_aliases=_PATH | _CONTENT)
def write_file(ctx: Context, path: str, content: str) -> Result:
    """new or whole file"""
    try:
        before = ctx.workspace.read(path, SAMPLE)
        ctx.seen.refuse_stale(ctx.workspace, before.path)
    except MissingPath:
        before = None
    encoding, kept = _encoding_for(content, before)
    data = encoding.encode(content.removeprefix("\ufeff") if encoding.mark else content)
    true = ctx.workspace.write(path, data)
    ctx.seen.saw(true, data)
    done = "new" if before is None else "replaced"
    size = f"{_many(line_count(content), 'line')}, {_many(len(data), 'byte')}"
    notes = [f"{done}, {size}", *encoding.notes, *kept, *_parses(ctx, true, content)]
    return Result(note="; ".join(notes), changed=(true,))


@command("change", aliases=("append_to_file",), argument_aliases=_PATH | _CONTENT)
def append_file(ctx: Context, path: str, content: str) -> Result:
    if not content:
        raise CommandError("content is empty; nothing would change.")
    try:
        found = ctx.workspace.read(path, LARGEST_CHANGED)
        ctx.seen.refuse_stale(ctx.workspace, found.path)
        encoding, text = _text(found, path)
    except MissingPath:
        encoding, text = Encoding(), ""
    added = content
    if line_end(text) == "\r\n":
        added = plain_lines(content).replace("\n", "\r\n")
    data = encoding.encode(text + added)
    true = ctx.workspace.write(path, data)
    ctx.seen.saw(true, data)
    notes = [f"{_many(line_count(content), 'line')} added"]
    if text and not text.endswith("\n"):
        notes.append(f"line {line_count(text)} had no line break at its end and goes on")
    return Result(note="; ".join(notes), changed=(true,))


@command("change", aliases=("replace_in_file", "str_replace"), argument_aliases=_PATH | _EDIT)
def edit_file(ctx: Context, path: str, old: str, new: str, until: str | None = None) -> Result:
    """old must stand exactly once; with until, all from old to the end of until is replaced"""
    found = ctx.workspace.read(path, LARGEST_CHANGED)
    ctx.seen.refuse_stale(ctx.workspace, found.path)
    encoding, text = _text(found, path)
    edit = edited(text, old, new, until)
    data = encoding.encode(edit.text)
    true = ctx.workspace.write(path, data)
    ctx.seen.saw(true, data)
    last = edit.line + edit.lines - 1
    where = f"line {edit.line}" if edit.lines == 1 else f"lines {edit.line}-{last}"
    notes = [f"1 place, {where}", *_parses(ctx, true, edit.text)]
    return Result(note="; ".join(notes), changed=(true,))


@command("change", aliases=("rename_file", "move", "rename"), argument_aliases=_MOVE)
def move_file(ctx: Context, source: str, target: str) -> Result:
    changed = ctx.workspace.move(source, target)
    ctx.seen.removed(changed[0])
    return Result(note=f"moved to {shown(changed[1])}", changed=changed)


@command("change", aliases=("remove_file", "delete"), argument_aliases=_PATH)
def delete_file(ctx: Context, path: str) -> Result:
    with suppress(MissingPath):
        ctx.seen.refuse_stale(ctx.workspace, ctx.workspace.kind(path)[1])
    kind, true = ctx.workspace.delete(path)
    ctx.seen.removed(true)
    what = {"folder": "empty folder", "other": "special file"}.get(kind, kind)
    return Result(note=f"{what} deleted", changed=(true,))


def _text(found: Content, path: str) -> tuple[Encoding, str]:
    """The whole text of a file that is to be changed, line ends as they are."""
    if found.size > len(found.data):
        raise CommandError(
            f"{shown(path)} is too large to change at once ({found.size:,} bytes); "
            "use execute_shell."
        )
    encoding = encoding_of(found.data)
    if encoding is None:
        raise CommandError(
            f"{shown(path)} is {binary_kind(found.data)}, no text; change it by a program."
        )
    return encoding, encoding.decode(found.data)


def _encoding_for(content: str, before: Content | None) -> tuple[Encoding, tuple[str, ...]]:
    """The encoding to write a whole file in: the old one where it can hold the new text."""
    if before is None:
        return Encoding(), ()
    encoding = encoding_of(before.data, whole=before.size == len(before.data))
    if encoding is None:
        return Encoding(), (f"was {binary_kind(before.data)}, is text now",)
    try:
        encoding.encode(content)
    except CommandError:
        return Encoding(), (f"was {encoding.said}, is UTF-8 now",)
    ends = line_end(encoding.decode(before.data, whole=before.size == len(before.data)))
    changed = "\n" in content and ends == "\r\n" and line_end(content) == "\n"
    return encoding, ("line ends were CRLF, are LF now",) if changed else ()


def _range(text: str, total: int, start: int, count: int) -> tuple[str, str]:
    if start > max(total, 1):
        raise CommandError(f"It has {_many(total, 'line')} only; start_line {start} is beyond.")
    lines = text.split("\n")
    taken = "\n".join(lines[start - 1 : start - 1 + count])
    last = min(total, start - 1 + count)
    if start - 1 + count < len(lines):
        taken += "\n"
    return taken, f"lines {start}-{last} of {total:,}"


def _read_range(ctx: Context, found: Content, encoding: Encoding, start: int, count: int) -> Result:
    """So many lines of a file that is too long to be read whole."""
    with ctx.workspace.reading(found.path) as (file, true):
        file.seek(len(encoding.mark))
        stream = io.TextIOWrapper(file, encoding.codec, errors="replace", newline="\n")
        taken = plain_lines(_far_lines(ctx, stream, start, count))
        stream.detach()  # the file is closed by whoever opened it
    if not taken:
        raise CommandError(
            f"Line {start} of {shown(true)} is beyond its end or too far in "
            f"({found.size:,} bytes); use execute_shell, sed -n for example."
        )
    last = start + line_count(taken) - 1
    note = f"lines {start}-{last}; too large to read whole ({found.size:,} bytes)"
    return Result(taken, "; ".join([note, *encoding.notes]), read=(true,))


def _far_lines(ctx: Context, stream: io.TextIOWrapper, start: int, count: int) -> str:
    """Lines from `start` on, fewer when they are long; "" when they are too far in."""
    taken: list[str] = []
    line, passed, size = 1, 0, 0
    while line < start + count and size < WHOLE:
        piece = stream.readline(WHOLE)
        if not piece or passed > SCANNED or ctx.cancel.reason:
            break
        if line >= start:
            taken.append(piece)
            size += len(piece)
        else:
            passed += len(piece)
        line += piece.endswith("\n")
    return "".join(taken)


def _not_text(found: Content) -> Result:
    return Result(
        "Not text, so not shown. Look at it with execute_shell (file, xxd, strings) or a program.",
        note=f"{binary_kind(found.data)}, {_many(found.size, 'byte')}",
        ok=False,
        read=(found.path,),
    )


def _ends_note(text: str) -> tuple[str, ...]:
    match line_end(text):
        case "\n":
            return ()
        case "\r\n":
            return ("CRLF line ends",)
        case "mixed":
            return ("LF and CRLF line ends mixed",)


def _parses(ctx: Context, path: str, text: str) -> list[str]:
    hint = syntax_hint(path, text, ctx.cancel)
    return [f"does not parse: {hint}"] if hint else []


def _many(count: int, one: str) -> str:
    return f"{count:,} {one}{'' if count == 1 else 's'}"


COMMANDS: tuple[CommandSpec, ...] = (
    read_file,
    write_file,
    append_file,
    edit_file,
    *finding.COMMANDS,
    move_file,
    delete_file,
)
