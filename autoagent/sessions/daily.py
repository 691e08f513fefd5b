"""Once a day, at the start of a run, the sessions that are to leave do."""

import os
from collections.abc import Container

from autoagent.configuration.places import Places
from autoagent.configuration.settings import Settings
from autoagent.errors import AutoAgentError

_DAY_S = 86_400.0
_STAMP = "pruned"  # its time is that of the last look


def make_room(settings: Settings, now: float, spare: Container[str]) -> str:
    """Remove what is to leave, unless that was looked at within a day; a line about what went.

    A fault is no reason not to run: `sessions prune` tells it.
    """
    try:
        if not settings.places.sessions.exists() or not _is_due(settings.places, now):
            return ""
        return _made(settings, now, spare)
    except (AutoAgentError, OSError):
        return ""


def _is_due(places: Places, now: float) -> bool:
    """Whether nobody has looked within a day; then the look is this one."""
    stamp = places.state / _STAMP
    try:
        if stamp.stat().st_mtime > now - _DAY_S:
            return False
    except FileNotFoundError:
        stamp.touch(0o600)
    os.utime(stamp, (now, now))
    return True


def _made(settings: Settings, now: float, spare: Container[str]) -> str:
    from autoagent.sessions.retention import carry_out, leaving
    from autoagent.sizes import spelled

    gone, _, _ = leaving(settings, now, spare)
    if not gone:
        return ""
    removed, freed = carry_out(settings, gone)
    count = f"{len(removed)} old session{'s' if len(removed) != 1 else ''}"
    return f"{count} removed, {spelled(freed.size)} freed (keep_days, keep_size)."
