"""A reader of almost-JSON that takes a text exactly or refuses it.

Beyond JSON it takes: comments (`// # /* */`, free of quotes and brackets), a trailing comma
(not behind a number, whose last digit it may replace), strings in other quotes ('…', “…”,
‘…’; the same ones for all keys, and for all strings of a list), True, False and None, raw
line breaks and tabs in strings, and closers missing at the very end; escapes as `quoted.py`
says. Nothing else is mended.
"""

import re
from dataclasses import dataclass
from typing import Any, NoReturn

from autoagent.replies.quoted import CLOSERS, string_end, unescaped
from autoagent.replies.refusal import shown, unreadable

DEEPEST = 64
"""Levels of nesting; far above any command's, far below Python's own recursion limit."""

Path = tuple[str | int, ...]

_SPACE = re.compile(r"[\s\ufeff\u200b]*")
_COMMENT = re.compile(r"//[^\n]*\n|#[^\n]*\n|/\*.*?\*/", re.DOTALL)
_DATA = re.compile(r"true|false|null|True|False|None|[-+0-9.eE,:\s#/*]")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_WORD = re.compile(r"[^\W\d]\w*")
_WORDS = {"true": True, "True": True, "false": False, "False": False, "null": None, "None": None}
_INFINITE = (float("inf"), float("-inf"))


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of a text: the value and the index behind it.

    `unclosed` is the path of the innermost container that the text's end closed, None when
    nothing was left open.
    """

    value: Any
    end: int
    unclosed: Path | None = None


def read_tolerantly(text: str, start: int, end: int) -> Reading:
    """The object or array that begins at start, nothing of it at or behind end.

    ReplyError says where it can't be read and what to mend.
    """
    parser = _Parser(text, start, end)
    value = parser.value()
    return Reading(value, parser.pos, parser.unclosed)


class _Parser:
    def __init__(self, text: str, pos: int, end: int) -> None:
        self.text = text
        self.pos = pos
        self.end = end
        self.unclosed: Path | None = None
        self._path: list[str | int] = []
        self._key_quote = ""
        self._commented = False
        self._last: tuple[Path, str] | None = None  # the last string: where it stands, its text

    def value(self) -> Any:
        char = self._peek()
        if len(self._path) > DEEPEST:
            raise unreadable(self.pos, f"the object is nested more than {DEEPEST} levels deep.")
        if char == "{":
            return self._object()
        if char == "[":
            return self._array()
        if char in CLOSERS:
            return self._string()
        return self._number_or_word(char)

    def _object(self) -> dict[str, Any]:
        self.pos += 1
        members: dict[str, Any] = {}
        while self._goes_on("}"):
            at = self.pos
            key = self._key()
            if key in members:
                raise unreadable(
                    at, f'the key "{shown(key)}" stands twice in one object; leave one out.'
                )
            self._colon(key)
            self._path.append(key)
            members[key] = self.value()
            self._path.pop()
            if not self._comma("}", members[key]):
                break
        return members

    def _array(self) -> list[Any]:
        self.pos += 1
        items: list[Any] = []
        quotes: set[str] = set()
        while self._goes_on("]"):
            self._path.append(len(items))
            at = self.pos
            items.append(self.value())
            self._path.pop()
            self._check_quotes(at, quotes)
            if not self._comma("]", items[-1]):
                break
        return items

    def _check_quotes(self, at: int, quotes: set[str]) -> None:
        # In `["a", 'b', "c"]` all three may be one text whose quotes were not escaped.
        quotes.update(self.text[at] if self.text[at] in CLOSERS else ())
        if len(quotes) > 1:
            raise unreadable(at, "the strings of one list need the same quotes; use double ones.")

    def _goes_on(self, closer: str) -> bool:
        """Is there another member? If not, step over the closer."""
        char = self._peek()
        if char == closer:
            self.pos += 1
        elif not char:
            self._close_at_end()
        return char not in ("", closer)

    def _comma(self, closer: str, value: Any) -> bool:
        """Step over what follows a member; True behind a comma."""
        # No comment straight behind a string: in `"grep "#define" f"` it would swallow text.
        char = self._peek(comments=not isinstance(value, str))
        if char == ",":
            self.pos += 1
            if self._peek() == closer and type(value) in (int, float):
                self._fail(f"behind the number {value} and a comma a value is missing.")
            return True
        if char not in ("", closer):
            self._unexpected(f"a comma or {closer}", behind=value)
        self._goes_on(closer)
        return False

    def _key(self) -> str:
        char = self._peek()
        if char not in CLOSERS:
            self._unexpected("a key in double quotes")
        self._key_quote = self._key_quote or char
        if char != self._key_quote:
            self._unexpected(f"a key in {self._key_quote} quotes like the others")
        return self._string(key=True)

    def _colon(self, key: str) -> None:
        if self._peek(comments=False) != ":":
            self._unexpected(f'a colon behind "{shown(key)}"')
        self.pos += 1

    def _string(self, key: bool = False) -> str:
        start = self.pos
        stop = string_end(self.text, start, self.end)
        strange = "'" in (self._key_quote, self.text[start])
        value = unescaped(self.text, start, stop, python=strange)
        self.pos = stop + 1
        if not key:
            self._last = (tuple(self._path), value)
        return value

    def _number_or_word(self, char: str) -> Any:
        if number := _NUMBER.match(self.text, self.pos, self.end):
            return self._number(number)
        word = _WORD.match(self.text, self.pos, self.end)
        if word is None or word.group() not in _WORDS:
            found = f"{shown(word.group())} stands" if word else self._what_stands(char)
            self._fail(f"a value is expected and {found} there. Strings need double quotes.")
        self.pos = word.end()
        return _WORDS[word.group()]

    def _number(self, number: re.Match[str]) -> int | float:
        try:
            value = float(number[0]) if number[1] or number[2] else int(number[0])
        except ValueError:  # more digits than Python converts
            self._fail("the number has too many digits.")
        if value in _INFINITE:
            self._fail(f"the number {shown(number[0])} is too large.")
        self.pos = number.end()
        return value

    def _peek(self, comments: bool = True) -> str:
        """The next character that isn't white space or a comment; "" at the end."""
        while True:
            space = _SPACE.match(self.text, self.pos, self.end)
            self.pos = space.end() if space else self.pos
            char = self.text[self.pos] if self.pos < self.end else ""
            if not comments or not char or char not in "/#":
                return char
            self._comment()

    def _comment(self) -> None:
        comment = _COMMENT.match(self.text, self.pos, self.end)
        words = comment.group() if comment else ""
        # What could be data or the rest of a string must not vanish.
        if not _DATA.sub("", words) or any(c in words for c in "\"'“”‘’{}[]"):
            self._unexpected("JSON without comments")
        self._commented = True
        self.pos += len(words)

    def _close_at_end(self) -> None:
        if self.unclosed is None:
            self.unclosed = tuple(self._path)
        if self._commented:
            self._fail("the object is not closed there; close it, and leave out the comments.")

    def _unexpected(self, wanted: str, behind: Any = None) -> NoReturn:
        """Say what stands where it can't, and what the string before may have to do with it."""
        found = self._what_stands(self.text[self.pos] if self.pos < self.end else "")
        if self._last is None:
            self._fail(f"{wanted} is expected and {found} there.")
        path, last = self._last
        tail = shown(last if len(last) < 40 else "…" + last[-38:])
        escape = f'write \\" for each "{_block_hint(path)}.'
        if isinstance(behind, str):
            follows = found.replace(" stands", " follows")
            self._fail(
                f'the string "{tail}" ends there and {follows}. Inside a JSON string {escape}'
            )
        self._fail(
            f'{wanted} is expected and {found} there. If it belongs to the string "{tail}": '
            f"inside a JSON string {escape}"
        )

    def _what_stands(self, char: str) -> str:
        return f"{shown(char)} stands" if char else "the end stands"

    def _fail(self, what: str) -> NoReturn:
        raise unreadable(self.pos, what)


def _block_hint(path: Path) -> str:
    if path[:2] != ("command", "args") or len(path) != 3 or not isinstance(path[2], str):
        return ""
    key = shown(path[2])
    name = re.sub(r"[^A-Z]", "", key.upper())[:16] or "TEXT"
    return (
        f', or put the text into a block: "{key}": {{"block": "{name}"}} and after the object '
        f"a line <<<{name}, the text, a line {name}>>>"
    )
