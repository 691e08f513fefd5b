"""The marks that web text stands between: it can neither contain nor forge them."""

import hmac
import re
from collections.abc import Iterator
from itertools import count

_DIGITS = 8
_FRAMED = re.compile(
    r"^\[([^\n]*), web ([0-9a-f]{8})\][^\n]*\n(.*?)\n\[end web \2\]$", re.MULTILINE | re.DOTALL
)


def mark_of(text: str, secret: str, *, digits: int = _DIGITS) -> str:
    """Hexadecimal digits that don't stand in the text, from it and the session's secret."""
    key, message = secret.encode(), text.encode("utf-8", "surrogatepass")
    for number in count():
        # A text that happens to hold its first mark gets the next one.
        salted = b"%d\n" % number + message
        mark = hmac.new(key, salted, "sha256").hexdigest()[:digits]
        if mark not in text:
            return mark
    raise AssertionError


def web_framed(about: str, note: str, text: str, secret: str) -> str:
    """Web text between a head line, which says what it is, and its end line."""
    text = text.removesuffix("\n")
    mark = mark_of(text, secret)
    # The note may tell a page's title, which must not break out of its line.
    note = "".join(c if c.isprintable() else "?" for c in note)
    return f"{f'[{about}, web {mark}] {note}'.rstrip()}\n{text}\n[end web {mark}]"


def web_texts(text: str, secret: str) -> Iterator[tuple[str, str]]:
    """What the web texts are that stand framed in a text, and these themselves, as
    `web_framed` wrote them and nobody else."""
    start = 0
    while found := _FRAMED.search(text, start):
        genuine = mark_of(found[3], secret) == found[2]
        if genuine:
            yield found[1], found[3]
        start = found.end() if genuine else found.start() + 1


def is_web(source: str) -> bool:
    """Whether a label says that the text is of the web, or was written after web text came in."""
    return source == "web" or source.endswith(_AFTER)


def after_web(source: str) -> str:
    """The label of what was written when web text was in the prompt."""
    return source if is_web(source) else f"{source}{_AFTER}"


def trusted(source: str) -> str:
    """The label of what a person has read and trusts; it says where it came from, still."""
    return f"{source}, trusted"


_AFTER = " after web"
