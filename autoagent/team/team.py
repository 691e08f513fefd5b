"""The sub-agents of one agent: started, spoken to, waited for, ended."""

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from threading import Event as Flag
from typing import Any, Protocol

from autoagent.calling import Caller
from autoagent.events import Dismissed, Event, Inherited, Limits, Messaged, Spawned, Told
from autoagent.history import RESULT_SHARE
from autoagent.inbox import Inbox
from autoagent.journal import load
from autoagent.model import Cancelled
from autoagent.running import ResultFiles
from autoagent.sessions.folders import JOURNAL
from autoagent.sessions.tree import AGENTS
from autoagent.state import State, fold
from autoagent.team.bell import Bell, watching
from autoagent.team.link import Link
from autoagent.team.reporting import report_of
from autoagent.team.roster import listed, member_of, new_name, spelled
from autoagent.team.slots import Slots
from autoagent.team.standing import Member
from autoagent.team.worker import END_S, Worker
from autoagent.tokens import Counter
from commands.cancel import Cancel
from commands.command import CommandError, Result

Leading = Generator[Sequence[Event], None, Result]


class Hirer(Protocol):
    """Makes sub-agents of the parts of the agent that starts them."""

    def check(self, role: str, folder: str, limits: Limits) -> str:
        """The folder's true name, "" for all of the workspace; CommandError when there is no
        such role or folder, or it must not be."""
        ...

    def run(self, worker: Worker) -> None:
        """Carry one out to its end, in the worker's thread."""
        ...


@dataclass(slots=True)
class Common:
    """What all agents of a session share."""

    slots: Slots
    web: Flag  # text of the web came to one of them
    cancel: Cancel  # of the session


