"""A reply of the model, read exactly or refused."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from autoagent.replies.blocks import OPENING, as_blocks, filled, misplaced, read_tail
from autoagent.replies.refusal import ReplyError, excerpt, shown, unreadable
from autoagent.replies.repaired import repaired
from autoagent.replies.signs import FINAL, THINKING, THOUGHT
from autoagent.replies.tolerant import DEEPEST, Path, Reading, read_tolerantly
from autoagent.strict_json import STRICT, compact

__all__ = ["READING", "Command", "Reply", "ReplyError", "excerpt", "read_reply", "render"]

ReadAs = Literal["strict", "embedded", "tolerant", "repaired"]

READING = frozenset(
    [
        "read_file",
        "read_result",
        "list_files",
        "search_files",
        "recall",
        "web_search",
        "read_webpage",
        "list_agents",
        "read_process",
        "open_file",
        "list_directory",
        "list_dir",
        "ls",
        "grep",
        "search",
        "google",
        "search_web",
        "browse_website",
        "browse_web_page",
        "open_url",
        "fetch_url",
        "search_memory",
        "memory_search",
    ]
)
"""Commands that only read, with their aliases; `batch` counts when all of its commands do."""

SHAPE = (
    '{"thoughts": "…", "reasoning": "…", "criticism": "", '
    '"command": {"name": "read_file", "args": {"path": "a.txt"}}}'
)
_MOST_OTHERS = 100
"""Objects of another shape in the prose before; each costs a look at the whole text."""

_LONGEST = 1_000_000
"""Characters of an object that isn't strict JSON; more than a model writes, a second to read."""

_TOKEN = re.compile(
    rf"""(?P<object>\{{\s*["'“‘}}/#])|"""
    rf"{THINKING}|{THOUGHT}|(?P<block>{OPENING.pattern})",
    re.MULTILINE,
)
_INSIDE = re.compile(r"""(?:["'”’]\s*:|["'”’}\]0-9]\s*,|[\[{])\Z""")
_FIRST = re.compile(r"""command["'”’]?\s*:\s*\{""")
_SURROGATES = re.compile("[\ud800-\udbff][\udc00-\udfff]")


@dataclass(frozen=True, slots=True)
class Command:
    """What the model wants run; `args` as it wrote them, unchecked."""

    name: str
    args: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """One turn of the model. `plan` is None when it was left out, as unchanged.

    `read_as` says how it was read: strict JSON alone, strict JSON within prose or a fence,
    by the tolerant reader, or by json-repair.
    """

    thoughts: str
    reasoning: str
    plan: tuple[str, ...] | None
    criticism: str
    command: Command
    read_as: ReadAs = field(default="strict", compare=False)


@dataclass(frozen=True, slots=True)
class _Found:
    """An object in a reply's text, from start up to end."""

    value: dict[str, Any]
    start: int
    end: int
    read_as: ReadAs = "strict"


def read_reply(text: str, *, cut: bool = False) -> Reply:
    """The one reply that stands in text; ReplyError, and no other, says what to mend.

    `cut`: the model was stopped by the length limit; whatever could be read, it is refused.
    """
    if cut:
        raise ReplyError(
            "The reply was cut by the length limit. Write less at once: a long file in parts, "
            "write_file with the first and append_file with each further one."
        )
    if not text.strip():
        raise ReplyError(f"The reply was empty. Reply with one JSON object: {SHAPE}")
    if not text.isascii():
        text = _SURROGATES.sub(_one_character, text)
    found = _find(text)
    tail = read_tail(text, found.end)
    _check_depth(found.value)
    args = filled(_command(found), tail.blocks)
    _check_no_reference_inside(args)
    read_as = found.read_as
    if read_as == "strict" and (tail.fenced or text[: found.start].strip("\ufeff \t\r\n")):
        read_as = "embedded"
    command = Command(found.value["command"]["name"], args)
    return Reply(*_said(found.value), command, read_as)


