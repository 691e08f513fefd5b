"""The files that may hold roles, as they are on the disk."""

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDER = ".agents/agents"
"""Of a workspace."""
LARGEST = 64_000  # bytes
_MOST = 200
_PLAIN = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
_FOLDER = os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY


@dataclass(frozen=True, slots=True)
class RoleFile:
    """A file by the name that a person would call it, its stem, its content."""

    name: str
    stem: str
    content: bytes


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file or folder of roles that isn't read, or can't be one."""

    name: str
    why: str

    def __str__(self) -> str:
        return f"{self.name} is left out: {self.why}."


class _Unusable(Exception):
    """Why a file isn't read."""


def of_workspace(workspace: Path) -> list[RoleFile | LeftOut]:
    """What stands in the workspace's own folder; no link is followed on the way or in it."""
    folder = os.open(workspace, _FOLDER)
    so_far = ""
    try:
        for part in FOLDER.split("/"):
            so_far = f"{so_far}/{part}".lstrip("/")
            above, folder = folder, os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
            os.close(above)
        return list(_in(folder, f"{FOLDER}/", os.O_NOFOLLOW))
    except FileNotFoundError:
        return []
    except OSError as error:
        is_other = error.errno in (errno.ELOOP, errno.ENOTDIR)
        why = "it is a link or no folder" if is_other else f"it can't be read: {error.strerror}"
        return [LeftOut(so_far, why)]
    finally:
        os.close(folder)


def of_folder(path: Path) -> list[RoleFile | LeftOut]:
    """What stands in a folder of the user's, where links are theirs."""
    try:
        folder = os.open(path, _FOLDER)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        return [LeftOut(str(path), f"it can't be read: {error.strerror}")]
    try:
        return list(_in(folder, f"{path}/", 0))
    finally:
        os.close(folder)


def _in(folder: int, before: str, flags: int) -> Iterator[RoleFile | LeftOut]:
    names = sorted(n for n in os.listdir(folder) if n.endswith(".md") and n[0] != ".")
    for name in names[:_MOST]:
        shown = before + name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        try:
            yield RoleFile(shown, name.removesuffix(".md"), _read(folder, name, flags))
        except _Unusable as unusable:
            yield LeftOut(shown, str(unusable))
    if len(names) > _MOST:
        yield LeftOut(before, f"of its {len(names)} files only the first {_MOST} are read")


def _read(folder: int, name: str, flags: int) -> bytes:
    try:
        descriptor = os.open(name, _PLAIN | flags, dir_fd=folder)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _Unusable("it is a link") from error
        raise _Unusable(f"it can't be read: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _Unusable("it isn't a regular file")
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise _Unusable(f"it is larger than {LARGEST // 1000} kB")
    return content
