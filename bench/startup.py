"""How long it takes until something happens, against a bare Python and a bare client."""

import sys
import tempfile
from functools import partial
from pathlib import Path
from statistics import median

from yardstick import client, drive, figure, in_turns, program, says, until_exit

DONE = says("finish", answer="done")
REMEMBERED = [says("remember", text=f"The file number {n} holds the greetings.") for n in range(9)]


def main(rounds: int = 7) -> None:
    """Print one line a figure; `python bench/startup.py [ROUNDS]`."""
    report_options(2 * rounds + 1)
    with tempfile.TemporaryDirectory() as folder:
        report_request(rounds, Path(folder))


def report_options(rounds: int) -> None:
    """Programs that do next to nothing, from start to end."""
    ways = [[sys.executable, "-c", "pass"], [*program(), "--version"], [*program(), "--help"]]
    taken = in_turns(rounds, *(partial(until_exit, *argv) for argv in ways))
    nothing, *ours = (median(seconds) for seconds in taken)
    for option, seconds, target in zip(("--version", "--help"), ours, ("≤ 3", ""), strict=True):
        made_of = f"{seconds * 1e3:.0f} ms / {nothing * 1e3:.0f} ms"
        figure(f"{option} / python -c pass", f"{seconds / nothing:.2f} × ({made_of})", target)


def report_request(rounds: int, folder: Path) -> None:
    """From the start of the program to its first chat request, without and with memories."""
    drive(folder / "old", [*REMEMBERED, DONE])
    fresh = (folder / f"new {n}" for n in range(rounds + 1))

    def until_request(folder: Path) -> tuple[float, float]:
        run = drive(folder, [DONE])
        return run.marks[0].wall - run.began, run.marks[0].cpu

    def until_client() -> tuple[float, float]:
        found = client()
        return found.wall, found.cpu

    taken = in_turns(
        rounds,
        lambda: until_request(next(fresh)),
        lambda: until_request(folder / "old"),
        until_client,
    )
    *ours, theirs = ([median(column) for column in zip(*pairs, strict=True)] for pairs in taken)
    for name, found in zip(("fresh workspace", "with memories"), ours, strict=True):
        wall, cpu = (mine / yardstick for mine, yardstick in zip(found, theirs, strict=True))
        made_of = f"{found[0] * 1e3:.0f} ms / {theirs[0] * 1e3:.0f} ms"
        figure(
            f"start to first request / openai's client, {name}",
            f"{wall:.2f} × ({made_of})",
            "≤ 1.25",
        )
        figure("  the same in CPU time", f"{cpu:.2f} × ({found[1] * 1e3:.0f} ms)")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
