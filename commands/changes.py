"""Which files of the workspace a program changed, by what stat tells before and after."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

MOST_ENTRIES = 20_000
"""A larger tree isn't looked through: that would take longer than most commands."""

_NOISE = {".git", ".venv", "venv", "node_modules", "__pycache__", ".mypy_cache", ".pytest_cache"}

Look = dict[str, tuple[int, int, int, int]]
"""Of each path its modification time (ns), size, inode and mode."""


def look(root: Path) -> Look | None:
    """Every file beneath root but those of tools; None when there are too many."""
    found: Look = {}
    for number, (path, status) in enumerate(_files(os.fspath(root), "")):
        if number >= MOST_ENTRIES:
            return None
        found[path] = (status.st_mtime_ns, status.st_size, status.st_ino, status.st_mode)
    return found


def changed(before: Look | None, after: Look | None) -> tuple[str, ...]:
    """Paths that are new, gone or different, sorted; () when either look is missing."""
    if before is None or after is None:
        return ()
    paths = before.keys() | after.keys()
    return tuple(sorted(path for path in paths if before.get(path) != after.get(path)))


def _files(folder: str, prefix: str) -> Iterator[tuple[str, os.stat_result]]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return  # gone meanwhile, or not ours to read
    for entry in entries:
        path = prefix + entry.name
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:
            continue
        if not stat.S_ISDIR(status.st_mode):
            yield path, status
        elif entry.name not in _NOISE:
            yield from _files(entry.path, path + "/")
