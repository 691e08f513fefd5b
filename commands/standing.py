"""What stands at a path of a workspace, and in words why something can't be done with it."""

import errno
import os
import stat
from dataclasses import dataclass
from typing import Literal

from commands.beneath import Opened
from commands.command import CommandError
from commands.guard import shown

Kind = Literal["file", "folder", "link", "other"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing in a folder; `path` is relative to the workspace, `link` where a link leads."""

    path: str
    kind: Kind
    link: str = ""


def split(path: str) -> tuple[str, str]:
    parent, _, name = path.rpartition("/")
    return parent, name


def joined(*parts: str) -> str:
    return "/".join(part for part in parts if part)


def status_of(folder: Opened, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder.fd, follow_symlinks=False)
    except FileNotFoundError:
        return None


def kind_of(mode: int) -> Kind:
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "folder"
    return "link" if stat.S_ISLNK(mode) else "other"


def entry_of(folder: Opened, item: os.DirEntry[str]) -> Entry:
    path = joined(folder.path, item.name)
    if item.is_symlink():
        return Entry(path, "link", os.readlink(item.name, dir_fd=folder.fd))
    if item.is_dir(follow_symlinks=False):
        return Entry(path, "folder")
    return Entry(path, "file" if item.is_file(follow_symlinks=False) else "other")


def refuse_special(path: str, mode: int) -> None:
    if stat.S_ISREG(mode):
        return
    if stat.S_ISDIR(mode):
        raise CommandError(f"{shown(path)} is a folder, not a file.")
    if stat.S_ISLNK(mode):
        raise CommandError(f"{shown(path)} is a link that leads nowhere; use what it names.")
    said = {stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket"}
    what = said.get(stat.S_IFMT(mode), "a device")
    raise CommandError(f"{shown(path)} is {what}; only regular files can be used.")


def refuse_read_only(path: str, mode: int) -> None:
    if not mode & 0o222:
        raise CommandError(
            f"{shown(path)} is read-only (mode {mode & 0o777:o}); if it shall change, "
            "run chmod u+w on it first."
        )


def move_failed(error: OSError, target: str) -> OSError | CommandError:
    match error.errno:
        case errno.EEXIST:
            return CommandError(
                f"{shown(target)} exists, nothing is overwritten: give the whole new path, "
                "or delete that first."
            )
        case errno.EXDEV:
            return CommandError(f"{shown(target)} is another file system: copy, then delete.")
    return error


def remove_folder(path: str, folder: Opened, name: str) -> None:
    try:
        os.rmdir(name, dir_fd=folder.fd)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        raise CommandError(
            f"{shown(path)} isn't empty. Delete what it holds first, or use execute_shell."
        ) from error
