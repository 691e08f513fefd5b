"""Sessions with sub-agents: journals written as a run writes them, agents at the same time.

A session of this kind: its own agent, `tests` and `docs` beneath it, and `links` beneath `docs`.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from autoagent.checkpoints.checkpoint import Checkpoints
from autoagent.checkpoints.objects import Objects
from autoagent.events import (
    Checkpointed,
    Event,
    Executed,
    Executing,
    Inherited,
    Limits,
    Replied,
    Reported,
    Spawned,
    Status,
    Stopped,
)
from autoagent.journal import Journal, load
from autoagent.model import Usage
from autoagent.sessions.tree import folder_of
from tests.past import started, step

SYSTEM = "You are an agent.\n\nappend_file(path)\nexecute_shell(command_line)\nfinish(answer)\n"
SHARE = Limits(steps=20, tokens=100_000, cost=1.0)


class Team:
    """A session's folder, in which each agent's events are appended as they come."""

    def __init__(self, home: Path, workspace: Path, session: str = "S") -> None:
        self.session = session
        self.workspace = workspace
        self.home = home
        self.folder = home / "sessions" / session
        self.add("", started(session, str(workspace), "Reach the goal."))

    def path(self, agent: str) -> Path:
        return folder_of(self.folder, agent) / "journal.jsonl"

    def add(self, agent: str, *events: Event) -> None:
        """On disk when it returns, at the time that it is."""
        path = self.path(agent)
        path.parent.mkdir(parents=True, exist_ok=True)
        loaded = load(path) if path.exists() else None
        with closing(Journal(path, loaded, agent=agent)) as journal:
            journal.append(events)

    def begin(
        self, agent: str, task: str, *, role: str = "", folder: str = "", at: int = 1
    ) -> None:
        """Its agent says so, in that step, then it begins."""
        parent, _, name = agent.rpartition("/")
        self.add(parent, spawned(name, task, role=role, folder=folder, at=at))
        first = started(f"{self.session}/{agent}", str(self.workspace / folder), task)
        first = replace(first, sub_agent=agent, role=role, system=SYSTEM)
        self.add(agent, first, Inherited(web=False))

    def end(self, agent: str, answer: str, report: Reported) -> None:
        """It stops, then its agent is told."""
        self.add(agent, Stopped(report.status, 0, answer, elapsed_s=3.0))
        self.add(agent.rpartition("/")[0], report)


def spawned(name: str, task: str, *, role: str = "", folder: str = "", at: int = 1) -> Spawned:
    return Spawned(at, name, task, role, folder, SHARE)


def reported(
    name: str,
    text: str = "",
    *,
    status: Status = "done",
    steps: int = 1,
    cost: float | None = 0.01,
    changed: tuple[str, ...] = (),
    hosts: tuple[str, ...] = (),
    refused: tuple[str, ...] = (),
    paused: bool = False,
) -> Reported:
    """A report of an agent whose steps are those of `tests.past.step`."""
    return Reported(
        step=1,
        name=name,
        status=status,
        text=text,
        whole=None,
        steps=steps,
        usage=Usage(100 * steps, 10 * steps, cost=cost),
        unpriced=int(cost is None),
        elapsed_s=3.0,
        changed=changed,
        hosts=hosts,
        refused=refused,
        web=False,
        addresses=(),
        made=(),
        journal_hash="",
        paused=paused,
    )


def worked(home: Path, workspace: Path) -> Team:
    """All of them did a step, in between one another, and ended; their agent last."""
    team = Team(home, workspace)
    team.add("", *step(1, text="root 1"))
    team.begin("tests", "Write the tests.", role="tester")
    team.begin("docs", "Write the docs.")
    team.add("docs", *step(1, text="docs 1"))
    team.begin("docs/links", "Look for dead links.")
    team.add("tests", *step(1, text="tests 1"))
    team.add("docs/links", *step(1, text="links 1"))
    team.end("docs/links", "None is dead.", reported("links", "None is dead."))
    team.add("", *step(2, text="root 2"))
    team.end("docs", "They are written.", reported("docs", "They are written.", steps=2, cost=0.02))
    team.end("tests", "All pass.", reported("tests", "All pass.", changed=("tests/a.py",)))
    team.add("", Stopped("done", 0, "The answer.", elapsed_s=7.0))
    return team


class Kept:
    """Checkpoints of the workspace around what agents of a team change in it, as a run takes
    them."""

    def __init__(self, team: Team, store: Path) -> None:
        self.team = team
        self._objects = Objects(store)
        self._checkpoints = Checkpoints(team.workspace, self._objects)

    def close(self) -> None:
        self._checkpoints.close()
        self._objects.close()

    def before(self, agent: str, number: int) -> None:
        """A command of that step of the agent begins, with the reply that has it."""
        reply = [event for event in step(number) if isinstance(event, Replied)]
        taken = self._checkpoints.take().number
        self.team.add(agent, *reply, Checkpointed(number, "before", taken), Executing(number))

    def after(self, agent: str, number: int) -> None:
        """It is over, and changed what stands there now."""
        result = [event for event in step(number) if isinstance(event, Executed)]
        taken = self._checkpoints.take().number
        self.team.add(agent, *result, Checkpointed(number, "after", taken))

    def change(self, agent: str, number: int, *names: str) -> None:
        """A whole step that writes these files."""
        self.before(agent, number)
        self.write(agent, *names)
        self.after(agent, number)

    def write(self, agent: str, *names: str) -> None:
        for name in names:
            (self.team.workspace / name).write_text(f"{agent}\n")


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def texts(events: Sequence[Event]) -> list[str]:
    """The texts of results, in order."""
    return [event.text for event in events if isinstance(event, Executed)]
