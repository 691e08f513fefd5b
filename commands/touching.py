"""Which masked or protected paths a command would touch, before it runs."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from commands.command import Catalogue, CommandError, CommandSpec
from commands.guard import ForbiddenPath
from commands.workspace import Touch, Workspace

_TOUCHES: dict[str, tuple[Touch, tuple[str, ...]]] = {
    "read_file": ("read", ("path",)),
    "search_files": ("read", ("path",)),
    "write_file": ("write", ("path",)),
    "append_file": ("write", ("path",)),
    "edit_file": ("write", ("path",)),
    "delete_file": ("delete", ("path",)),
    "move_file": ("move", ("source", "target")),
}


def touched(
    workspace: Workspace, catalogue: Catalogue, spec: CommandSpec, args: Mapping[str, Any]
) -> list[ForbiddenPath]:
    """What the workspace would refuse of a command with these checked arguments.

    A program that a command runs isn't looked into: what it may touch the cage decides.
    """
    if spec.name == "batch":
        inner = called(catalogue, args)
        return [
            each for spec, given in inner for each in touched(workspace, catalogue, spec, given)
        ]
    touch, names = _TOUCHES.get(spec.name, ("read", ()))
    paths = [args[name] for name in names if name in args]
    return workspace.forbidden(touch, *paths) if paths else []


def replaced(workspace: Workspace, spec: CommandSpec, args: Mapping[str, Any]) -> list[str]:
    """The paths, relative to the root, at which something stands that a file command with
    these checked arguments would delete or write over."""
    names = {"write_file": ("path",), "edit_file": ("path",), "delete_file": ("path",)}
    found: list[str] = []
    for name in names.get(spec.name, ("source", "target") if spec.name == "move_file" else ()):
        with suppress(CommandError):  # nothing stands there, or it can't be touched anyway
            found.append(workspace.kind(args[name])[1])
    return found


def called(
    catalogue: Catalogue, args: Mapping[str, Any]
) -> Iterator[tuple[CommandSpec, dict[str, Any]]]:
    """The commands of a batch with their checked arguments; what isn't one is left out."""
    for call in args["commands"]:
        name, given = call.get("name"), call.get("args", {})
        if isinstance(name, str) and isinstance(given, dict):
            with suppress(CommandError):
                spec = catalogue.find(name)
                if spec.name != "batch":
                    yield spec, spec.checked(given)
