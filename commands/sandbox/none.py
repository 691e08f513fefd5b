"""Programs beside the user's own: no namespaces, a scrubbed environment, an end with their tree."""

import os
import shutil
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Protocol, Self

from commands.cancel import Cancel
from commands.command import Refusal
from commands.context import Finished
from commands.sandbox import reaper, rlimits
from commands.sandbox.anchor import Anchor
from commands.sandbox.bounds import Bounds, CageFault
from commands.sandbox.environment import scrubbed
from commands.sandbox.lasting import Lasting
from commands.sandbox.mounts import kept
from commands.sandbox.neighbours import Neighbours, Share
from commands.sandbox.process import Ended, follow, not_started
from commands.sandbox.watch import Watch

_KILL_S = 10.0


class Confined(Protocol):
    """How a program is started so that it has less rights than its user."""

    def argv(self, argv: Sequence[str], scratch: Path) -> list[str]:
        """The command line that confines itself to the workspace and `scratch`, and runs argv."""
        ...

    def env(self, scratch: Path) -> dict[str, str]:
        """The variables of the program; what they name is there."""
        ...


class NoCage:
    """Keeps trees together and the keys out of the environment, and isolates nothing.

    TMPDIR is a folder of the session; use it as a context manager, or `close` it. What
    isolates is `confined`, where there is any. A `neighbour` is a cage of the same session.
    """

    kind = "none"

    def __init__(
        self,
        bounds: Bounds,
        env: Mapping[str, str],
        confined: Confined | None = None,
        *,
        neighbour: "NoCage | None" = None,
    ) -> None:
        self.bounds = bounds = replace(bounds, root=bounds.root.resolve())
        self._neighbours: Neighbours = neighbour._neighbours if neighbour else Neighbours()
        share = self._neighbours.at(bounds.root, writes=not bounds.read_only)
        self._starter = starter = _Starter(bounds, env, confined, share)
        self.lasting = Lasting(starter.begin, bounds.limits.output_bytes)
        self._finalize = weakref.finalize(self, _closed, self.lasting, starter)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End what was started to last, and remove the temporary files."""
        self._finalize()

    @property
    def network(self) -> bool:
        return True

    @property
    def let_out(self) -> bool:
        return False

    def notices(self) -> tuple[str, ...]:
        """What has appeared at protected paths since the last time, and was moved away."""
        return self._starter.notices(goes_on=self.lasting.running)

    def accept(self, paths: Sequence[str]) -> None:
        self._starter.accept(paths)

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        cancel: Cancel,
        stdin: bytes = b"",
        hear: Callable[[str], None] | None = None,
    ) -> Finished:
        """Run argv in the workspace to its end; a missing program exits with 127.

        Refusal when it may write nothing: only a cage can keep it from that.
        """
        if cancel.reason is not None:
            return not_started()
        done = follow(
            self._starter.begin,
            argv,
            stdin=stdin,
            timeout_s=timeout_s,
            cancel=cancel,
            ceiling_bytes=self.bounds.limits.output_bytes,
            hear=hear,
        )
        return replace(done, notices=self.notices())


class _Starter:
    """Starts programs under a reaper each, and looks at what they leave at protected paths."""

    def __init__(
        self, bounds: Bounds, env: Mapping[str, str], confined: Confined | None, share: Share
    ) -> None:
        self._bounds = bounds
        self._source = env
        self._anchor = Anchor(bounds.root)
        self._confined = confined
        self._lock = Lock()
        self._scratch = ""
        self._share = share
        self._watch = Watch(bounds, share.ground, mounted=False)
        self._is_watching = False

    def begin(self, argv: Sequence[str], stdin: int, stdout: int, stderr: int) -> "Reaped":
        if self._bounds.read_only and not self._confined:
            raise Refusal(
                "Without a cage commands can't be kept from writing, and this agent may only "
                "read: no program runs. This is final; read_file, list_files and search_files work."
            )
        self._anchor.check()
        limits = rlimits.in_a_word(self._bounds.limits, apart=False)
        scratch = self._folder()
        self._watched()
        if self._confined:
            argv = self._confined.argv(argv, scratch)
        env = self._confined.env(scratch) if self._confined else self._env(scratch)
        return reaped(argv, limits, self._bounds.root, env, (stdin, stdout, stderr))

    def notices(self, *, goes_on: bool) -> tuple[str, ...]:
        with self._lock, self._share.ground.lock:
            self._look()
            if not goes_on:
                self._share.rests()
            return self._share.told()

    def accept(self, paths: Sequence[str]) -> None:
        """Take these paths as they are now; what else appeared is moved away before."""
        with self._lock, self._share.ground.lock:
            self._watch.accept(paths)
            self._look()
            self._watch.begin(kept(self._bounds))

    def _watched(self) -> None:
        """What is there before the first program is the user's own."""
        with self._lock, self._share.ground.lock:
            if not self._is_watching:
                self._watch.begin(kept(self._bounds))
                self._is_watching = True
            self._share.works()

    def _look(self) -> None:
        if self._is_watching:
            self._share.found(self._watch.look())

    def close(self) -> None:
        with self._lock, self._share.ground.lock:
            self._look()
            self._share.rests()
            if self._scratch:
                shutil.rmtree(self._scratch, ignore_errors=True)

    def _folder(self) -> Path:
        with self._lock:
            self._scratch = self._scratch or tempfile.mkdtemp(prefix="autoagent-")
            return Path(self._scratch)

    def _env(self, scratch: Path) -> dict[str, str]:
        return scrubbed(
            self._source,
            home=self._source.get("HOME", "/"),
            path=self._source.get("PATH", os.defpath),
            scratch=str(scratch),
            passed=self._bounds.pass_env,
        )


