"""The Landlock cage: each program takes its own rights away before it begins."""

import ctypes
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

from commands.cancel import Cancel
from commands.context import Finished
from commands.sandbox.bounds import Bounds, CageFault
from commands.sandbox.environment import scrubbed
from commands.sandbox.identity import git_settings
from commands.sandbox.mounts import Layout, Mounts, laid_out
from commands.sandbox.none import NoCage
from commands.sandbox.seccomp import lone_program

LAUNCHER = Path(__file__).with_name("launcher.py")
LEAST_ABI = 3  # before it, files outside could be cut to nothing (Linux 6.2)
_NET_ABI, _DEVICE_ABI, _SCOPE_ABI = 4, 5, 6
_CREATE_RULESET = 444
_ASK_VERSION = 1
_UNCONFINED = 126  # of the launcher
_PROBE_S = 10.0

_EXECUTE, _WRITE, _READ, _LIST = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_CHAR, _BLOCK = 1 << 6, 1 << 11  # devices: nobody may make any
_TRUNCATE, _IOCTL = 1 << 14, 1 << 15
_TO_ABI_3 = (1 << 15) - 1
_TO_ABI_5 = (1 << 16) - 1
_BIND_AND_CONNECT = 0b11
_SOCKETS_AND_SIGNALS = 0b11

_READING = _EXECUTE | _READ | _LIST
_WRITING = _TO_ABI_3 & ~(_CHAR | _BLOCK)
_OF_FILES = _EXECUTE | _WRITE | _READ | _TRUNCATE  # what a rule for a single file may say
_DEVICES = tuple(f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom"))

Rules = list[tuple[str, int]]


def abi() -> int:
    """The version of Landlock that this kernel has; 0: none, or it is switched off."""
    if sys.platform != "linux":
        return 0
    version: int = ctypes.CDLL(None).syscall(
        _CREATE_RULESET, None, ctypes.c_size_t(0), _ASK_VERSION
    )
    return max(version, 0)


class Landlock(NoCage):
    """Runs programs that write in the workspace and in temporary files of the session only.

    There are no namespaces: what that leaves open `lacks` tells. CageFault when this
    kernel's Landlock is too old.
    """

    kind = "landlock"

    def __init__(
        self, bounds: Bounds, env: Mapping[str, str], *, neighbour: NoCage | None = None
    ) -> None:
        bounds = replace(bounds, root=bounds.root.resolve())
        confinement = Confinement(bounds, env)
        self._abi = confinement.abi
        super().__init__(bounds, env, confinement, neighbour=neighbour)

    @property
    def network(self) -> bool:
        return self.bounds.network

    def probe(self) -> str:
        """Run programs in it that may do something and may not; "" when that is so."""
        with TemporaryDirectory(prefix="autoagent-") as outside:
            made = Path(outside) / "made"
            try:
                fine = self._status(["sh", "-c", ":"])
                refused = self._status(["sh", "-c", ': > "$1"', "sh", str(made)])
            except CageFault as fault:
                return str(fault)
            if fine:
                return f"a shell in it ended with exit {fine}."
            return "" if refused and not made.exists() else "Landlock lets programs write outside."

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        cancel: Cancel,
        stdin: bytes = b"",
        hear: Callable[[str], None] | None = None,
    ) -> Finished:
        """Run argv in the workspace to its end; CageFault when it could not be confined."""
        done = super().run(argv, timeout_s=timeout_s, cancel=cancel, stdin=stdin, hear=hear)
        if done.exit == _UNCONFINED and done.stderr.startswith(b"landlock: "):
            raise CageFault(f"Not confined: {done.stderr.decode(errors='replace').strip()}.")
        return done

    def lacks(self) -> list[str]:
        """What a cage by namespaces would give besides, in a few words each."""
        return [
            "neither .env files hidden nor protected paths kept",
            *(["modes and times of its files in reach"] if self.bounds.read_only else []),
            "modes, times and names of files outside in reach",
            *(["signals to your other processes possible"] if self._abi < _SCOPE_ABI else []),
            *([] if self.network else ["no loopback network"]),
            *(["allowed hosts not reached"] if self.bounds.outlet else []),
            "no shared memory, no terminals",
            "processes and memory limited for each process only",
        ]

    def _status(self, argv: Sequence[str]) -> int:
        return self.run(argv, timeout_s=_PROBE_S, cancel=Cancel()).exit


