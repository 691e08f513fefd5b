"""What a later session should know of a run that ended: how, with which answer, and a lesson."""

from collections import Counter

from autoagent.events import Stopped
from autoagent.state import Past, State

KEPT = frozenset({"done", "gave_up", "refused", "stuck", "limit"})
"""How a run ends that says something of the work; other endings say something of the place."""

_GOALS = 300  # characters
_ANSWER = 2000
_ABOUT = 60
_NAMED = 3


def outcome_of(stopped: Stopped, state: State) -> str:
    """Goals, ending, answer or reason, and what failed most, in a few lines."""
    goals = "; ".join(" ".join(goal.split()) for goal in state.goals)[:_GOALS]
    return f"Goals: {goals}\nEnded {_ending(stopped, state)}: {_lesson(state)}\n{_answer(stopped)}"


def _answer(stopped: Stopped) -> str:
    return stopped.answer.strip()[:_ANSWER]


def _ending(stopped: Stopped, state: State) -> str:
    match stopped.status, stopped.verified:
        case "done", True:
            return f"done, proved by {'; '.join(state.verify)}"
        case "done", _:
            return "done, by the model's word"
    return stopped.status.replace("_", " ")


def _lesson(state: State) -> str:
    """How many steps it took, and which commands failed most, with how the last one did."""
    failed = [past for past in state.past if not past.ok]
    if not failed:
        return f"{state.step} steps, none failed."
    last = {_name(past): past.note for past in failed}
    most = Counter(map(_name, failed)).most_common(_NAMED)
    named = "; ".join(
        f"{name} ({count} times, {last[name]})" if count > 1 else f"{name} ({last[name]})"
        for name, count in most
    )
    return f"{state.step} steps, {len(failed)} failed. Failed most: {named}."


def _name(past: Past) -> str:
    return f"{past.name} {past.about[:_ABOUT]}".strip()
