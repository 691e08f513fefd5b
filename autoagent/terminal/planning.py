"""What is told of a plan when it changes: what came and what left, or all of it."""

from collections.abc import Sequence

KEPT, NEW, GONE = "- ", "+ ", "x "


def plan_lines(before: Sequence[str], now: Sequence[str]) -> list[tuple[str, str]]:
    """Items behind marks. Those that left come first, as done or dropped, then the new ones;
    where more than half differs, or the order alone, the whole plan stands there as it is now.
    """
    old, new = _distinct(before), _distinct(now)
    gone = [item for item in old if item not in new]
    added = [item for item in new if item not in old]
    differing, all_of_them = len(gone) + len(added), len(old) + len(added)
    if new and (2 * differing > all_of_them or not differing):
        return [] if new == old else [(KEPT, item) for item in new]
    return [*((GONE, item) for item in gone), *((NEW, item) for item in added)]


def _distinct(plan: Sequence[str]) -> list[str]:
    """Each once, whatever blanks it was written with."""
    return list(dict.fromkeys(" ".join(item.split()) for item in plan))
