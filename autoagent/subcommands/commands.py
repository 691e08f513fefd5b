"""`autoagent commands`: what the model may use here, what it does, and what is left out."""

import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from autoagent.configuration.settings import Settings
from autoagent.errors import ConfigError
from autoagent.owning import own_commands
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


def commands(settings: Settings, environ: Mapping[str, str], out: Output) -> int:
    """Print them, or as one JSON object, or a line of JSON each; ConfigError for --disable."""
    there = _there(settings, environ)
    match settings.output_format:
        case "json":
            out.line(json.dumps(_object(there, settings)))
        case "stream-json":
            for each in _rows(there):
                out.line(json.dumps({"type": "command", **each}))
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
    return _There(catalogue(interactive=True, own=own.specs), seen, own)


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


def _object(there: _There, settings: Settings) -> dict[str, Any]:
    left_out = [
        {"name": each.name or None, "from": each.source, "why": each.why}
        for each in there.own.left_out
    ]
    return {"type": "commands", "commands": _rows(there), "left_out": left_out}


def _print(there: _There, settings: Settings, out: Output) -> None:
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