class Reaped:
    """A program under its reaper."""

    def __init__(self, leader: "subprocess.Popen[bytes]", over: int, hold: int) -> None:
        self.over = over
        self._leader = leader
        self._hold = hold
        self._lock = Lock()
        self._is_killed = self._is_ended = False

    def terminate(self) -> None:
        with self._lock, suppress(BrokenPipeError):
            if not self._is_killed:
                os.write(self._hold, b"t")

    def kill(self) -> None:
        with self._lock:
            if not self._is_killed:
                self._is_killed = True
                os.close(self._hold)

    def end(self) -> Ended:
        self.kill()
        with self._lock:
            try:
                status = self._leader.wait(_KILL_S)
            except subprocess.TimeoutExpired as error:
                self._leader.kill()
                raise CageFault("The processes of the command could not be ended.") from error
            if not self._is_ended:
                self._is_ended = True
                os.close(self.over)
        return Ended(128 - status if status < 0 else status)


def reaped(
    argv: Sequence[str],
    limits: str,
    folder: Path,
    env: Mapping[str, str],
    streams: tuple[int, int, int],
) -> Reaped:
    """Start argv under a reaper of its own; `limits` is the word of `rlimits.in_a_word`."""
    control, hold = os.pipe()
    over, alive = os.pipe()
    program = [sys.executable, "-I", "-S", reaper.__file__, str(control), str(alive), limits]
    try:
        leader = subprocess.Popen(  # noqa: S603 (running what it is given is its task)
            [*program, *argv],
            cwd=folder,
            env=env,
            stdin=streams[0],
            stdout=streams[1],
            stderr=streams[2],
            pass_fds=(control, alive),
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        os.close(hold)
        os.close(over)
        raise CageFault(f"{argv[0]!r:.200} could not be started: {error}.") from error
    finally:
        os.close(control)
        os.close(alive)
    return Reaped(leader, over, hold)


def _closed(lasting: Lasting, starter: _Starter) -> None:
    lasting.close()
    starter.close()