def render(reply: Reply) -> str:
    """The canonical form: one line of JSON, then blocks; `read_reply` gives the reply back.

    Encodable as UTF-8. An argument that is itself {"block": "NAME"} has no form.
    """
    args, blocks = as_blocks(reply.command.args)
    plan = {} if reply.plan is None else {"plan": reply.plan}
    form = {
        "thoughts": reply.thoughts,
        "reasoning": reply.reasoning,
        **plan,
        "criticism": reply.criticism,
        "command": {"name": reply.command.name, "args": args},
    }
    return compact(form) + blocks


def _one_character(halves: re.Match[str]) -> str:
    # A stream that was split within an emoji leaves its halves side by side.
    return halves[0].encode("utf-16", "surrogatepass").decode("utf-16")


def _find(text: str) -> _Found:
    """The first object with a command, outside of thinking and of other objects."""
    pos = begin = 0
    others: list[_Found] = []
    while token := _TOKEN.search(text, pos):
        match token.lastgroup:
            case "thinking":
                pos = begin = _behind_thinking(text, token)
            case "thought":  # some servers leave out where it begins
                pos = begin = token.end()
                others.clear()
            case "object":
                found = _object(text, token.start())
                if _has_command(found) and not _was_thought(text, found):
                    _check_head(text, begin, found.start)
                    return found
                others.append(found)
                pos = found.end
            case _:
                raise unreadable(
                    token.start(), "a block stands before the object. Blocks go after it."
                )
        if len(others) > _MOST_OTHERS:
            break
    return _nothing(text, begin, others)


def _has_command(found: _Found) -> bool:
    return isinstance(found.value.get("command"), dict)


def _was_thought(text: str, found: _Found) -> bool:
    """Does thinking that began without a sign end behind the object?"""
    token = _TOKEN.search(text, found.end)
    return token is not None and token.lastgroup == "thought"


def _behind_thinking(text: str, opening: re.Match[str]) -> int:
    """Where the thinking ends that begins there; what stands in it never runs."""
    if opening.group().startswith("<|"):
        at = text.find(FINAL, opening.end())
        if at >= 0:
            return at
    else:
        depth = 1
        for tag in _TOKEN.finditer(text, opening.end()):
            depth += {"thinking": 1, "thought": -1}.get(tag.lastgroup or "", 0)
            if not depth:
                return tag.end()
    raise unreadable(
        opening.start(),
        f"{opening.group()} is never closed. Think less, then write the object after it.",
    )


def _object(text: str, start: int) -> _Found:
    """The object that begins at start, by the first reader that takes it."""
    try:
        value, end = STRICT.raw_decode(text, start)
    except (ValueError, RecursionError):
        end = _limit(text, start)
    else:
        return _Found(value, start, end)
    if end - start > _LONGEST:
        raise unreadable(start, "this object is not strict JSON. Write it anew, and shorter.")
    try:
        reading = read_tolerantly(text, start, end)
        if reading.unclosed is not None and not _harmless(reading, text[start:end]):
            raise unreadable(end, _broken_off(reading.unclosed))
    except ReplyError:
        value = repaired(text[start:end])
        if value is None or not _only_reads(value.get("command")):
            raise
        return _Found(value, start, end, "repaired")
    return _Found(reading.value, start, reading.end, "tolerant")


def _limit(text: str, start: int) -> int:
    """Where an object from start must have ended: before blocks, a closing fence, the end."""
    opening = OPENING.search(text, start)
    body = text[start : opening.start() if opening else len(text)].rstrip()
    for sign in "`~":
        if body.endswith(sign * 3):
            body = body.rstrip(sign).rstrip()
    return start + len(body)


def _harmless(reading: Reading, text: str) -> bool:
    """Can nothing of the command be missing or wrong, though the end closed the object?"""
    if text.rstrip("}] \t\r\n,")[-1:].isdigit():  # its last digit may stand for a closer
        return False
    command = reading.value.get("command") if reading.unclosed == ("command",) else None
    if isinstance(command, dict):
        return isinstance(command.get("args"), dict) and "name" in command
    return reading.unclosed == ()


def _broken_off(unclosed: Path) -> str:
    keys = [key for key in unclosed if isinstance(key, str)]
    what = f'"{shown(keys[-1])}"' if keys else "its object"
    return f"the reply ends there and {what} is not closed, so something may be missing."


