"""Sessions on disk: their folders, who holds one, what they came to, and how they leave."""

from autoagent.sessions.folders import JOURNAL, Kept, find, kept, named, new_folder, new_id
from autoagent.sessions.holder import Holder, holder_of
from autoagent.sessions.lock import Lock

__all__ = [
    "JOURNAL",
    "Holder",
    "Kept",
    "Lock",
    "find",
    "holder_of",
    "kept",
    "named",
    "new_folder",
    "new_id",
]
