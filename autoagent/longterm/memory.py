"""Long-term memory as the agent uses it: what of a step is kept, and what comes back."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from autoagent.errors import StateError
from autoagent.events import Forked, Memo, Recalled, Stopped
from autoagent.history import RESULT_SHARE
from autoagent.longterm.outcome import KEPT, outcome_of
from autoagent.longterm.pieces import PIECE, pieces
from autoagent.marks import is_web, trusted
from autoagent.observation import of_recalled
from autoagent.state import Past, State
from autoagent.tokens import Counter as TokenCounter
from commands.context import Recollection
from memory_store.records import WORDS_FLOOR

if TYPE_CHECKING:
    from memory_store.records import Hit, Memory
    from memory_store.sqlite import Store

NEAREST = 10
STEP_SHARE = 0.05
"""Share of the window that memories may take before one call."""
WINDOW_SHARE = 0.15
"""Share of the window that memories may take between two cuts."""

_STEP_CHARACTERS = 240
ASKED_FLOOR = 0.1
"""Share of a query's words that a row must hold: who asks in words looks at what is far, too."""
_PAGE_PIECES = 200  # of one page
_OF_OTHERS = 20  # rows of another agent of the session that may be near as well
_MEANT = ("note", "person")
_OF_MEMORY = ("remember", "recall")
_LOOK_BACK = 1
"""Steps before the last that a resumed session may have failed to store. Not more: what a
person deleted stays deleted, and memory that was off stays empty."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A text that is to be kept, and where it belongs.

    What a branch has from another session belongs to that one: kept by both it stands once.
    """

    text: str
    source: str
    session: str
    step: int
    part: int

    @property
    def place(self) -> tuple[str, int, int, str]:
        return self.session, self.step, self.part, self.source

    @property
    def trusted_place(self) -> tuple[str, int, int, str]:
        """Where it stands once a person has taken the label of the web off it."""
        return self.session, self.step, self.part, trusted(self.source)


