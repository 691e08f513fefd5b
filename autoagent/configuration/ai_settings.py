"""Auto-GPT's ai_settings.yaml: a name, a role, goals and a budget."""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoagent.configuration import values
from autoagent.configuration.plain_yaml import plain_loader
from autoagent.errors import ConfigError

if TYPE_CHECKING:
    from yaml.nodes import Node

LARGEST = 64_000  # bytes
_KEYS = ("ai_name", "ai_role", "ai_goals", "api_budget")
_NAMES = {key: key for key in _KEYS} | {"name": "ai_name", "role": "ai_role", "goals": "ai_goals"}
_NULL = "tag:yaml.org,2002:null"


@dataclass(frozen=True, slots=True)
class AISettings:
    """What such a file says; "" and () for what it doesn't. `budget` in US dollars, None: none.

    `notices` name what is in it and isn't read.
    """

    path: Path
    name: str
    role: str
    goals: tuple[str, ...]
    budget: float | None
    notices: tuple[str, ...] = ()

    @property
    def persona(self) -> str:
        """Who the agent is to be, as Auto-GPT says it; "" when the file doesn't."""
        said = ", ".join(filter(None, (self.name and f"You are {self.name}", self.role)))
        return said if self.name or not said else f"Your role: {said}"


def parse(path: Path, content: bytes) -> AISettings:
    """The settings in `content`; ConfigError with file and line for what can't be one.

    The document is never made into Python values: its nodes are looked at, and what refers
    to another place in it is refused, so that a short file stays a short file.
    """
    root = _composed(path, content)
    found: dict[str, Node] = {}
    notices = []
    for key, node in _pairs(path, root):
        known = _NAMES.get(key.value)
        if known is None:
            notices.append(_unknown(path, key))
        elif node.tag != _NULL:
            if known in found:
                raise ConfigError(f"{_at(path, key)}: {known} stands there twice.")
            found[known] = node
    budget = found.get("api_budget")
    amount = _scalar(path, budget, "api_budget", "usd") if budget else 0.0
    return AISettings(
        path,
        name=_line(path, found.get("ai_name"), "ai_name"),
        role=_line(path, found.get("ai_role"), "ai_role"),
        goals=tuple(_goals(path, found.get("ai_goals"))),
        budget=amount or None,
        notices=tuple(notices),
    )


def _composed(path: Path, content: bytes) -> "Node":
    """The root of the document; nothing in it has been built."""
    import yaml

    if len(content) > LARGEST:
        raise ConfigError(
            f"{str(path)!r} is larger than {LARGEST // 1000} kB; give a shorter --ai-settings."
        )
    try:
        text = content.decode("utf-8-sig")
        root = yaml.compose(text, Loader=plain_loader())
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigError(f"{str(path)!r}, line {line}: not UTF-8; save it as UTF-8.") from None
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise ConfigError(
            f"{str(path)!r}, line {line}: a character that YAML doesn't allow."
        ) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise ConfigError(f"{str(path)!r}, line {line}: not YAML: {error.problem}.") from None
    except RecursionError:
        raise ConfigError(f"{str(path)!r}: lists in lists without end.") from None
    if not isinstance(root, yaml.MappingNode):
        raise ConfigError(
            f"{str(path)!r} doesn't look like Auto-GPT's ai_settings.yaml: it holds no "
            f"{', '.join(_KEYS)}."
        )
    return root


def _pairs(path: Path, node: "Node") -> Iterator[tuple["Node", "Node"]]:
    for key, value in node.value:
        if not isinstance(key.value, str):
            raise ConfigError(f"{_at(path, key)}: a key is a word like ai_goals.")
        yield key, value


def _goals(path: Path, node: "Node | None") -> Iterator[str]:
    from yaml.nodes import SequenceNode

    if node is None:
        return
    if not isinstance(node, SequenceNode):
        raise ConfigError(f"{_at(path, node)}: ai_goals is a list, one goal on each line after -.")
    goals = (_line(path, goal, "a goal") for goal in node.value if goal.tag != _NULL)
    yield from filter(None, goals)


def _line(path: Path, node: "Node | None", what: str) -> str:
    """A text. One with a colon in it is a mapping to YAML: `- Note: do it` means that text."""
    from yaml.nodes import MappingNode

    if node is None:
        return ""
    if isinstance(node, MappingNode):
        pairs = list(_pairs(path, node))
        if len(pairs) == 1:
            return f"{pairs[0][0].value}: {_scalar(path, pairs[0][1], what, 'text')}"
    return str(_scalar(path, node, what, "text")).strip() if node.value else ""


def _scalar(path: Path, node: "Node", what: str, kind: str) -> Any:
    from yaml.nodes import ScalarNode

    if not isinstance(node, ScalarNode):
        raise ConfigError(f"{_at(path, node)}: {what} is one text; put it in quotes.")
    return values.from_text(kind, node.value, f"{_at(path, node)}: {what}")


def _unknown(path: Path, key: "Node") -> str:
    near = get_close_matches(key.value, _NAMES, 1)
    if near:
        raise ConfigError(f"{_at(path, key)}: {key.value!r:.80}; did you mean {near[0]!r}?")
    return f"{_at(path, key)}: {key.value!r:.80} isn't read."


def _at(path: Path, node: "Node") -> str:
    return f"{str(path)!r}, line {node.start_mark.line + 1}"
