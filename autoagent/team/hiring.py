"""Sub-agents put together from the parts of the agent that starts them, and carried out."""

import secrets
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path, PurePosixPath
from threading import Event as Flag
from typing import TYPE_CHECKING, Protocol

from autoagent import __version__
from autoagent.agent import Agent
from autoagent.building import Parts, built, carry_out
from autoagent.configuration.places import private_folder
from autoagent.events import Changed, Event, Limits, Noticed, Resumed, Spawned
from autoagent.journal import Entry, Journal, load
from autoagent.models.switching import fixed
from autoagent.relaying import Question, Relay
from autoagent.sessions.folders import JOURNAL
from autoagent.state import State
from autoagent.team.slots import Slots
from autoagent.team.team import Common
from autoagent.team.worker import Worker

if TYPE_CHECKING:
    from autoagent.team.place import Words


class Site(Protocol):
    """Where a session runs, as far as its sub-agents need to know. Safe in any thread."""

    @property
    def most(self) -> int:
        """Sub-agents that work at once."""
        ...

    def check(self, parts: Parts, role: str, folder: str, limits: Limits) -> str:
        """The folder's true name; CommandError when an agent of these parts can't give it,
        or the role."""
        ...

    def parts_of(self, parts: Parts, worker: Worker, stack: ExitStack) -> Parts:
        """What a sub-agent is made of, by the parts of its agent, until `stack` is closed."""
        ...

    def words(self, parts: Parts, spawned: Spawned, secret: str) -> "Words":
        """What the prompt of a sub-agent of these parts begins with."""
        ...


class Office:
    """Makes the agents of one session. `publish` takes what all of them put on disk or ask,
    `note` keeps what is learned of the session's model."""

    def __init__(
        self,
        site: Site,
        parts: Parts,
        publish: Callable[[Entry | Question], None],
        note: Callable[[Event], None],
    ) -> None:
        self.site = site
        self.parts = parts
        self.publish = publish
        self.note = note
        self.common = Common(Slots(site.most), Flag(), parts.cancel)

    def main(self, folder: Path, state: State, record: Callable[[Sequence[Event]], None]) -> Agent:
        """The session's own agent, with those of its sub-agents that an earlier run left."""
        person = Relay(self.publish) if self.parts.attended else None
        agent = built(self.parts, folder, state, record, self.common, person=person)
        try:
            agent.team.begin(Hiring(self, self.parts, state))
        except BaseException:
            agent.team.close()
            raise
        return agent


class Hiring:
    """Makes the sub-agents of one agent, of its parts and by its state."""

    def __init__(self, office: Office, parts: Parts, state: State) -> None:
        self._office = office
        self._parts = parts
        self._state = state

    def check(self, role: str, folder: str, limits: Limits) -> str:
        """The folder's true name, "" for all of the workspace; CommandError when there is no
        such role or folder, or it must not be."""
        return self._office.site.check(self._parts, role, folder, limits)

    def run(self, worker: Worker) -> None:
        """Carry one out to its end, or to its cancel, in its own thread."""
        office = self._office
        private_folder(worker.folder)
        with ExitStack() as stack:
            path = worker.folder / JOURNAL
            loaded = load(path) if path.exists() else None
            parts = office.site.parts_of(self._parts, worker, stack)
            journal = Journal(path, loaded, agent=worker.name)
            stack.callback(journal.close)

            def record(events: Sequence[Event]) -> None:
                for entry in journal.append(events):
                    if parts.model is fixed(office.parts.model):
                        office.note(entry.event)
                    office.publish(entry)

            self._begin(worker, parts, record)
            relay = Relay(office.publish, worker.name, worker.cancel)
            person = relay if parts.attended else None
            agent = built(
                *(parts, worker.folder, worker.state, record, office.common),
                person=person,
                purse=worker.purse,
                link=worker.link,
            )
            try:
                agent.team.begin(Hiring(office, parts, worker.state))
                carry_out(agent)
            finally:
                agent.team.close()
                worker.hash = journal.hash

    def _begin(
        self, worker: Worker, parts: Parts, record: Callable[[Sequence[Event]], None]
    ) -> None:
        """Its first events of this run, on disk and in its state."""
        state = worker.state
        first = self._resumed(worker, parts) if state.started else self._started(worker, parts)
        record(first)
        for event in first:
            state.apply(event)
        worker.purse.note()

    def _resumed(self, worker: Worker, parts: Parts) -> list[Event]:
        state = worker.state
        of = self._state if parts.model is self._parts.model else state
        price = parts.model.card.price
        return [Resumed(state.limits, of.model, of.window, price, version=__version__)]

    def _started(self, worker: Worker, parts: Parts) -> list[Event]:
        above, spawned = self._state, worker.spawned
        assert above.started is not None
        secret = secrets.token_hex(16)
        words = self._office.site.words(parts, spawned, secret)
        card = parts.model.card
        same = parts.model is fixed(self._parts.model)
        started = replace(
            above.started,
            session=f"{above.started.session.partition('/')[0]}/{worker.name}",
            version=__version__,
            goals=(spawned.task,),
            system=words.system,
            opening=words.opening,
            workspace=str(parts.workspace.root),
            model=above.model if same else card.name,
            window=above.window if same else min(card.window or above.window, above.window),
            limits=spawned.limits,
            price=card.price,
            verify=(),
            protect=(),
            answer_schema=None,
            secret=secret,
            sub_agent=worker.name,
            role=spawned.role,
        )
        inherited = above.taint.passed_on(_within(spawned.folder, above.taint.made))
        asked = [Changed(format=above.format)] if same and above.format != "text" else []
        said = [Noticed("place", parts.redactor.clean(line)) for line in words.notices]
        return [started, inherited, *asked, *said]


def _within(folder: str, paths: set[str]) -> list[str]:
    """Those of the paths that lie in a part of the workspace, as it calls them."""
    if not folder:
        return list(paths)
    found = (PurePosixPath(path) for path in paths)
    return [str(path.relative_to(folder)) for path in found if path.is_relative_to(folder)]
