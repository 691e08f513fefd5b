"""Folders and files that settings name: what may be a workspace, and what lies in it."""

import os
import stat
from pathlib import Path

from autoagent.configuration.places import Places
from autoagent.errors import ConfigError


def existing_folder(named: Path | None, cwd: Path) -> Path:
    folder = cwd if named is None else named
    try:
        found = folder.stat()
    except OSError as error:
        raise ConfigError(
            f"The workspace {str(folder)!r} can't be opened: {error.strerror}. "
            "Make it, or name another folder with --workspace."
        ) from error
    if not stat.S_ISDIR(found.st_mode):
        raise ConfigError(f"The workspace {str(folder)!r} is a file; --workspace takes a folder.")
    return folder.resolve()


def check_workspace(workspace: Path, places: Places) -> None:
    """ConfigError when no run may work in that folder; it must exist."""
    shown = repr(str(workspace))
    home = places.home.resolve() if places.home else Path("/")
    if workspace == home or workspace in home.parents:
        what = "your home folder" if workspace == home else "a folder above your home folder"
        what = "the root of this machine" if workspace == Path("/") else what
        raise ConfigError(
            f"The workspace {shown} is {what}: commands could change everything in it. "
            "Go to a folder inside it, or name one with --workspace."
        )
    own = own_folder(workspace, places)
    if own is not None:
        raise ConfigError(
            f"The workspace {shown} and autoagent's own folder {str(own)!r} lie in each other, so "
            "commands could change settings and sessions. Move one (AUTOAGENT_HOME, --workspace)."
        )
    if not os.access(workspace, os.W_OK | os.X_OK):
        raise ConfigError(f"The workspace {shown} isn't writable; name another with --workspace.")


def own_folder(folder: Path, places: Places) -> Path | None:
    """The first of autoagent's folders that `folder` holds or lies in."""
    for own in (places.state.resolve(), places.config.resolve()):
        if folder == own or folder in own.parents or own in folder.parents:
            return own
    return None


def inside(text: str, workspace: Path) -> str:
    path = Path(os.path.normpath(workspace / text))
    if path.is_absolute() and not path.is_relative_to(workspace):
        path = path.parent.resolve() / path.name
    if not path.is_relative_to(workspace):
        raise ConfigError(
            f"--protect {text!r} lies outside the workspace {str(workspace)!r}, "
            "where no command can change anything; name a path in it."
        )
    return str(path.relative_to(workspace))


def beside(path: Path, places: Places, key: str) -> Path:
    option = f"--{key.replace('_', '-')}"
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError):
        raise ConfigError(
            f"{option} {str(path)!r}: there is no such path; make it first."
        ) from None
    own = own_folder(real, places)
    if own is not None:
        raise ConfigError(
            f"{option} {str(path)!r} would open autoagent's own folder {str(own)!r} to commands; "
            "name a narrower path."
        )
    return real


def commands_file(path: Path, workspace: Path) -> Path:
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError):
        raise ConfigError(
            f"--commands {str(path)!r}: there is no such file; see docs/own-commands.md."
        ) from None
    if real.is_dir():
        raise ConfigError(f"--commands {str(path)!r} is a folder; name a file of Python in it.")
    for each in (path, *path.parents):
        if each.is_symlink() and each.parent.resolve().is_relative_to(workspace):
            raise ConfigError(
                f"--commands {str(path)!r} passes a link in the workspace, which the agent could "
                f"turn elsewhere; name the file itself: {str(real)!r}."
            )
    return real
