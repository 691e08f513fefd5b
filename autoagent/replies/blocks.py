"""Blocks: text that stands behind the object as it is, where JSON would spoil it.

    {"command": {"name": "write_file", "args": {"path": "a", "content": {"block": "FILE"}}}}
    <<<FILE
    every byte between the marker lines, the last line break included
    FILE>>>

A block's text is empty or ends with a line break; another text needs a JSON string.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from autoagent.replies.refusal import ReplyError, shown, unreadable

OPENING = re.compile(r"^<<<([A-Z][A-Z0-9_]{0,15})[ \t]*\r?(?:\n|\Z)", re.MULTILINE)
FENCE = r"(?:`{3,}|~{3,})[\w+-]*(?=\s|\Z)"

_CLOSING = re.compile(r"^([A-Z][A-Z0-9_]{0,15})>>>\r?$", re.MULTILINE)
_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,15}")
_GAP = re.compile(rf"(?:[\s\ufeff\u200b]+|{FENCE})*")
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\ufeff]")
_SECOND = re.compile(r"""["'”’]command["'”’]\s*:""")


@dataclass(frozen=True, slots=True)
class Tail:
    """What stands behind the object: blocks by name; `fenced` when there is a code fence too."""

    blocks: dict[str, str]
    fenced: bool


def read_tail(text: str, pos: int) -> Tail:
    """Everything behind the object: blocks, white space and fence lines, or a ReplyError."""
    blocks: dict[str, str] = {}
    fenced = False
    while True:
        begin, pos = pos, _behind_gap(text, pos)
        fenced = fenced or any(sign in text[begin:pos] for sign in "`~")
        if pos == len(text):
            return Tail(blocks, fenced)
        opening = OPENING.match(text, pos)
        if opening is None:
            raise _surplus(text, pos)
        name = opening[1]
        if name in blocks:
            raise unreadable(pos, f"there are two blocks {name}. Give each its own name.")
        closing = _closing(name, text, opening.end())
        if closing is None:
            raise unreadable(pos, _unclosed(text, name, opening.end()))
        blocks[name] = text[opening.end() : closing.start()]
        pos = closing.end()


def filled(args: dict[str, Any], blocks: Mapping[str, str]) -> dict[str, Any]:
    """args with each reference replaced by its block; ReplyError unless they match one to one."""
    wanted = [(holder, key, str(holder[key]["block"])) for holder, key in _references(args)]
    used: set[str] = set()
    for holder, key, name in wanted:
        if not _NAME.fullmatch(name):
            raise ReplyError(
                f'"{shown(name)}" can\'t name a block: a name is 1 to 16 capital letters, digits '
                "and _, and begins with a letter."
            )
        if name in used:
            raise ReplyError(f'Two arguments are {{"block": "{name}"}}. Write a block for each.')
        if name not in blocks:
            raise ReplyError(
                f'"{shown(key)}" is {{"block": "{name}"}}, but there is no block {name}. After '
                f"the object write a line <<<{name}, the text, a line {name}>>>."
            )
        used.add(name)
        holder[key] = blocks[name]
    if unused := [name for name in blocks if name not in used]:
        raise ReplyError(
            f'No argument is {{"block": "{unused[0]}"}}, but there is a block {unused[0]}. Write '
            "that where its text belongs, as the value of an argument, or leave the block out."
        )
    return args


def as_blocks(args: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """args with references for texts that end in a line break, and the blocks for them.

    Other texts stay: those that hold their block's closing line, or characters that do
    not survive outside JSON.
    """
    shortened: dict[str, Any] = {}
    blocks: dict[str, str] = {}
    for key, value in args.items():
        name = _free_name(key, blocks)
        if isinstance(value, str) and name and _fits(name, value):
            blocks[name] = value
            shortened[key] = {"block": name}
        else:
            shortened[key] = value
    return shortened, "".join(f"\n<<<{name}\n{blocks[name]}{name}>>>" for name in blocks)


def _references(args: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Where a reference stands: a value of args, or of a batched command's args."""
    holders = [args]
    calls = args.get("commands")
    for call in calls if isinstance(calls, list) else []:
        if isinstance(call, dict) and isinstance(call.get("args"), dict):
            holders.append(call["args"])
    for holder in holders:
        yield from ((holder, key) for key in holder if _is_reference(holder[key]))


def misplaced(value: Any) -> bool:
    """Is value a reference? Asked where none can stand."""
    return _is_reference(value) and bool(_NAME.fullmatch(value["block"]))


def _is_reference(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"block"} and isinstance(value["block"], str)


def _closing(name: str, text: str, pos: int = 0) -> re.Match[str] | None:
    return next((line for line in _CLOSING.finditer(text, pos) if line[1] == name), None)


def _fits(name: str, value: str) -> bool:
    return value.endswith("\n") and not _UNSAFE.search(value) and not _closing(name, value)


def _free_name(key: str, taken: Mapping[str, str]) -> str:
    """A block's name for that argument; "" when there is none left."""
    name = re.sub(r"[^A-Z0-9_]", "", key.upper()).lstrip("0123456789_")[:16] or "TEXT"
    return "" if name in taken else name


def _behind_gap(text: str, pos: int) -> int:
    gap = _GAP.match(text, pos)
    return gap.end() if gap else pos


def _unclosed(text: str, name: str, pos: int) -> str:
    alone = (
        f" It stands in the text from character {at + 1}, but not alone on its line."
        if (at := text.find(f"{name}>>>", pos)) >= 0
        else ""
    )
    return (
        f"the block {name} is never closed: after its text write a line that is exactly "
        f"{name}>>>.{alone}"
    )


def _surplus(text: str, pos: int) -> ReplyError:
    rest = text[pos:]
    if rest[0] in "}]":
        return unreadable(pos, f"there is one {rest[0]} too many.")
    if rest.startswith("<<"):
        return unreadable(
            pos,
            f"{shown(rest)} stands there. A block begins with a line that is exactly <<<NAME "
            "(NAME in capital letters) and ends with a line NAME>>>.",
        )
    if _SECOND.search(rest):
        return unreadable(pos, "a second command. Only one is run a turn; write one object.")
    return unreadable(
        pos,
        f"{shown(rest)} stands behind the object. Nothing may follow it but its blocks; put "
        "remarks into thoughts.",
    )
