"""Events to JSON and back."""

import functools
import json
import sys
import types
import typing
from dataclasses import fields, is_dataclass
from typing import Any, Literal

from autoagent import events
from autoagent.events import Event

_TYPES: dict[str, type[Any]] = {t.__name__: t for t in typing.get_args(Event)}


class MalformedEvent(ValueError):
    """A dictionary that is no event of ours; says what is wrong with it."""


def to_dict(event: Event) -> dict[str, Any]:
    """The event as a dictionary of JSON's types, its type under "type"."""
    return {"type": type(event).__name__, **_plain(event)}


def from_dict(data: dict[str, Any]) -> Event:
    """The event of a dictionary; every field is converted here. MalformedEvent otherwise."""
    name = data.get("type")
    if not isinstance(name, str) or name not in _TYPES:
        raise MalformedEvent(f"there is no event {name!r}")
    return typing.cast(Event, _value(_TYPES[name], data, name))


def to_json(event: Event) -> str:
    """One line of JSON. Lone surrogates stay as they are: write it with `surrogatepass`."""
    return json.dumps(to_dict(event), ensure_ascii=False)


def from_json(text: str) -> Event:
    """The event of a line of JSON; MalformedEvent when it is none."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MalformedEvent(str(error)) from error
    if not isinstance(data, dict):
        raise MalformedEvent("not an object")
    return from_dict(data)


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


@functools.cache
def _hints(name: str) -> dict[str, Any]:
    return typing.get_type_hints(getattr(events, name))


def _value(hint: Any, data: Any, where: str) -> Any:
    if is_dataclass(hint) and isinstance(hint, type):
        return _instance(hint, data, where)
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        if data is None:
            return None
        return _value(
            next(h for h in typing.get_args(hint) if h is not types.NoneType), data, where
        )
    if origin is Literal and data in typing.get_args(hint):
        return data
    if origin is tuple and isinstance(data, list):
        return tuple(_value(typing.get_args(hint)[0], item, where) for item in data)
    if origin is dict and isinstance(data, dict):
        return data
    if hint is float and type(data) in (int, float) and abs(data) <= sys.float_info.max:
        return float(data)
    if hint in (str, int, bool) and type(data) is hint:
        return data
    raise MalformedEvent(f"{where} can't be {data!r:.60}")


def _instance(cls: type[Any], data: Any, where: str) -> Any:
    if not isinstance(data, dict):
        raise MalformedEvent(f"{where} can't be {data!r:.60}")
    hints = _hints(cls.__name__)
    missing = [f.name for f in fields(cls) if f.name not in data]
    if missing:
        raise MalformedEvent(f"{where} lacks {', '.join(missing)}")
    return cls(
        **{name: _value(hint, data[name], f"{where}.{name}") for name, hint in hints.items()}
    )
