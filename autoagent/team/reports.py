"""What sub-agents came to, for people and programs; and what their journals tell of those that
could not report."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from autoagent.state import State
from autoagent.team.events import Reported
from autoagent.team.standing import Member


@dataclass(frozen=True, slots=True)
class Row:
    """One sub-agent. `status` is that of its end, or paused, dismissed; while its agent's run
    lasts working or waiting (for its turn). Steps and cost are with those beneath it."""

    name: str
    role: str
    status: str
    steps: int
    cost_usd: float | None  # None: unknown
    task: str


def rows(state: State, begun: Collection[str] = (), *, alive: bool = False) -> list[Row]:
    """The sub-agents of an agent, in the order of their beginning.

    `alive`: the run of that agent goes on, its state is `reckoned`, and these have begun.
    """
    return [
        _row(member, alive=alive, begun=name in begun)
        for name, member in state.team.members.items()
    ]


def _row(member: Member, *, alive: bool, begun: bool) -> Row:
    spawned, report = member.spawned, member.reported
    status = _status(member, alive=alive, begun=begun)
    cost = report.usage.cost or 0.0 if report else 0.0
    known = None if report and report.unpriced else round(cost, 6)
    steps = report.steps if report else 0
    return Row(spawned.name, spawned.role, status, steps, known, spawned.task)


def _status(member: Member, *, alive: bool, begun: bool) -> str:
    if member.reported is not None and not member.reported.paused:
        return member.reported.status
    if member.dismissed:
        return "dismissed"
    if not alive:
        return "paused"
    return "working" if begun else "waiting"


def files_changed(state: State) -> list[str]:
    """Paths that commands said they changed, in the order of the first change, then those of
    sub-agents; without those that were taken back."""
    return [path for path in _touched(state) if path not in state.undone]


def files_undone(state: State) -> list[str]:
    """Those of them that an undo left as they were before."""
    return [path for path in _touched(state) if path in state.undone]


def _touched(state: State) -> list[str]:
    own = [path for past in state.past for path in past.changed]
    reported = [path for report in state.team.reports for path in report.changed]
    return list(dict.fromkeys([*own, *reported]))


def within(folder: str, paths: Iterable[str]) -> tuple[str, ...]:
    """Paths of a part of the workspace, as the whole calls them."""
    return tuple(f"{folder}/{path}" if folder else path for path in paths)


def hosts(state: State) -> list[str]:
    """That were reached, by sub-agents too."""
    reported = [host for report in state.team.reports for host in report.hosts]
    return list(dict.fromkeys([*state.hosts, *reported]))


def refused(state: State) -> list[str]:
    """Commands that were forbidden, those of sub-agents too."""
    return [*state.refused, *(each for report in state.team.reports for each in report.refused)]


def reckoned(state: State, states: Mapping[str, State], *, running: bool, agent: str = "") -> State:
    """The state with a pause in the place of each report that is missing, or older than what is
    known, by the `states` of all sub-agents.

    A call whose end isn't known stays paid, unless the session is `running`.
    """
    if not state.team.members:
        return state
    whole = replace(state, team=replace(state.team, members=dict(state.team.members)))
    for name, member in state.team.members.items():
        path = f"{agent}/{name}" if agent else name
        child = states.get(path)
        is_final = member.reported is not None and not member.reported.paused
        if child is not None and child.started is not None and not is_final:
            child = reckoned(child, states, running=running, agent=path)
            whole.team.apply(_paused(member, child, running=running))
    return whole


def _paused(member: Member, state: State, *, running: bool) -> Reported:
    spent = state.team.with_members(state.spent if running else state.committed)
    folder = member.spawned.folder
    return Reported(
        step=member.spawned.step,
        name=member.spawned.name,
        status=state.stopped.status if state.stopped else "interrupted",
        text="",
        whole=None,
        steps=state.steps,
        usage=spent.usage,
        unpriced=spent.unpriced,
        elapsed_s=spent.elapsed_s,
        changed=within(folder, files_changed(state)),
        hosts=tuple(hosts(state)),
        refused=tuple(refused(state)),
        web=False,
        addresses=(),
        made=(),
        journal_hash="",
        paused=True,
    )
