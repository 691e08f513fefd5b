"""The bubblewrap cage: namespaces for a session, a supervisor in them, a tree per command."""

import os
import shutil
import stat
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Self

from commands.cancel import Cancel
from commands.context import Finished
from commands.sandbox import rlimits
from commands.sandbox.anchor import Anchor
from commands.sandbox.bounds import Bounds, CageFault
from commands.sandbox.environment import scrubbed
from commands.sandbox.identity import asked, git_settings
from commands.sandbox.lasting import Lasting
from commands.sandbox.living import Living
from commands.sandbox.mounts import Layout, Mounts, Way, laid_out
from commands.sandbox.namespace import Namespace
from commands.sandbox.neighbours import Neighbours
from commands.sandbox.process import follow, not_started
from commands.sandbox.toolchains import search_path
from commands.sandbox.watch import Watch

OURS = Path("/.autoagent")
"""Where our own programs stand in the cage."""
SUPERVISOR = Path(__file__).with_name("supervisor.py")

_PROBE_S = 10.0


class Bubblewrap:
    """Runs commands in one cage, made when first needed; `describe` says what it gives.

    CageFault when bubblewrap isn't there. The places of the system and the toolchains on
    PATH are looked up once, when the cage is made. `tight` forbids user namespaces inside,
    which some systems can't. `seccomp` is a filter of system calls, as bubblewrap reads it.
    A `neighbour` is a cage of the same session: nothing is found out for this one again.
    Use it as a context manager, or `close` it: nothing is left then.
    """

    kind = "bubblewrap"

    def __init__(
        self,
        bounds: Bounds,
        env: Mapping[str, str],
        *,
        tight: bool = True,
        seccomp: bytes = b"",
        neighbour: "Bubblewrap | None" = None,
    ) -> None:
        self.bounds = replace(bounds, root=bounds.root.resolve())
        root = self.bounds.root
        self._found: _Found = (
            neighbour._found if neighbour else _looked_up(env, root, tight=tight, seccomp=seccomp)
        )
        self._neighbours: Neighbours = neighbour._neighbours if neighbour else Neighbours()
        found = self._found
        self.tight, self.sized, self.filtered = found.tight, found.sized, bool(found.seccomp)
        plan = _Plan(self.bounds, env, found)
        share = self._neighbours.at(root, writes=not bounds.read_only)
        watch = Watch(self.bounds, share.ground)
        self._living = living = Living(plan.begun, plan.mounts, watch, share)
        self.lasting = Lasting(living.run, bounds.limits.output_bytes)
        # A cage that is forgotten ends with the last reference to it, at exit at the latest.
        self._finalize = weakref.finalize(self, living.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End everything that runs in it; no command runs after that."""
        self._finalize()

    @property
    def network(self) -> bool:
        return self.bounds.network

    @property
    def let_out(self) -> bool:
        return self.bounds.outlet is not None

    def probe(self) -> str:
        """Run a program in it: "" when that works, else the reason in a sentence."""
        try:
            done = self.run(["true"], timeout_s=_PROBE_S, cancel=Cancel())
        except CageFault as fault:
            return str(fault)
        return "" if done.exit == 0 else f"`true` in the sandbox ended with exit {done.exit}."

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        cancel: Cancel,
        stdin: bytes = b"",
        hear: Callable[[str], None] | None = None,
    ) -> Finished:
        """Run argv in the workspace to its end; CageFault when the cage can't be built."""
        if cancel.reason is not None:
            return not_started()
        done = follow(
            self._living.run,
            argv,
            stdin=stdin,
            timeout_s=timeout_s,
            cancel=cancel,
            ceiling_bytes=self.bounds.limits.output_bytes,
            hear=hear,
        )
        return replace(done, notices=self.notices())

    def notices(self) -> tuple[str, ...]:
        """What is to be told since the last time, after a look at the protected paths."""
        return self._living.notices(goes_on=self.lasting.running)

    def accept(self, paths: Sequence[str]) -> None:
        self._living.accept(paths)


@dataclass(frozen=True, slots=True)
class _Found:
    """What is the same for every cage of this machine and user; `settings` are git's."""

    program: str
    tight: bool
    sized: bool
    seccomp: bytes
    settings: bytes


def _looked_up(env: Mapping[str, str], root: Path, *, tight: bool, seccomp: bytes) -> _Found:
    program = _program(env, root)
    known = asked([program, "--help"], env)
    return _Found(
        program,
        tight=tight and b"--disable-userns" in known,
        sized=b"--size" in known,  # bubblewrap before 0.7 can't limit a tmpfs
        seccomp=seccomp,
        settings=git_settings(env),
    )


class _Plan:
    """How to start the cage of some bounds on this machine."""

    def __init__(self, bounds: Bounds, env: Mapping[str, str], found: _Found) -> None:
        self._bounds = bounds
        self._source = env
        self._found = found
        self._anchor = Anchor(bounds.root)

    @cached_property
    def _layout(self) -> Layout:
        return laid_out(self._bounds, self._source)

    def _env(self) -> dict[str, str]:
        env = scrubbed(
            self._source,
            home=str(self._layout.home),
            path=os.pathsep.join(map(str, self._layout.path)),
            scratch="/tmp",  # noqa: S108 (the cage's own)
            passed=self._bounds.pass_env,
        )
        return {**env, **self._bounds.outlet.env} if self._bounds.outlet else env

    def mounts(self) -> Mounts:
        """What stands where, as the workspace is at this moment."""
        self._anchor.check()
        return self._layout.now()

    def begun(self, mounts: Mounts) -> Namespace:
        """A new cage; its forwarder, if it has one, is there."""
        found = self._found
        with ExitStack() as stack:
            files = _Files(stack)
            options = [
                *self._spaces(),
                *(["--seccomp", files.holding(found.seccomp)] if found.seccomp else []),
                *self._mounted_all(mounts, files),
                *self._own_programs(files),
                *("--remount-ro", "/dev", "--remount-ro", "/"),
                *("--chdir", str(self._bounds.root)),
            ]
            told = files.holding(os.fsencode("\0".join(options)))
            argv = [found.program, "--args", told, "--", *self._supervisor()]
            namespace = Namespace(argv, files.numbers, self._env())
        try:
            self._anchor.check()  # bubblewrap follows what stands there
            self._let_out(namespace)
        except BaseException:
            namespace.end()
            raise
        return namespace

    def _spaces(self) -> list[str]:
        net = () if self._bounds.network else ("net",)
        return [
            *(f"--unshare-{space}" for space in ("user", "pid", "ipc", "uts", "cgroup-try", *net)),
            *(["--disable-userns"] if self._found.tight else []),
            *("--as-pid-1", "--die-with-parent", "--new-session", "--cap-drop", "ALL"),
            *("--hostname", "cage", "--proc", "/proc", "--dev", "/dev"),
            *self._fresh(Path("/dev/shm")),  # noqa: S108
        ]

    def _mounted_all(self, mounts: Mounts, files: "_Files") -> list[str]:
        options: list[str] = []
        for path in sorted(mounts, key=lambda path: len(path.parts)):
            options += self._mounted(path, mounts[path], files)
        settings = self._layout.home / ".gitconfig"
        if mounts[self._layout.home] == "fresh" and settings not in mounts:
            options += [
                "--perms",
                "0600",
                "--file",
                files.holding(self._found.settings),
                str(settings),
            ]
        return options

    def _mounted(self, path: Path, way: Way, files: "_Files") -> list[str]:
        place = str(path)
        match way:
            case "read":
                return ["--ro-bind", place, place]
            case "write":
                return ["--bind", place, place]
            case "link":
                return ["--symlink", str(path.readlink()), place]
            case "empty" if not path.is_dir():
                return ["--perms", "0444", "--ro-bind-data", files.holding(b""), place]
            case "fresh" | "empty":
                return self._fresh(path)

    def _fresh(self, path: Path) -> list[str]:
        mode = ["--perms", "1777" if path.name in ("tmp", "shm") else "0700"]
        size = ["--size", str(self._bounds.limits.scratch_bytes)] if self._found.sized else []
        return [*mode, *size, "--tmpfs", str(path)]

    def _own_programs(self, files: "_Files") -> list[str]:
        outlet = self._bounds.outlet
        programs = {"supervisor.py": SUPERVISOR}
        options = []
        if outlet:
            programs["forwarder.py"] = outlet.forwarder
            options = ["--ro-bind", str(outlet.socket), str(OURS / "proxy")]
        for name, source in programs.items():
            text = files.holding(source.read_bytes())
            options += ["--perms", "0444", "--ro-bind-data", text, str(OURS / name)]
        return options

    def _supervisor(self) -> list[str]:
        limits = self._bounds.limits
        return [
            *self._python("supervisor.py"),
            rlimits.in_a_word(limits, apart=True),
            str(limits.processes),
            str(rlimits.memory_bytes(limits)),
        ]

    def _python(self, program: str) -> list[str]:
        return [str(self._layout.python), "-I", "-S", str(OURS / program)]

    def _let_out(self, namespace: Namespace) -> None:
        """Start the forwarder and wait until it listens."""
        if outlet := self._bounds.outlet:
            argv = [*self._python("forwarder.py"), str(outlet.port), str(OURS / "proxy")]
            namespace.serve(argv, b"ready\n")


class _Files:
    """Open files that hold what bubblewrap reads by number; closed with the stack."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.numbers: list[int] = []

    def holding(self, content: bytes) -> str:
        """The number of a new one, as text."""
        number = os.memfd_create("cage")
        self._stack.callback(os.close, number)
        self.numbers.append(number)
        with open(number, "wb", closefd=False) as file:
            file.write(content)
        os.lseek(number, 0, os.SEEK_SET)
        return str(number)


def _program(env: Mapping[str, str], root: Path) -> str:
    """The system's bubblewrap before any other; never one from the workspace."""
    folders = [p for p in search_path(env.get("PATH", "")) if not p.is_relative_to(root)]
    found = shutil.which("bwrap", path=os.pathsep.join(["/usr/bin", *map(str, folders)]))
    if found is None:
        raise CageFault("bubblewrap is not installed: there is no bwrap on PATH.")
    if Path(found).stat().st_mode & stat.S_ISUID:
        raise CageFault(f"{found} is setuid, so its limits can't be set; install it without.")
    return found
