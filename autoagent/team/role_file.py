"""A role, and how it is read from a Markdown file."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from autoagent.configuration.role_files import RoleFile
from autoagent.configuration.values import ROLE
from autoagent.team.front_matter import Unreadable, Value, parted
from autoagent.team.tool_names import CHANGES, forbidden, granted, separated

_DESCRIPTION = 300  # characters; whole ones hold conversations as examples
_MODEL = 200
_READ = ("name", "description", "tools", "model", "disallowedTools", "permission", "readonly")
# Not read, but known, so that a head that is no YAML can be read line by line.
_OTHERS = (
    *("color", "mode", "temperature", "top_p", "skills", "hooks", "mcpServers", "permissionMode"),
    *("maxTurns", "maxSteps", "steps", "memory", "background", "isolation", "effort", "disable"),
    *("hidden", "version", "author", "category", "tags", "target", "license", "metadata"),
)
_SPELLINGS = {"disallowed-tools": "disallowedTools", "readOnly": "readonly"}
_OUR_MODEL = frozenset({"inherit", "default"})
_THEIR_MODELS = frozenset({"sonnet", "opus", "haiku", "opusplan", "fast", "auto"})


@dataclass(frozen=True, slots=True)
class Role:
    """What an agent is to be, and what it may use of what the agent above it has.

    `tools` are names of commands, unknown ones as they were written; None: all but `without`.
    `model` is None for the session's own. `description` is one line of up to 300 characters.
    `source` is the file's name, or "built in". `warnings` are lines for the person, to be told
    when the role is used.
    """

    name: str
    description: str
    tools: tuple[str, ...] | None
    model: str | None
    prompt: str
    source: str
    without: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def read_role(file: RoleFile) -> Role:
    """The role that a file describes; Unreadable says why it can't be one."""
    try:
        text = file.content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = file.content[: error.start].count(b"\n") + 1
        raise Unreadable(f"line {line}: it isn't UTF-8") from None
    document = parted(text.replace("\r\n", "\n"), (*_READ, *_OTHERS, *_SPELLINGS))
    fields = {_SPELLINGS.get(key, key): value for key, value in document.fields.items()}
    said: list[str] = []
    if document.fault:
        said.append(f"it is no YAML ({document.fault}) and was read line by line")
        if "permission" in fields:
            raise Unreadable(f"{document.fault}; so its permissions can't be read")
    unread = sorted(fields.keys() - {*_READ})
    if unread:
        said.append(f"not read here: {', '.join(each[:40] for each in unread[:12])}")
    name = _name(fields.get("name"), file.stem)
    if not document.body:
        raise Unreadable("there is no text below its fields, which would be the role's prompt")
    tools, without = _rights(fields, said)
    return Role(
        name,
        _line(fields.get("description"))[:_DESCRIPTION],
        tools,
        _model(fields.get("model"), said),
        document.body,
        file.name,
        without,
        tuple(f"{file.name}: {line}." for line in said),
    )


def _name(value: Value, stem: str) -> str:
    name = stem if value is None else value
    if not isinstance(name, str) or not ROLE.fullmatch(name) or name == "none":
        raise Unreadable(
            f"{name!r:.80} can't be a role's name; one has up to 64 letters, digits, hyphens and _"
        )
    return name


def _line(value: Value) -> str:
    """A description in one line, also where line breaks were written as \\n."""
    text = value if isinstance(value, str) else ""
    return " ".join(text.replace("\\n", " ").split())


def _model(value: Value, said: list[str]) -> str | None:
    if value is None or (isinstance(value, str) and value in _OUR_MODEL):
        return None
    name = value.split("\n")[0].strip() if isinstance(value, str) else ""
    if name in _THEIR_MODELS:
        said.append(f"the model {name!r} is another program's word; the session's own is used")
        return None
    if not name or not name.isprintable() or len(name) > _MODEL:
        said.append("its model isn't one name; the session's own is used")
        return None
    return name


def _rights(
    fields: Mapping[str, Value], said: list[str]
) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    """What it may use (None: all), and what of that it may not."""
    tools = fields.get("tools")
    permission = fields.get("permission")
    named = None if "tools" not in fields else _named(tools, said)
    if permission == "deny" or (isinstance(permission, dict) and permission.get("*") == "deny"):
        allowed = _allowed(permission)
        named = allowed if named is None else [each for each in named if each in allowed]
    without = [*_switched_off(tools), *_without(fields, permission, said)]
    return None if named is None else tuple(dict.fromkeys(named)), tuple(dict.fromkeys(without))


def _named(tools: Value, said: list[str]) -> list[str] | None:
    """The commands that are named; None where that is all."""
    if isinstance(tools, dict):  # OpenCode's: true or false for each; the rest as `*` says
        if _is_true(tools.get("*", "true")):
            return None
        return [c for name, is_on in tools.items() if _is_true(is_on) for c in granted(name)]
    names = list(_names(tools))
    if any(name in ("*", "all") for name in names):
        return None
    if not names:
        said.append("its list of tools is empty; leave the field out for all")
    return [c for name in names for c in _whole(name, said)]


def _allowed(permission: Value) -> list[str]:
    names = permission if isinstance(permission, dict) else {}
    return [c for name, word in names.items() if word in ("allow", "ask") for c in granted(name)]


def _switched_off(tools: Value) -> Iterator[str]:
    for name, is_on in tools.items() if isinstance(tools, dict) else ():
        if not _is_true(is_on) and name != "*":
            yield from forbidden(name)


def _names(value: Value) -> Iterator[str]:
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, str):
            yield from separated(each)


def _whole(name: str, said: list[str]) -> tuple[str, ...]:
    """The commands that a name allows; none where it allows some uses of them only."""
    tool, bracket, _ = name.partition("(")
    if not bracket:
        return granted(name)
    said.append(f"{name!r:.80} allows a part of {tool} only; left out ({tool} allows all)")
    return ()


def _without(fields: Mapping[str, Value], permission: Value, said: list[str]) -> Iterator[str]:
    """What it may not use, by any of the ways to say so."""
    for name in _names(fields.get("disallowedTools")):
        yield from forbidden(name.partition("(")[0])
    if _is_true(fields.get("readonly")):
        yield from CHANGES
    for name, word in permission.items() if isinstance(permission, dict) else ():
        if isinstance(word, dict) and "deny" in word.values():
            said.append(f"its permission for {name:.40} has patterns; all of it is left out")
            yield from forbidden(name)
        elif word == "deny" and name != "*":
            yield from forbidden(name)


def _is_true(value: Value) -> bool:
    return isinstance(value, str) and value.lower() in ("true", "yes", "on")
