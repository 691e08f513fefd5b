"""1,000 steps of the real program in a window of 16k: `python bench/thousand.py`.

Three runs of the script of tests/long_session.py, which says what is asked and what stands in
for an embedding model: with memory, without, and killed (SIGKILL) and resumed at ten places
drawn by lot. Two or three minutes; other sizes as STEPS FACTS WINDOW. Nothing here fails.
"""

import random
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import mean
from typing import get_args

from yardstick import ROOT as ROOT
from yardstick import figure

from tests.long_session import Asked, Place, Script, by_line, played, present, script

KILLS = 10


def main(steps: int = 1000, facts: int = 100, window: int = 16_000) -> None:
    """Print one line a figure."""
    spoken = script(steps, facts)
    chosen = random.Random(4)
    places = get_args(Place)
    lines = sorted(chosen.sample(range(3, steps), KILLS))
    kills = [(line, chosen.choice(places)) for line in lines]
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(3) as pool:
        folders = [Path(name, str(n)) for n in range(3)]  # names of one length
        for folder in folders:
            folder.mkdir()
        first = pool.submit(played, folders[0], spoken, window)
        second = pool.submit(played, folders[1], spoken, window, "--memory", "none")
        third = pool.submit(played, folders[2], spoken, window, kills=kills)
        whole, forgetful, killed = first.result(), second.result(), third.result()
        report_facts(spoken, whole, forgetful)
        report_window(whole, window)
        report_cost(whole, forgetful)
        same = by_line(whole, folders[0]), by_line(killed, folders[2])
    differ = sum(same[0][line] != same[1].get(line) for line in same[0])
    said = ", ".join(f"{line} ({place})" for line, place in kills)
    figure(f"prompts that differ after {KILLS} kills", f"{differ} of {len(same[0])}", "0")
    print(f"  killed before line: {said}")


def report_facts(spoken: Script, whole: list[Asked], forgetful: list[Asked]) -> None:
    """How many facts of early steps stand in the prompt when they are needed."""
    count = len(spoken.needed)
    for what, asked in (("with memory", whole), ("--memory none", forgetful)):
        by_itself, asked_for = present(spoken, asked)
        figure(f"in the prompt after a thought in other words, {what}", f"{by_itself} of {count}")
        figure("  after `recall` in the same words", f"{asked_for} of {count}")


def report_window(whole: list[Asked], window: int) -> None:
    """By the server's own count: four characters of the JSON are a token."""
    largest = max(asked.prompt for asked in whole)
    with_answer = max(asked.prompt + asked.cap for asked in whole)
    figure("largest prompt; with the answer it may have", f"{largest:,}; {with_answer:,}")
    figure("  requests over the window", str(sum(a.prompt + a.cap > window for a in whole)), "0")


def report_cost(whole: list[Asked], forgetful: list[Asked]) -> None:
    """Prompt tokens of a late step against those about step 50, whole cuts in both."""
    for what, asked in (("with memory", whole), ("--memory none", forgetful)):
        early = mean(a.prompt for a in asked if 25 <= a.line < 125)
        late = mean(a.prompt for a in asked if a.line > len(asked) - 100)
        figure(
            f"prompt of the last 100 steps / of steps 25 to 124, {what}",
            f"{late / early:.2f} × ({late:,.0f} / {early:,.0f})",
            "flat",
        )
        total, cached = sum(a.prompt for a in asked), sum(a.cached for a in asked)
        figure(
            "  all prompts; the share an earlier one began with", f"{total:,}; {cached / total:.1%}"
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]))
