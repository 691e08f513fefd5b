"""What a caged command costs: medians of one run, as ratios to a plain shell and to bubblewrap."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1]))

from commands.cancel import Cancel
from commands.context import Cage
from commands.sandbox.bounds import Bounds
from commands.sandbox.choose import Wanted, choose, describe

ROUNDS = 60
KINDS: tuple[Wanted, ...] = ("auto", "none")
COMMAND = ["bash", "-c", "true"]
ALONE = [
    *("bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"),
    *("--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--"),
]


def seconds(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def in_cage(cage: Cage) -> Callable[[], object]:
    return lambda: cage.run(COMMAND, timeout_s=60, cancel=Cancel())


def main() -> None:
    with tempfile.TemporaryDirectory() as root, ExitStack() as stack:
        bounds = Bounds(Path(root))
        cage, none = (choose(kind, bounds, os.environ) for kind in KINDS)
        for each in (cage, none):
            stack.callback(each.close)
        ways: dict[str, Callable[[], object]] = {
            "plain": lambda: subprocess.run(COMMAND, capture_output=True),
            "bubblewrap alone": lambda: subprocess.run([*ALONE, *COMMAND], capture_output=True),
            "in the cage": in_cage(cage),
            "without a cage": in_cage(none),
        }
        # In turns, so that what else the machine does falls on all alike.
        rounds = [{name: seconds(run) for name, run in ways.items()} for _ in range(ROUNDS)]
        chosen = median(
            seconds(lambda: choose("auto", bounds, os.environ).close()) for _ in range(10)
        )
    cost = {name: median(one[name] for one in rounds) for name in ways}
    print(describe(cage))
    for name, value in cost.items():
        against = f"{value / cost['plain']:.1f} x plain"
        alone = f"{value / cost['bubblewrap alone']:.2f} x bubblewrap alone"
        print(f"{name:17} {value * 1000:5.1f} ms  {against}  {alone}")
    print(f"{'made and ended':17} {chosen * 1000:5.1f} ms")


if __name__ == "__main__":
    main()
