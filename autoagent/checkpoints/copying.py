"""A copy of a workspace for a dry run to work on."""

import shutil
import stat
from contextlib import suppress
from pathlib import Path

from autoagent.checkpoints.checkpoint import Checkpoints
from autoagent.checkpoints.manifest import beneath
from autoagent.checkpoints.objects import Objects, told
from autoagent.checkpoints.restoring import Move, restore
from autoagent.configuration.places import private_folder


def copied(workspace: Path, store: Path, copy: Path) -> None:
    """Make the copy, unless there is one. Masked and special files aren't in it.

    What the checkpoints don't hold for its size is copied from the workspace itself.
    """
    if copy.exists():
        return
    objects = Objects(store)
    try:
        checkpoints = Checkpoints(workspace, objects)
        taken = checkpoints.take()
        new = copy.parent / "unfinished"
        shutil.rmtree(new, ignore_errors=True)
        private_folder(new)
        known = checkpoints.known
        moves = [
            Move(path, None, one.node)
            for path, one in known.items()
            if one.node.kind in ("file", "folder", "link")
            and not beneath(path, taken.left_out)
            and (one.node.kind != "file" or one.node.digest is not None)
        ]
        with told(f"The workspace can't be copied to {copy}"):
            restore(new, moves, {}, objects)
            for path in (*taken.left_out, *taken.unkept):
                _copy(workspace / path, new / path)
            new.chmod(stat.S_IMODE(workspace.stat().st_mode))
            new.rename(copy)
        checkpoints.close()
    finally:
        objects.close()


def _copy(source: Path, target: Path) -> None:
    """By the standard library; what can't be read isn't in the copy."""
    with suppress(shutil.Error, PermissionError):
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
        else:
            shutil.copy2(source, target)
