"""`/goal`: the goals of the session, and a person's wish for another one."""

import re
from collections.abc import Sequence

from autoagent.errors import ConfigError
from autoagent.terminal.layout import paragraph, told
from autoagent.terminal.output import Output
from autoagent.wishes import NewGoal

_NUMBERED = re.compile(r"([0-9]+)\.?(?:\s+(.*))?", re.DOTALL)


def list_goals(out: Output, goals: Sequence[str]) -> None:
    for number, goal in enumerate(goals, 1):
        paragraph(out, goal, mark=f"{number}. ")


def show_goals(out: Output, goals: Sequence[str]) -> None:
    """Each goal with its number, and how to change one."""
    list_goals(out, goals)
    told(out, "One more: /goal TEXT; to change one: /goal 1 TEXT", "dim")


def wished_goal(text: str, goals: Sequence[str]) -> NewGoal:
    """What `/goal TEXT` wishes; ConfigError when that is no goal's number, or no change.

    A number in front is always that of a goal: a text that began with one would else change a
    goal, or not, by how many there are.
    """
    numbered = _NUMBERED.fullmatch(text)
    if numbered is None:
        return NewGoal(text)
    written, new = numbered[1], (numbered[2] or "").strip()
    number = int(written) if len(written) < 5 else 0
    if not 1 <= number <= len(goals):
        there = "there is one goal" if len(goals) == 1 else f"there are {len(goals)} goals"
        raise ConfigError(
            f"/goal {written:.20}: {there}. To add one whose text begins with a number, put a "
            "word before it."
        )
    if not new:
        raise ConfigError(f"Write the new text behind it: /goal {number} TEXT")
    if new == goals[number - 1]:
        raise ConfigError(f"Goal {number} says that already.")
    return NewGoal(new, number)
