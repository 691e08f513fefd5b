"""A run in its thread: events and questions come out, answers and a cancel go in."""

import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Self

from autoagent.agent import Agent
from autoagent.building import Parts, carry_out
from autoagent.errors import AutoAgentError
from autoagent.events import Event, Stopped
from autoagent.journal import Entry, Journal
from autoagent.relaying import Question
from autoagent.state import State
from autoagent.team.hiring import Office, Site


class InternalError(AutoAgentError):
    """A bug of ours; the traceback is in the file that the message names."""


class Session:
    """One run. As a context manager it leaves nothing running.

    Iterate over `items()` for entries of the journal and questions to a person, or over the
    session for events of its own agent alone, where questions are answered with "leave".
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
        site: Site,
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
        self._office = Office(site, parts, self._put, note)
        self._queue: SimpleQueue[Entry | Question | BaseException | None] = SimpleQueue()
        self._ended = False
        self._agent: Agent | None = None
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
            if isinstance(item, Question):
                item.reply(None)
            elif not item.agent:
                yield item.event

    def items(self) -> Iterator[Entry | Question]:
        """Entries as soon as they are on disk, and questions; ends with the run.

        An error of the state on disk, or a bug, is raised here.
        """
        while (item := self._queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
        self._ended = True

    def interject(self, question: Question) -> None:
        """Have something done by whoever takes the items, in its turn; from any thread."""
        self._queue.put(question)

    def nudge(self) -> None:
        """Somebody here has words: the session's own agent waits for no other one any longer."""
        if self._agent is not None:
            self._agent.team.nudge()

    def _drain(self) -> None:
        """Leave whatever is asked, so that the thread can end."""
        while (item := self._queue.get()) is not None:
            if isinstance(item, Question):
                item.reply(None)

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
        self._agent = agent = self._office.main(self.folder, self.state, self._record)
        try:
            carry_out(agent)
        finally:
            agent.team.close()

    def _put(self, item: Entry | Question) -> None:
        self._queue.put(item)

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
