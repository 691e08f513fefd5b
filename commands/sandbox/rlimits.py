"""Limits as the kernel takes them, and as one word on a command line."""

import os
import resource

from commands.sandbox.bounds import Limits

_COUNTS_APART = (5, 14)  # from this Linux on, a user namespace has its own count of processes


def memory_bytes(limits: Limits) -> int:
    """The share of this machine's memory."""
    return int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * limits.memory_share)


def in_a_word(limits: Limits, *, apart: bool) -> str:
    """`NUMBER=VALUE,…` for setrlimit; `apart` is for processes in a user namespace."""
    wanted = {
        resource.RLIMIT_CORE: 0,
        # Not the address space: that also counts what is only reserved (Node, Java, Go).
        resource.RLIMIT_DATA: memory_bytes(limits),
        resource.RLIMIT_CPU: limits.cpu_s,
        resource.RLIMIT_FSIZE: limits.file_bytes,
        resource.RLIMIT_NOFILE: limits.open_files,
    }
    if apart and _linux() >= _COUNTS_APART:
        wanted[resource.RLIMIT_NPROC] = limits.processes
    return ",".join(f"{number}={value}" for number, value in wanted.items())


def _linux() -> tuple[int, ...]:
    major, minor = os.uname().release.split(".")[:2]
    return int(major), int("".join(c for c in minor if c.isdecimal()))
