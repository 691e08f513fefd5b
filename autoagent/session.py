"""A run in its thread: events and questions come out, answers and a cancel go in."""

import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from threading import Thread, Timer
from types import TracebackType
from typing import TYPE_CHECKING, Self

from autoagent.agent import Agent
from autoagent.approval import Answer, Concern, Person
from autoagent.calling import Caller, Patience
from autoagent.configuration.secrets import Redactor
from autoagent.digesting import Digester
from autoagent.ending import Proof
from autoagent.errors import AutoAgentError
from autoagent.events import Event, Stopped
from autoagent.inbox import INBOX, Inbox
from autoagent.journal import Entry, Journal
from autoagent.longterm.memory import LongTerm
from autoagent.model import Model
from autoagent.reply import Reply
from autoagent.running import ResultFiles, Runner
from autoagent.state import State
from autoagent.tokens import Counter
from commands.cancel import Cancel
from commands.command import Catalogue
from commands.context import Cage, Context, Recollection
from commands.seen import Seen
from commands.workspace import Workspace

if TYPE_CHECKING:
    from autoagent.checkpoints.keeping import Keeper
    from autoagent.reaching import LiveWeb
    from commands.sandbox.wayout import WayOut

_VERIFY_TIMEOUT_S = 600.0


class InternalError(AutoAgentError):
    """A bug of ours; the traceback is in the file that the message names."""


@dataclass(frozen=True, slots=True)
class Question:
    """Something that only the person can answer, in the thread that talks to them."""

    put: Callable[[Person], object]
    answer: "Future[object]" = field(default_factory=Future)


@dataclass(frozen=True, slots=True)
class Parts:
    """What a session is put together from."""

    model: Model
    cage: Cage
    workspace: Workspace
    catalogue: Catalogue
    memory: LongTerm | None
    redactor: Redactor
    count: Counter
    command_timeout_s: float
    attended: bool
    patience: Patience
    cancel: Cancel
    keeper: "Keeper | None" = None
    way: "WayOut | None" = None
    fast: Model | None = None  # sums up what leaves the prompt
    web: "LiveWeb | None" = None


