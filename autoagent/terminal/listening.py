"""What a person types while a run works that asks nothing: told to its agent, or answered."""

from collections.abc import Callable
from pathlib import Path

from autoagent.errors import AutoAgentError
from autoagent.events import Event, Fed
from autoagent.inbox import INBOX, Inbox
from autoagent.lookups import Lookups
from autoagent.state import State
from autoagent.terminal.desk import Desk
from autoagent.terminal.layout import paragraph, told
from autoagent.terminal.output import Output
from autoagent.terminal.slash import KEYS, WORDS, Slash, parted
from autoagent.terminal.unheard import ROOM, is_done, keep_unheard
from commands.cancel import Cancel

_INSTEAD = {
    "/goal": ("say it in words, and the agent has it with its next prompt.", ""),
    "/limit": ("here /quit comes first, then:", "--resume {session} -c --max-steps {steps}"),
    "/model": ("here /quit comes first, then:", "--resume {session} -c --model NAME"),
    "/compact": ("here the oldest steps leave the prompt once it is full.", ""),
    "/undo": ("here it comes after the end:", "undo {session}"),
}
WORDS_HERE = tuple(row for row in WORDS if row[0].split()[0] not in _INSTEAD)
"""Each word with a slash that works here, with what stands behind it, and its meaning."""


class _Telling(Slash):
    """The words that only tell; for the others, what there is instead."""

    here = tuple(words.split()[0] for words, _ in WORDS_HERE)

    def obeys(self, typed: str) -> bool:
        word = parted(typed)[0].lower()
        if word not in _INSTEAD or self._state.started is None:
            return super().obeys(typed)
        session, steps = self._state.started.session, 2 * self._state.limits.steps
        instead, line = _INSTEAD[word]
        told(self._out, f"{word} works in a session that asks; {instead}")
        if line:
            line = line.format(session=session, steps=steps)
            self._out.line(f"  autoagent {line}", "bold")
        return True

    def help(self) -> None:
        for words, meaning in WORDS_HERE:
            paragraph(self._out, meaning, mark=f"{words:<{KEYS}}")
        told(self._out, "Anything else goes to the agent as your words; it asks nothing.")


class Listening:
    """Somebody at a terminal who is asked nothing. Their words go where `autoagent tell` leaves
    them, so that the agent reads them before its next call."""

    def __init__(
        self,
        desk: Desk,
        state: State,
        look_up: Lookups,
        cancel: Cancel,
        folder: Path,
        clean: Callable[[str], str],
    ) -> None:
        self._out: Output = desk.out
        self._keys = desk.keys
        self._early = desk.prompter.early()
        self._state = state
        look = (look_up.changes, look_up.export, look_up.result, look_up.states)
        self._slash = _Telling(desk.out, state, *look)
        self._cancel = cancel
        self._clean = clean
        self._folder = folder
        self._inbox = Inbox(folder / INBOX)
        self._waiting: dict[str, str] = {}  # what the agent hasn't read yet, by its name

    def look(self, event: Event | None) -> None:
        """Take what was typed; `event` happened just before."""
        if isinstance(event, Fed):
            self._waiting.pop(event.told, None)
        if self._state.started is None:
            return  # how much room there is isn't known yet
        early, self._early = self._early, []
        with self._out.meanwhile():
            for typed in [*early, *self._keys.lines_ahead()]:
                self._take(typed)
        self._out.queued(list(self._waiting.values()))

    def ends(self) -> None:
        """Keep what the agent didn't get for when the session goes on, or say it."""
        late = [*self._early, *self._keys.lines_ahead()]
        late = [text for text in late if not _quits(text) and not self._slash.obeys(text)]
        waiting = list(self._waiting.values())
        if is_done(self._state):
            for name in self._waiting:
                self._inbox.remove(name)
            late, waiting = [*waiting, *late], []
        begun = self._keys.begun()
        keep_unheard(self._out, late, begun, self._folder, self._state, self._clean, waiting)

    def _take(self, typed: str) -> None:
        if _quits(typed):
            self._cancel.set("interrupt")
        elif not self._slash.obeys(typed):
            typed = self._clean(typed)
            try:
                name = self._inbox.put(typed, self._state.window // ROOM)
            except AutoAgentError as error:
                told(self._out, f"{error} (The arrow up brings your words back.)", "magenta")
            else:
                self._waiting[name] = typed


def _quits(typed: str) -> bool:
    return typed.lower() == "/quit"