class Confinement:
    """How programs are started so that they write in the workspace and `scratch` only.

    `bounds.root` must be a real path. Places are looked up once, for the first program, and
    again with each what can change.
    """

    def __init__(self, bounds: Bounds, env: Mapping[str, str]) -> None:
        self.abi = abi()
        if self.abi < LEAST_ABI:
            found = f"has version {self.abi}" if self.abi else "has none, or it is switched off"
            raise CageFault(f"Landlock is needed in version {LEAST_ABI}; this kernel {found}.")
        self._bounds = bounds
        self._filter = lone_program(network=bounds.network).hex()
        self._source = env
        self._known: tuple[Mounts, Rules] = ({}, [])

    @cached_property
    def _layout(self) -> Layout:
        return laid_out(self._bounds, self._source)

    @cached_property
    def _git(self) -> bytes:
        return git_settings(self._source)

    def argv(self, argv: Sequence[str], scratch: Path) -> list[str]:
        """The command line that confines itself and then becomes `argv`."""
        spec = {
            "abi": self.abi,
            "files": _TO_ABI_5 if self.abi >= _DEVICE_ABI else _TO_ABI_3,
            "net": _BIND_AND_CONNECT if self.abi >= _NET_ABI and not self._bounds.network else 0,
            "scopes": _SOCKETS_AND_SIGNALS if self.abi >= _SCOPE_ABI else 0,
            "rules": [*self._rules(), (str(scratch), _WRITING)],
            "filter": self._filter,
        }
        return [sys.executable, "-I", "-S", str(LAUNCHER), json.dumps(spec), *argv]

    def env(self, scratch: Path) -> dict[str, str]:
        """The variables; home is a folder in `scratch`, and tools still find themselves."""
        for name in ("home", "tmp"):
            (scratch / name).mkdir(mode=0o700, exist_ok=True)
        with suppress(OSError):  # it is there already, or a command spoiled its own home
            _put_new(scratch / "home", ".gitconfig", self._git)
        home = Path(self._source.get("HOME", "/"))
        own = {"RUSTUP_HOME": home / ".rustup", "PYENV_ROOT": home / ".pyenv"}
        found = {name: str(place) for name, place in own.items() if place.is_dir()}
        found |= {name: self._source[name] for name in found if name in self._source}
        return found | scrubbed(
            self._source,
            home=str(scratch / "home"),
            path=os.pathsep.join(map(str, self._layout.path)),
            scratch=str(scratch / "tmp"),
            passed=self._bounds.pass_env,
        )

    def _rules(self) -> Rules:
        mounts = self._layout.now()
        if mounts != self._known[0]:
            self._known = (mounts, _rules(mounts))
        return self._known[1]


def _rules(mounts: Mounts) -> Rules:
    """Landlock only adds: what must stay closed is left out of the folders around it."""
    closed = frozenset(str(path) for path, way in mounts.items() if way in ("fresh", "empty"))
    rules: Rules = [(device, _READ | _WRITE | _TRUNCATE) for device in _DEVICES]
    rules.append(("/proc", _READ | _LIST))
    for path, way in mounts.items():
        if way == "write":
            rules.append((str(path), _rights(str(path), _WRITING)))
        elif way == "read":
            rules += ((place, _rights(place, _READING)) for place in _open(str(path), closed))
    return rules


def _open(place: str, closed: Iterable[str]) -> Iterator[str]:
    """The place, or what is in it but for what is closed; links are left to where they lead."""
    if place in closed:
        return
    inside = [each for each in closed if each.startswith(f"{place}/")]
    if not inside:
        yield place
        return
    with os.scandir(place) as entries:
        for entry in entries:
            if not entry.is_symlink():
                yield from _open(entry.path, inside if entry.path not in closed else [entry.path])


def _put_new(folder: Path, name: str, content: bytes) -> None:
    """A new file in that very folder: a command may have put a link in its place."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with os.fdopen(os.open(name, flags, 0o600, dir_fd=opened), "wb") as file:
            file.write(content)
    finally:
        os.close(opened)


def _rights(place: str, rights: int) -> int:
    return rights if Path(place).is_dir() else rights & _OF_FILES
