"""Events: what is written comes back as it was, and nothing else passes for an event."""

import json
import types
import typing
from dataclasses import fields, is_dataclass
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoagent.event_json import MalformedEvent, from_dict, from_json, to_dict, to_json
from autoagent.events import SCHEMA_VERSION, Event, Executing, Replied, Retried, Started
from autoagent.journal import Entry, line_of
from autoagent.model import Usage

TYPES: tuple[type[Any], ...] = typing.get_args(Event)

_NASTY = ("\ud800", "\ud83d\ude00", "\0", "\u2028", "\x7f", "\ufeff", "\r\n", "\\", '"', "}")
_TEXTS = st.lists(
    st.sampled_from(_NASTY) | st.text(st.characters(exclude_categories=[]), max_size=9), max_size=4
).map("".join)
_FLOATS = st.floats(allow_nan=False, allow_infinity=False)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | _FLOATS | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=8,
)
_PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: _TEXTS,
    int: st.integers(),
    float: _FLOATS,
    bool: st.booleans(),
    types.NoneType: st.none(),
}


def _values(hint: Any) -> st.SearchStrategy[Any]:
    """Any value that a field of this type may hold."""
    if hint in _PLAIN:
        return _PLAIN[hint]
    if is_dataclass(hint) and isinstance(hint, type):
        hints = typing.get_type_hints(hint)
        values = {f.name: _values(hints[f.name]) for f in fields(hint)}
        if hint is Started:
            values["schema_version"] = st.just(SCHEMA_VERSION)
        return st.builds(hint, **values)
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return st.sampled_from(args)
    if origin is tuple:
        return st.lists(_values(args[0]), max_size=3).map(tuple)
    if origin is dict:
        return st.dictionaries(_TEXTS, _JSON, max_size=3)
    assert origin in (types.UnionType, typing.Union), hint
    return st.one_of(*map(_values, args))


EVENTS = st.one_of(*map(_values, TYPES))
"""Any event, of the version that is written today."""


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.__name__)
def test_every_event_comes_back_from_json(kind: type[Any]) -> None:
    """Law 1: a resumed run folds the very events that the first one folded."""

    @settings(deadline=None, max_examples=40)
    @given(_values(kind))
    def law(event: Event) -> None:
        assert from_json(to_json(event)) == event
        assert from_dict(json.loads(to_json(event))) == event

    law()


@settings(deadline=None, max_examples=60)
@given(EVENTS, st.integers(0, 10**9), _FLOATS)
def test_an_event_is_one_line_whatever_it_says(event: Event, number: int, at: float) -> None:
    """The journal is split at line breaks, so a text must not bring one of its own."""
    line = line_of(Entry(number, "", at, event))

    assert line.count(b"\n") == 1 and line.endswith(b"\n")
    assert from_json(line.decode("utf-8", "surrogatepass")) == event


@settings(deadline=None, max_examples=60)
@given(EVENTS, st.data())
def test_a_field_that_is_missing_is_malformed(event: Event, data: st.DataObject) -> None:
    """Nothing is guessed: a journal that lacks a fact is damaged."""
    written = to_dict(event)
    lost = data.draw(st.sampled_from(sorted(written)))
    del written[lost]

    with pytest.raises(MalformedEvent):
        from_dict(written)


@settings(deadline=None, max_examples=60)
@given(EVENTS, _JSON, st.data())
def test_any_value_in_any_field_is_an_event_or_malformed(
    event: Event, value: Any, data: st.DataObject
) -> None:
    """Whoever edits a journal by hand gets a sentence, never a traceback."""
    written = to_dict(event)
    written[data.draw(st.sampled_from(sorted(written)))] = value

    try:
        read = from_dict(written)
    except MalformedEvent:
        return

    assert from_json(to_json(read)) == read


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"wait_s": "1"}, "Retried.wait_s"),
        ({"wait_s": True}, "Retried.wait_s"),
        ({"wait_s": float("inf")}, "Retried.wait_s"),
        ({"wait_s": 10**400}, "Retried.wait_s"),
        ({"step": 1.0}, "Retried.step"),
        ({"step": None}, "Retried.step"),
        ({"reason": 7}, "Retried.reason"),
        ({"usage": []}, "Retried.usage"),
        ({"usage": {"prompt": 1}}, "Retried.usage lacks completion"),
        ({"type": "Exploded"}, "Exploded"),
        ({"type": ["Retried"]}, "Retried"),
        ({"type": None}, "None"),
    ],
)
def test_a_wrong_value_is_named_with_its_field(change: dict[str, Any], named: str) -> None:
    """The sentence must help whoever looks at the file."""
    written = {**to_dict(Retried(1, 1, "busy", 1.0)), **change}

    with pytest.raises(MalformedEvent, match=named):
        from_dict(written)


@pytest.mark.parametrize("text", ["", "[]", "7", "null", '"Executing"', "{", "[" * 100_000, "\0"])
def test_what_is_no_object_is_malformed(text: str) -> None:
    """Also half a line, and a nesting that no reader of JSON takes."""
    with pytest.raises(MalformedEvent):
        from_json(text)


def test_a_whole_number_in_a_float_field_becomes_a_float() -> None:
    """Other programs write 2 for 2.0; the field's type holds all the same."""
    read = from_json(
        '{"type": "Retried", "step": 1, "attempt": 1, "reason": "", "wait_s": 2, "usage": null}'
    )

    assert isinstance(read, Retried) and type(read.wait_s) is float


def test_a_list_in_json_becomes_the_tuple_that_it_was() -> None:
    """A list that slipped into a tuple's place broke a first resume once."""
    args = {"k": [1, ["2"]]}
    replied = Replied(1, "raw", "", "", ("a", "b"), "", "x", args, "strict", Usage(1, 2))

    read = from_json(to_json(replied))

    assert isinstance(read, Replied)
    assert (read.plan, read.args) == (("a", "b"), args)


def test_the_type_stands_first_in_the_dictionary() -> None:
    """stream-json is read by people too."""
    assert to_dict(Executing(3)) == {"type": "Executing", "step": 3}
    assert next(iter(to_dict(Executing(3)))) == "type"
