"""Which masked or protected paths a command would touch, before it runs."""

from collections.abc import Mapping
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
        return [each for call in args["commands"] for each in _called(workspace, catalogue, call)]
    touch, names = _TOUCHES.get(spec.name, ("read", ()))
    paths = [args[name] for name in names if name in args]
    return workspace.forbidden(touch, *paths) if paths else []


def _called(
    workspace: Workspace, catalogue: Catalogue, call: Mapping[str, Any]
) -> list[ForbiddenPath]:
    """Of one command of a batch; what isn't one touches nothing."""
    name, args = call.get("name"), call.get("args", {})
    if not isinstance(name, str) or not isinstance(args, dict) or name == "batch":
        return []
    try:
        spec = catalogue.find(name)
        return touched(workspace, catalogue, spec, spec.checked(args))
    except CommandError:
        return []