class Team:
    """One agent's sub-agents, and its place among all. Its methods are called in the agent's
    own thread; what they do stands in its journal before it is done."""

    def __init__(
        self,
        common: Common,
        state: State,
        folder: Path,
        caller: Caller,
        cancel: Cancel,
        inbox: Inbox,
        results: ResultFiles,
        count: Counter,
        clean: Callable[[str], str],
        link: Link | None = None,
    ) -> None:
        self._common = common
        self._state = state
        self._folder = folder
        self._caller = caller
        self._cancel = cancel
        self._inbox = inbox
        self._results = results
        self._count = count
        self._clean = clean
        self._link = link
        self._hirer: Hirer | None = None
        self._workers: dict[str, Worker] = {}
        self._bell: Bell | None = None
        self._nudged = Flag()
        self._stack = ExitStack()

    # The life of the team.

    def begin(self, hirer: Hirer) -> None:
        """Let those go on whom an earlier run left; of those whose end it couldn't note any
        more the agent is told."""
        self._hirer = hirer
        team = self._state.team
        for name, member in team.members.items():
            if not member.ended and name not in team.left:
                self._workers[name] = self._taken_up(member)
        for worker in self._workers.values():
            if not worker.ended:
                self._start(worker)

    def _taken_up(self, member: Member) -> Worker:
        """A sub-agent as its journal left it; one that ended by itself isn't run again."""
        journal = self._folder / AGENTS / member.spawned.name / JOURNAL
        fault, journal_hash = "", ""
        state = State()
        if journal.exists():
            try:
                loaded = load(journal)
                state, journal_hash = fold([e.event for e in loaded.entries]), loaded.hash
                if state.taint.since is not None:
                    self._common.web.set()
            except Exception as error:
                fault = self._clean(str(error))
        worker = self._worker(member.spawned, state, member.messages)
        stopped = state.stopped
        ended = stopped is not None and stopped.status != "interrupted"
        if fault or ended or member.dismissed:
            worker.fault = fault
            worker.has_ended(journal_hash)
        return worker

    def _worker(self, spawned: Spawned, state: State, messages: Sequence[Messaged]) -> Worker:
        above = self._state.started.sub_agent if self._state.started else ""
        return Worker(
            spawned,
            f"{above}/{spawned.name}" if above else spawned.name,
            self._folder / AGENTS / spawned.name,
            state,
            self._caller.purse.beneath(spawned.name, state),
            Link(messages),
            self._common.slots,
            self._clean,
        )

    def _start(self, worker: Worker) -> None:
        assert self._hirer is not None
        if self._bell is None:
            self._bell = Bell()
            self._stack.callback(self._bell.close)
            self._stack.enter_context(self._cancel.calling(self._pass_on))
            if self._link is not None:
                self._link.ring = self._bell.ring
        worker.start(self._hirer.run, self._bell.ring)

    def _pass_on(self) -> None:
        """What ends this agent ends those beneath it; Ctrl-C may only be a word to it."""
        if self._bell is not None:
            self._bell.ring()
        if self._cancel.reason != "interrupt":
            for worker in list(self._workers.values()):
                worker.end()

    def end(self, *, pause: bool) -> list[Event]:
        """End all that work, and say what they came to. `pause`: they go on with this
        agent's next run."""
        for worker in self._workers.values():
            worker.end()
        return self._reports(list(self._workers.values()), pause=pause)

    def close(self) -> None:
        """Leave nothing running, whatever became of the run."""
        for worker in self._workers.values():
            worker.end()
        end_by = time.monotonic() + END_S
        for worker in self._workers.values():
            worker.join(end_by)
        self._stack.close()
        self._bell = None

    def nudge(self) -> None:
        """A person has words for this agent, which then waits no longer. From any thread."""
        self._nudged.set()
        if (bell := self._bell) is not None:
            bell.ring()

    # Before each call.

    def listens(self) -> None:
        """The agent takes what a person said up to now."""
        self._nudged.clear()

    def look(self) -> None:
        """After each event: others shall know that text of the web came in."""
        if self._state.taint.since is not None:
            self._common.web.set()

    def news(self) -> list[Event]:
        """What the agent must know before its next call: words of the one that started it,
        web text that others brought in, sub-agents that ended."""
        state = self._state
        events: list[Event] = []
        if self._common.web.is_set() and state.taint.since is None:
            events.append(Inherited(web=True))
        return [*events, *self.heard(), *self._reports(self._ended())]

    def heard(self) -> list[Told]:
        """Words of the agent that started this one that it didn't have yet."""
        if self._link is None:
            return []
        step = self._state.step
        new = self._link.after(self._state.team.heard)
        return [Told(step, each.number, each.text, each.web, each.addresses) for each in new]

    def leaves(self) -> bool:
        """Take no more words; False when there are some that weren't heard."""
        return self._link is None or self._link.close(self._state.team.heard)

    def _ended(self) -> list[Worker]:
        """Those that ended by themselves and weren't reported yet; none while this agent or the
        session is about to stop: who leaves at the question of one leaves all to be resumed."""
        if self._cancel.reason is not None or self._common.cancel.reason is not None:
            return []
        return [w for w in self._workers.values() if w.ended and w.cancel.reason != "parent"]

    def _reports(self, ended: Sequence[Worker], *, pause: bool = False) -> list[Event]:
        """Of these, which have ended or were told to; that is waited for."""
        events: list[Event] = []
        end_by = time.monotonic() + END_S
        for worker in ended:
            # One that is paused goes on where its journal ends, however late that is.
            if not worker.join(end_by) and not pause:
                worker.fault = "It was ended, but what it runs doesn't end."
            del self._workers[worker.spawned.name]
            paused = pause and not worker.fault and _was_cut(worker)
            reporting = (worker, self._state, self._results, self._count, len(ended))
            events.append(report_of(*reporting, pause=paused))
        return events

    # The agent's commands.

    def lead(self, step: int, command: str, args: Mapping[str, Any]) -> Leading:
        """Carry out one of the commands on sub-agents; CommandError for what can't be."""
        match command:
            case "start_agent":
                return (yield from self._started(step, **args))
            case "message_agent":
                return (yield from self._sent(step, **args))
            case "wait_for_agents":
                return (yield from self._awaited(step, args.get("names") or []))
            case "delete_agent":
                return (yield from self._deleted(step, **args))
        return _answer(*listed(self._state.team.members, self._workers))

    def interrupted(self, step: int, command: str) -> Result:
        """What became of a command during which the run was cut off: the journal knows."""
        members = self._state.team.members.items()
        match command:
            case "start_agent":
                done = [f"{name} works" for name, each in members if each.spawned.step == step]
            case "message_agent":
                done = [
                    f"{name} hears it before its next call"
                    for name, each in members
                    if any(said.step == step for said in each.messages)
                ]
            case "batch":
                begun = [name for name, each in members if each.spawned.step == step]
                done = [f"{', '.join(begun)} work; of the rest nothing was done"] if begun else []
            case _:
                return _answer("interrupted; nothing is lost, ask again", ok=False)
        return _answer(*(done or ["not done: the run was interrupted"]), ok=bool(done))

    def _started(
        self, step: int, name: str, task: str, role: str = "", folder: str = ""
    ) -> Leading:
        assert self._hirer is not None
        name = new_name(self._state.team.members, name)
        if not task.strip():
            raise CommandError("The task is empty; say all that the agent must know.")
        limits = self._caller.purse.share(self._caller.elapsed_s)
        if limits is None:
            raise CommandError("Too little is left of the limits to share; do it yourself.")
        folder = self._hirer.check(role, folder, limits)
        spawned = Spawned(step, name, self._clean(task), role, folder, limits)
        yield [spawned]
        waits = self._common.slots.busy
        worker = self._workers[name] = self._worker(spawned, State(), ())
        self._start(worker)
        begun = "waits: as many as may work already; it begins when one ends" if waits else "works"
        return _answer(f"{name} {begun}; at most {spelled(limits)}")

    def _sent(self, step: int, name: str, message: str) -> Leading:
        member = member_of(self._state.team.members, name)
        worker = self._workers.get(member.spawned.name)
        if worker is None or worker.ended:
            raise CommandError(
                f"Agent {member.spawned.name} has ended and hears nothing; start another one."
            )
        room = round((worker.state.window or self._state.window) * RESULT_SHARE)
        if self._count(message) > room:
            raise CommandError(
                f"That is more than an agent may be told at once ({room:,} tokens): write it to "
                "a file and name the file."
            )
        text, taint = self._clean(message), self._state.taint
        number = len(member.messages) + 1
        web = taint.since is not None
        said = Messaged(step, member.spawned.name, number, text, web, taint.standing_of(text))
        yield [said]
        if not worker.link.put(said):
            return _answer(f"{said.name} ended before it could hear that", ok=False)
        return _answer(f"{said.name} hears it before its next call")

    def _awaited(self, step: int, names: Sequence[str]) -> Leading:
        everyone = not names or (list(names) == ["all"] and "all" not in self._state.team.members)
        wanted = (
            []
            if everyone
            else [member_of(self._state.team.members, name).spawned.name for name in names]
        )
        waited = [each for name, each in self._workers.items() if everyone or name in wanted]
        if not waited:
            return _answer("none of them works any more" if wanted else "no agent works")
        borrowed = nullcontext() if self._link is None else self._common.slots.lent(self._cancel)
        with borrowed:
            self._wait_for(step, waited)
        yield self._reports(self._ended())
        ended = [each.spawned.name for each in waited if each.ended]
        rest = [each.spawned.name for each in waited if not each.ended]
        still = f"{'; ' if ended else ''}at work: {', '.join(rest)}" if rest else ""
        note = f"{', '.join(ended)} ended{still}" if ended else still
        return _answer(f"{note}; you were told something" if rest else note)

    def _wait_for(self, step: int, workers: Sequence[Worker]) -> None:
        """Until all have ended, or somebody says something to this agent, or has since the reply
        of that step, which it has not read yet."""
        assert self._bell is not None
        with watching(self._inbox.folder) as watch:
            while not all(worker.ended for worker in workers):
                if self._cancel.reason is not None:
                    raise Cancelled("cancelled")
                if any(after >= step for after, _ in self._state.said):
                    break
                if self._nudged.is_set() or self._inbox.names() or self.heard():
                    break
                self._bell.wait(watch)
        # Checked last: whoever leaves at a question sets it before that sub-agent ends.
        if self._cancel.reason is not None:
            raise Cancelled("cancelled")

    def _deleted(self, step: int, name: str) -> Leading:
        member = member_of(self._state.team.members, name)
        name = member.spawned.name
        yield [Dismissed(step, name)]
        worker = self._workers.get(name)
        if worker is None:
            return _answer(f"{name} is deleted; it had ended")
        had_ended = worker.ended
        worker.end()
        yield self._reports([worker])
        return _answer(f"{name} is deleted; it {'had' if had_ended else 'has'} ended")

    def dismissed(self, step: int) -> list[Event]:
        """Nobody goes on for the agent any more, which is about to end for good."""
        return [Dismissed(step, name) for name in self._workers]


def _answer(note: str, text: str = "", *, ok: bool = True) -> Result:
    return Result(text, note, ok, source="agents")


def _was_cut(worker: Worker) -> bool:
    """Whether it ended only because it was told to."""
    stopped = worker.state.stopped
    return stopped is None or stopped.status == "interrupted"
