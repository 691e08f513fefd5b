"""Commands that look through many files of the workspace: list_files, search_files."""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from subprocess import Popen
from time import monotonic
from typing import Any

from commands import grep
from commands.apart import python_apart
from commands.command import CommandError, CommandSpec, Result, command
from commands.context import Context
from commands.encoding import encoding_of, plain_lines
from commands.guard import is_masked
from commands.standing import Entry

NOISE = frozenset(
    [
        *(".git", ".hg", ".svn", ".venv", "venv", ".tox", ".nox", "node_modules", "__pycache__"),
        *(".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis", ".cache", ".eggs"),
    ]
)
MOST_LISTED = 2_000  # lines of a listing
MOST_SEEN = 100_000  # entries of a walk
MOST_LEFT_OUT = 20_000  # entries counted in folders that are left out
MOST_MATCHES = 200
AT_ONCE = 1 << 20  # bytes that are handed over together: each time costs two switches
LARGEST_SEARCHED = 8 << 20  # bytes of a file
TIME_S = 10.0

_FOLDER_NAMES = dict.fromkeys(("directory", "folder", "dir", "dir_path", "directory_path"), "path")


@dataclass(slots=True)
class _Walk:
    """A look through folders that ends by itself; `cut` says that it didn't see everything."""

    ctx: Context
    most: int = MOST_SEEN
    until: float = field(default_factory=lambda: monotonic() + TIME_S)
    seen: int = 0
    cut: bool = False
    unreadable: set[str] = field(default_factory=set)

    def entries(self, start: str, noise: frozenset[str] = NOISE) -> Iterator[Entry]:
        """What isn't a folder, and folders that are empty, unreadable or noise; depth first."""
        todo = self.ctx.workspace.entries(start)[::-1]
        while todo and not self._over():
            entry = todo.pop()
            if entry.kind == "folder" and _name(entry) not in noise:
                beneath = self._beneath(entry.path)
                todo += beneath[::-1]
                if beneath:
                    continue
            yield entry

    def _beneath(self, path: str) -> list[Entry]:
        try:
            return self.ctx.workspace.entries(path)
        except CommandError:
            self.unreadable.add(path)
            return []

    def _over(self) -> bool:
        self.seen += 1
        if self.seen > self.most or monotonic() > self.until or self.ctx.cancel.reason:
            self.cut = True
        return self.cut


@command("read", aliases=("ls", "list_directory", "list_dir"), argument_aliases=_FOLDER_NAMES)
def list_files(ctx: Context, path: str = ".") -> Result:
    kind, start = ctx.workspace.kind(path)
    if kind != "folder":
        raise CommandError(f"{path!r} is a file; read_file reads it.")
    walk = _Walk(ctx)
    lines: list[str] = []
    noise: list[Entry] = []
    files = hidden = 0
    for entry in walk.entries(start):
        files += entry.kind != "folder"
        if entry.kind == "folder" and _name(entry) in NOISE:
            noise.append(entry)
        elif len(lines) < MOST_LISTED:
            lines.append(_listed(entry, walk))
        else:
            hidden += 1
    lines += _left_out(ctx, noise)
    if hidden or walk.cut:
        uncounted = " at least" if walk.cut else ""
        lines.append(f"({hidden:,} more{uncounted}; list a folder to see what it holds)")
    return Result("\n".join(lines), note=_files(files, walk.cut))


@command(
    "read",
    aliases=("grep", "search_in_files", "find_in_files"),
    argument_aliases=_FOLDER_NAMES | {"regex": "pattern", "query": "pattern", "file": "path"},
)
def search_files(ctx: Context, pattern: str, path: str = ".") -> Result:
    """regular expression; path:line: text"""
    kind, start = ctx.workspace.kind(path)
    walk = _Walk(ctx)
    with python_apart(grep.__file__, timeout_s=TIME_S + 1, cancel=ctx.cancel) as process:
        search = _Search(ctx, process)
        search.begin(pattern)
        if kind == "folder":
            files = (entry.path for entry in walk.entries(start) if entry.kind == "file")
            search.all(files)
        else:
            search.one(path)
        search.match()
    note = [*search.notes(), *(["not all files were reached"] if walk.cut else [])]
    return Result("\n".join(search.lines), note="; ".join(note), ok=not search.broken)


