"""What is made of a foreign document, and the signs that none of them may hold."""

import re
from dataclasses import dataclass

# Left out: controls; what turns the direction of text; blanks of no width; tags and variation
# selectors, in which orders can be hidden from a reader's eye but not from a model's.
_UNSEEN = re.compile(
    "[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f"
    "\ud800-\udfff\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff]"
)


class Unreadable(Exception):
    """There is no text to be had; the message says why, as half a sentence."""


@dataclass(frozen=True, slots=True)
class Document:
    """`date` is as the document says it, "" when it doesn't. `notes` are short, for the head
    line of a result; `script`: there is little text without running the page's programs."""

    text: str
    title: str = ""
    date: str = ""
    notes: tuple[str, ...] = ()
    script: bool = False


def seen(text: str) -> str:
    """The text without what can't be seen, lines ended by a line feed."""
    return _UNSEEN.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def on_one_line(text: str) -> str:
    return " ".join(seen(text).split())
