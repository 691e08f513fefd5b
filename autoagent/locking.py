"""Locks on open files: they end with the process that holds them, however it ends."""

# Those of the open file, not of the process: a second opening in the same process is shut out,
# too, and whether one is held can be asked without taking it, which would get in somebody's way.
import fcntl
import os
import struct
import time
from pathlib import Path

_FORM = "hhqqi4x"  # struct flock of 64-bit Linux: type, whence, start, length, process
_LOOK_S = 0.05


def take(file: int, *, shared: bool = False) -> bool:
    """Lock an open file, for oneself or with others, until it is closed; False: it is held."""
    try:
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, _whole(shared=shared))
    except (BlockingIOError, PermissionError):
        return False
    return True


def take_within(file: int, seconds: float, *, shared: bool = False) -> bool:
    """The same, but wait so long for it. The kernel's own wait would have no end."""
    end = time.monotonic() + seconds
    while not take(file, shared=shared):
        if time.monotonic() > end:
            return False
        time.sleep(_LOOK_S)
    return True


def is_held(file: int) -> bool:
    """Does somebody hold that open file for themselves?"""
    answer = fcntl.fcntl(file, fcntl.F_OFD_GETLK, _whole(shared=True))
    return bool(struct.unpack(_FORM, answer)[0] != fcntl.F_UNLCK)


def is_at(file: int, path: Path) -> bool:
    """Is that open file still what stands at the path?"""
    try:
        there, here = path.stat(), os.fstat(file)
    except FileNotFoundError:
        return False
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)


def _whole(*, shared: bool) -> bytes:
    return struct.pack(_FORM, fcntl.F_RDLCK if shared else fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
