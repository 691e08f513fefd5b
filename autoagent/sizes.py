"""How much of the disk something takes, and how that is spelled."""

import os
from pathlib import Path


def taken(folder: Path) -> int:
    """Bytes on the disk of all files below it."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(f"{place}/{name}").st_blocks * 512
            except OSError:
                continue  # went away meanwhile
    return total


def spelled(size: float) -> str:
    """ "1.2 MB"."""
    for unit in ("kB", "MB", "GB"):
        size /= 1000
        if size < 1000 or unit == "GB":
            break
    return f"{size:.0f} {unit}" if size >= 10 else f"{size:.1f} {unit}"
