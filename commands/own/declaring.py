"""`@command` for a person's own functions: which are commands, and what each takes."""

import inspect
import typing
from collections.abc import Callable
from typing import Any, Literal, TypeVar, get_args, overload

from commands.command import Argument, argument_of

OwnEffect = Literal["read", "change", "execute", "reach"]
CAREFUL: OwnEffect = "execute"
"""Of a command that doesn't say: a person is asked each time, and undo keeps what it changes."""

_MARK = "__autoagent_command__"
_TYPES = "str, int, float, bool or list[str]"
_Function = TypeVar("_Function", bound=Callable[..., object])


@overload
def command(function: _Function, /) -> _Function: ...
@overload
def command(
    effect: OwnEffect = CAREFUL, /
) -> Callable[[_Function], _Function]: ...  # pragma: no cover
def command(of: Any = CAREFUL, /) -> Any:
    """Let the agent call a function of yours; it stays an ordinary function.

    The agent reads its name, its arguments with their types (str, int, float, bool,
    list[str], each perhaps `| None`) and the first line of its docstring. It may return a
    text or what JSON can say; what it raises, the agent reads as well.

    `@command("read")` says what it does to the world, which decides who is asked first:
    "read" (nothing: never asked), "change" (files of the workspace: asked at a prompt),
    "reach" (something elsewhere, no file here: asked at a prompt), "execute" (anything: asked
    each time; the same as a bare `@command`). ValueError for another word.

    >>> from autoagent import command
    >>> @command("read")
    ... def word_count(path: str) -> int:
    ...     "how many words a text file has"
    ...     with open(path) as file:
    ...         return len(file.read().split())
    """
    if callable(of):
        return _marked(of, CAREFUL)
    if of not in get_args(OwnEffect):
        words = ", ".join(get_args(OwnEffect))
        raise ValueError(f"@command takes one of {words}, not {of!r:.80}")
    return lambda function: _marked(function, of)


def _marked(function: Any, effect: str) -> Any:
    vars(function)[_MARK] = effect
    return function


def is_marked(value: object) -> bool:
    """Whether that is a function under `@command`."""
    return inspect.isfunction(value) and _MARK in vars(value)


def effect_of(function: Callable[..., object]) -> OwnEffect:
    """What it was declared to do, or the most careful."""
    effect: OwnEffect = vars(function).get(_MARK, CAREFUL)
    return effect


def declared(function: Callable[..., object]) -> tuple[str, tuple[Argument, ...]]:
    """Summary and arguments of a command; TypeError with what its author has to mend."""
    if not inspect.isfunction(function):
        raise TypeError("it isn't a function")
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        raise TypeError("it is async or a generator; make it a plain function")
    summary = (inspect.getdoc(function) or "").split("\n")[0].strip()
    if not summary:
        raise TypeError("it has no docstring; its first line tells the agent what it is for")
    try:
        hints = typing.get_type_hints(function)
    except Exception as error:  # whatever evaluating somebody's annotations raises
        raise TypeError(f"its type hints can't be read: {error}") from error
    parameters = inspect.signature(function).parameters.values()
    return summary, tuple(_own_argument(parameter, hints) for parameter in parameters)


def _own_argument(parameter: inspect.Parameter, hints: dict[str, Any]) -> Argument:
    if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
        raise TypeError(f"{parameter}: every argument needs a name of its own")
    if parameter.name not in hints:
        raise TypeError(f"{parameter.name} has no type hint; use {_TYPES}")
    argument = argument_of(parameter, hints[parameter.name])
    if argument.kind == "calls":
        raise TypeError(f"{parameter.name}: a list of dicts can't be taken; use {_TYPES}")
    return argument
