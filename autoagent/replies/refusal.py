"""What a refused reply leaves behind: the fault as the model reads it, and an excerpt."""

import re

_SURROGATE = re.compile("[\ud800-\udfff]")


class ReplyError(Exception):
    """A reply that can't be run; `str()` tells the model what to mend.

    `position` is the index of the character where the fault is, None when it has no place.
    """

    def __init__(self, message: str, position: int | None = None) -> None:
        super().__init__(message)
        self.position = position


def unreadable(position: int, what: str) -> ReplyError:
    """The error for a fault at that index; characters are counted from 1 in the message."""
    return ReplyError(f"Not readable at character {position + 1}: {what}", position)


def shown(text: str, most: int = 40) -> str:
    """At most `most` characters of foreign text, on one line and encodable."""
    cut = text if len(text) <= most else text[: most - 1] + "…"
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in cut)


def excerpt(text: str, position: int | None, size: int = 400) -> str:
    """At most `size` characters of text around position, "…" where something is left out.

    Without a position: the beginning. Lone surrogates become "�": a prompt must be encodable.
    """
    middle = position or 0
    if len(text) > size:
        room = size - 2
        start = max(0, min(middle - room // 2, len(text) - room))
        end = start + room
        text = "…" * (start > 0) + text[start:end] + "…" * (end < len(text))
    return _SURROGATE.sub("\ufffd", text)
