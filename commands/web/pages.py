"""Pages that were read, whole on disk, so that their other parts need no second fetch."""

import json
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from secrets import token_hex

from commands.web.contract import Page

FRESH_S = 3600.0
_FOLDER = "pages"
_KEPT_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Kept:
    """A page with what a result says of it."""

    page: Page
    date: str
    notes: tuple[str, ...]


def find(cache: Path, url: str) -> Kept | None:
    """The page as it was read within the last hour; None when it wasn't."""
    path = _path(cache, url)
    try:
        if not 0 <= time.time() - path.stat().st_mtime < FRESH_S:
            return None
        found = json.loads(path.read_bytes())
        return Kept(Page(**found["page"]), found["date"], tuple(found["notes"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def keep(cache: Path, kept: Kept) -> None:
    """Put it on disk; what is older than a day goes. Without room for it all works as well,
    only that another part is another fetch."""
    path = _path(cache, kept.page.url)
    temporary = path.with_name(f"{path.name}.{token_hex(4)}")
    with suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            with open(os.open(temporary, flags, 0o600), "wb") as file:  # noqa: PTH123
                file.write(json.dumps(asdict(kept)).encode())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        for old in path.parent.iterdir():
            if time.time() - old.stat().st_mtime > _KEPT_S:
                old.unlink(missing_ok=True)


def _path(cache: Path, url: str) -> Path:
    return cache / _FOLDER / sha256(url.encode("utf-8", "surrogatepass")).hexdigest()[:32]
