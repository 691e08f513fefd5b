"""The head of a Markdown file between two lines of `---`, read as other agents read it."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autoagent.configuration.plain_yaml import plain_loader

if TYPE_CHECKING:
    from yaml.nodes import Node

Value = str | list["Value"] | dict[str, "Value"] | None
"""Texts as they stand there, no matter what YAML takes them for; None is an empty one."""

_FENCE = re.compile(r"---[ \t]*\n(?:(.*?)\n)?---[ \t]*(?:\n|\Z)", re.DOTALL)
_NULL = "tag:yaml.org,2002:null"
_DEPTH = 8


class Unreadable(Exception):
    """Why a file has no head that can be read."""


@dataclass(frozen=True, slots=True)
class Document:
    """`fields` of the head, and the text below it. `fault` says why the head is no YAML and was
    read line by line; "" is that it is."""

    fields: dict[str, Value]
    body: str
    fault: str = ""


def parted(text: str, names: Iterable[str]) -> Document:
    """The parts of such a file; Unreadable says what is wrong with it.

    Many heads out there are no YAML (a colon in a long description). Where that is so, a line
    that begins with one of `names` begins a field, and other lines go on with the last one.
    """
    found = _FENCE.match(text)
    if found is None:
        raise Unreadable("it doesn't begin with fields between two lines of ---")
    head, body = found[1] or "", text[found.end() :].strip()
    try:
        return Document(_read(head), body)
    except _NotYaml as fault:
        return Document(dict(_by_lines(head, frozenset(names))), body, str(fault))


class _NotYaml(Exception):
    """Where and why."""


def _read(head: str) -> dict[str, Value]:
    import yaml

    try:
        root = yaml.compose(head, Loader=plain_loader())
    except yaml.reader.ReaderError:
        raise Unreadable("its fields hold a character that YAML doesn't allow") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"line {mark.line + 2}: " if mark else ""  # the first one is ---
        raise _NotYaml(f"{line}{error.problem}") from None
    except RecursionError:
        raise Unreadable("its fields hold lists in lists without end") from None
    if root is None:
        return {}
    fields = _value(root, 0)
    if not isinstance(fields, dict):
        raise Unreadable("between the lines of --- stand no fields like `name: reviewer`")
    return fields


def _value(node: "Node", depth: int) -> Value:
    from yaml.nodes import MappingNode, ScalarNode, SequenceNode

    if depth > _DEPTH:
        raise Unreadable("its fields hold lists in lists without end")
    match node:
        case ScalarNode():
            return None if node.tag == _NULL else str(node.value)
        case SequenceNode():
            return [_value(each, depth + 1) for each in node.value]
        case MappingNode():
            return dict(_pairs(node, depth))
    raise AssertionError(f"YAML has no node like {node!r}")


def _pairs(node: "Node", depth: int) -> Iterator[tuple[str, Value]]:
    seen = set()
    for key, value in node.value:
        line = key.start_mark.line + 2
        if not isinstance(key.value, str):
            raise Unreadable(f"line {line}: the name of a field is a word")
        if key.value in seen:
            raise Unreadable(f"line {line}: {key.value!r:.80} stands there twice")
        seen.add(key.value)
        yield key.value, _value(value, depth + 1)


def _by_lines(head: str, names: frozenset[str]) -> Iterator[tuple[str, Value]]:
    fields: dict[str, list[str]] = {}
    last: list[str] = []
    for number, line in enumerate(head.split("\n"), 2):
        name, colon, rest = line.partition(":")
        if colon and name in names:
            if name in fields:
                raise Unreadable(f"line {number}: {name!r} stands there twice")
            last = fields[name] = [rest]
        else:
            last.append(line)
    for name, lines in fields.items():
        text = "\n".join(lines).strip()
        quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"
        yield name, (text[1:-1] if quoted else text) or None
