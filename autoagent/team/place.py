"""Where the sub-agents of a session work: their part of the workspace, their cage, their words."""

import datetime
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from autoagent import prompt
from autoagent.building import Parts
from autoagent.caging import cage_like, make_way_out, network_of
from autoagent.events import Spawned
from autoagent.reaching import open_web
from autoagent.team.worker import Worker
from commands.command import Catalogue, CommandError
from commands.guard import shown
from commands.workspace import Workspace

if TYPE_CHECKING:
    from autoagent.assembling import Inputs


@dataclass(frozen=True, slots=True)
class Place:
    """The `Site` of a session that was put together from these inputs. `tools` is what the
    cage says of itself."""

    inputs: "Inputs"
    session: str
    tools: Callable[[], str]

    @property
    def most(self) -> int:
        """Sub-agents that work at once."""
        return self.inputs.settings.max_agents

    @property
    def depth(self) -> int:
        """How deep they may stand beneath each other."""
        return self.inputs.settings.agent_depth

    def check(self, parts: Parts, role: str, folder: str) -> str:
        """The folder's true name; CommandError when an agent of these parts can't give it,
        or the role."""
        if role:
            raise CommandError(f"There is no role {role!r:.60}.")
        kind, path = parts.workspace.kind(folder or ".")
        if kind != "folder":
            raise CommandError(f"{shown(path)} is no folder, so nobody can work in it.")
        return "" if path == "." else path

    def parts_of(self, parts: Parts, worker: Worker, stack: ExitStack) -> Parts:
        """What a sub-agent is made of, by the parts of its agent, until `stack` is closed."""
        settings, environ = self.inputs.settings, self.inputs.environ
        folder = worker.spawned.folder
        protected = _within(folder, settings.protect)
        workspace = Workspace(parts.workspace.root / folder, protected=protected)
        catalogue = self._catalogue(parts.catalogue, worker)
        way = make_way_out(settings, workspace.root, environ)
        if way is not None:
            stack.enter_context(way)
        cage = cage_like(parts.cage, settings, workspace, environ, way=way)
        stack.callback(cage.close)
        holds = parts.redactor.holds
        web, _ = open_web(settings, environ, worker.folder, holds, stack)
        memory = parts.memory.beside(f"{self.session}/{worker.name}") if parts.memory else None
        return replace(
            parts,
            workspace=workspace,
            catalogue=catalogue,
            cage=cage,
            way=way,
            web=web if parts.web is not None else None,
            memory=memory,
            cancel=worker.cancel,
            keeper=None,
        )

    def _catalogue(self, catalogue: Catalogue, worker: Worker) -> Catalogue:
        """Those of its agent's commands that it may have, too."""
        leads = worker.name.count("/") + 1 < self.depth
        return Catalogue(spec for spec in catalogue if leads or spec.effect != "lead")

    def texts(self, parts: Parts, spawned: Spawned, secret: str) -> tuple[str, str]:
        """System text and first message for a sub-agent of these parts."""
        system = prompt.system_text(
            parts.catalogue,
            interactive=parts.attended,
            network=network_of(parts.cage, parts.catalogue),
            sub_agent=True,
        )
        opening = prompt.opening_text(
            [spawned.task],
            parts.workspace.root,
            tools=self.tools(),
            today=datetime.datetime.now().astimezone().date(),
            secret=secret,
            protect=_within(spawned.folder, self.inputs.settings.protect),
        )
        return system, parts.redactor.clean(opening)


def _within(folder: str, paths: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the paths that lie in that part of the workspace, as it calls them."""
    if not folder:
        return paths
    found = (PurePosixPath(path) for path in paths)
    inside = [path.relative_to(folder) for path in found if path.is_relative_to(folder)]
    return tuple(map(str, inside))
