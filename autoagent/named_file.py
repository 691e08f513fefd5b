"""A file that the user named for us to write: checked at the start, written at the end."""

import os
import stat
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from autoagent.configuration.settings import Settings
from autoagent.errors import ConfigError
from commands.atomic import replace
from commands.workspace import Workspace


@dataclass(frozen=True, slots=True)
class NamedFile:
    """Its folder is an open descriptor: what a command puts in the folder's place meanwhile
    isn't followed to wherever it leads. A link in the file's own place isn't either."""

    folder: int
    name: str

    def replace(self, content: bytes) -> None:
        """Put this content there, whole or not at all; mode and owner stay."""
        replace(self.folder, self.name, content, self._status())

    def append(self) -> int:
        """A descriptor that adds to the file; a new one is its owner's only."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
        return os.open(self.name, flags | os.O_CLOEXEC, 0o600, dir_fd=self.folder)

    def _status(self) -> os.stat_result | None:
        try:
            status = os.stat(self.name, dir_fd=self.folder, follow_symlinks=False)
        except FileNotFoundError:
            return None
        return status if stat.S_ISREG(status.st_mode) else None


def named_file(option: str, path: Path, settings: Settings, stack: ExitStack) -> NamedFile:
    """That file, which may be there or not; its folder stays open until the stack is closed.

    ConfigError when it can't be written, or leads where no command of ours writes.
    """
    said = f"{option} {str(path)!r}"
    try:
        real = path.resolve()
        folder = os.open(real.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        stack.callback(os.close, folder)
    except (OSError, RuntimeError) as error:  # a link in a circle
        why = error.strerror if isinstance(error, OSError) else "a link leads in a circle"
        raise ConfigError(f"{said}: its folder can't be opened: {why}; make it first.") from None
    _refuse_elsewhere(said, path, real, settings)
    try:
        kind = os.stat(real.name, dir_fd=folder, follow_symlinks=False).st_mode
    except FileNotFoundError:
        kind = stat.S_IFREG
    if not stat.S_ISREG(kind):
        what = "a folder" if stat.S_ISDIR(kind) else "no regular file"
        raise ConfigError(f"{said} is {what}; name a file, or one that isn't there yet.")
    if not os.access(real.parent, os.W_OK | os.X_OK):
        raise ConfigError(f"{said}: its folder isn't writable; name a file in another one.")
    return NamedFile(folder, real.name)


def _refuse_elsewhere(said: str, path: Path, real: Path, settings: Settings) -> None:
    workspace = settings.workspace
    if Path(os.path.normpath(path)).is_relative_to(workspace) and not real.is_relative_to(
        workspace
    ):
        # It may be a command that put the link there, in this run or one before.
        raise ConfigError(
            f"{said} leads out of the workspace by a link, to {str(real)!r}; if that is meant, "
            "name it so."
        )
    for own in (settings.places.state.resolve(), settings.places.config.resolve()):
        if real.is_relative_to(own):
            raise ConfigError(f"{said} lies in autoagent's own folder {str(own)!r}; take another.")
    if real.is_relative_to(workspace):
        inside = str(real.relative_to(workspace))
        refusals = Workspace(workspace, protected=settings.protect).forbidden("write", inside)
        if refusals:
            raise ConfigError(f"{said}: {refusals[0].said}; take another.")
