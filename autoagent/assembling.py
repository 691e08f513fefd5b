"""What a session is put together from, by its settings."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from autoagent import sessions
from autoagent.answer_schema import Schema
from autoagent.building import Parts
from autoagent.caging import make_cage, make_way_out
from autoagent.calling import Patience
from autoagent.configuration.places import private_folder
from autoagent.configuration.secrets import Redactor
from autoagent.configuration.settings import Settings
from autoagent.errors import ConfigError, StateError
from autoagent.glimpse import Glimpsed
from autoagent.longterm.memory import LongTerm
from autoagent.model import Model
from autoagent.models.choosing import Chosen
from autoagent.models.learned import Learned
from autoagent.models.making import make_fast_model
from autoagent.owning import described, own_commands
from autoagent.reaching import open_web
from autoagent.team.ledger import Ledger
from autoagent.team.role_names import role_names
from autoagent.tokens import Counter
from commands import agents
from commands.builtin import catalogue
from commands.cancel import Cancel
from commands.command import Catalogue, CommandError, CommandSpec
from commands.workspace import Workspace

if TYPE_CHECKING:
    from autoagent.team.role_file import Role

_PATIENCE = 2  # times the longest silence: how long a faulty server is borne with


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a run is started with besides its settings."""

    settings: Settings
    environ: Mapping[str, str]
    attended: bool
    context: str = ""  # standard input
    answer_schema: Schema | None = None
    given: tuple[CommandSpec, ...] = ()  # commands of the calling program
    cancel: Cancel = field(default_factory=Cancel)
    role: "Role | None" = None
    glimpsed: Glimpsed | None = None


def assembled(
    inputs: Inputs,
    session: str,
    model: Model,
    count: Counter,
    asks_user: bool,
    lock: sessions.Lock,
    stack: ExitStack,
) -> tuple[Parts, list[str]]:
    """What a session is made of, and what a person should know of it."""
    from autoagent.checkpoints.copying import copied
    from autoagent.checkpoints.keeping import opened_or_said
    from commands.sandbox.choose import describe

    settings = inputs.settings
    poor = _poor_disk(settings, lock.lacks)
    root, tree = settings.workspace, ""
    store = settings.places.checkpoints(root)
    if settings.dry_run:
        root, tree = settings.places.copy(session, root), session
        copied(settings.workspace, store, root)
    workspace = Workspace(root, protected=settings.protect)
    way = make_way_out(settings, workspace.root, inputs.environ)
    if way:
        stack.enter_context(way)
    read_only = _only_reads(inputs.role) or workspace.is_protected
    cage = make_cage(
        *(settings, workspace, inputs.environ),
        attended=inputs.attended,
        way=way,
        read_only=read_only,
    )
    stack.callback(cage.close)
    notices = [*poor, describe(cage, protect=bool(settings.protect))]
    notices += way.notices if way else ()
    redactor = Redactor(settings.secrets)
    own = own_commands(
        settings, inputs.environ, root, cage.kind, inputs.cancel, stack, inputs.given
    )
    notices += map(redactor.clean, described(own))
    folder = settings.places.sessions / session
    web, said = open_web(settings, inputs.environ, folder, redactor.holds, stack)
    notices += [line for line in said if line not in notices]
    memory = None
    if settings.memory is not None and not poor:
        memory, said = _memory(settings, session, count, stack)
        notices += said
    remembers = memory is not None
    try:
        commands = catalogue(
            interactive=asks_user, remembers=remembers, disabled=settings.disable, own=own.specs
        )
    except CommandError as error:
        raise ConfigError(f"--disable: {error}") from error
    if any(spec.effect == "lead" for spec in commands):
        roles, said = role_names(settings)
        notices += [line for line in said if line not in settings.notices]
        commands = Catalogue(agents.leading(commands, roles))
    if inputs.role is not None:
        from autoagent.team.roles import restricted, unknown_tools

        notices += unknown_tools(inputs.role, commands)
        commands = restricted(commands, inputs.role)
    if not any(spec.effect == "lead" for spec in commands):
        commands = commands.told(agents.alone)
    keeper = None
    page = Ledger(root).page("", root, lambda: cage.lasting.running)
    if not poor:
        keeper, said = opened_or_said(store, root, inputs.cancel, tree=tree, page=page)
        notices += said
    if keeper is not None:
        stack.callback(keeper.close)
    parts = Parts(
        model=model,
        cage=cage,
        workspace=workspace,
        catalogue=commands,
        memory=memory,
        redactor=redactor,
        count=count,
        command_timeout_s=settings.command_timeout_s,
        attended=inputs.attended,
        patience=Patience(total_s=_PATIENCE * settings.model_timeout_s),
        cancel=inputs.cancel,
        page=page,
        keeper=keeper,
        way=way,
        web=web,
        read_only=read_only,
        glimpsed=inputs.glimpsed,
    )
    return parts, notices


def _only_reads(role: "Role | None") -> bool:
    """Whether an agent of that role may change no file: then its programs can't, either."""
    if role is None:
        return False
    from autoagent.team.roles import restricted, writes

    return not writes(restricted(catalogue(interactive=False), role))


def with_fast(
    parts: Parts,
    notices: list[str],
    settings: Settings,
    pick: Chosen,
    session: str,
    learned: Learned,
    stack: ExitStack,
) -> tuple[Parts, list[str]]:
    fast, said = make_fast_model(settings, pick, session, learned, stack)
    return replace(parts, fast=fast), [*notices, *said]


def _poor_disk(settings: Settings, lacks: Sequence[str]) -> list[str]:
    """The line about a file system on which no database can be trusted, if it is one."""
    if not lacks:
        return []
    where = f"{settings.places.state} is on a file system that knows no {' and no '.join(lacks)}"
    elsewhere = "Set AUTOAGENT_HOME to a folder on another disk."
    if settings.dry_run:
        raise StateError(f"{where}, and --dry-run needs that to keep its copy. {elsewhere}")
    lost = {"locks": "no other run may work on this session", "fsync": "a power cut may lose steps"}
    told = ", ".join(lost[each] for each in lacks)
    return [f"{where}: {told}, and this run has neither long-term memory nor undo. {elsewhere}"]


def _memory(
    settings: Settings, session: str, count: Counter, stack: ExitStack
) -> tuple[LongTerm, list[str]]:
    from memory_store import StoreError, open_store

    assert settings.memory is not None
    path = settings.places.memory(settings.memory)
    private_folder(path.parent)
    try:
        store = stack.enter_context(open_store(path))
    except StoreError as error:
        raise StateError(f"{error} Or run without it: --memory none.") from error
    return LongTerm(store, session, count), list(store.notices)