class LongTerm:
    """One store, seen from one session. Every row is durable when a method returns.

    `vectors` holds embeddings that were paid for before a command runs, by text.
    """

    def __init__(self, store: "Store", session: str, count: TokenCounter) -> None:
        self._store = store
        self._session = session
        self._count = count
        self._step = 0
        self._visible_from = 0
        self._notes = 0
        self._window = 0
        self._note_label = "note"
        self._kept_to: int | None = None
        self._origins: Sequence[Forked] = ()
        self._heard: set[tuple[str, int, int, str]] = set()
        self._beneath: tuple[str, ...] = ()
        self._page_step = 0
        self._pages = 0  # pieces of pages of that step
        self.vectors: Mapping[str, Sequence[float]] = {}
        self.model = ""

    def beside(self, session: str) -> "LongTerm":
        """The same store, seen from a sub-agent's session "ID/NAME"."""
        other = LongTerm(self._store, session, self._count)
        other.model = self.model
        return other

    @property
    def empty(self) -> bool:
        with _told_to_the_person():
            return len(self._store) == 0

    def look_at(self, state: State) -> None:
        """Take the step and what is visible from the state, before a command of it runs."""
        self._step = state.step
        self._notes = 0
        self._note_label = state.taint.label("note", state.step)
        self._visible_from = state.cut_step + 1
        self._window = state.window
        self._origins = [origin for origin, _ in state.origins]
        self._heard = {piece.place for piece in self._words(state)}
        self._beneath = tuple(self._sessions_beneath(state))

    def _sessions_beneath(self, state: State) -> Iterator[str]:
        """Those of sub-agents of which the prompt tells, or will tell."""
        for name, member in state.team.members.items():
            if member.reported is None or member.reported.step >= self._visible_from:
                yield f"{self._session}/{name}"

    def due(self, state: State) -> list[Piece]:
        """What of the steps and of the person's words isn't in the store yet."""
        since = max(0, state.step - _LOOK_BACK) if self._kept_to is None else self._kept_to
        steps = list(takewhile(lambda past: past.step >= since, reversed(state.past)))
        found = [
            Piece(
                text_of(past),
                state.taint.label(past.source, past.step),
                state.maker(past.step),
                past.step,
                0,
            )
            for past in reversed(steps)
            if past.name not in _OF_MEMORY and past.source != "agents"
        ]
        found += [piece for piece in self._words(state) if piece.step >= since]
        self._kept_to = state.step
        standing = {
            (session, *place)
            for session in {piece.session for piece in found}
            for place in self._places(session, since)
        }
        return [each for each in found if not {each.place, each.trusted_place} & standing]

    def _places(self, session: str, since: int) -> set[tuple[int, int, str]]:
        with _told_to_the_person():
            return self._store.places(session, since)

    def _words(self, state: State) -> Iterator[Piece]:
        """What the person said, all of which stands in the prompt."""
        # From 1 on: part 0 is the step's result, whose words may be the person's as well.
        parts = Counter[int]()
        for number, (step, said) in enumerate(state.said):
            of = (origin.session for origin, words in state.origins if number < words)
            session = next(of, self._session)
            for text in pieces(said):
                parts[step] += 1
                yield Piece(text, "person", session, step, parts[step])

    def outcome(self, stopped: Stopped, state: State) -> list[Piece]:
        """How the run ended, where that says something of the work."""
        if stopped.status not in KEPT:
            return []
        texts = pieces(outcome_of(stopped, state))
        source = state.taint.label("outcome", state.step)
        return [
            Piece(text, source, self._session, state.step, part) for part, text in enumerate(texts)
        ]

    def keep(self, due: Sequence[Piece], vectors: Mapping[str, Sequence[float]]) -> None:
        """Store them with their vectors by text; one that is there already stays as it is."""
        for each in due:
            self._add(each, vectors.get(each.text))

    def _add(self, piece: Piece, vector: Sequence[float] | None) -> None:
        with _told_to_the_person():
            self._store.add(
                piece.text,
                source=piece.source,
                session=piece.session,
                step=piece.step,
                part=piece.part,
                time=time.time(),
                vector=vector,
                model=self.model if vector is not None else "",
            )

    def remember(self, text: str) -> None:
        """As a command: keep the model's own note."""
        for each in pieces(text):
            self._notes += 1
            piece = Piece(each, self._note_label, self._session, self._step, self._notes)
            self._add(piece, self.vectors.get(each))

    def keep_page(self, step: int, address: str, text: str) -> None:
        """Keep what a page of the web says, in pieces that name its address.

        Without vectors: a page has more text than all steps of a run, and words find it.
        """
        self._pages = self._pages if step == self._page_step else 0
        self._page_step = step
        origin = f"{address}\n"
        room = max(PIECE // 2, PIECE - len(origin))
        for each in pieces(text, room)[:_PAGE_PIECES]:
            self._pages += 1
            self._add(Piece(origin + each, "web", self._session, step, self._pages), None)

    def recall(self, query: str) -> Recollection:
        """As a command: the nearest memories but those that stand in the window."""
        hits = self._nearest(query, self.vectors.get(query), words_floor=ASKED_FLOOR)
        room = round(self._window * RESULT_SHARE)
        lines: list[str] = []
        source = "memory"
        for hit in hits:
            line = f"- {self._line(hit, PIECE)}"
            size = self._count(line)
            if size > room:
                continue  # a shorter one further down may still fit
            room -= size
            lines.append(line)
            source = "web" if is_web(hit.memory.source) else source
        return Recollection("\n".join(lines), source)

    def nearest(
        self, query: str, vector: Sequence[float] | None, state: State, spare: int
    ) -> list[Memo]:
        """Of the ten nearest memories those that aren't in the window yet and have room, `spare`
        tokens at most: what is only near makes nothing else leave."""
        in_window = [p.text for p in state.parts if p.kind == "memories"]
        free = state.window * WINDOW_SHARE - sum(map(self._count, in_window))
        # Steps of one run are much alike: the first few after a cut would take it all.
        room = min(free * STEP_SHARE / WINDOW_SHARE, spare / state.calibration)
        memos: list[Memo] = []
        for hit in self._nearest(query, vector, asked=False):
            if hit.memory.id in state.recalled:
                continue
            memo = self._memo(hit)
            if self._count(of_recalled(Recalled(0, (*memos, memo)), state.secret)) <= room:
                memos.append(memo)
        return memos

    def _memo(self, hit: "Hit") -> Memo:
        line = self._line(hit, _shown(hit.memory))
        dense = None if hit.dense is None else round(hit.dense, 4)
        score, words = round(hit.score, 4), round(hit.words, 4)
        return Memo(hit.memory.id, line, score, hit.memory.source, dense, words)

    def _nearest(
        self,
        query: str,
        vector: Sequence[float] | None,
        words_floor: float = WORDS_FLOOR,
        *,
        asked: bool = True,
    ) -> list["Hit"]:
        """`asked`: also what other agents of the session do, of which their reports tell."""
        most = NEAREST + len(self._heard) + self._inherited()
        most += _OF_OTHERS * (len(self._beneath) + ("/" in self._session))
        with _told_to_the_person():
            hits = self._store.nearest(
                query,
                vector=vector,
                model=self.model if vector is not None else "",
                k=most,
                hidden=(self._session, self._visible_from),
                words_floor=words_floor,
            )
        hits = [hit for hit in hits if not self._is_in_the_prompt(hit.memory)]
        return [hit for hit in hits if asked or not self._is_at_work(hit.memory)][:NEAREST]

    def _is_at_work(self, memory: "Memory") -> bool:
        """Whether it is a step of another agent of this session, of which its report tells; what
        one of them meant to be remembered isn't."""
        if memory.session == self._session or memory.source.startswith(_MEANT):
            return False
        if self._is_of(memory, f"{self._session}/"):
            return self._is_beneath(memory)
        return self._is_of(memory, f"{self._session.partition('/')[0]}/")

    def _is_of(self, memory: "Memory", beginning: str) -> bool:
        return f"{memory.session}/".startswith(beginning)

    def _is_beneath(self, memory: "Memory") -> bool:
        return any(self._is_of(memory, f"{each}/") for each in self._beneath)

    def _inherited(self) -> int:
        """How many rows of other sessions at most stand in the window of a branch."""
        since = self._visible_from
        return sum(len(self._places(origin.session, since)) for origin in self._origins)

    def _is_in_the_prompt(self, memory: "Memory") -> bool:
        """The person's words never leave it; of its own steps the store left out the rest. How
        a sub-agent ended stands in its report."""
        if memory.source.startswith("outcome") and self._is_beneath(memory):
            return True
        if memory.source == "person" and memory.part > 0:
            place = (memory.session, memory.step, memory.part, memory.source)
            return place in self._heard
        return self._is_inherited(memory) and memory.step >= self._visible_from

    def _is_inherited(self, memory: "Memory") -> bool:
        """Whether it is of a step that this branch has from another session."""
        of = (origin.session for origin in self._origins if memory.step <= origin.step)
        return memory.session == next(of, None)

    def _teller(self, session: str) -> str:
        """Who of this very session it was, if it was one of it."""
        mine, (root, _, agent) = self._session.partition("/")[0], session.partition("/")
        if root != mine:
            return ""
        return f"agent {agent}, " if agent else "the main agent, "

    def _line(self, hit: "Hit", most: int) -> str:
        """Whose words, when, and the text on one line."""
        memory = hit.memory
        day = datetime.fromtimestamp(memory.time, UTC).date()
        own = memory.session == self._session or self._is_inherited(memory)
        where = f"step {memory.step}" if own else f"{self._teller(memory.session)}{day}"
        text = " ".join(memory.text.split())
        return f"{where}, {memory.source}: {text[:most]}"


def _shown(memory: "Memory") -> int:
    """Characters: of a step what it was about, of what was meant to be remembered all."""
    is_step = memory.part == 0 and not memory.source.startswith("outcome")
    return _STEP_CHARACTERS if is_step else PIECE


@contextmanager
def _told_to_the_person() -> Iterator[None]:
    """A store that can't be used any more is no bug and nothing that the model could mend."""
    from memory_store import StoreError

    try:
        yield
    except StoreError as error:
        raise StateError(f"{error} Or go on without it: --memory none.") from error


def asked_ahead(command: str, args: Mapping[str, Any]) -> list[str]:
    """The texts whose vectors a memory command will have use for."""
    texts = [value for value in args.values() if isinstance(value, str)]
    match command:
        case "remember":
            return [piece for text in texts for piece in pieces(text)]
        case "recall":
            return texts
    return []


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
