"""A long text in numbered parts, cut where a reader would cut it."""

import re
from collections.abc import Iterator

PART_BYTES = 6_000  # of UTF-8, which follows tokens better than characters do
_TABLE_HEAD = re.compile(r"(\|.*\|\n\|(?: -{3,} \|)+)(?:\n|$)")


def parts(text: str, most: int = PART_BYTES) -> list[str]:
    """Parts of at most `most` bytes, at least one: between blocks where that is possible,
    else between lines, else between words. A table that goes on says its columns again."""
    found: list[str] = []
    room = 0
    for piece in _under_headings(re.split(r"\n{2,}", text), most):
        size = _size(piece)
        if found and size + 2 <= room:
            found[-1] += "\n\n" + piece
            room -= size + 2
        else:
            found.append(piece)
            room = most - size
    return found or [""]


def _under_headings(blocks: list[str], most: int) -> Iterator[str]:
    """The pieces of the blocks, each heading with what follows it: none ends a part."""
    headings = ""
    for block in blocks:
        if block.startswith("#") and _size(headings) + _size(block) < most // 4:
            headings += block + "\n\n"
            continue
        first, *rest = _pieces(block, most - _size(headings))
        yield headings + first
        yield from rest
        headings = ""
    if headings:
        yield headings.rstrip("\n")


def _pieces(block: str, most: int) -> list[str]:
    if _size(block) <= most:
        return [block]
    head = _TABLE_HEAD.match(block)
    if head is None or _size(head[1]) * 4 > most:
        return _packed(block.split("\n"), "\n", most)
    columns = head[1] + "\n"
    rows = block[len(columns) :].split("\n")
    return [columns + rest for rest in _packed(rows, "\n", most - _size(columns))]


def _packed(items: list[str], between: str, most: int) -> list[str]:
    """As many items together as fit; one that is too long by itself is cut."""
    found: list[str] = []
    room = 0
    for item in items:
        size = _size(item)
        if size > most:
            found += _cut(item, most)
            room = 0
        elif found and size + len(between) <= room:
            found[-1] += between + item
            room -= size + len(between)
        else:
            found.append(item)
            room = most - size
    return found


def _cut(line: str, most: int) -> list[str]:
    """A line that is too long, between its words, or anywhere where it has none."""
    pieces: list[str] = []
    while line:
        piece = line.encode("utf-8", "replace")[:most].decode("utf-8", "ignore")
        blank = piece.rfind(" ") if len(piece) < len(line) else -1
        if blank > len(piece) // 2:
            piece = piece[: blank + 1]
        pieces.append(piece)
        line = line[len(piece) :]
    return pieces


def _size(text: str) -> int:
    return len(text.encode("utf-8", "replace"))
