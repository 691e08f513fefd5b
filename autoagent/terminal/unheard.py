"""What a person typed and the agent didn't get before it ended: kept, or at least said."""

from collections.abc import Callable, Sequence
from pathlib import Path

from autoagent.errors import AutoAgentError
from autoagent.inbox import INBOX, Inbox
from autoagent.state import State
from autoagent.terminal.layout import fenced, told
from autoagent.terminal.output import Output
from autoagent.wishes import NewGoal, NewLimit, NewModel, Wish

SHORTEST_KEPT = 3  # characters: y, n and the like are no history
ROOM = 2  # of a window of so many tokens: bytes, about an eighth of it


def keep_unheard(
    out: Output,
    words: Sequence[str],
    begun: str,
    folder: Path,
    state: State,
    clean: Callable[[str], str],
    waiting: Sequence[str] = (),
) -> None:
    """Leave the words where the session finds them when it goes on; those that are `waiting` are
    there. One that is done doesn't by itself: then they are said, and so is what can't be kept,
    and a line that wasn't sent. `clean` takes secrets out."""
    words = [clean(text) for text in words]
    kept, lost = list(waiting), list(words)
    if not is_done(state):
        lost = [text for text in words if not _kept(text, folder, state)]
        kept += [text for text in words if text not in lost]
    if kept:
        out.line("The agent didn't get these words; it does when the session goes on:", "bold")
        fenced(out, "\n".join(kept))
    if lost:
        out.line("The agent didn't get these words; they are kept nowhere else:", "bold")
        fenced(out, "\n".join(lost))
    if begun:
        is_history = len(begun) >= SHORTEST_KEPT and clean(begun) == begun
        back = "; the arrow up brings it back in the next session" if is_history else ""
        out.line(f"Begun and not sent{back}:", "bold")
        fenced(out, clean(begun))


def is_done(state: State) -> bool:
    """Whether the session has come to its end, so that nobody goes on with it."""
    return state.stopped is None or state.stopped.status == "done"


def unmet(out: Output, wishes: Sequence[Wish]) -> list[str]:
    """What a session that goes on can be told in words of wishes; the others are said."""
    words = []
    for wish in wishes:
        match wish:
            case NewGoal(text, None):
                words.append(f"One goal more: {text}")
            case NewGoal(text, number):
                words.append(f"Goal {number} from now on: {text}")
            case NewModel(name):
                _too_late(out, f"/model {name}")
            case NewLimit(resource, value):
                _too_late(out, f"/limit {resource} {value:.12g}")
    return words


def _too_late(out: Output, typed: str) -> None:
    told(out, f"It ended before this could count: {typed}")


def _kept(text: str, folder: Path, state: State) -> bool:
    try:
        Inbox(folder / INBOX).put(text, state.window // ROOM)
    except AutoAgentError:
        return False
    return True