class Session:
    """One run. As a context manager it leaves nothing running.

    Iterate over `items()` for entries of the journal and questions to a person, or over the
    session for events alone, where questions are answered with "leave".
    """

    def __init__(
        self,
        folder: Path,
        journal: Journal,
        state: State,
        parts: Parts,
        first: Sequence[Event],
        note: Callable[[Event], None],
        stack: ExitStack,
        past: Sequence[Entry] = (),
    ) -> None:
        self.folder = folder
        self.journal = journal
        self.state = state
        self.cancel = parts.cancel
        self.past = past  # what stood in the journal before this run
        self._first = first
        self._note = note
        self._parts = parts
        self._stack = stack
        self._queue: SimpleQueue[Entry | Question | BaseException | None] = SimpleQueue()
        self._ended = False
        self._thread = Thread(target=self._work, name=f"session {folder.name}", daemon=True)

    @property
    def cage(self) -> str:
        """The kind of cage that commands run in."""
        return self._parts.cage.kind

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._ended:
            self.cancel.set("terminate")
            self._drain()
        self._thread.join()
        self._stack.close()

    def __iter__(self) -> Iterator[Event]:
        for item in self.items():
            if isinstance(item, Entry):
                yield item.event
            else:
                item.answer.set_result(None)

    def items(self) -> Iterator[Entry | Question]:
        """Entries as soon as they are on disk, and questions; ends with the run.

        An error of the state on disk, or a bug, is raised here.
        """
        while (item := self._queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
        self._ended = True

    def _drain(self) -> None:
        """Leave whatever is asked, so that the thread can end."""
        while (item := self._queue.get()) is not None:
            if isinstance(item, Question):
                item.answer.set_result(None)

    def _work(self) -> None:
        try:
            self._run()
        except AutoAgentError as error:
            error.go_on = error.go_on or f"autoagent --resume {self.folder.name}"
            self._queue.put(error)
        except Exception as error:
            self._queue.put(self._internal(error))
        finally:
            self._queue.put(None)

    def _run(self) -> None:
        self._record(self._first)
        for event in self._first:
            self.state.apply(event)
        agent = self._agent()
        with self._deadline(agent.caller):
            for _ in agent.run():
                pass

    def _record(self, events: Sequence[Event]) -> None:
        for entry in self.journal.append(events):
            self._note(entry.event)
            self._queue.put(entry)

    def _internal(self, error: Exception) -> InternalError:
        """Keep the traceback, say where it is, and end the journal in order if that can be."""
        log = self.folder / "error.log"
        clean = self._parts.redactor.clean
        text = clean(f"An internal error: {type(error).__name__}: {error}")
        resume = f"autoagent --resume {self.folder.name}"
        stopped = Stopped("error", 1, text, go_on=resume, elapsed_s=self.state.spent.elapsed_s)
        try:
            log.touch(0o600)
            log.write_text(clean("".join(traceback.format_exception(error))), "utf-8", "replace")
            self._record([stopped])
            self.state.apply(stopped)
        except (AutoAgentError, OSError):
            pass  # the disk may be the reason; the first error is the one to tell
        return InternalError(f"{text}. The traceback is in {log}.", go_on=resume)

    def _agent(self) -> Agent:
        parts, state = self._parts, self.state
        person = _Relay(self._queue, self.cancel) if parts.attended else None
        results = ResultFiles(self.folder / "results", state.taint.source_of)
        if parts.web is not None:
            parts.web.attend(state)
        context = Context(
            workspace=parts.workspace,
            cage=parts.cage,
            memories=parts.memory or _NoMemories(),
            results=results,
            catalogue=parts.catalogue,
            cancel=self.cancel,
            command_timeout_s=parts.command_timeout_s,
            ask=person.ask if person else None,
            seen=_seen(self.folder / "seen", state),
            web=parts.web,
        )
        timeout_s = max(parts.command_timeout_s, _VERIFY_TIMEOUT_S)
        return Agent(
            state=state,
            record=self._record,
            model=parts.model,
            caller=Caller(
                state,
                parts.model,
                self.cancel,
                parts.count,
                parts.patience,
                digester=(
                    Digester(parts.fast, parts.count, parts.redactor.clean) if parts.fast else None
                ),
            ),
            catalogue=parts.catalogue,
            runner=Runner(
                context,
                results,
                parts.count,
                parts.redactor.clean,
                parts.keeper,
                parts.way,
                parts.web,
                state.secret,
            ),
            memory=parts.memory,
            proof=Proof(state.verify, parts.cage, self.cancel, timeout_s, parts.redactor.clean),
            cancel=self.cancel,
            person=person,
            inbox=Inbox(self.folder / INBOX),
            holds_secret=parts.redactor.holds,
        )

    def _deadline(self, caller: Caller) -> "_Deadline":
        limit = self.state.limits.time_s
        return _Deadline(self.cancel, None if limit is None else limit - caller.elapsed_s)


def _seen(copies: Path, state: State) -> Seen:
    seen = Seen(copies)
    seen.restore(state.seen)
    return seen


class _Deadline:
    """Sets the cancel when the session's time is over."""

    def __init__(self, cancel: Cancel, seconds: float | None) -> None:
        self._timer = None if seconds is None else Timer(max(0, seconds), cancel.set, ["time"])

    def __enter__(self) -> None:
        if self._timer:
            self._timer.daemon = True
            self._timer.start()

    def __exit__(self, *_: object) -> None:
        if self._timer:
            self._timer.cancel()


class _NoMemories:
    """Where long-term memory was switched off."""

    def remember(self, text: str) -> None:
        from commands.command import CommandError

        raise CommandError("There is no long-term memory in this run; write a file instead.")

    def recall(self, query: str) -> Recollection:
        return Recollection()


class _Relay:
    """The person as the agent's thread sees them: each call becomes a question on the queue."""

    def __init__(
        self, queue: "SimpleQueue[Entry | Question | BaseException | None]", cancel: Cancel
    ) -> None:
        self._queue = queue
        self._cancel = cancel

    def decide(self, step: int, reply: Reply, scope: str, concerns: Sequence[Concern]) -> Answer:
        answer = self._asked(lambda person: person.decide(step, reply, scope, concerns))
        return answer if isinstance(answer, Answer) else Answer(None)

    def ask(self, question: str) -> str:
        answer = self._asked(lambda person: person.ask(question))
        return answer if isinstance(answer, str) else ""

    def heard(self) -> list[str]:
        answer = self._asked(lambda person: person.heard())
        return answer if isinstance(answer, list) else []

    def wants_room(self) -> bool:
        return self._asked(lambda person: person.wants_room()) is True

    def interrupted(self) -> str | None:
        answer = self._asked(lambda person: person.interrupted())
        return answer if isinstance(answer, str) else None

    def _asked(self, put: Callable[[Person], object]) -> object:
        """The answer of whoever takes the question; the front end answers each, at its end
        with None."""
        question = Question(put)
        self._queue.put(question)
        return question.answer.result()
