"""An agent put together from its parts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING

from autoagent.agent import Agent
from autoagent.approval import Person
from autoagent.calling import Caller, Patience
from autoagent.configuration.secrets import Redactor
from autoagent.digesting import Digester
from autoagent.ending import Proof
from autoagent.events import Event, Limited
from autoagent.glimpse import Glimpse, Glimpsed
from autoagent.inbox import INBOX, Inbox
from autoagent.longterm.memory import LongTerm
from autoagent.model import Model
from autoagent.remembering import Remembering
from autoagent.running import ResultFiles, Runner
from autoagent.state import State
from autoagent.team.link import Link
from autoagent.team.purse import Purse
from autoagent.team.team import Common, Team
from autoagent.tokens import Counter
from commands.cancel import Cancel
from commands.command import Catalogue, CommandError
from commands.context import Cage, Context, Recollection
from commands.seen import Seen
from commands.workspace import Workspace

if TYPE_CHECKING:
    from autoagent.checkpoints.keeping import Keeper
    from autoagent.reaching import LiveWeb
    from autoagent.team.ledger import Page
    from commands.sandbox.wayout import WayOut

_VERIFY_TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True)
class Parts:
    """What an agent is put together from."""

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
    page: "Page"
    keeper: "Keeper | None" = None
    way: "WayOut | None" = None
    fast: Model | None = None  # sums up what leaves the prompt
    web: "LiveWeb | None" = None
    read_only: bool = False  # its programs may change no file
    glimpsed: Glimpsed | None = None  # the session's own agent's only


def built(
    parts: Parts,
    folder: Path,
    state: State,
    record: Callable[[Sequence[Event]], None],
    common: Common,
    *,
    person: Person | None = None,
    purse: Purse | None = None,
    link: Link | None = None,
) -> Agent:
    """The agent of that folder and state. `purse` and `link` are those of a sub-agent."""
    clean = parts.redactor.clean
    results = ResultFiles(folder / "results", state.taint.source_of)
    if parts.web is not None:
        parts.web.attend(state)
    hear = _heard(parts.glimpsed, state)
    context = Context(
        workspace=parts.workspace,
        cage=parts.cage,
        memories=parts.memory or _NoMemories(),
        results=results,
        catalogue=parts.catalogue,
        cancel=parts.cancel,
        command_timeout_s=parts.command_timeout_s,
        ask=person.ask if person else None,
        seen=_seen(folder / "seen", state, parts.page),
        web=parts.web,
        hear=hear,
    )
    digester = Digester(parts.fast, parts.count, clean) if parts.fast else None
    caller = Caller(
        state,
        parts.model,
        parts.cancel,
        parts.count,
        parts.patience,
        digester=digester,
        purse=purse,
        glimpsed=parts.glimpsed,
    )
    keeping = (parts.keeper, parts.page, parts.way, parts.web, state.secret)
    runner = Runner(context, results, parts.count, clean, *keeping)
    inbox = Inbox(folder / INBOX)
    remembering = None
    if parts.memory is not None:
        memory = (parts.memory, parts.model, caller, runner, parts.cancel)
        remembering = Remembering(state, *memory)
    timeout_s = max(parts.command_timeout_s, _VERIFY_TIMEOUT_S)
    own = (common, state, folder, caller, parts.cancel, inbox, results, parts.count, clean)
    return Agent(
        state=state,
        record=record,
        caller=caller,
        catalogue=parts.catalogue,
        runner=runner,
        remembering=remembering,
        proof=Proof(state.verify, parts.cage, parts.cancel, timeout_s, clean, hear),
        cancel=parts.cancel,
        person=person,
        inbox=inbox,
        holds_secret=parts.redactor.holds,
        team=Team(*own, link),
    )


def _heard(glimpsed: Glimpsed | None, state: State) -> Callable[[str], None] | None:
    """What takes the output of the step that runs; None where nobody looks."""
    if glimpsed is None:
        return None
    return lambda text: glimpsed(Glimpse("output", state.step, text))


def _seen(copies: Path, state: State, page: "Page") -> Seen:
    seen = Seen(copies, page.whose)
    seen.restore(state.seen)
    return seen


def carry_out(agent: Agent) -> None:
    """Let it work until it stops; its cancel is set when its time is over."""
    timer = _deadline(agent)
    try:
        for event in agent.run():
            if isinstance(event, Limited):
                timer.cancel()
                timer = _deadline(agent)
    finally:
        timer.cancel()


def _deadline(agent: Agent) -> Timer:
    """What ends the agent at its time limit, if it has one; begun already."""
    limit_s = agent.state.limits.time_s
    left_s = 0.0 if limit_s is None else max(0.0, limit_s - agent.caller.elapsed_s)
    timer = Timer(left_s, agent.cancel.set, ["time"])
    timer.daemon = True
    if limit_s is not None:
        timer.start()
    return timer


class _NoMemories:
    """Where long-term memory was switched off."""

    def remember(self, text: str) -> None:
        raise CommandError("There is no long-term memory in this run; write a file instead.")

    def recall(self, query: str) -> Recollection:
        return Recollection()
