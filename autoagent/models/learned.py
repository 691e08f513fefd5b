"""What was learned of model servers, by address and model, kept in one file between sessions."""

import json
import os
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any

from autoagent.model import Format

DAY_S = 86_400.0
_CAPS = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
_FORMATS: tuple[Format, ...] = ("text", "json_object", "json_schema")


@dataclass(frozen=True, slots=True)
class Facts:
    """What one server showed for one model; the defaults are what is tried first.

    `cap` is the parameter that limits a completion, "" when not yet refused or proven.
    `dropped` are parameters it won't take. `embed_characters` is the longest text that went
    through an embedding. `no_embeddings_at` (seconds since 1970) is when it had none.
    """

    format: Format = "text"
    cap: str = ""
    dropped: tuple[str, ...] = ()
    streams: bool = True
    window: int | None = None
    max_completion: int | None = None
    embed_characters: int | None = None
    no_embeddings_at: float | None = None

    @property
    def embeds(self) -> bool:
        """False for a day after it had none: a model may be pulled, a server replaced."""
        asked = self.no_embeddings_at
        return asked is None or not 0 <= time.time() - asked < DAY_S

    def without(self, parameter: str) -> "Facts":
        """The facts of a server that refused this parameter; a cap goes by its other name."""
        if parameter in _CAPS:
            return replace(self, cap=_CAPS[parameter])
        if parameter == "stream":
            return replace(self, streams=False)
        return replace(self, dropped=(*self.dropped, parameter))


class Learned:
    """Facts by (base_url, model). Without a path they last as long as this object.

    A file that can't be read counts as empty, one that can't be written is left: whatever
    is lost is learned again. Two processes may share the file; the later writer wins a
    model's line, never the file.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._lock = Lock()
        self._kept = _read(path)

    def facts(self, base_url: str, model: str) -> Facts:
        """What is known; the defaults when nothing is."""
        with self._lock:
            return self._kept.get(_key(base_url, model), Facts())

    def learn(self, base_url: str, model: str, **changes: Any) -> Facts:
        """Replace the named fields of these facts, on disk too; what is known after."""
        with self._lock:
            key = _key(base_url, model)
            known = self._kept.get(key, Facts())
            facts = replace(known, **changes)
            if facts != known:
                self._kept = {**self._kept, **_read(self._path), key: facts}
                with suppress(OSError):
                    _write(self._path, self._kept)
            return facts


def _key(base_url: str, model: str) -> str:
    return f"{base_url.rstrip('/')} {model}"


def _read(path: Path | None) -> dict[str, Facts]:
    if path is None:
        return {}
    try:
        given = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(given, dict):
        return {}
    return {key: _facts(value) for key, value in given.items() if isinstance(value, dict)}


def _facts(given: dict[str, Any]) -> Facts:
    """Facts from JSON, each field converted; what has the wrong type counts as unknown."""
    dropped, cap = given.get("dropped"), str(given.get("cap"))
    return Facts(
        format=next((f for f in _FORMATS if f == given.get("format")), _FORMATS[0]),
        cap=cap if cap in _CAPS else "",
        dropped=tuple(map(str, dropped)) if isinstance(dropped, list) else (),
        streams=given.get("streams") is not False,
        window=_size(given.get("window")),
        max_completion=_size(given.get("max_completion")),
        embed_characters=_size(given.get("embed_characters")),
        no_embeddings_at=_moment(given.get("no_embeddings_at")),
    )


def _size(given: Any) -> int | None:
    right = isinstance(given, int) and not isinstance(given, bool) and given > 0
    return given if right else None


def _moment(given: Any) -> float | None:
    right = isinstance(given, int | float) and not isinstance(given, bool)
    return float(given) if right else None


def _write(path: Path | None, kept: dict[str, Facts]) -> None:
    if path is None:
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # mkstemp makes it 0600; a rename is atomic, so a reader sees the old file or the new one.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({key: asdict(facts) for key, facts in kept.items()}, file, indent=1)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
