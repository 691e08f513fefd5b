"""What a cage lets its programs see and do."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from commands.command import CommandError


@dataclass(frozen=True, slots=True)
class Limits:
    """What the programs of a cage may use at most.

    Processes are counted with their threads. They and memory hold for everything that runs
    in the cage at once, and the largest tree is ended; memory holds for each process, too.
    Without a cage both hold for nothing but each process's memory.
    """

    processes: int = 2048
    memory_share: float = 0.8  # of the machine's memory
    cpu_s: int = 3600  # of each process
    file_bytes: int = 8 << 30
    open_files: int = 4096
    output_bytes: int = 64 << 20  # of a command; of a lasting process between two reads
    scratch_bytes: int = 1 << 30  # each of /tmp, /var/tmp, /dev/shm and the home folder


@dataclass(frozen=True, slots=True)
class Outlet:
    """The one way out of a cage without network: a proxy of ours on a Unix socket.

    `forwarder` is a program for our Python that is run inside as `forwarder PORT SOCKET`
    and prints `ready`; `env` are the variables that lead programs to its port.
    """

    socket: Path
    forwarder: Path
    port: int
    env: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Bounds:
    """The edges of a cage.

    `protected` and `masked` give paths relative to `root`; they are asked when a cage is
    made. `hidden` are folders of ours that no command sees. `pass_env` names variables that
    programs get besides the usual ones. `read_only`: programs write nothing but temporary
    files, wherever they may write otherwise. What appears where something protected would stand
    is moved into `quarantine`, a folder outside; without one it is only reported.
    """

    root: Path
    protected: Callable[[], Sequence[str]] = tuple
    masked: Callable[[], Sequence[str]] = tuple
    hidden: Sequence[Path] = ()
    extra_read: Sequence[Path] = ()
    extra_write: Sequence[Path] = ()
    network: bool = False
    outlet: Outlet | None = None
    pass_env: Sequence[str] = ()
    limits: Limits = Limits()
    quarantine: Path | None = None
    read_only: bool = False


class CageFault(CommandError):
    """The cage itself failed: the command did not run, or could not be ended."""
