"""What changed between two states of a tree, as a unified diff for people."""

import difflib
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from autoagent.checkpoints.manifest import Node, innards
from autoagent.checkpoints.objects import MissingContent, Objects
from autoagent.checkpoints.undo import Wish

LONGEST_BYTES = 1 << 20
_MOST_LINES = 20_000
_NO_NEWLINE = "\\ No newline at end of file"


@dataclass(slots=True)
class Tally:
    """What a difference came to."""

    new: int = 0
    gone: int = 0
    changed: int = 0
    added: int = 0  # lines
    removed: int = 0

    def __str__(self) -> str:
        paths = self.new + self.gone + self.changed
        if not paths:
            return "nothing changed"
        kinds = {"new": self.new, "gone": self.gone, "changed": self.changed}
        said = ", ".join(f"{count} {kind}" for kind, count in kinds.items() if count)
        lines = f", +{self.added} -{self.removed} lines" if self.added or self.removed else ""
        return f"{paths} path{'s' if paths != 1 else ''}: {said}{lines}"


def difference(changes: Iterable[Wish], objects: Objects, tally: Tally) -> Iterator[str]:
    """The lines of the difference, counted in `tally`. Nothing is escaped.

    Contents that aren't UTF-8 text, or are long, are named with their sizes; of what git
    and tools keep for themselves only how much it is.
    """
    inside = Counter[str]()
    for change in changes:
        before, after = change.before, change.left
        tally.new += before is None
        tally.gone += after is None
        tally.changed += before is not None and after is not None
        if folder := innards(change.path):
            inside[folder] += 1
            continue
        yield from _heads(change.path, before, after)
        if _is_file(before) or _is_file(after):
            yield from _contents(change.path, before, after, objects, tally)
    for folder, count in inside.items():
        yield f"in {folder}/: {count} paths, not shown"


def _heads(path: str, before: Node | None, after: Node | None) -> Iterator[str]:
    """What can be said without a content: kinds, modes, links."""
    if before is None or after is None or before.kind != after.kind:
        if before is not None and before.kind != "file":
            yield f"gone: {_said(path, before)}"
        if after is not None and after.kind != "file":
            yield f"new: {_said(path, after)}"
        return
    if before.kind == "link" and before.mark != after.mark:
        yield f"link {path}: {before.mark} became {after.mark}"
    old, new = stat.S_IMODE(before.mode), stat.S_IMODE(after.mode)
    if old != new:
        yield f"mode {path}: {old:o} became {new:o}"
    if (before.uid, before.gid) != (after.uid, after.gid):
        yield f"owner {path}: {before.uid}:{before.gid} became {after.uid}:{after.gid}"


def _said(path: str, node: Node) -> str:
    match node.kind:
        case "folder":
            return f"folder {path}/"
        case "link":
            return f"link {path} -> {node.mark}"
        case "masked":
            return f"masked file {path}"
        case _:
            return f"special file {path}"


def _contents(
    path: str, before: Node | None, after: Node | None, objects: Objects, tally: Tally
) -> Iterator[str]:
    old, new = _file(before), _file(after)
    if old and new and old.digest == new.digest and old.digest is not None:
        return
    if any(node is not None and node.digest is None for node in (old, new)):
        yield f"file {path}: its content is not kept, so the difference isn't known"
        return
    texts = [_text(node, objects) for node in (old, new)]
    if texts[0] is None or texts[1] is None:
        sizes = [objects.size(n.digest) if n and n.digest else 0 for n in (old, new)]
        yield f"file {path}: binary or long, {sizes[0]:,} bytes became {sizes[1]:,}"
        return
    names = (f"a/{path}" if old else "/dev/null", f"b/{path}" if new else "/dev/null")
    lines = list(_unified(texts[0], texts[1], *names))
    if not lines and not (old and new):
        lines = [f"--- {names[0]}", f"+++ {names[1]}"]  # an empty file
    tally.added += sum(line.startswith("+") for line in lines[2:])
    tally.removed += sum(line.startswith("-") for line in lines[2:])
    yield from lines


def _unified(old: str, new: str, old_name: str, new_name: str) -> Iterator[str]:
    before, after = _lines(old), _lines(new)
    for line in difflib.unified_diff(before, after, old_name, new_name, lineterm=""):
        head, _, rest = line.partition("\0")
        yield head
        if rest:
            yield rest


def _lines(text: str) -> list[str]:
    """Lines without their ends; the last one says so if it had none."""
    lines = text.split("\n")
    last = lines.pop()
    # A text holds no NUL, so that this can't be taken for a part of a line.
    return [*lines, f"{last}\0{_NO_NEWLINE}"] if last else lines


def _is_file(node: Node | None) -> bool:
    return node is not None and node.kind == "file"


def _file(node: Node | None) -> Node | None:
    return node if _is_file(node) else None


def _text(node: Node | None, objects: Objects) -> str | None:
    """A file's text; None where it can't be shown as that."""
    if node is None or node.digest is None:
        return ""
    if objects.size(node.digest) > LONGEST_BYTES:
        return None
    try:
        text = b"".join(objects.pieces(node.digest)).decode()
    except (MissingContent, UnicodeDecodeError):
        return None
    return None if "\0" in text or text.count("\n") > _MOST_LINES else text
