"""Text that isn't ours, made harmless for a terminal."""

import re
import unicodedata

from autoagent.terminal.columns import clipped

_PLAIN = "\n\t"
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Control, format (bidirectional, zero width, joiners, tags), lone surrogates, private,
unassigned, line and paragraph separators."""

# Letters and marks that show nothing, though Unicode files them under what can be seen: joiners,
# fillers, variation selectors (in which whole texts can be hidden), the empty braille cell.
_EMPTY = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0100-\U000e01ef]"
)
_MOST_MARKS = 8
"""Marks on one character: more than any script needs; a heap of them covers other lines."""


def escaped(text: str) -> str:
    """The text with every character that a terminal would obey, hide or reorder by written
    out: control characters and escape sequences, bidirectional and invisible ones, lone
    surrogates. Line breaks and tabs stay, and so does all that can be seen, except that an
    emoji put together by joiners falls into its parts: a joiner can't be seen."""
    if text.isascii() and text.isprintable():
        return text
    # One look at each different character, not at each: a megabyte takes a tenth of a second.
    different = set(text)
    hidden = {ord(c): _written_out(c) for c in different if c not in _PLAIN and _is_hidden(c)}
    marks = "".join(c for c in different if unicodedata.category(c) in ("Mn", "Me"))
    if marks:
        heap = f"(?<=[{marks}]{{{_MOST_MARKS}}})[{marks}]"
        text = re.sub(heap, lambda found: _written_out(found[0]), text)
    return text.translate(hidden) if hidden else text


def one_line(text: str, room: int) -> str:
    """The escaped text on one line of at most `room` columns."""
    return clipped(escaped(" ".join(text.split())), room)


def _is_hidden(character: str) -> bool:
    category = unicodedata.category(character)
    return category in _HIDDEN_CATEGORIES or _EMPTY.match(character) is not None


def _written_out(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{{{code:x}}}"
