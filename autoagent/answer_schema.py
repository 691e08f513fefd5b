"""A JSON Schema of the user's: read, checked, never completed from elsewhere."""

import json
from collections.abc import Callable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from autoagent.configuration.sources import named_file
from autoagent.errors import ConfigError
from autoagent.strict_json import STRICT

Schema = dict[str, Any]

_WINDOW_SHARE = 1 / 8  # it stays in the prompt for the whole session
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_IN_PLACE = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas")
"""Keywords whose schemas look at the same value as the one they stand in."""


def read_schema(path: Path) -> Schema:
    """The JSON Schema of that file. ConfigError says where it is none, or refers to what
    isn't in it."""
    name = f"--answer-schema {str(path)!r}"
    try:
        schema = STRICT.decode(named_file(path, "--answer-schema").decode("utf-8-sig"))
        if not isinstance(schema, dict):
            raise ConfigError(f"{name} isn't a JSON Schema: it must be an object, {{…}}.")
        _check(schema, name)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ConfigError(f"{name} isn't JSON, {place}: {error.msg}.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{name} isn't UTF-8; save it as UTF-8.") from None
    except ValueError as error:  # a key that stands twice, NaN
        raise ConfigError(f"{name} isn't JSON: {error}.") from None
    except RecursionError:
        raise ConfigError(f"{name} is nested too deep; make it flatter.") from None
    return schema


def check_size(tokens: int, window: int) -> None:
    """ConfigError when the model couldn't be told of the schema and still work."""
    most = round(window * _WINDOW_SHARE)
    if tokens > most:
        raise ConfigError(
            f"--answer-schema takes {tokens:,} tokens of a window of {window:,}; at most {most:,} "
            "are left to it. Leave out descriptions and examples, or give a larger --window."
        )


def _check(schema: Schema, name: str) -> None:
    from jsonschema import Draft202012Validator, SchemaError
    from jsonschema.validators import validator_for
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import UnknownDialect, specification_with

    dialect = schema.get("$schema", Draft202012Validator.META_SCHEMA["$id"])
    try:
        if not isinstance(dialect, str):
            raise UnknownDialect(dialect)
        resource_of = specification_with(dialect).create_resource
        check = validator_for({"$schema": dialect}).check_schema
        check(schema)
        _check_references(schema, resource_of, check)
    except SchemaError as error:
        where = f"{error.json_path}: {error.message:.300}"
        raise ConfigError(f"{name} isn't a JSON Schema, {where}") from None
    except UnknownDialect as error:
        raise ConfigError(
            f"{name}: $schema is {error.uri!r:.80}, no draft that is known here; leave it out for "
            "draft 2020-12."
        ) from None
    except Unresolvable as error:
        raise ConfigError(
            f"{name} refers to {error.ref!r:.200}, which isn't in it. Nothing is fetched: put it "
            'under "$defs" and refer to it there.'
        ) from None
    except CycleError as error:
        raise ConfigError(
            f"{name}: the schema at {error.args[1]!r:.200} is its own part."
        ) from None


def _check_references(
    schema: Schema, resource_of: Callable[[Any], Any], check: Callable[[Any], None]
) -> None:
    """Whatever is referred to is there and is a schema, and none refers to itself in a circle
    that no value would end. Unresolvable, SchemaError or CycleError otherwise."""
    from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]

    root = resource_of(schema)
    looks_at: dict[int, set[int]] = {}  # by identity: the schemas for the same value
    names = {id(schema): "#"}
    todo: list[tuple[Any, Any]] = [(root, REGISTRY.resolver_with_root(root))]
    while todo:
        resource, resolver = todo.pop()
        here = resource.contents
        if not isinstance(here, dict) or id(here) in looks_at:
            continue
        looks_at[id(here)] = set(map(id, _in_place(here)))
        for ref in (here[key] for key in _REFERENCES if isinstance(here.get(key), str)):
            found = _looked_up(resolver, ref)
            if id(found.contents) not in looks_at:
                check(found.contents)
            looks_at[id(here)].add(id(found.contents))
            names.setdefault(id(found.contents), ref)
            todo.append((resource_of(found.contents), found.resolver))
        todo += ((part, resolver.in_subresource(part)) for part in resource.subresources())
    try:
        TopologicalSorter(looks_at).prepare()
    except CycleError as error:
        circle = next(names[each] for each in error.args[1] if each in names)
        raise CycleError(error.args[0], circle) from None


def _looked_up(resolver: Any, ref: str) -> Any:
    from referencing.exceptions import Unresolvable

    try:
        return resolver.lookup(ref)
    except Unresolvable:  # which may name a part of it only
        raise Unresolvable(ref) from None


def _in_place(schema: Schema) -> Iterator[object]:
    """The schemas in it that look at the same value."""
    for key in _IN_PLACE:
        match schema.get(key):
            case list(parts):
                yield from parts
            case dict(parts) if key == "dependentSchemas":
                yield from parts.values()
            case dict(part):
                yield part
