"""Which files an agent knows, and what it knows of them: what it read or left there."""

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING

from commands.command import CommandError
from commands.guard import is_masked, shown

if TYPE_CHECKING:
    from commands.workspace import Workspace

LARGEST = 4 << 20  # bytes; of larger files nothing is known
_LARGEST_COPY = 256 << 10  # bytes; larger files have no difference to show
_MOST = 500  # files; the one that was looked at longest ago goes first
_DIFF_LINES = 60
GONE = ""
SOMEBODY = "somebody else"


@dataclass(frozen=True, slots=True)
class Known:
    """A file as it was when the agent last read or wrote it.

    `digest` is the SHA-256 of its content in hexadecimal digits, GONE when the agent
    deleted it. `stamp` is what the system said of it then, None when nobody looked.
    """

    digest: str
    step: int
    stamp: tuple[int, ...] | None = None


class Seen:
    """The files that one agent knows, by their true paths.

    Contents go into `copies`, so that a difference can be shown; without it there is none.
    `whose` says who else made a file what it is now, as far as that is known.
    """

    def __init__(
        self, copies: Path | None = None, whose: Callable[[str], str] = lambda path: SOMEBODY
    ) -> None:
        self._copies = copies
        self.whose = whose
        self._known: dict[str, Known] = {}
        self._news: dict[str, str] = {}
        self.step = 0  # whose command runs

    def restore(self, known: Mapping[str, tuple[str, int]]) -> None:
        """Take up what was known before: digest and step by path."""
        self._known = {path: Known(digest, step) for path, (digest, step) in known.items()}

    def news(self) -> tuple[tuple[str, str], ...]:
        """Path and digest of each file that was read or left since the last time."""
        news, self._news = self._news, {}
        return tuple(news.items())

    def saw(self, path: str, data: bytes) -> None:
        """The agent read or wrote that whole content."""
        if len(data) <= LARGEST:
            self._learn(path, hashlib.sha256(data).hexdigest())
            self._keep(path, data)

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(self._known)

    def forget(self, paths: Iterable[str]) -> None:
        """Somebody else set them back, and the agent was told."""
        for path in paths:
            self._known.pop(path, None)

    def removed(self, *paths: str) -> None:
        """The agent itself took these away."""
        for path in paths:
            if path in self._known:
                self._learn(path, GONE)

    def left(self, workspace: "Workspace", paths: Iterable[str]) -> None:
        """A program of the agent changed these; of those that are known the new content is."""
        for path in paths:
            if path in self._known:
                data = _content(workspace, path)
                if data is None:
                    self._learn(path, GONE)
                else:
                    self.saw(path, data)

    def refuse_stale(self, workspace: "Workspace", path: str) -> None:
        """CommandError with the difference, when somebody else changed a file that is known.

        Where the whole difference could be shown, the file as it is now counts as seen.
        """
        known = self._known.get(path)
        data = _content(workspace, path) if known and known.digest != GONE else None
        if known is None or data is None or _digest(data) == known.digest:
            return
        difference, whole = self._difference(path, known, data)
        head = f"{shown(path)} was changed by {self.whose(path)} since step {known.step}"
        if not whole:
            raise CommandError(f"{head}; nothing was done. Read it again first.{difference}")
        self.saw(path, data)
        raise CommandError(f"{head}; nothing was done. What is different there now:{difference}")

    def changed_by_others(self, workspace: "Workspace") -> list[tuple[str, Known]]:
        """The known files that no longer are as the agent knows them, and what it knew.

        Only where the system's stamp of a file differs its content is looked at.
        """
        found: list[tuple[str, Known]] = []
        for path, known in self._known.items():
            stamp = _stamp(workspace.root / path)
            if known.digest == GONE or (stamp is not None and stamp == known.stamp):
                continue
            data = None if stamp is None else _content(workspace, path)
            if data is not None and _digest(data) == known.digest:
                self._known[path] = replace(known, stamp=stamp)
            elif stamp is None or data is not None:
                found.append((path, known))
        return found

    def _learn(self, path: str, digest: str) -> None:
        old = self._known.pop(path, None)  # the newest stand last
        self._known[path] = Known(digest, self.step)
        self._news[path] = digest
        if len(self._known) > _MOST:
            old = self._known.pop(next(iter(self._known)))
        if old is not None:
            self._drop(old.digest)

    def _drop(self, digest: str) -> None:
        """Let go of a copy that no file is known by any more."""
        if self._copies and digest and all(k.digest != digest for k in self._known.values()):
            (self._copies / digest).unlink(missing_ok=True)

    def _keep(self, path: str, data: bytes) -> None:
        if self._copies is None or len(data) > _LARGEST_COPY or is_masked(path):
            return
        copy = self._copies / _digest(data)
        with suppress(OSError):  # then there is no difference to show
            self._copies.mkdir(mode=0o700, exist_ok=True)
            if not copy.exists():
                with open(os.open(copy, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:  # noqa: PTH123
                    file.write(data)

    def _difference(self, path: str, known: Known, data: bytes) -> tuple[str, bool]:
        """Lines that differ, behind a line break, and whether these are all."""
        old = self._copy(known.digest)
        if old is None or b"\0" in data:
            return "", False
        before, after = (text.decode("utf-8", "replace").splitlines() for text in (old, data))
        lines = list(unified_diff(before, after, "as you know it", "as it is now", lineterm=""))
        shown_lines = lines[:_DIFF_LINES]
        more = len(lines) - len(shown_lines)
        rest = [f"({more} lines more)"] if more else []
        return "\n" + "\n".join([*shown_lines, *rest]), more == 0

    def _copy(self, digest: str) -> bytes | None:
        if self._copies is None:
            return None
        with suppress(OSError):
            data = (self._copies / digest).read_bytes()
            if _digest(data) == digest:  # it was written without waiting for the disk
                return data
        return None


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _content(workspace: "Workspace", path: str) -> bytes | None:
    """The whole of a file; None when it is gone, no file, or too large."""
    try:
        found = workspace.read(path, LARGEST + 1)
    except CommandError:
        return None
    return found.data if len(found.data) <= LARGEST else None


def _stamp(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino)
