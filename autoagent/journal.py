"""The append-only file of a session's events: written before anyone acts on them."""

import errno
import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from autoagent.errors import StateError
from autoagent.event_json import MalformedEvent, from_dict, to_dict
from autoagent.events import SCHEMA_VERSION, Event, Started
from commands.atomic import synced


class Disk(Protocol):
    """The two calls that can fail or be cut; a test hands in one that does."""

    def write(self, descriptor: int, data: bytes) -> int: ...

    def fsync(self, descriptor: int) -> None: ...


class _SystemDisk:
    def write(self, descriptor: int, data: bytes) -> int:
        return os.write(descriptor, data)

    def fsync(self, descriptor: int) -> None:
        synced(descriptor)  # where that is unknown, the lock has said so


@dataclass(frozen=True, slots=True)
class Entry:
    """An event as it stands on disk: its number, when it was written (epoch seconds), the
    hash of the line before it, and whose it is: "" is the session's own agent."""

    number: int
    previous: str
    at: float
    event: Event
    agent: str = ""

    def to_dict(self) -> dict[str, Any]:
        of = {"agent": self.agent} if self.agent else {}
        head = {"n": self.number, "previous": self.previous, "at": self.at, **of}
        return {**head, **to_dict(self.event)}


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a journal held. `torn_bytes` of an unfinished last line are not part of it."""

    entries: tuple[Entry, ...]
    hash: str
    size_bytes: int
    torn_bytes: int


def line_of(entry: Entry) -> bytes:
    """The entry's line. UTF-8 with `surrogatepass`, so that any string comes back as it was."""
    text = json.dumps(entry.to_dict(), ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "surrogatepass") + b"\n"


def hash_of(line: bytes) -> str:
    """16 hexadecimal digits of the line's SHA-256."""
    return hashlib.sha256(line).hexdigest()[:16]


class NewerVersion(StateError):
    """A journal that a newer autoagent wrote."""


class Reading:
    """A journal read as far as it goes, and further as it grows; each line is checked against
    the one before. `hash` is that of the last whole line, `size_bytes` where it ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.hash = ""
        self.size_bytes = 0
        self.torn_bytes = 0  # of a line behind it that isn't finished
        self.number = 0

    def more(self) -> list[Entry]:
        """The entries that were added since. StateError names file and line of any damage."""
        return list(self.each())

    def each(self) -> Iterator[Entry]:
        """The entries that were added since, one by one: those before any damage, too."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.size_bytes)
                lines = file.read().split(b"\n")
        except OSError as error:
            raise StateError(f"{self.path} can't be read: {error.strerror}.") from error
        self.torn_bytes = len(lines.pop())
        yield from map(self._checked, lines)

    def _way_on(self) -> str:
        """What a person can type to resume what stands before the damage."""
        if not self.number:
            return "Nothing stands before that line, so it can't be resumed."
        import shlex

        file, copy = (shlex.quote(f"{self.path}{end}") for end in ("", ".damaged"))
        return (
            "To keep a copy and resume from before that line: "
            f"cp {file} {copy} && head -n {self.number} {copy} > {file}"
        )

    def _checked(self, line: bytes) -> Entry:
        try:
            entry = _entry(line)
            if (entry.number, entry.previous) != (self.number, self.hash):
                raise MalformedEvent("a line before it is missing or was changed")
        except MalformedEvent as error:
            raise StateError(
                f"{self.path}, line {self.number + 1} is damaged: {error}. The file was left as "
                f"it is. {self._way_on()}"
            ) from error
        self.number += 1
        self.size_bytes += len(line) + 1
        self.hash = hash_of(line + b"\n")
        return entry


def load(path: Path) -> Loaded:
    """Every entry of the journal at path, the chain of numbers and hashes checked.

    An unfinished last line is left out and counted. StateError names file and line of
    any other damage, and the file stays as it is.
    """
    reading = Reading(path)
    entries = tuple(reading.more())
    return Loaded(entries, reading.hash, reading.size_bytes, reading.torn_bytes)


def first_of(path: Path) -> Started | None:
    """The event that a journal begins with; None when there is no readable one."""
    try:
        with path.open("rb") as file:
            entry = _entry(file.readline())
    except (OSError, MalformedEvent, StateError):
        return None
    return entry.event if isinstance(entry.event, Started) else None


def _entry(line: bytes) -> Entry:
    try:
        data = json.loads(line.decode("utf-8", "surrogatepass"))
        if not isinstance(data, dict):
            raise MalformedEvent("not an object")
        version = data.get("schema_version", SCHEMA_VERSION)
        if isinstance(version, int) and version > SCHEMA_VERSION:
            raise NewerVersion(
                f"This session was written by a newer autoagent (journal version {version}, "
                f"this one reads {SCHEMA_VERSION}): update autoagent to go on with it."
            )
        head = (data["n"], data["previous"], float(data["at"]))
        agent = data.get("agent", "")
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise MalformedEvent(str(error) or type(error).__name__) from error
    if not isinstance(agent, str):
        raise MalformedEvent(f"agent can't be {agent!r:.60}")
    return Entry(*head, from_dict(data), agent)


class Journal:
    """Appends events to one file; `append` returns when they are on disk.

    Opening an existing file cuts an unfinished last line off. `agent` is whose it is: "" is
    the session's own.
    """

    def __init__(
        self,
        path: Path,
        loaded: Loaded | None = None,
        disk: Disk | None = None,
        agent: str = "",
    ) -> None:
        self.path = path
        self._agent = agent
        self._disk = disk or _SystemDisk()
        self.hash = loaded.hash if loaded else ""
        self._next = len(loaded.entries) if loaded else 0
        self._size = loaded.size_bytes if loaded else 0
        exclusive = 0 if loaded else os.O_EXCL
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | exclusive, 0o600)
            if loaded:
                os.ftruncate(self._file, self._size)
                os.lseek(self._file, self._size, os.SEEK_SET)
            else:
                _sync_folder(path.parent)
        except OSError as error:
            raise StateError(f"{path} can't be written: {error.strerror}.") from error

    @property
    def size_bytes(self) -> int:
        return self._size

    def append(self, events: Iterable[Event]) -> list[Entry]:
        """Write the events and wait until they are on disk. All or none of them are kept:
        StateError when the disk is full or fails, with the file as it was before."""
        entries: list[Entry] = []
        lines: list[bytes] = []
        previous = self.hash
        for number, event in enumerate(events, self._next):
            entries.append(Entry(number, previous, time.time(), event, self._agent))
            lines.append(line_of(entries[-1]))
            previous = hash_of(lines[-1])
        if entries:
            self._write(b"".join(lines))
            self._next += len(entries)
            self.hash = previous
        return entries

    def _write(self, data: bytes) -> None:
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[self._disk.write(self._file, bytes(rest)) :]
            self._disk.fsync(self._file)
        except OSError as error:
            os.ftruncate(self._file, self._size)
            os.lseek(self._file, self._size, os.SEEK_SET)
            raise StateError(_write_failed(self.path, error)) from error
        self._size += len(data)

    def close(self) -> None:
        os.close(self._file)


def _write_failed(path: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk is full: {path} can't grow. Make room, then go on."
    return f"{path} can't be written: {error.strerror}."


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        synced(descriptor)
    finally:
        os.close(descriptor)