def _only_reads(command: Any) -> bool:
    if not isinstance(command, dict) or not isinstance(command.get("args"), dict):
        return False
    if command.get("name") == "batch":
        calls = command["args"].get("commands")
        return isinstance(calls, list) and all(
            _only_reads(call) and call["name"] != "batch" for call in calls
        )
    return command.get("name") in READING


def _check_head(text: str, begin: int, start: int) -> None:
    """Refuse an object that may be part of something unreadable before it."""
    head = text[begin:start].rstrip()
    if _INSIDE.search(head[-40:]):
        raise unreadable(
            start, "the object with the command stands inside another. Write it alone."
        )
    if first := _FIRST.search(head):
        raise unreadable(begin + first.start(), "there are two commands. Write one object only.")


def _nothing(text: str, begin: int, others: list[_Found]) -> _Found:
    """Say that there is no object with a command, and what there is instead."""
    brace = text.find("{", begin)
    if brace >= 0 and (not others or not text[begin:brace].strip()):
        found = _object(text, brace)
        if _has_command(found):
            _check_head(text, begin, found.start)
            return found
        others.append(found)
    if not others:
        where = "behind the thinking" if begin else "in the reply"
        raise ReplyError(f"There is no JSON object {where}. Write {SHAPE}")
    value, place = others[-1].value, others[-1].start
    if "command" in value:
        raise ReplyError(f'"command" must be an object with "name" and "args": {SHAPE}', place)
    if value.keys() & {"arguments", "parameters", "args", "function", "tool_calls", "tool"}:
        raise ReplyError(
            f"That is a tool call of another form. Write the command into this object: {SHAPE}",
            place,
        )
    keys = shown(", ".join(value), 80) or "nothing"
    raise ReplyError(f'The object has no "command", only {keys}. Write {SHAPE}', place)


def _command(found: _Found) -> dict[str, Any]:
    """Check the command's shape; its args, {} when it has none."""
    command, at = found.value["command"], found.start
    name, args = command.get("name"), command.get("args")
    if not isinstance(name, str) or not name.strip():
        raise ReplyError(f'"command" needs a "name", the name of a command: {SHAPE}', at)
    if surplus := [key for key in command if key not in ("name", "args")]:
        raise ReplyError(
            f'"command" holds "{shown(surplus[0])}" besides "name". What a command takes stands '
            f'in "args": {SHAPE}',
            at,
        )
    if args is not None and not isinstance(args, dict):
        raise ReplyError(f'"args" must be an object, not {shown(json.dumps(args))}: {SHAPE}', at)
    return args or {}


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(DEEPEST):
        level = _inside(level)
        if not level:
            return
    raise ReplyError(f"The object is nested more than {DEEPEST} levels deep.")


def _check_no_reference_inside(args: dict[str, Any]) -> None:
    level: list[Any] = [args]
    while level := _inside(level):
        if any(misplaced(item) for item in level):
            raise ReplyError(
                'A {"block": …} stands inside an argument. It can only be the whole value of '
                "an argument; write the text there as a JSON string."
            )


def _inside(containers: list[Any]) -> list[Any]:
    """The objects and arrays directly in these."""
    return [
        item
        for holder in containers
        for item in (holder.values() if isinstance(holder, dict) else holder)
        if isinstance(item, dict | list)
    ]


def _said(value: Mapping[str, Any]) -> tuple[str, str, tuple[str, ...] | None, str]:
    """thoughts, reasoning, plan and criticism; none of them alters what runs, so all is read."""
    thoughts = value.get("thoughts")
    nested = thoughts if isinstance(thoughts, dict) else {}  # as Auto-GPT had it
    if nested:
        value = {**nested, **value, "thoughts": nested.get("text")}
    plan = value.get("plan")
    return (
        _text(value.get("thoughts")),
        _text(value.get("reasoning")),
        None if plan is None else _lines(plan),
        _text(value.get("criticism")),
    )


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _lines(plan: Any) -> tuple[str, ...]:
    """A plan's steps; of a text, its lines without their dashes."""
    if isinstance(plan, str):
        lines = (line.strip().removeprefix("- ") for line in plan.splitlines())
        return tuple(line for line in lines if line)
    return tuple(_text(step) for step in (plan if isinstance(plan, list) else [plan]))
