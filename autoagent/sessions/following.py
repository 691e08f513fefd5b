"""The entries of a session as they come, until its run ends."""

from collections.abc import Iterator
from pathlib import Path

from autoagent.events import Stopped
from autoagent.journal import Entry, Reading
from autoagent.sessions.folders import JOURNAL
from autoagent.sessions.holder import holder_of
from autoagent.sessions.watch import Watch

# A lock goes a moment after its file's closing is told, and a network's file system tells of
# no other machine's writing: so look again now and then, whatever is told.
_LOOK_S = 1.0


def followed(folder: Path) -> Iterator[list[Entry]]:
    """First all that stands there, then what is added, as soon as it is on disk.

    Ends with the run: with its Stopped, or when nobody works on the session any more.
    """
    reading = Reading(folder / JOURNAL)
    with Watch(folder) as watch:
        first = True
        while True:
            # Asked before reading, so that all is read that was written before it went.
            runs = holder_of(folder) is not None
            entries = reading.more()
            if entries:
                yield entries
            # The end of an earlier run is none while somebody begins another one.
            over = not first and bool(entries) and isinstance(entries[-1].event, Stopped)
            if over or not runs:
                return
            if not entries:
                watch.wait(_LOOK_S)
            first = False
