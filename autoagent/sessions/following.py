"""The entries of a session and of its sub-agents as they come, until its run ends."""

from collections.abc import Iterator
from pathlib import Path

from autoagent.events import Stopped
from autoagent.journal import Entry
from autoagent.sessions.holder import holder_of
from autoagent.sessions.tree import Tree
from autoagent.sessions.watch import Watch

# A lock goes a moment after its file's closing is told, and a network's file system tells of
# no other machine's writing: so look again now and then, whatever is told.
_LOOK_S = 1.0


def followed(folder: Path) -> Iterator[list[Entry]]:
    """First all that stands there, then what is added, as soon as it is on disk; those of
    sub-agents too, from the moment on that one is named.

    Ends with the run: with its Stopped, or when nobody works on the session any more.
    """
    tree = Tree(folder)
    with Watch(folder) as watch:
        first = True
        while True:
            # Asked before reading, so that all is read that was written before it went; and
            # watched before, so that what is written after wakes.
            runs = holder_of(folder) is not None
            watch.only(_there(tree, folder))
            entries = tree.more()
            if entries:
                yield entries
            own = [entry.event for entry in entries if not entry.agent]
            # The end of an earlier run is none while somebody begins another one.
            over = not first and bool(own) and isinstance(own[-1], Stopped)
            if over or not runs:
                return
            if not entries:
                watch.wait(_LOOK_S)
            first = False


def _there(tree: Tree, session: Path) -> Iterator[Path]:
    """The folders in which something will be written or made, as far as they exist."""
    for wanted in tree.folders:
        for folder in (wanted, *wanted.parents):
            if folder.is_dir() or folder == session:
                yield folder
                break
