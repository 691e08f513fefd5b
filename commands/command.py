"""A command: a function with type hints and a docstring, and what the model may pass to it."""

import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Literal

Effect = Literal["read", "note", "change", "execute", "reach", "ask", "lead", "end"]
"""What a command does to the world; `approval` decides by it who must agree.

read: workspace, memory, results · note: writes memory only · change: writes the workspace ·
execute: runs code · reach: contacts a host · ask: talks to a person · lead: starts, tells
and ends sub-agents · end: ends the run."""

Kind = Literal["str", "int", "float", "bool", "strings", "calls"]
_KINDS: dict[Any, Kind] = {
    str: "str",
    int: "int",
    float: "float",
    bool: "bool",
    list[str]: "strings",
    list[dict[str, Any]]: "calls",
}
_SAID: dict[Kind, str] = {
    "str": "a string",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "strings": "a list of strings",
    "calls": 'a list of {"name": …, "args": …}',
}


class CommandError(Exception):
    """The model must act: the message says what was wrong and what to do instead."""


class Refusal(CommandError):
    """A command that the rules forbid: final, the model must take another way."""


@dataclass(frozen=True, slots=True)
class Section:
    """One of several results in one; `about`, `source` and `note` make its head line."""

    about: str
    note: str
    text: str
    source: str


@dataclass(frozen=True, slots=True)
class Result:
    """What a command gives back. `ok=False` is an ordinary outcome, not a fault of ours.

    `note` stands in the head line ("exit 1, 0.4 s"), `text` below it, whole: the agent
    caps what the model sees. `source` says whose words the text is: workspace, command,
    web, person, memory. `changed` and `read` are paths relative to the workspace. `notices`
    are what the person must hear, too (something was moved out of the workspace). `rest`
    stands behind the text only where the whole result is kept.
    """

    text: str = ""
    note: str = ""
    ok: bool = True
    refused: bool = False  # the rules or a person forbade it
    source: str = "workspace"
    changed: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    sections: tuple[Section, ...] = ()  # instead of text
    notices: tuple[str, ...] = ()
    rest: str = ""


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a command, as the model passes it in JSON."""

    name: str
    kind: Kind
    required: bool


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """A command by name: what it tells the model, what it takes, what it does to the world."""

    name: str
    summary: str
    arguments: tuple[Argument, ...]
    effect: Effect
    run: Callable[..., Result]
    aliases: tuple[str, ...] = ()
    argument_aliases: Mapping[str, str] = field(default_factory=dict)
    own: bool = False  # the user's own: it runs outside the cage

    @property
    def signature(self) -> str:
        """As the catalogue shows it: `read_file(path, start_line?, lines?)`."""
        names = (a.name if a.required else a.name + "?" for a in self.arguments)
        return f"{self.name}({', '.join(names)})"

    def checked(self, args: Mapping[str, Any]) -> dict[str, Any]:
        """`args` under the right names with the right types; CommandError says what is wrong.

        Only what cannot alter a meaning is forgiven: another usual name, a whole number
        written as a string, null for an argument that may be left out.
        """
        known = {a.name: a for a in self.arguments}
        given: dict[str, Any] = {}
        for key, value in args.items():
            name = key if key in known else self.argument_aliases.get(key, key)
            if name not in known:
                raise CommandError(_unknown_argument(self, key))
            if name in given:
                raise CommandError(f"{self.name} got {name!r} twice, once as {key!r}.")
            if value is None and not known[name].required:
                continue
            given[name] = _converted(self, known[name], value)
        missing = [a.name for a in self.arguments if a.required and a.name not in given]
        if missing:
            raise CommandError(f"{self.name} needs {', '.join(missing)}: {self.signature}.")
        return given


def command(
    effect: Effect,
    *,
    aliases: Iterable[str] = (),
    argument_aliases: Mapping[str, str] | None = None,
) -> Callable[[Callable[..., Result]], CommandSpec]:
    """Make a command of a function `(context, **arguments) -> Result`.

    The name, the types and the defaults are the function's own; the docstring's first line
    is what the model reads. A wrong annotation is the author's mistake: TypeError at import.
    """

    def made(function: Callable[..., Result]) -> CommandSpec:
        hints = typing.get_type_hints(function)
        parameters = list(inspect.signature(function).parameters.values())[1:]
        return CommandSpec(
            name=function.__name__,
            summary=(inspect.getdoc(function) or "").split("\n")[0],
            arguments=tuple(argument_of(p, hints[p.name]) for p in parameters),
            effect=effect,
            run=function,
            aliases=tuple(aliases),
            argument_aliases=dict(argument_aliases or {}),
        )

    return made


def argument_of(parameter: inspect.Parameter, hint: Any) -> Argument:
    """What a parameter takes by its type; TypeError for one that JSON can't give exactly."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        hints = [h for h in typing.get_args(hint) if h is not type(None)]
        hint = hints[0] if len(hints) == 1 else hint
    if hint not in _KINDS:
        said = hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else hint
        raise TypeError(f"{parameter.name}: {said} is not a type that a command can take")
    return Argument(parameter.name, _KINDS[hint], parameter.default is parameter.empty)


