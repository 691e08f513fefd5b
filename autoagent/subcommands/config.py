"""`autoagent config`: every setting, its value, and where it came from; no secret."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from autoagent.configuration.secrets import Redactor
from autoagent.configuration.settings import Settings
from autoagent.configuration.sources import KIND
from autoagent.model import Price
from autoagent.terminal.escape import escaped
from autoagent.terminal.output import Output

_SET = "(set)"  # in place of a secret
_UNSET = {
    "base_url": "OpenAI; without a key, a server on this machine",
    "temperature": "the server's own",
    "effort": "the server's own",
    "window": "32,768, or what the model has",
    "price": "from the tables",
    "max_time": "no limit",
    "memory": "this folder's own",
}


def show(settings: Settings, out: Output) -> int:
    """Print the settings, what was set first; or one JSON object. The exit code."""
    clean = Redactor(settings.secrets).clean
    values = {key: _written(key, value) for key, value in settings.given.items()}
    files = [(str(path), _state(path, settings)) for path in settings.files]
    if settings.ai_settings:
        files.insert(0, (str(settings.ai_settings.path), "read"))
    if settings.output_format != "text":
        out.line(json.dumps(_cleaned(_object(settings, values, files), clean)))
        return 0

    def line(text: str) -> None:
        out.line(escaped(clean(text)).rstrip())

    for title, wanted in (("Set", True), ("Default", False)):
        keys = [key for key in values if settings.explicit(key) == wanted]
        if keys:
            out.line(title, "bold")
        for key in keys:
            value = values[key] or f"- {_UNSET.get(key, '')}"
            source = settings.sources[key] if wanted else ""
            line(f"  {key:<27}{' '.join(value.split()):<31} {source}")
        out.line()
    out.line("Files, the strongest first", "bold")
    for name, state in files:
        line(f"  {name}: {state}")
    for notice in settings.notices:
        line(f"  {notice}")
    return 0


def _object(
    settings: Settings, values: dict[str, str], files: list[tuple[str, str]]
) -> dict[str, Any]:
    return {
        "type": "config",
        "workspace": str(settings.workspace),
        "settings": {
            key: {
                "value": None if _is_secret(key) else _plain(settings.given[key]),
                "set": bool(values[key]),
                "source": settings.sources[key],
            }
            for key in values
        },
        "files": [{"path": name, "state": state} for name, state in files],
        "notices": list(settings.notices),
    }


def _state(path: Path, settings: Settings) -> str:
    """What became of a file that was looked for."""
    if not path.exists():
        return "not there"
    if path.parent == settings.workspace and path.name in settings.untrusted:
        return "not trusted, so it may only lower limits"
    return "read"


def _cleaned(value: Any, clean: Callable[[str], str]) -> Any:
    """The same value with no secret in any of its texts."""
    match value:
        case str(text):
            return clean(text)
        case dict(table):
            return {key: _cleaned(each, clean) for key, each in table.items()}
        case list(items):
            return [_cleaned(each, clean) for each in items]
    return value


def _is_secret(key: str) -> bool:
    return KIND[key] == "key"


def _written(key: str, value: Any) -> str:
    """The value as a person would write it; "" when there is none."""
    if value is None or value == ():
        return ""
    if _is_secret(key):
        return _SET
    match KIND[key], value:
        case _, bool(flag):
            return "true" if flag else "false"
        case "duration", float(seconds):
            return _time(round(seconds, 3))
        case "bytes", int(size):
            return _size(size)
        case "usd", float(dollars):
            return f"{dollars:.2f}"
        case _, Price():
            return f"{value.prompt:g},{value.cached:g},{value.completion:g}"
        case _, tuple(items):
            return ", ".join(map(str, items))
    return str(value)


def _plain(value: Any) -> Any:
    """The value as JSON has it: times in seconds, sizes in bytes, prices as a list."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case tuple():
            return [_plain(each) for each in value]
        case Price():
            return [value.prompt, value.cached, value.completion]
    return str(value)


def _time(seconds: float) -> str:
    for unit, size in (("h", 3600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"


def _size(size: int) -> str:
    for unit, power in (("T", 40), ("G", 30), ("M", 20), ("K", 10)):
        if size % (1 << power) == 0:
            return f"{size >> power}{unit}"
    return str(size)
