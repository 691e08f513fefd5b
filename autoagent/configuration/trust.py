"""Which files of a workspace the user has trusted, by their content."""

import hashlib
import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from autoagent.configuration import role_files
from autoagent.configuration.places import Places, private_folder, workspace_name
from autoagent.configuration.role_files import LeftOut, RoleFile
from autoagent.errors import ConfigError, StateError
from commands.atomic import synced

FILES = (".env", "autoagent.toml")
LARGEST = 1_000_000  # bytes; nobody writes settings longer than that by hand


def read(path: Path) -> bytes | None:
    """The content of a file that someone else may have put there; None when there is none.

    Only a regular file of up to LARGEST bytes is read (a pipe would hang, a device never
    ends); ConfigError says what else it is.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(f"{str(path)!r} can't be read: {error.strerror}.") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ConfigError(f"{str(path)!r} isn't a regular file; remove it or rename it.")
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ConfigError(f"{str(path)!r} is larger than 1 MB; that can't be settings.")
    return content


def is_trusted(places: Places, workspace: Path, name: str, content: bytes) -> bool:
    """Whether the user trusted the file `name` of this workspace with exactly this content."""
    try:
        kept = json.loads(_record(places, workspace).read_bytes())
    except (OSError, ValueError):
        # What can't be read trusts nobody; the user is asked again.
        return False
    files = kept.get("files") if isinstance(kept, dict) else None
    return isinstance(files, dict) and files.get(name) == _hash(content)


@dataclass(frozen=True, slots=True)
class Roles:
    """The files of roles in a workspace: those that count, the names of those that nobody
    trusted as they are now, and what can't be one."""

    trusted: tuple[RoleFile, ...]
    untrusted: tuple[str, ...]
    left_out: tuple[LeftOut, ...]


def roles(places: Places, workspace: Path) -> Roles:
    """Which of the workspace's roles the user trusted with exactly their content."""
    found = role_files.of_workspace(workspace)
    files = [each for each in found if isinstance(each, RoleFile)]
    count = [each for each in files if is_trusted(places, workspace, each.name, each.content)]
    return Roles(
        tuple(count),
        tuple(each.name for each in files if each not in count),
        tuple(each for each in found if isinstance(each, LeftOut)),
    )


def grant(places: Places, workspace: Path) -> tuple[str, ...]:
    """Trust the workspace's files as they are now; the names of those it has."""
    found = {name: read(workspace / name) for name in FILES}
    for each in role_files.of_workspace(workspace):
        if isinstance(each, RoleFile):
            found[each.name] = each.content
    hashes = {name: _hash(content) for name, content in found.items() if content is not None}
    path = os.fsencode(os.path.realpath(workspace)).decode("utf-8", "replace")
    text = json.dumps({"workspace": path, "files": hashes}, indent=1)
    record = _record(places, workspace)
    private_folder(record.parent)
    try:
        _replace(record, text.encode())
    except OSError as error:
        raise StateError(f"{str(record)!r} can't be written: {error.strerror}.") from error
    return tuple(hashes)


def _record(places: Places, workspace: Path) -> Path:
    return places.trust / f"{workspace_name(workspace)}.json"


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _replace(path: Path, content: bytes) -> None:
    new = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            synced(file.fileno())
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
