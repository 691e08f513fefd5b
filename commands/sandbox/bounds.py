"""What a cage lets its programs see and do."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from commands.command import CommandError


@dataclass(frozen=True, slots=True)
class Limits:
    """What one command may use at most; memory is counted for each of its processes alone."""

    processes: int = 2048  # with their threads; the kernel doesn't count root's
    memory_share: float = 0.8  # of the machine's memory
    file_bytes: int = 8 << 30
    open_files: int = 4096
    scratch_bytes: int = 1 << 30  # each of /tmp, /var/tmp, /dev/shm and the home folder


@dataclass(frozen=True, slots=True)
class Bounds:
    """The edges of a cage.

    `protected` and `masked` are asked before each command, since files come and go; they
    give paths relative to `root`. `hidden` are folders of ours that no command sees.
    `pass_env` names variables that programs get besides the usual ones.
    """

    root: Path
    protected: Callable[[], Sequence[str]] = tuple
    masked: Callable[[], Sequence[str]] = tuple
    hidden: Sequence[Path] = ()
    extra_read: Sequence[Path] = ()
    extra_write: Sequence[Path] = ()
    network: bool = False
    pass_env: Sequence[str] = ()
    limits: Limits = Limits()


class CageFault(CommandError):
    """The cage itself failed: the command did not run, or could not be ended."""
