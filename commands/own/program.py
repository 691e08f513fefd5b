"""A program of its own: imports a person's commands, and says what they are or calls one.

`python -E -P -B program.py` with one JSON object on standard input, answered by one on
standard output: `packages` is the folder of our packages, `writable` are folders that the
agent can write, `path` or `entry` names what to import (`source` is the file's content),
`call` is None or a name with `args`. What the functions print goes to standard error.
"""

import importlib
import importlib.util
import json
import os
import site
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

_NAME = "own_commands"  # not the file's: a tickets.py may import a package `tickets`


def main() -> None:
    """Answer what stands on standard input."""
    answer = os.dup(1)
    os.dup2(2, 1)
    asked = json.load(sys.stdin.buffer)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    sys.path.insert(0, asked["packages"])
    from commands.own.outcome import raised

    _open_path(asked)
    try:
        found = _answered(asked)
    except BaseException as error:  # also SystemExit: it is theirs
        outcome = raised(error, asked["path"], __file__)
        found = {"failed": outcome.text, "trace": outcome.trace}
    sys.stdout.flush()
    with os.fdopen(answer, "wb") as file:
        file.write(json.dumps(found).encode())


def _open_path(asked: dict[str, Any]) -> None:
    """Where imports are looked for, and where never: last, so that nothing is shadowed."""
    sys.path.remove(asked["packages"])
    sys.path.extend([*asked["folders"], asked["packages"]])
    ours = [f"{asked['packages']}/{name}" for name in ("autoagent", "commands", "memory_store")]
    # What this Python itself consists of can't be doubted here any more.
    kept = [*ours, str(Path(os.__file__).parent), *site.getsitepackages()]
    sys.meta_path.insert(0, _Guard(asked["writable"], kept))


class _Guard:
    """Refuses to import what the agent could have written: this runs outside the cage."""

    def __init__(self, writable: Sequence[str], kept: Sequence[str]) -> None:
        self._writable = [Path(folder).resolve() for folder in writable]
        self._kept = [Path(folder).resolve() for folder in kept]

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        for finder in sys.meta_path:
            if finder is self:
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                for place in (spec.origin, *(spec.submodule_search_locations or ())):
                    self._check(name, place)
                return spec
        return None

    def _check(self, name: str, place: str | None) -> None:
        if not place or not Path(place).is_absolute():
            return  # built in, frozen, or none
        real = Path(place).resolve()
        written = any(real.is_relative_to(folder) for folder in self._writable)
        if written and not any(real.is_relative_to(folder) for folder in self._kept):
            raise ImportError(f"{name} lies where the agent can change it ({place}); move it away")


def _answered(asked: dict[str, Any]) -> dict[str, Any]:
    from commands.own.declaring import declared, effect_of
    from commands.own.outcome import returned

    functions = _functions(asked)
    if asked["call"] is not None:
        return {"text": returned(functions[asked["call"]](**asked["args"])).text}
    commands, faults = [], []
    for name, function in functions.items():
        try:
            summary, arguments = declared(function)
        except TypeError as error:
            faults.append([name, str(error)])
            continue
        taken = [[a.name, a.kind, a.required] for a in arguments]
        effect = effect_of(function)
        commands.append({"name": name, "summary": summary, "arguments": taken, "effect": effect})
    return {"commands": commands, "faults": faults}


def _functions(asked: dict[str, Any]) -> dict[str, Any]:
    """The commands by name: those of a module under `@command`, or the one that is named."""
    from commands.own.declaring import is_marked

    if asked["entry"]:
        module_name, _, attribute = asked["entry"].partition(":")
        found: Any = importlib.import_module(module_name.strip())
        for part in filter(None, attribute.strip().split(".")):
            found = getattr(found, part)
        if not isinstance(found, ModuleType):
            return {getattr(found, "__name__", attribute): found}
    else:
        found = _module(asked["path"], asked["source"])
    functions = {f.__name__: f for f in vars(found).values() if is_marked(f)}
    if not functions:
        raise LookupError("there is no command in it; put @command above a function")
    return functions


def _module(path: str, source: str) -> ModuleType:
    """The file's content as it was when the run started, whatever stands there by now."""
    module = ModuleType(_NAME)
    module.__file__ = path
    sys.modules[_NAME] = module
    exec(compile(source.encode("latin-1"), path, "exec"), vars(module))  # noqa: S102
    return module


if __name__ == "__main__":
    main()
