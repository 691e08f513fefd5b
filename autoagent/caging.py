"""From settings to a cage for the commands of a run, and the hosts that they may reach."""

from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from autoagent.configuration.settings import Settings
from autoagent.errors import RefusedError
from autoagent.events import Noticed
from commands.cancel import Cancel
from commands.command import CommandSpec, Refusal
from commands.context import Cage
from commands.workspace import Workspace

if TYPE_CHECKING:
    from commands.sandbox.bounds import Bounds
    from commands.sandbox.wayout import WayOut


_HOSTS = "allowed hosts"
_NAMED = 20  # hosts that the model is told of
_TOOLS = (
    'echo "Shell: bash $BASH_VERSION."; python3 --version 2>&1; git --version 2>&1; '
    "for p in node npm cargo go gcc make java; do command -v $p >/dev/null && echo $p; done"
)
_TOOLS_TIMEOUT_S = 10.0


def make_way_out(settings: Settings, root: Path, environ: Mapping[str, str]) -> "WayOut | None":
    """The proxy to the hosts that commands may reach; None when they are none, or all."""
    if settings.network or not (settings.allow_host or settings.allow_packages):
        return None
    from commands.sandbox.bounds import CageFault
    from commands.sandbox.packages import Packages, packages
    from commands.sandbox.wayout import WayOut

    found = packages(environ, root) if settings.allow_packages else Packages()
    try:
        return WayOut(settings.allow_host, environ, packages=found)
    except CageFault as fault:
        raise RefusedError(str(fault)) from fault


def make_cage(
    settings: Settings,
    workspace: Workspace,
    environ: Mapping[str, str],
    *,
    attended: bool,
    way: "WayOut | None" = None,
    read_only: bool = False,
) -> Cage:
    """The cage of a run, proven by running something in it; `way` is its way out, `read_only`
    keeps programs from writing in the workspace.

    RefusedError when there is none and nobody is there to agree to each command.
    """
    from commands.sandbox.bounds import CageFault
    from commands.sandbox.choose import choose

    bounds = _bounds(settings, workspace, way, read_only=read_only)
    reason = "--sandbox none was asked for."
    if settings.sandbox != "none":
        try:
            return choose(settings.sandbox, bounds, environ)
        except CageFault as fault:
            reason = str(fault)
    if settings.unsafe or (attended and settings.sandbox in ("auto", "none")):
        return choose("none", bounds, environ)
    raise RefusedError(
        f"There is no cage for commands: {reason} Install bubblewrap (apt install bubblewrap; "
        "`autoagent doctor` says more), or accept that commands can do all that you can: --unsafe."
    )


def cage_like(
    cage: Cage,
    settings: Settings,
    workspace: Workspace,
    environ: Mapping[str, str],
    *,
    way: "WayOut | None" = None,
    read_only: bool = False,
) -> Cage:
    """A cage of the kind of another one of the run, around another workspace; made when
    something first runs in it."""
    from commands.sandbox.choose import like

    return like(cage, _bounds(settings, workspace, way, read_only=read_only), environ)


def _bounds(
    settings: Settings, workspace: Workspace, way: "WayOut | None", *, read_only: bool
) -> "Bounds":
    from commands.sandbox.bounds import Bounds

    return Bounds(
        root=workspace.root,
        protected=workspace.protected_paths,
        masked=workspace.masked_paths,
        hidden=(settings.places.state, settings.places.config),
        extra_read=(*settings.allow_read, *(way.certificates if way else ())),
        extra_write=settings.allow_write,
        network=settings.network,
        outlet=way.outlet if way else None,
        pass_env=settings.pass_env,
        limits=settings.command_limits,
        quarantine=settings.places.state / "quarantine",
        read_only=read_only,
    )


def network_of(cage: Cage, catalogue: Iterable[CommandSpec]) -> str:
    """What the system text says of the network, for a session of this cage and its commands."""
    names = {spec.name for spec in catalogue}
    web = " and ".join(name for name in ("web_search", "read_webpage") if name in names)
    works = f" ({web} {'work' if ' ' in web else 'works'})" if web else ""
    if cage.network:
        return ""
    said = ", reach no host but those named below" if cage.let_out else ", have no network"
    return f"{said}{works}"


def reachable(way: "WayOut | None", cage: Cage, before: Container[str] = ()) -> list[Noticed]:
    """What the model must know of the hosts that commands may reach; `before` are the keys
    of what it was told in earlier runs of the session."""
    if way is None or not cage.let_out:
        if cage.network or _HOSTS not in before:
            return []
        return [Noticed("place", "commands reach no hosts any more", told=True)]
    more = f" and {len(way.hosts) - _NAMED} more" if len(way.hosts) > _NAMED else ""
    hosts = ", ".join(way.hosts[:_NAMED]) + more
    text = f"commands reach these hosts alone, by a proxy that is set for them: {hosts}"
    return [Noticed("place", text, told=True, key=_HOSTS)]


def tools_in(cage: Cage, cancel: Cancel) -> str:
    """What a cage says of itself: shell, Python, git and other programs on its PATH."""
    argv = ["bash", "-c", _TOOLS]
    try:
        done = cage.run(argv, timeout_s=_TOOLS_TIMEOUT_S, cancel=cancel)
    except Refusal:  # nothing may run there
        return ""
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    facts = [line if line.endswith(".") else f"{line}." for line in lines[:3]]
    others = ", ".join(lines[3:])
    return " ".join([*facts, f"Also: {others}." if others else ""]).strip()
