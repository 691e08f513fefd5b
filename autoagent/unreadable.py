"""Keeps the user's other processes from reading this one: its variables, memory, core dumps."""

import ctypes
import resource
import sys
from contextlib import suppress

_PR_SET_DUMPABLE = 4


def become_unreadable() -> None:
    """Close /proc/PID/environ, mem, fd and tracing to all but root; leave no core file.

    A program that is started from here is readable again, and may dump only what its own
    limits allow. Elsewhere than on Linux only the core file is prevented.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    with suppress(OSError, ValueError):  # a harder limit was set from outside
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
