"""How wide text is on a terminal, and how it is cut to fit."""

import re
import unicodedata

_WORD = re.compile(r" *[^ ]+")


def columns(text: str) -> int:
    """Cells that the text takes: wide characters two, marks that combine none."""
    return len(text) if text.isascii() else sum(map(_cells, text))


def clipped(text: str, room: int) -> str:
    """The text, or its beginning and "…" in `room` columns."""
    if columns(text) <= room:
        return text
    return chunks(text, max(1, room - 1))[0] + "…"


def chunks(text: str, room: int) -> list[str]:
    """The text in pieces of at most `room` columns; marks stay with what they stand on."""
    if text.isascii():
        return [text[at : at + room] for at in range(0, max(len(text), 1), room)]
    pieces, begin, used = [], 0, 0
    for at, character in enumerate(text):
        cells = _cells(character)
        if used + cells > room and at > begin:
            pieces.append(text[begin:at])
            begin, used = at, 0
        used += cells
    return [*pieces, text[begin:]]


def wrapped(line: str, room: int) -> list[str]:
    """The line broken between words, into lines of at most `room` columns."""
    lines = [""]
    for word in _WORD.findall(line):
        if columns(lines[-1]) + columns(word) <= room:
            lines[-1] += word
        else:
            lines += chunks(word.lstrip(" "), room)
    return lines[1:] if len(lines) > 1 and not lines[0] else lines


def _cells(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    if "\U0001f1e6" <= character <= "\U0001f1ff":  # two are a flag; some terminals show letters
        return 2
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
