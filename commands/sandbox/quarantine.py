"""A folder outside the workspace for what may not stay in it."""

import errno
import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from commands.beneath import Beneath

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
_MOST_BYTES = 16 << 20  # kept of what lies on another file system
_MOST_ENTRIES = 10_000


class Quarantine:
    """Takes things out of a workspace, each under a number of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def take(self, at: Beneath, path: str) -> str:
        """Move what stands at a path of the workspace in here; its new name. OSError if not.

        From another file system only a part of something large is kept; it goes as a whole.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        place = self._place(path)
        parent, _, name = path.rpartition("/")
        with at.opened(parent, os.O_RDONLY | os.O_DIRECTORY) as folder:
            try:
                os.rename(name, place / "it", src_dir_fd=folder.fd)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    place.rmdir()
                    raise
                with suppress(OSError):
                    _Copy().take(folder.fd, name, place / "it")
                _remove(folder.fd, name)
        return f"{self._folder.name}/{place.name}"

    def _place(self, path: str) -> Path:
        """A new folder, so that what is taken keeps no name that is obeyed somewhere."""
        flat = "".join(c if c.isalnum() or c in "._-" else "+" for c in path)[-60:]
        for number in range(1, 1_000_000):
            place = self._folder / f"{number}-{flat}"
            with suppress(FileExistsError):
                place.mkdir(mode=0o700)
                return place
        raise OSError(errno.ENOSPC, "the quarantine is full")


class _Copy:
    """Files, folders and links copied from a folder in which others may still be at work."""

    def __init__(self) -> None:
        self._bytes_left = _MOST_BYTES
        self._entries_left = _MOST_ENTRIES

    def take(self, folder: int, name: str, to: Path) -> None:
        if self._entries_left <= 0:
            return
        self._entries_left -= 1
        mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
        if stat.S_ISLNK(mode):
            to.symlink_to(os.readlink(name, dir_fd=folder))
        elif stat.S_ISDIR(mode):
            self._folder(os.open(name, _FOLDER, dir_fd=folder), to)
        elif stat.S_ISREG(mode):
            self._file(os.open(name, _FILE, dir_fd=folder), to)

    def _folder(self, source: int, to: Path) -> None:
        try:
            to.mkdir(mode=0o700)
            for name in os.listdir(source):
                with suppress(OSError):
                    self.take(source, name, to / name)
        finally:
            os.close(source)

    def _file(self, source: int, to: Path) -> None:
        with open(source, "rb") as file, to.open("xb") as copy:
            data = file.read(self._bytes_left)
            self._bytes_left -= len(data)
            copy.write(data)


def _remove(folder: int, name: str) -> None:
    mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    if stat.S_ISDIR(mode):
        shutil.rmtree(name, dir_fd=folder)
    else:
        os.unlink(name, dir_fd=folder)
