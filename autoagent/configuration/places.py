"""Where autoagent keeps what is the user's: settings, sessions, memories, trust."""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from autoagent.errors import ConfigError, StateError


@dataclass(frozen=True, slots=True)
class Places:
    """Folders by what they hold; none of them need exist yet. `home` is None where unknown."""

    home: Path | None
    config: Path  # config.toml, .env
    state: Path

    @property
    def sessions(self) -> Path:
        """One folder a session, named by its ID."""
        return self.state / "sessions"

    @property
    def trust(self) -> Path:
        """One file a trusted workspace."""
        return self.state / "trust"

    def memory(self, name: str) -> Path:
        """The file of the long-term memory of that name."""
        return self.state / "memory" / f"{name}.sqlite"

    def copy(self, session: str, workspace: Path) -> Path:
        """The copy of its workspace that a dry run works on, by the same name."""
        return self.sessions / session / "copy" / workspace.name

    def checkpoints(self, workspace: Path) -> Path:
        """The folder of a workspace's checkpoints."""
        return self.all_checkpoints / workspace_name(workspace)

    @property
    def all_checkpoints(self) -> Path:
        """One folder a workspace."""
        return self.state / "checkpoints"


def find(environ: Mapping[str, str], *, cwd: Path) -> Places:
    """The places that `environ` asks for; ConfigError when there is no home to put them in."""
    home = _home(environ)
    everything = environ.get("AUTOAGENT_HOME")
    if everything:
        folder = cwd / expanded(everything, home)
        return Places(home, folder, folder)
    if home is None:
        raise ConfigError(
            "There is no home folder: HOME isn't set and this user has none in the password "
            "database. Set AUTOAGENT_HOME to a folder for settings and sessions."
        )
    config = _base(environ.get("XDG_CONFIG_HOME"), home / ".config")
    state = _base(environ.get("XDG_STATE_HOME"), home / ".local" / "state")
    return Places(home, config / "autoagent", state / "autoagent")


def expanded(text: str, home: Path | None) -> str:
    """`text` with a leading `~/` replaced by `home`."""
    if home is not None and (text == "~" or text.startswith("~/")):
        return str(home / text[2:])
    return text


def private_folder(folder: Path) -> Path:
    """Make `folder` and what is missing above it, readable by its owner only.

    What exists stays as it is: it may be a folder that the user shares on purpose.
    """
    missing = [f for f in (folder, *folder.parents) if not f.exists()]
    try:
        for each in reversed(missing):
            each.mkdir(mode=0o700, exist_ok=True)
        if not folder.is_dir():
            raise NotADirectoryError(20, "it is a file")
    except OSError as error:
        raise StateError(
            f"{str(folder)!r} can't be made: {error.strerror}. "
            "Set AUTOAGENT_HOME to a folder that you can write in."
        ) from error
    return folder


def workspace_name(workspace: Path) -> str:
    """A name for what belongs to this workspace: readable, and of its real path alone."""
    real = os.fsencode(os.path.realpath(workspace))
    stem = re.sub(r"[^A-Za-z0-9]+", "-", workspace.resolve().name).strip("-")[:40]
    return f"{stem or 'workspace'}-{hashlib.sha256(real).hexdigest()[:10]}"


def _base(wanted: str | None, usual: Path) -> Path:
    # The XDG specification: a relative path is invalid and to be ignored.
    return Path(wanted) if wanted and wanted.startswith("/") else usual


def _home(environ: Mapping[str, str]) -> Path | None:
    named = environ.get("HOME")
    if named and named.startswith("/"):
        return Path(named)
    import pwd

    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return None
