"""What a person must know of a run once web text has come in."""

from autoagent.events import Event, Noticed
from autoagent.state import State
from commands.context import Cage
from commands.guard import shown

_NAMED = 5
_OPEN = "web text, open network"


def since_web(state: State, cage: Cage) -> list[Event]:
    """After a step: that programs can send anything anywhere, once, and what it changed
    unasked that this run hadn't made."""
    assert state.started is not None
    taint = state.taint
    events: list[Event] = []
    if taint.since is not None and cage.network and _OPEN not in state.noticed:
        text = (
            "Text of the web has come in, and commands have the whole network: nothing keeps a "
            "program that it talked the agent into from sending the workspace away."
        )
        events.append(Noticed("place", text, key=_OPEN))
    if taint.fresh:
        more = f" and {len(taint.fresh) - _NAMED} more" if len(taint.fresh) > _NAMED else ""
        names = ", ".join(map(shown, taint.fresh[:_NAMED])) + more
        text = (
            f"After text of the web had come in, step {state.step} changed what this run had "
            f"not made: {names}. To take it back: autoagent undo {state.started.session} "
            f"--to {state.step - 1}"
        )
        events.append(Noticed("files", text))
    return events