def _converted(spec: CommandSpec, argument: Argument, value: Any) -> Any:
    match argument.kind, value:
        case "str", str():
            return value
        case "bool", bool():
            return value
        case (("int" | "float"), bool()):
            pass
        case "int", int():
            return value
        case "int", str() if value.strip().lstrip("-").isdecimal():
            return int(value)
        case "int", float() if value.is_integer():
            return int(value)
        case "float", int() | float():
            return float(value)
        case "strings", list() if all(isinstance(v, str) for v in value):
            return value
        case "strings", str():
            return [value]
        case "calls", list() if all(isinstance(v, dict) for v in value):
            return value
    said = _SAID[argument.kind]
    raise CommandError(f"{spec.name}: {argument.name} must be {said}, not {value!r:.80}.")


def _unknown_argument(spec: CommandSpec, key: str) -> str:
    near = get_close_matches(key, [a.name for a in spec.arguments], 1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"{spec.name} has no argument {key!r}.{hint} It is {spec.signature}."


class Catalogue:
    """The commands of a run, by name and alias."""

    def __init__(self, specs: Iterable[CommandSpec], withheld: Iterable[str] = ()) -> None:
        self._specs = {spec.name: spec for spec in specs}
        self._aliases = {a: spec.name for spec in self._specs.values() for a in spec.aliases}
        self._withheld = frozenset(withheld)

    def __iter__(self) -> typing.Iterator[CommandSpec]:
        return iter(self._specs.values())

    def only(self, may_use: Callable[[CommandSpec], bool]) -> "Catalogue":
        """Those of them for which that holds; who asks for another is told what there is."""
        kept = [spec for spec in self if may_use(spec)]
        gone = [spec for spec in self if spec not in kept]
        names = (name for spec in gone for name in (spec.name, *spec.aliases))
        return Catalogue(kept, self._withheld.union(names))

    def told(
        self, as_read: Callable[[Iterable[CommandSpec]], Iterable[CommandSpec]]
    ) -> "Catalogue":
        """The same as somebody else reads them."""
        return Catalogue(as_read(self), self._withheld)

    def find(self, name: str) -> CommandSpec:
        """The command of that name or alias; CommandError names the nearest one."""
        spec = self._specs.get(self._aliases.get(name, name))
        if spec is None and name in self._withheld:
            raise CommandError(f"You may not use {name!r}. You have: {', '.join(self._specs)}.")
        if spec is None:
            names = [*self._specs, *self._aliases]
            near = get_close_matches(name, names, 1, 0.5)
            right = self._aliases.get(near[0], near[0]) if near else ""
            hint = f"Did you mean {self._specs[right].signature}?" if right else ""
            every = ", ".join(self._specs)
            raise CommandError(f"There is no command {name!r}. {hint or 'There are: ' + every}")
        return spec
