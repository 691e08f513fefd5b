"""The bubblewrap cage: namespaces of its own for each command, gone with everything in them."""

import os
import shutil
import stat
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from commands.cancel import Cancel
from commands.context import Finished
from commands.sandbox.bounds import Bounds, CageFault
from commands.sandbox.environment import scrubbed
from commands.sandbox.mounts import Way, laid_out
from commands.sandbox.namespace import admit, exit_was_told, gate
from commands.sandbox.process import follow, not_started
from commands.sandbox.toolchains import search_path

_PROBE_S = 10.0
_ASK_S = 5.0
_NO_PROGRAM = "bwrap: execvp "


class Bubblewrap:
    """Runs each command in new namespaces; `describe` says what that gives.

    The places of the system, the toolchains on PATH and the git identity are looked up
    once, here; CageFault when bubblewrap isn't there. `tight` forbids user namespaces
    inside, which some systems can't.
    """

    kind = "bubblewrap"

    def __init__(self, bounds: Bounds, env: Mapping[str, str], *, tight: bool = True) -> None:
        self.bounds = replace(bounds, root=bounds.root.resolve())
        self._layout = laid_out(self.bounds, env)
        self._program = _program(env, self.bounds.root)
        known = _asked([self._program, "--help"], env)
        self.tight = tight and b"--disable-userns" in known
        self.sized = b"--size" in known  # bubblewrap before 0.7 can't limit a tmpfs
        self._settings = _git_settings(env)
        self._env = scrubbed(
            env,
            home=str(self._layout.home),
            path=os.pathsep.join(map(str, self._layout.path)),
            scratch="/tmp",  # noqa: S108 (the cage's own)
            passed=bounds.pass_env,
        )

    @property
    def network(self) -> bool:
        return self.bounds.network

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
    ) -> Finished:
        """Run argv in the workspace to its end; CageFault when the cage can't be built."""
        if cancel.reason is not None:
            return not_started()
        with ExitStack() as stack:
            over, ready = os.pipe()
            stack.callback(os.close, over)
            waiting = stack.enter_context(gate())
            try:
                leader = self._begun(argv, _Files(stack), ready, waiting, has_input=bool(stdin))
            finally:
                os.close(ready)
            tree = admit(leader, over, waiting, self.bounds.limits)
            done = follow(tree, stdin=stdin, timeout_s=timeout_s, cancel=cancel)
            return done if done.stopped or exit_was_told(over) else _not_begun(done)

    def _begun(
        self, argv: Sequence[str], files: "_Files", ready: int, waiting: int, *, has_input: bool
    ) -> subprocess.Popen[bytes]:
        options = os.fsencode("\0".join(self._options(files)))
        told = ["--args", files.holding(options), "--json-status-fd", str(ready)]
        try:
            return subprocess.Popen(  # noqa: S603 (running what it is given is its task)
                [self._program, *told, "--block-fd", str(waiting), "--", *argv],
                env=self._env,
                stdin=subprocess.PIPE if has_input else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=(*files.numbers, ready, waiting),
                start_new_session=True,
                bufsize=0,
            )
        except (OSError, ValueError) as error:
            raise CageFault(f"The sandbox could not be started: {error}.") from error

    def _options(self, files: "_Files") -> list[str]:
        spaces = ("user", "pid", "ipc", "uts", "cgroup-try", *(() if self.network else ("net",)))
        mounts = self._layout.now()
        options = [
            *(f"--unshare-{space}" for space in spaces),
            *(["--disable-userns"] if self.tight else []),
            *("--die-with-parent", "--new-session", "--cap-drop", "ALL", "--hostname", "cage"),
            *("--proc", "/proc", "--dev", "/dev", *self._fresh(Path("/dev/shm"))),  # noqa: S108
        ]
        for path in sorted(mounts, key=lambda path: len(path.parts)):
            options += self._mounted(path, mounts[path], files)
        settings = self._layout.home / ".gitconfig"
        if mounts[self._layout.home] == "fresh" and settings not in mounts:
            options += ["--perms", "0600", "--file", files.holding(self._settings), str(settings)]
        root = str(self.bounds.root)
        return [*options, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", root]

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
        size = ["--size", str(self.bounds.limits.scratch_bytes)] if self.sized else []
        return [*mode, *size, "--tmpfs", str(path)]


def _not_begun(done: Finished) -> Finished:
    """What it means that the program never ran: it isn't there, or the cage failed."""
    said = done.stderr.decode(errors="replace").strip()
    if said.startswith(_NO_PROGRAM):
        return replace(done, exit=127, stderr=f"{said.removeprefix(_NO_PROGRAM)}\n".encode())
    raise CageFault(f"The sandbox could not be set up: {said or 'no reason given'}.")


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
        os.write(number, content)
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


def _git_settings(env: Mapping[str, str]) -> bytes:
    """The user's name and address for commits; and the workspace may be anybody's."""
    path = os.pathsep.join(map(str, search_path(env.get("PATH", ""))))
    settings = b"[safe]\n\tdirectory = *\n"
    if git := shutil.which("git", path=path):
        told = _asked(
            [git, "config", "--global", "-z", "--get-regexp", "^user[.](name|email)$"], env
        )
        for setting in told.split(b"\0")[:-1]:
            name, _, value = setting.partition(b"\n")
            quoted = value.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
            settings += b'[user]\n\t%s = "%s"\n' % (name.rpartition(b".")[2], quoted)
    return settings


def _asked(argv: Sequence[str], env: Mapping[str, str]) -> bytes:
    """What a program of the user's own says on stdout; nothing when it fails."""
    try:
        return subprocess.run(  # noqa: S603 (a program of the system or the user)
            argv, cwd="/", env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=_ASK_S
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return b""
