"""Runs on real files: the agent's own loop with a model that says what a test wrote down."""

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from threading import Event as Flag
from typing import Any

from autoagent.agent import Agent
from autoagent.approval import Person
from autoagent.building import Parts, built, carry_out
from autoagent.calling import Patience
from autoagent.checkpoints.keeping import open_keeper
from autoagent.configuration.secrets import Redactor
from autoagent.events import Event, Limits, Resumed, Started
from autoagent.glimpse import Glimpsed
from autoagent.inbox import INBOX, Inbox
from autoagent.journal import Disk, Journal, load
from autoagent.longterm.memory import LongTerm
from autoagent.model import (
    Completion,
    Embedded,
    Format,
    Message,
    Model,
    ModelCard,
    ModelFault,
    Price,
    Rejected,
    Usage,
)
from autoagent.reaching import LiveWeb
from autoagent.scripted import Scripted
from autoagent.state import fold
from autoagent.team.ledger import Ledger
from autoagent.team.slots import Slots
from autoagent.team.team import Common
from autoagent.tokens import estimate
from commands.builtin import catalogue
from commands.cancel import Cancel
from commands.context import Memories, Recollection
from commands.sandbox.bounds import Bounds
from commands.sandbox.none import NoCage
from commands.workspace import Workspace
from memory_store import open_store

PATH = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
AMPLE = Limits(steps=1000, tokens=100_000_000)
SYSTEM = "You are an agent. Reply with one JSON object."
OPENING = "Goals\n1. Reach the goal."
AT_ONCE = Patience(total_s=60.0, pauses_s=(0.0,), quick_pauses_s=(0.0, 0.0, 0.0))


def says(name: str, /, thoughts: str = "", **args: Any) -> str:
    """A reply with that command, as a model writes it."""
    command = {"name": name, "args": args}
    return json.dumps({"thoughts": thoughts, "reasoning": "", "command": command})


DONE = says("finish", answer="ok")


class Mind:
    """A model for what `Scripted` can't play: faults, usages, prices, embeddings.

    Answers come in order; a text is answered with our own count as its usage. `vector_of`
    makes the embedding of a text.
    """

    def __init__(
        self,
        answers: Iterable[str | Completion | ModelFault],
        *,
        card: ModelCard | None = None,
        vector_of: Callable[[str], tuple[float, ...]] | None = None,
    ) -> None:
        self._answers = iter(answers)
        self._vector_of = vector_of
        self.card = card or ModelCard("mind", window=32_000)
        self.prompts: list[tuple[Message, ...]] = []
        self.formats: list[Format] = []
        self.caps: list[int] = []
        self.is_heard: list[bool] = []
        self.embedded: list[str] = []

    @property
    def embeds(self) -> bool:
        return self._vector_of is not None

    def complete(
        self,
        messages: Sequence[Message],
        *,
        cap: int,
        cancel: Cancel,
        format: Format = "text",
        hear: Callable[[str], None] | None = None,
    ) -> Completion:
        self.prompts.append(tuple(messages))
        self.formats.append(format)
        self.caps.append(cap)
        self.is_heard.append(hear is not None)
        answer = next(self._answers, Rejected("The script has no more answers."))
        if isinstance(answer, ModelFault):
            raise answer
        if hear is not None:
            hear(answer.text if isinstance(answer, Completion) else answer)
        if isinstance(answer, Completion):
            return answer
        prompt = sum(estimate(message.content) for message in messages)
        return Completion(answer, "stop", Usage(prompt, estimate(answer)), "mind")

    def embed(self, texts: Sequence[str], *, cancel: Cancel) -> Embedded | None:
        if self._vector_of is None:
            return None
        self.embedded += texts
        vectors = tuple(self._vector_of(text) for text in texts)
        return Embedded(vectors, Usage(sum(map(estimate, texts)), 0), "bag")


PRICE = Price(prompt=2.0, cached=0.5, completion=10.0)  # US dollars per million tokens


def bag_of_words(text: str) -> tuple[float, ...]:
    """An embedding without a server: how often each word's bucket of 64 occurs."""
    counts = [0.0] * 64
    for word in re.findall(r"\w+", text.lower()):
        counts[sum(map(ord, word)) % 64] += 1.0
    return tuple(counts)


