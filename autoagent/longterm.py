"""Long-term memory as the agent uses it: what of a step is kept, and what comes back."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from autoagent.errors import StateError
from autoagent.events import Memo, Recalled
from autoagent.history import RESULT_SHARE
from autoagent.observation import of_recalled
from autoagent.state import Past, State
from autoagent.tokens import Counter

if TYPE_CHECKING:
    from memory_store.records import Hit
    from memory_store.sqlite import Store

NEAREST = 10
STEP_SHARE = 0.05
"""Share of the window that memories may take before one call."""
WINDOW_SHARE = 0.15
"""Share of the window that memories may take between two cuts."""

_MEMO_CHARACTERS = 400
_OF_MEMORY = ("remember", "recall")


class LongTerm:
    """One store, seen from one session. Every row is durable when a method returns.

    `vectors` holds embeddings that were paid for before a command runs, by text.
    """

    def __init__(self, store: "Store", session: str, count: Counter) -> None:
        self._store = store
        self._session = session
        self._count = count
        self._step = 0
        self._visible_from = 0
        self._notes = 0
        self._window = 0
        self.vectors: Mapping[str, Sequence[float]] = {}
        self.model = ""

    @property
    def empty(self) -> bool:
        with _told_to_the_person():
            return len(self._store) == 0

    def look_at(self, state: State) -> None:
        """Take the step and what is visible from the state, before a command of it runs."""
        self._step = state.step
        self._notes = 0
        self._visible_from = state.cut_step + 1
        self._window = state.window

    def keep(self, past: Past, vector: Sequence[float] | None) -> None:
        """Store what a step did, unless it is in the store as it is; a second time does nothing."""
        if past.name in _OF_MEMORY:
            return
        self._add(text_of(past), source=past.source, step=past.step, part=0, vector=vector)

    def _add(
        self, text: str, *, source: str, step: int, part: int, vector: Sequence[float] | None
    ) -> None:
        with _told_to_the_person():
            self._store.add(
                text,
                source=source,
                session=self._session,
                step=step,
                part=part,
                time=time.time(),
                vector=vector,
                model=self.model if vector is not None else "",
            )

    def remember(self, text: str) -> None:
        """As a command: keep the model's own note."""
        self._notes += 1
        self._add(
            text,
            source="note",
            step=self._step,
            part=self._notes,
            vector=self.vectors.get(text),
        )

    def recall(self, query: str) -> str:
        """As a command: the nearest memories but those that stand in the window."""
        hits = self._nearest(query, self.vectors.get(query))
        room = round(self._window * RESULT_SHARE)
        lines: list[str] = []
        for hit in hits:
            line = f"- {self._line(hit)}"
            room -= self._count(line)
            if room < 0:
                break
            lines.append(line)
        return "\n".join(lines)

    def nearest(self, query: str, vector: Sequence[float] | None, state: State) -> list[Memo]:
        """Of the ten nearest memories those that aren't in the window yet and have room."""
        in_window = [p.text for p in state.parts if p.kind == "memories"]
        free = state.window * WINDOW_SHARE - sum(map(self._count, in_window))
        room = min(state.window * STEP_SHARE, free)
        memos: list[Memo] = []
        for hit in self._nearest(query, vector):
            if hit.memory.id in state.recalled:
                continue
            memo = Memo(hit.memory.id, self._line(hit), round(hit.score, 4))
            if self._count(of_recalled(Recalled(0, (*memos, memo)))) > room:
                break
            memos.append(memo)
        return memos

    def _nearest(self, query: str, vector: Sequence[float] | None) -> list["Hit"]:
        with _told_to_the_person():
            return self._store.nearest(
                query,
                vector=vector,
                model=self.model if vector is not None else "",
                k=NEAREST,
                hidden=(self._session, self._visible_from),
            )

    def _line(self, hit: "Hit") -> str:
        """Whose words, when, and the text on one line."""
        memory = hit.memory
        day = datetime.fromtimestamp(memory.time, UTC).date()
        where = f"step {memory.step}" if memory.session == self._session else f"{day}"
        text = " ".join(memory.text.split())
        return f"{where}, {memory.source}: {text[:_MEMO_CHARACTERS]}"


@contextmanager
def _told_to_the_person() -> Iterator[None]:
    """A store that can't be used any more is no bug and nothing that the model could mend."""
    from memory_store import StoreError

    try:
        yield
    except StoreError as error:
        raise StateError(f"{error} Or go on without it: --memory none.") from error


def text_of(past: Past) -> str:
    """What is kept of a step: who, command, names, outcome, gist; names make it findable."""
    about = f" {past.about}" if past.about else ""
    files = f" changed {', '.join(past.changed)}" if past.changed else ""
    said = f"{past.thoughts}\n" if past.thoughts else ""
    return f"{said}{past.name}{about}: {past.note}{files}\n{past.gist}".strip()


def words_of(past: Past) -> str:
    """By which words a step asks for memories: what it thought and did. The result's own
    words would find whatever else was printed like it, and cost most of the time."""
    return f"{past.thoughts} {past.name} {past.about} {past.note}"
