"""What can be read of a reply before it is whole."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from autoagent.replies.blocks import OPENING
from autoagent.replies.signs import FINAL, THINKING, THOUGHT

_SIGN = re.compile(
    rf"""(?P<object>\{{\s*+(?:"|\Z))|{THINKING}|{THOUGHT}|(?P<block>{OPENING.pattern})""",
    re.MULTILINE,
)
_MOST_SIGNS = 100  # of them in one text; a reply has one or two
_HEX = "[0-9a-fA-F]"
# A `u` that no four digits follow stands for itself, unless they may still come.
_ESCAPE = rf"\\(?:u{_HEX}{{4}}|[^u]|u(?!{_HEX}{{0,3}}\Z))"
_STRING = re.compile(rf'"([^"\\]*+(?:{_ESCAPE}[^"\\]*+)*+)("?)')
_BACKSLASH = re.compile(rf'\\(u{_HEX}{{4}}|["\\/bfnrt]|)')
_PART = re.compile(rf"{_STRING.pattern}|[{{}}\[\]]")
_SPACE = re.compile(r"\s*+")
_GAP = re.compile(r"[\s,]*+")
_SCALAR = re.compile(r'[^\s,{}\[\]"]*+')
_NESTED = {"text": "thoughts", "reasoning": "reasoning"}  # in Auto-GPT's form
_PATHS = ("path", "file", "filename")


@dataclass(frozen=True, slots=True)
class Coming:
    """A reply so far: of the texts what has come, `command` and `path` once they are whole.

    Decoded, neither redacted nor escaped; "" for what hasn't come. `path` is that of the
    command's arguments. `size` counts the characters that came in all.
    """

    thoughts: str
    reasoning: str
    command: str
    path: str
    size: int


def so_far(raw: str) -> Coming:
    """What an unfinished reply says; thinking in tags, prose and other objects are left out.

    For any text, in time that grows with its length. A text only grows while the reply does,
    unless it turns out that what was read is not the reply.
    """
    found: dict[str, str] = {}
    reader = _Reader(raw)
    for _ in range(_MOST_SIGNS):
        sign = _SIGN.search(raw, reader.pos)
        if sign is None or (sign.lastgroup != "thought" and "command" in found):
            break
        reader.pos = sign.end()
        match sign.lastgroup:
            case "object":
                reader.pos = sign.start()
                found = reader.reply() or found
            case "thinking":
                reader.pos = _behind_thinking(raw, sign)
            case "thought":  # some servers leave out where it begins
                found = {}
            case _:  # a block: nothing behind it is an object
                break
    thoughts, reasoning = found.get("thoughts", ""), found.get("reasoning", "")
    return Coming(thoughts, reasoning, found.get("command", ""), found.get("path", ""), len(raw))


def _behind_thinking(raw: str, opening: re.Match[str]) -> int:
    """Where the thinking ends that begins there: the end of the text while it goes on."""
    if opening.group().startswith("<|"):
        at = raw.find(FINAL, opening.end())
        return len(raw) if at < 0 else at
    depth = 1
    for sign in _SIGN.finditer(raw, opening.end()):
        depth += {"thinking": 1, "thought": -1}.get(sign.lastgroup or "", 0)
        if not depth:
            return sign.end()
    return len(raw)


class _Over(Exception):
    """The text ends here."""


class _Odd(Exception):
    """What stands here is no JSON."""


class _Reader:
    """Goes through objects that may break off anywhere, and only forwards."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.pos = 0

    def reply(self) -> dict[str, str]:
        """What the object that begins here says, as far as it goes; `pos` is behind that."""
        found: dict[str, str] = {}
        try:
            self._reply(found)
        except _Over:
            self.pos = len(self._text)
        except _Odd:
            pass  # the next object may stand behind it
        return found

    def _reply(self, found: dict[str, str]) -> None:
        for key in self._members():
            match key, self._next():
                case "thoughts", "{":
                    for name in self._members():
                        self._text_of(_NESTED.get(name, ""), found)
                case (("thoughts" | "reasoning"), _):
                    self._text_of(key, found)
                case "command", "{":
                    self._command(found)
                case _:
                    self._skip()

    def _command(self, found: dict[str, str]) -> None:
        for key in self._members():
            match key, self._next():
                case "name", '"':
                    found["command"] = self._string()
                case "args", "{":
                    for name in self._members():
                        if name in _PATHS and self._next() == '"':
                            found["path"] = self._string()
                        else:
                            self._skip()
                case _:
                    self._skip()

    def _members(self) -> Iterator[str]:
        """The keys of the object that begins here, each with its value to be gone through."""
        self.pos += 1
        while (sign := self._past(_GAP)) != "}":
            if sign != '"':
                raise _Odd if sign else _Over
            key = self._string()
            if (colon := self._past(_SPACE)) != ":":
                raise _Odd if colon else _Over
            self.pos += 1
            self._past(_SPACE)
            yield key
        self.pos += 1

    def _text_of(self, name: str, found: dict[str, str]) -> None:
        """Keep the string that begins here under that name, if it has one, as far as it goes."""
        string = _STRING.match(self._text, self.pos) if name else None
        if string is None:
            self._skip()
            return
        self.pos = string.end()
        found[name] = _decoded(string[1])
        if not string[2]:
            if "\ud800" <= found[name][-1:] <= "\udbff":  # its other half may still come
                found[name] = found[name][:-1]
            raise _Over

    def _string(self) -> str:
        string = _STRING.match(self._text, self.pos)
        if string is None or not string[2]:
            raise _Over
        self.pos = string.end()
        return _decoded(string[1])

    def _skip(self) -> None:
        """Go through a value of any kind."""
        match self._next():
            case '"' | "{" | "[":
                self.pos = self._behind_value()
            case _:
                self._past(_SCALAR)

    def _behind_value(self) -> int:
        """Where the string, object or array ends that begins here."""
        depth = 0
        for part in _PART.finditer(self._text, self.pos):
            match self._text[part.start()]:
                case "{" | "[":
                    depth += 1
                case "}" | "]":
                    depth -= 1
                case _ if not part[2]:
                    raise _Over
            if not depth:
                return part.end()
        raise _Over

    def _past(self, pattern: re.Pattern[str]) -> str:
        """Go on behind what the pattern matches here; the character that follows, "" at the
        end."""
        matched = pattern.match(self._text, self.pos)
        self.pos = matched.end() if matched else self.pos
        return self._next()

    def _next(self) -> str:
        return self._text[self.pos : self.pos + 1]


def _decoded(body: str) -> str:
    """What a string means; a backslash that escapes nothing stands for itself."""
    try:
        text: str = json.loads(f'"{body}"', strict=False)
    except ValueError:
        escaped = _BACKSLASH.sub(lambda sign: sign[0] if sign[1] else r"\\", body)
        text = json.loads(f'"{escaped}"', strict=False)
    return text