class Run:
    """A session's run. Where its journal has a beginning already, the run resumes it.

    Iterate over it for its events. `state` is the live one, `loaded()` what is on disk.
    """

    def __init__(
        self,
        folder: Path,
        *answers: str,
        model: Model | None = None,
        session: str = "one",
        goals: Sequence[str] = ("Reach the goal.",),
        limits: Limits = AMPLE,
        window: int = 32_000,
        opening: str = OPENING,
        verify: Sequence[str] = (),
        more_goals: Sequence[str] = (),
        memory: bool = False,
        person: Person | None = None,
        disk: Disk | None = None,
        patience: Patience = AT_ONCE,
        secrets: Mapping[str, str] | None = None,
        fast: Model | None = None,
        web: LiveWeb | None = None,
        glimpsed: Glimpsed | None = None,
    ) -> None:
        self.workspace = folder / "workspace"
        self.folder = folder / session
        self.path = self.folder / "journal.jsonl"
        self.store = folder / "checkpoints"
        self.inbox = Inbox(self.folder / INBOX)
        self.cancel = Cancel()
        self.model = model or Scripted(answers, window=window)
        for each in (self.workspace, self.folder):
            each.mkdir(parents=True, exist_ok=True)
        self._stack = ExitStack()
        loaded = load(self.path) if self.path.exists() else None
        self._journal = Journal(self.path, loaded, disk)
        self.state = fold([entry.event for entry in loaded.entries] if loaded else [])
        if self.state.started:
            self._first: Event = Resumed(
                limits=limits,
                model=self.model.card.name,
                window=window,
                price=self.model.card.price,
                verify=tuple(verify),
                goals=tuple(more_goals),
            )
        else:
            self._first = Started(
                session=session,
                version="0",
                goals=tuple(goals),
                system=SYSTEM,
                opening=opening,
                workspace=str(self.workspace),
                model=self.model.card.name,
                base_url="",
                window=window,
                limits=limits,
                interactive=person is not None,
                price=self.model.card.price,
                cage="none",
                memory="m" if memory else "none",
                verify=tuple(verify),
                secret="5ec4e7",
            )
        self._stack.callback(self._journal.close)
        self.memory: LongTerm | None = None
        if memory:
            store = self._stack.enter_context(open_store(folder / "memory.sqlite"))
            self.memory = LongTerm(store, session, estimate)
        self._person = person
        self._patience = patience
        self._fast = fast
        self._web = web
        self._glimpsed = glimpsed
        self._redactor = Redactor(secrets or {})

    def __iter__(self) -> Iterator[Event]:
        """The events of this run, each as soon as it is on disk; ends with Stopped."""
        with self._stack:
            self._journal.append([self._first])
            self.state.apply(self._first)
            yield self._first
            yield from self._agent().run()

    def carried_out(self) -> None:
        """Run it to its end as a session does, which heeds its time limit."""
        with self._stack:
            self._journal.append([self._first])
            self.state.apply(self._first)
            carry_out(self._agent())

    def loaded(self) -> list[Event]:
        return [entry.event for entry in load(self.path).entries]

    def _record(self, events: Sequence[Event]) -> None:
        self._journal.append(events)

    def _agent(self) -> Agent:
        workspace = Workspace(self.workspace)
        bounds = Bounds(
            workspace.root,
            protected=workspace.protected_paths,
            quarantine=self.folder / "quarantine",
        )
        cage = NoCage(bounds, {"PATH": PATH, "HOME": str(self.folder)})
        self._stack.callback(cage.close)
        page = Ledger(workspace.root).page("", workspace.root, lambda: cage.lasting.running)
        self.keeper = open_keeper(self.store, workspace.root, self.cancel, page=page)
        self._stack.callback(self.keeper.close)
        parts = Parts(
            model=self.model,
            cage=cage,
            workspace=workspace,
            catalogue=catalogue(interactive=self._person is not None, leads=False),
            memory=self.memory,
            redactor=self._redactor,
            count=estimate,
            command_timeout_s=20.0,
            attended=self._person is not None,
            patience=self._patience,
            cancel=self.cancel,
            page=page,
            keeper=self.keeper,
            fast=self._fast,
            web=self._web,
            glimpsed=self._glimpsed,
        )
        common = Common(Slots(1), Flag(), self.cancel)
        return built(parts, self.folder, self.state, self._record, common, person=self._person)


class Forgetful:
    """Long-term memory that was switched off."""

    def remember(self, text: str) -> None:
        raise AssertionError(text)

    def recall(self, query: str) -> Recollection:
        return Recollection()


_: Memories = Forgetful()


def prompt_text(messages: Sequence[Message]) -> str:
    """A prompt as one text: what a server would render of it, in the same order."""
    return "".join(f"<{message.role}>{message.content}" for message in messages)
