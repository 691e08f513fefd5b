"""Where the sub-agents of a session work: their part of the workspace, their cage, their words."""

import datetime
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from threading import Lock
from typing import TYPE_CHECKING

from autoagent import prompt
from autoagent.building import Parts
from autoagent.caging import cage_like, make_way_out, network_of
from autoagent.errors import ConfigError
from autoagent.events import Limits, Spawned
from autoagent.model import Model
from autoagent.models.switching import fixed
from autoagent.reaching import LiveWeb, open_web
from autoagent.team.acting import role_told
from autoagent.team.role_file import Role
from autoagent.team.roles import found_roles, restricted, role_named, unknown_tools, writes
from autoagent.team.worker import Worker
from commands import agents
from commands.command import Catalogue, CommandError
from commands.guard import shown

if TYPE_CHECKING:
    from autoagent.assembling import Inputs


@dataclass(frozen=True, slots=True)
class Words:
    """What a sub-agent's prompt begins with, and lines about its role for the person."""

    system: str
    opening: str
    notices: tuple[str, ...]


class Place:
    """The `Site` of a session that was put together from these inputs.

    `tools` is what the cage says of itself; `model_of` makes the client of another model for
    the sub-agent of that name, CommandError when it can't be paid within the limits.
    """

    def __init__(
        self,
        inputs: "Inputs",
        session: str,
        tools: Callable[[], str],
        model_of: Callable[[str, str, Limits], AbstractContextManager[Model]],
    ) -> None:
        self._inputs = inputs
        self._session = session
        self._tools = tools
        self._model_of = model_of
        self._lock = Lock()
        self._roles: tuple[dict[str, Role], list[str]] | None = None

    @property
    def most(self) -> int:
        """Sub-agents that work at once."""
        return self._inputs.settings.max_agents

    def _role(self, name: str) -> Role | None:
        """The role of that name, None for ""; CommandError names what there is."""
        if not name:
            return None
        with self._lock:
            self._roles = self._roles or found_roles(self._inputs.settings)
        try:
            return role_named(name, *self._roles)
        except ConfigError as error:
            raise CommandError(str(error)) from None

    def check(self, parts: Parts, role: str, folder: str, limits: Limits) -> str:
        """The folder's true name; CommandError when an agent of these parts, under these
        limits, can't give it, or the role."""
        found = self._role(role)
        if found is not None and found.model and found.model != parts.model.card.name:
            with self._model_of(found.model, "", limits):
                pass  # it can be had
        kind, path = parts.workspace.kind(folder or ".")
        if kind != "folder":
            raise CommandError(f"{shown(path)} is no folder, so nobody can work in it.")
        return "" if path == "." else path

    def parts_of(self, parts: Parts, worker: Worker, stack: ExitStack) -> Parts:
        """What a sub-agent is made of, by the parts of its agent, until `stack` is closed."""
        settings, environ = self._inputs.settings, self._inputs.environ
        folder, started = worker.spawned.folder, worker.state.started
        # One that goes on keeps what it was told; its role's file may be another by now.
        role = role_told(started) if started else self._role(worker.spawned.role)
        catalogue = self._catalogue(parts.catalogue, worker, role)
        workspace = parts.workspace.part(folder)
        way = make_way_out(settings, workspace.root, environ)
        if way is not None:
            stack.enter_context(way)
        read_only = not writes(catalogue) or workspace.is_protected
        cage = cage_like(parts.cage, settings, workspace, environ, way=way, read_only=read_only)
        stack.callback(cage.close)
        page = parts.page.ledger.page(
            worker.name, workspace.root, lambda: cage.lasting.running, writes=not read_only
        )
        return replace(
            parts,
            model=self._model(parts, worker, role, stack),
            workspace=workspace,
            catalogue=catalogue,
            cage=cage,
            way=way,
            web=self._web(parts, worker, stack),
            memory=parts.memory and parts.memory.beside(f"{self._session}/{worker.name}"),
            cancel=worker.cancel,
            read_only=read_only,
            glimpsed=None,
            page=page,
            keeper=parts.keeper.beside(page, worker.cancel) if parts.keeper else None,
        )

    def _catalogue(self, catalogue: Catalogue, worker: Worker, role: Role | None) -> Catalogue:
        """Those of its agent's commands that it may have, too."""
        if worker.name.count("/") + 1 >= self._inputs.settings.agent_depth:
            catalogue = catalogue.only(lambda spec: spec.effect != "lead")
        if role is not None:
            catalogue = restricted(catalogue, role)
        leads = any(spec.name == "start_agent" for spec in catalogue)
        return catalogue if leads else catalogue.told(agents.alone)

    def _model(self, parts: Parts, worker: Worker, role: Role | None, stack: ExitStack) -> Model:
        """Its agent's own, or that of its role, as it was when it began."""
        name = role and role.model
        if worker.state.started and self._has_own_model(worker.spawned.role):
            name = worker.state.model
        if not name or name == parts.model.card.name:
            return fixed(parts.model)
        session = f"{self._session}/{worker.name}"
        return stack.enter_context(self._model_of(name, session, worker.spawned.limits))

    def _has_own_model(self, role: str) -> bool:
        """Whether one that began in that role may have another model than its agent."""
        try:
            found = self._role(role)
        except CommandError:
            return True  # nobody knows any more
        return found is not None and found.model is not None

    def _web(self, parts: Parts, worker: Worker, stack: ExitStack) -> LiveWeb | None:
        if parts.web is None:
            return None
        settings, holds = self._inputs.settings, parts.redactor.holds
        return open_web(settings, self._inputs.environ, worker.folder, holds, stack)[0]

    def words(self, parts: Parts, spawned: Spawned, secret: str) -> Words:
        """What the prompt of a sub-agent of these parts begins with."""
        role = self._role(spawned.role)
        system = prompt.system_text(
            parts.catalogue,
            interactive=parts.attended,
            network=network_of(parts.cage, parts.catalogue),
            sub_agent=True,
            read_only=parts.read_only,
        )
        opening = prompt.opening_text(
            [spawned.task],
            parts.workspace.root,
            tools=self._tools(),
            today=datetime.datetime.now().astimezone().date(),
            secret=secret,
            protect=self._protected(parts),
            persona=role.prompt if role else "",
        )
        said = (*role.warnings, *unknown_tools(role, parts.catalogue)) if role else ()
        return Words(system, parts.redactor.clean(opening), said)

    def _protected(self, parts: Parts) -> tuple[str, ...]:
        """What the user protects in the workspace of these parts, as it is called there."""
        whole, root = parts.page.ledger.root, parts.workspace.root
        if parts.workspace.is_protected:
            return (".",)
        found = (whole / path for path in self._inputs.settings.protect)
        return tuple(str(p.relative_to(root)) for p in found if p.is_relative_to(root))
