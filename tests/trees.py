"""Folder trees for tests: what stands in one, by the system alone, and changes at random."""

import os
import shutil
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from hypothesis import strategies as st

Picture = dict[str, tuple[str, int, bytes]]
"""Of each path its kind, its mode, and its content or target."""

Change = tuple[str, str, str, bytes]
"""What is done, to which path, with which other path, with which content."""

PLACES = (
    *("a", "b", "c", "c/d", "c/d/e", "c/f", "g/h/i", "g/h", "g", ".git/HEAD", ".git/objects/1"),
    *("ünï", os.fsdecode(b"raw\xff\xfe"), "line\nbreak", "c/A", "c/a", " ", "-rf", "x" * 200),
)
ACTS = ("write", "write", "write", "folder", "link", "mode", "remove", "move", "pair", "holes")

changes: st.SearchStrategy[Change] = st.tuples(
    st.sampled_from(ACTS),
    st.sampled_from(PLACES),
    st.sampled_from(PLACES),
    st.one_of(st.binary(max_size=40), st.just(b"same")),
)
steps = st.lists(st.lists(changes, max_size=4), min_size=1, max_size=12)


def picture(root: Path) -> Picture:
    """All that stands in the tree."""
    found: Picture = {}
    for folder, folders, files in os.walk(root):
        for name in [*folders, *files]:
            path = Path(folder, name)
            status = path.lstat()
            where = os.path.relpath(path, root)
            mode = stat.S_IMODE(status.st_mode)
            if stat.S_ISLNK(status.st_mode):
                found[where] = ("link", mode, os.fsencode(path.readlink()))
            elif stat.S_ISDIR(status.st_mode):
                found[where] = ("folder", mode, b"")
            elif stat.S_ISREG(status.st_mode):
                found[where] = ("file", mode, path.read_bytes())
            else:
                found[where] = ("other", mode, b"")
    return found


def make(root: Path, some: Sequence[Change]) -> None:
    """Make these changes; those that aren't possible as things stand are left out."""
    for change in some:
        with suppress(OSError, shutil.Error):
            _make(root, *change)


def _make(root: Path, act: str, place: str, other: str, content: bytes) -> None:
    path, second = root / place, root / other
    match act:
        case "write":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        case "holes":
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                file.truncate(1_200_000)
                file.seek(300_000)
                file.write(content)
        case "folder":
            path.mkdir(parents=True)
        case "link":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(other)
        case "pair":
            path.hardlink_to(second)
        case "mode":
            if not path.is_symlink():
                path.chmod(0o500 + (content[0] if content else 0) % 0o300)
        case "move":
            path.rename(second)
        case "remove":
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
