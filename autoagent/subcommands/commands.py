"""`autoagent commands`: what the model may use here, in which roles, and what is left out."""

import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from autoagent.configuration.settings import Settings
from autoagent.errors import ConfigError
from autoagent.owning import own_commands
from autoagent.team.roles import Role, found_roles, restricted, role_named, unknown_tools
from autoagent.terminal.escape import escaped
from autoagent.terminal.output import Output
from commands.builtin import catalogue
from commands.cancel import Cancel
from commands.command import Catalogue, CommandError
from commands.own.loading import Own

_BUILT_IN = "built in"


@dataclass(frozen=True, slots=True)
class _There:
    """All that there is: `every` with the disabled ones, `seen` without them."""

    every: Catalogue
    seen: Catalogue
    own: Own
    roles: Mapping[str, Role]
    notices: tuple[str, ...]  # of roles


def commands(settings: Settings, environ: Mapping[str, str], out: Output) -> int:
    """Print them, or as one JSON object, or a line of JSON each; ConfigError for --disable."""
    there = _there(settings, environ)
    match settings.output_format:
        case "json":
            out.line(json.dumps(_object(there, settings)))
        case "stream-json":
            for each in _rows(there):
                out.line(json.dumps({"type": "command", **each}))
            for role in _role_rows(there):
                out.line(json.dumps({"type": "role", **role}))
        case "text":
            _print(there, settings, out)
    return 0


def _there(settings: Settings, environ: Mapping[str, str]) -> _There:
    with ExitStack() as stack:
        root = settings.workspace
        own = own_commands(settings, environ, root, settings.sandbox, Cancel(), stack)
    try:
        seen = catalogue(interactive=True, disabled=settings.disable, own=own.specs)
    except CommandError as error:
        raise ConfigError(f"--disable: {error}") from error
    every = catalogue(interactive=True, own=own.specs)
    roles, notices = found_roles(settings)
    if settings.role is not None:
        seen = restricted(seen, role_named(settings.role, roles, notices))
    for role in roles.values():
        notices += (*role.warnings, *unknown_tools(role, every))
    return _There(every, seen, own, roles, tuple(notices))


def _rows(there: _There) -> list[dict[str, Any]]:
    seen = {spec.name for spec in there.seen}
    return [
        {
            "name": spec.name,
            "signature": spec.signature,
            "summary": spec.summary,
            "effect": spec.effect,
            "aliases": list(spec.aliases),
            "from": there.own.sources.get(spec.name, _BUILT_IN),
            "disabled": spec.name not in seen,
        }
        for spec in there.every
    ]


def _role_rows(there: _There) -> list[dict[str, Any]]:
    return [
        {
            "name": role.name,
            "description": role.description,
            "commands": [spec.name for spec in restricted(there.every, role)],
            "model": role.model,
            "from": role.source,
        }
        for role in there.roles.values()
    ]


def _object(there: _There, settings: Settings) -> dict[str, Any]:
    left_out = [
        {"name": each.name or None, "from": each.source, "why": each.why}
        for each in there.own.left_out
    ]
    return {
        "type": "commands",
        "commands": _rows(there),
        "left_out": left_out,
        "roles": _role_rows(there),
        "notices": list(there.notices),
    }


def _print(there: _There, settings: Settings, out: Output) -> None:
    if settings.role is not None:
        out.line(f"In the role {settings.role} ({escaped(settings.sources['role'])}):")
    for row in _rows(there):
        if row["disabled"]:
            continue
        out.line(escaped(row["signature"]))
        own = "" if row["from"] == _BUILT_IN else f" (your own: {row['from']})"
        said = row["summary"] or "as its name says"
        out.line(escaped(f"    {row['effect']}: {said}{own}"))
    if settings.disable:
        out.line(f"Disabled ({settings.sources['disable']}): {', '.join(settings.disable)}")
    for each in there.own.left_out:
        out.line(escaped(f"Left out, {each}"))
    out.line()
    out.line("Roles (--role NAME):")
    for role in there.roles.values():
        model = f", model {role.model}" if role.model else ""
        out.line(escaped(f"{role.name} ({role.source}{model})"))
        out.line(escaped(f"    {role.description or 'says nothing of itself'}"))
    for line in there.notices:
        out.line(escaped(line))
