"""A session's folder of messages: what `autoagent tell` leaves there for the agent to read."""

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from autoagent.errors import ConfigError, StateError
from commands.atomic import rename_new, sync, synced

INBOX = "inbox"
LARGEST = 32_768  # bytes
MOST = 100
_NAME = r"\d{8}-[0-9a-f]{16}"


@dataclass(frozen=True, slots=True)
class Message:
    """Words for the agent; the name is theirs alone for all time."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Inbox:
    """The messages of one session, a file each. Any number of processes may put one in;
    only the one that works on the session takes them out."""

    folder: Path

    def put(self, text: str, room: int) -> str:
        """Leave a message; it is on disk when this returns, and comes after all that wait.
        Its name.

        ConfigError when it is longer than `room` bytes, StateError when all that wait
        would be, or they are too many.
        """
        data = text.encode("utf-8", "replace")
        room = min(room, LARGEST)
        if len(data) > room:
            raise ConfigError(
                f"The message is longer than {room:,} bytes, which is what the model's window has "
                "room for: put it into a file in the workspace and tell its name."
            )
        try:
            return self._put(data, room)
        except OSError as error:
            raise StateError(f"{self.folder} can't be written: {error.strerror}.") from error

    def _put(self, data: bytes, room: int) -> str:
        self._make()
        names = self.names()
        waiting = sum(self._size(name) for name in names)
        if len(names) >= MOST or waiting + len(data) > room:
            raise StateError(
                f"{len(names)} messages of {waiting:,} bytes wait already, and {MOST} or {room:,} "
                "are the most; they are read with the agent's next prompt: try again then."
            )
        number = int(names[-1].partition("-")[0]) + 1 if names else 1
        name, temporary = f"{number:08}-{token_hex(8)}", f".{token_hex(8)}"
        folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._write(folder, temporary, data)
            rename_new(folder, temporary, folder, name)
            sync(folder)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=folder)
            os.close(folder)
        return name

    def _make(self) -> None:
        if self.folder.is_dir():
            return
        self.folder.mkdir(mode=0o700, exist_ok=True)
        above = os.open(self.folder.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        sync(above)
        os.close(above)

    def _write(self, folder: int, name: str, data: bytes) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with open(os.open(name, flags, 0o600, dir_fd=folder), "wb") as file:  # noqa: PTH123
            file.write(data)
            file.flush()
            synced(file.fileno())

    def names(self) -> list[str]:
        """Of the messages that wait, the oldest first."""
        try:
            found = [path.name for path in self.folder.iterdir()]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StateError(f"{self.folder} can't be read: {error.strerror}.") from error
        return sorted(name for name in found if re.fullmatch(_NAME, name))

    def read(self, name: str) -> Message:
        """A message that waits; it stays until it is removed."""
        path = self.folder / name
        try:
            with path.open("rb") as file:
                data = file.read(LARGEST)
        except OSError as error:
            raise StateError(f"{path} can't be read: {error.strerror}.") from error
        return Message(name, data.decode("utf-8", "replace"))

    def remove(self, name: str) -> None:
        # One that can't be removed is known by its name, and not read a second time.
        with suppress(OSError):
            (self.folder / name).unlink()

    def _size(self, name: str) -> int:
        with suppress(FileNotFoundError):  # it is being read
            return (self.folder / name).stat().st_size
        return 0
