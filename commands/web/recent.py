"""Results of recent searches, kept on disk for a while."""

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from commands.web.engines.engine import MOST, Hit, hits

KEPT_S = 3600.0
MOST_FILES = 200
LARGEST = 64 << 10  # bytes of a file


@dataclass(frozen=True, slots=True)
class Recent:
    """A folder with a file for each engine and query.

    It only helps: what is missing, damaged, too old or can't be written is as if it weren't.
    `clock` gives seconds since 1970.
    """

    folder: Path
    clock: Callable[[], float] = time.time

    def read(self, engine: str, query: str) -> tuple[list[Hit], float] | None:
        """What the engine found, and how many seconds ago."""
        try:
            with self._file(engine, query).open("rb") as file:
                digest, _, content = file.read(LARGEST).partition(b"\n")
            if digest != _digest(content):
                return None
            found: Any = json.loads(content)
            age_s = self.clock() - float(found["at"])
            kept = hits((row["title"], row["address"], row["snippet"]) for row in found["hits"])
            if (found["engine"], found["query"]) != (engine, query):
                return None
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return None
        return (kept, age_s) if kept and 0 <= age_s < KEPT_S else None

    def keep(self, engine: str, query: str, found: Sequence[Hit]) -> None:
        rows = [asdict(hit) for hit in found[:MOST]]
        entry = {"at": self.clock(), "engine": engine, "query": query, "hits": rows}
        with suppress(OSError):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._make_room()
            content = json.dumps(entry).encode()
            self._write(self._file(engine, query), _digest(content) + b"\n" + content)

    def _file(self, engine: str, query: str) -> Path:
        key = hashlib.sha256(json.dumps([engine, query]).encode()).hexdigest()
        return self.folder / f"{key[:32]}.json"

    def _write(self, file: Path, content: bytes) -> None:
        descriptor, new = tempfile.mkstemp(dir=self.folder)
        try:
            with os.fdopen(descriptor, "wb") as out:
                out.write(content)
            Path(new).replace(file)
        except OSError:
            Path(new).unlink(missing_ok=True)
            raise

    def _make_room(self) -> None:
        """Delete what is too old, also what a killed process left, and the oldest beyond."""
        aged = sorted((path.stat().st_mtime, path) for path in self.folder.iterdir())
        now = self.clock()
        for number, (at, path) in enumerate(reversed(aged), 1):
            if number >= MOST_FILES or now - at > KEPT_S:
                path.unlink(missing_ok=True)


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()