@dataclass(slots=True)
class _Search:
    """One pattern over many files, matched by the program apart."""

    ctx: Context
    process: Popen[bytes]
    lines: list[str] = field(default_factory=list)
    files: int = 0  # with a match
    binary: int = 0
    large: int = 0
    broken: str = ""
    waiting: list[tuple[str, bytes]] = field(default_factory=list)  # paths and texts
    waiting_bytes: int = 0

    def begin(self, pattern: str) -> None:
        """CommandError when the pattern isn't one."""
        self._ask(json.dumps(pattern).encode() + b"\n")
        fault = self._answer()
        if fault is None:
            raise CommandError("The pattern could not be read in time; make it simpler.")
        if fault:
            where = "" if fault["at"] is None else f" at character {fault['at'] + 1}"
            raise CommandError(
                f"Not a regular expression: {fault['error']}{where} of {pattern!r:.300}. "
                "Put a backslash before a sign that is meant as itself."
            )

    def all(self, paths: Iterator[str]) -> None:
        for path in paths:
            # A file that went away or can't be read doesn't spoil the search of the others.
            with suppress(CommandError):
                self.one(path)
            if self.broken or len(self.lines) >= MOST_MATCHES:
                return

    def one(self, path: str) -> None:
        found = self.ctx.workspace.read(path, LARGEST_SEARCHED)
        encoding = encoding_of(found.data, whole=found.size == len(found.data))
        if found.size > len(found.data):
            self.large += 1
        elif encoding is None:
            self.binary += 1
        else:
            text = plain_lines(encoding.decode(found.data)).encode()
            self.waiting.append((found.path, text))
            self.waiting_bytes += len(text)
            if self.waiting_bytes > AT_ONCE:
                self.match()

    def match(self) -> None:
        """Look through the texts that wait."""
        texts = [text for _, text in self.waiting]
        head = {"sizes": [len(text) for text in texts], "most": MOST_MATCHES - len(self.lines)}
        self._ask(json.dumps(head).encode() + b"\n" + b"".join(texts))
        for path, _ in self.waiting:
            found = self._answer()
            if found is None:
                why = "stopped" if self.ctx.cancel.reason else "the pattern takes too long"
                self.broken = f"{why}, at {path}; make it simpler or search fewer files"
                break
            self.files += bool(found)
            self.lines += [f"{_printable(path)}:{number}: {line}" for number, line in found]
        self.waiting, self.waiting_bytes = [], 0

    def _ask(self, question: bytes) -> None:
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.write(question)
            self.process.stdin.flush()

    def _answer(self) -> Any:
        """What the program says next; None when it is gone."""
        assert self.process.stdout is not None
        answer = self.process.stdout.readline()
        return json.loads(answer) if answer.endswith(b"\n") else None

    def notes(self) -> list[str]:
        """What the head line says of the search."""
        found = f"{_many(len(self.lines), 'match', 'matches')} in {_many(self.files, 'file')}"
        notes = [found if self.lines else "no match"]
        if len(self.lines) >= MOST_MATCHES:
            notes.append("there may be more")
        if self.binary:
            notes.append(f"{_many(self.binary, 'binary file')} skipped")
        if self.large:
            notes.append(f"{_many(self.large, 'file')} above {LARGEST_SEARCHED >> 20} MiB skipped")
        return notes + ([self.broken] if self.broken else [])


def _left_out(ctx: Context, folders: list[Entry]) -> Iterator[str]:
    walk = _Walk(ctx, most=MOST_LEFT_OUT)
    for folder in folders:
        files = 0
        with suppress(CommandError):
            files = sum(e.kind != "folder" for e in walk.entries(folder.path, frozenset()))
        yield f"{_printable(folder.path)}/ (left out: {_files(files, walk.cut)})"


def _listed(entry: Entry, walk: _Walk) -> str:
    shown = _printable(entry.path)
    if is_masked(entry.path):
        return f"{shown} (masked)"
    match entry.kind:
        case "file":
            return shown
        case "folder":
            return f"{shown}/ ({'unreadable' if entry.path in walk.unreadable else 'empty'})"
        case "link":
            return f"{shown} -> {_printable(entry.link)}"
        case "other":
            return f"{shown} (not a regular file)"


def _name(entry: Entry) -> str:
    return entry.path.rpartition("/")[2]


def _printable(path: str) -> str:
    """The path as it is, or quoted when it holds what could be taken for more than a path."""
    return path if path.isprintable() else repr(path)


def _files(count: int, cut: bool) -> str:
    return ("at least " if cut else "") + _many(count, "file")


def _many(count: int, one: str, more: str = "") -> str:
    return f"{count:,} {one if count == 1 else more or one + 's'}"


COMMANDS: tuple[CommandSpec, ...] = (list_files, search_files)
