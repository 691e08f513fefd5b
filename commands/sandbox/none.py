"""No cage: programs run as the user, with a scrubbed environment, and end with their tree."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from commands.cancel import Cancel
from commands.context import Finished
from commands.sandbox import reaper
from commands.sandbox.bounds import Bounds, CageFault
from commands.sandbox.environment import scrubbed
from commands.sandbox.process import Tree, follow, not_started

_KILL_S = 10.0


class NoCage:
    """Keeps the tree together and the keys out of the environment, and isolates nothing."""

    kind = "none"
    network = True

    def __init__(self, bounds: Bounds, env: Mapping[str, str]) -> None:
        self._bounds = bounds
        self._env = env

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        cancel: Cancel,
        stdin: bytes = b"",
    ) -> Finished:
        """Run argv in the workspace to its end; a missing program exits with 127."""
        if cancel.reason is not None:
            return not_started()
        scratch = tempfile.mkdtemp(prefix="autoagent-")
        try:
            env = scrubbed(
                self._env,
                home=self._env.get("HOME", "/"),
                path=self._env.get("PATH", os.defpath),
                scratch=scratch,
                passed=self._bounds.pass_env,
            )
            tree = _started(argv, self._bounds.root, env, has_input=bool(stdin))
            try:
                return follow(tree, stdin=stdin, timeout_s=timeout_s, cancel=cancel)
            finally:
                os.close(tree.over)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def _started(argv: Sequence[str], root: Path, env: Mapping[str, str], *, has_input: bool) -> Tree:
    control, hold = os.pipe()
    over, alive = os.pipe()
    try:
        leader = subprocess.Popen(  # noqa: S603 (running what it is given is its task)
            [sys.executable, "-I", "-S", reaper.__file__, str(control), str(alive), *argv],
            cwd=root,
            env=env,
            stdin=subprocess.PIPE if has_input else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=(control, alive),
            start_new_session=True,
            bufsize=0,
        )
    except (OSError, ValueError) as error:
        os.close(hold)
        os.close(over)
        raise CageFault(f"{argv[0]!r:.200} could not be started: {error}.") from error
    finally:
        os.close(control)
        os.close(alive)
    held = [hold]

    def end() -> None:
        if held:
            os.close(held.pop())
        try:
            leader.wait(_KILL_S)
        except subprocess.TimeoutExpired as error:
            leader.kill()
            raise CageFault(f"Processes of {argv[0]!r:.200} could not be ended.") from error

    return Tree(leader, over, end)
