"""Writes docs/api.md from the docstrings: `python -m tests.api_page`."""

import ast
import inspect
import re
import textwrap
import typing
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import autoagent
import memory_store
from autoagent import errors, events, session
from memory_store import sqlite

_WIDTH = 96
PAGE = Path(__file__).parent.parent / "docs" / "api.md"
_HEAD = """\
# API

What a Python program may use; [library.md](library.md) shows how. Made from the docstrings by
`python -m tests.api_page`. Other names may change with any version.
"""


def page() -> str:
    """The whole page as it has to be."""
    return "\n".join(
        [
            _HEAD,
            "## autoagent",
            "",
            *_function(autoagent.run),
            *_function(autoagent.open_session),
            *_function(autoagent.outcome_of),
            *_function(autoagent.command),
            *_value(autoagent.Outcome),
            *_text(session.Session),
            "## Errors",
            "",
            "In `autoagent.errors`; all are children of `AutoAgentError`.",
            "",
            *_all(_errors(), lambda error: _error(error)),
            "## Events",
            "",
            "In `autoagent.events`; what a session gives, in the order of its journal.",
            "",
            *_all(typing.get_args(events.Event), _value),
            "## memory_store",
            "",
            *_function(memory_store.open_store),
            *_text(sqlite.Store),
            *_all(_methods(sqlite.Store), lambda method: _function(method, "Store.")),
            *_value(memory_store.Memory),
            *_value(memory_store.Hit),
            *_text(memory_store.StoreError),
        ]
    )


def _all(values: Iterable[Any], form: Callable[[Any], Iterator[str]]) -> Iterator[str]:
    for value in values:
        yield from form(value)


def _errors() -> list[type[Exception]]:
    every = vars(errors).values()
    return [e for e in every if inspect.isclass(e) and issubclass(e, errors.AutoAgentError)]


def _methods(of: type) -> list[Callable[..., object]]:
    public = {name: each for name, each in vars(of).items() if not name.startswith("_")}
    return [each for each in public.values() if inspect.isfunction(each)]


def _function(function: Callable[..., object], before: str = "") -> Iterator[str]:
    tree = _parsed(function)
    assert isinstance(tree, ast.FunctionDef)
    arguments = tree.args
    arguments.args = [each for each in arguments.args if each.arg != "self"]
    for each in ast.walk(arguments):
        if isinstance(each, ast.arg):
            each.annotation = _unquoted(each.annotation)
    returns = _unquoted(tree.returns)
    to = f" -> {ast.unparse(returns)}" if returns else ""
    yield from _headed(function, before)
    if function is not autoagent.command:  # whose two forms its text shows
        yield from ("```python", *_call(before + function.__name__, arguments, to), "```", "")
    yield from _prose(function)


def _call(name: str, arguments: ast.arguments, to: str) -> list[str]:
    """In one line, or a line each where that is too long."""
    one = f"{name}({ast.unparse(arguments)}){to}"
    if len(one) <= _WIDTH:
        return [one]
    each = re.split(r", (?=\*|\w+[:=])", ast.unparse(arguments))
    return [f"{name}(", *(f"    {argument}," for argument in each), f"){to}"]


def _value(value: type) -> Iterator[str]:
    """A dataclass: its docstring and its fields as they are written, comments with them."""
    lines = textwrap.dedent(inspect.getsource(value)).splitlines()
    tree = _parsed(value)
    assert isinstance(tree, ast.ClassDef)
    fields = [each.lineno for each in tree.body if isinstance(each, ast.AnnAssign)]
    yield from _text(value)
    if fields:
        yield from ("```python", *(lines[number - 1].strip() for number in fields), "```", "")


def _error(error: type[Exception]) -> Iterator[str]:
    yield from _text(error)
    yield from (f"Exit code {vars(error)['exit_code']}.", "")


def _text(value: Any) -> Iterator[str]:
    yield from _headed(value)
    yield from _prose(value)


def _headed(value: Any, before: str = "") -> Iterator[str]:
    yield from (f"### {before}{value.__name__}", "")


def _prose(value: Any) -> Iterator[str]:
    """The docstring, examples in fences of their own."""
    for paragraph in (inspect.getdoc(value) or "").split("\n\n"):
        if paragraph.startswith(">>>"):
            yield from ("```pycon", paragraph, "```", "")
        else:
            yield from (paragraph, "")


def _parsed(value: Any) -> ast.stmt:
    return ast.parse(textwrap.dedent(inspect.getsource(value))).body[0]


def _unquoted(annotation: ast.expr | None) -> ast.expr | None:
    """An annotation that is written in quotes, or parts of it, without them."""
    if annotation is None:
        return None

    class Unquoting(ast.NodeTransformer):
        def visit_Constant(self, node: ast.Constant) -> ast.expr:
            if isinstance(node.value, str):
                return ast.parse(node.value, mode="eval").body
            return node

    found: ast.expr = Unquoting().visit(annotation)
    return found


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
