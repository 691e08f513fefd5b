"""A program in front of another one: what it lets the kernel refuse is missing for both.

`python without.py locks,fsync PROGRAM ARG…` runs PROGRAM as on a file system that knows no
locks (ENOLCK) or no fsync (EINVAL).
"""

import ctypes
import errno
import os
import platform
import struct
import sys
from pathlib import Path

FRONT = (sys.executable, str(Path(__file__).resolve()))

_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_COLUMN = 0 if platform.machine() == "x86_64" else 1
_FLOCK, _FCNTL, _FSYNC, _FDATASYNC = (
    pair[_COLUMN] for pair in ((73, 32), (72, 25), (74, 82), (75, 83))
)
_LOCKING = (6, 7, 37, 38)  # F_SETLK, F_SETLKW and those of open file descriptions
_SET_NO_NEW_PRIVS, _SET_SECCOMP, _FILTER = 38, 22, 2

Instruction = tuple[int, int, int, int]


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))


def _rules(missing: list[str]) -> list[Instruction]:
    rules: list[Instruction] = [(_LOAD, 0, 0, 0)]
    if "locks" in missing:
        refuse = (_RETURN, 0, 0, _ERRNO | errno.ENOLCK)
        rules += [(_EQUAL, 0, 1, _FLOCK), refuse]
        judged = [each for value in _LOCKING for each in ((_EQUAL, 0, 1, value), refuse)]
        block = [(_LOAD, 0, 0, 24), *judged, (_RETURN, 0, 0, _ALLOW)]
        rules += [(_EQUAL, 0, len(block), _FCNTL), *block]
    if "fsync" in missing:
        refuse = (_RETURN, 0, 0, _ERRNO | errno.EINVAL)
        rules += [(_EQUAL, 0, 1, _FSYNC), refuse, (_EQUAL, 0, 1, _FDATASYNC), refuse]
    return [*rules, (_RETURN, 0, 0, _ALLOW)]


def main() -> None:
    """Take the calls away, then become the program."""
    rules = _rules(sys.argv[1].split(","))
    code = b"".join(struct.pack("=HBBI", *rule) for rule in rules)
    libc = ctypes.CDLL(None, use_errno=True)
    program = _Program(len(rules), code)
    assert libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    assert libc.prctl(_SET_SECCOMP, _FILTER, ctypes.byref(program), 0, 0) == 0
    os.execvp(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
