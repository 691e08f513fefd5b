"""From settings to the user's own commands, out of reach of what the agent can change."""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from autoagent.configuration.settings import Settings
from autoagent.configuration.trust import read
from autoagent.errors import ConfigError
from autoagent.events import Noticed
from autoagent.prompt import line_of
from autoagent.state import State
from commands.cancel import Cancel
from commands.command import CommandSpec
from commands.own.entries import entries
from commands.own.loading import LeftOut, Outside, Own, Source, offered

CALLER = "this program"
_WRITTEN = "it lies where the agent can change it, and it would run outside the cage; move it"


def guarded(settings: Settings) -> Settings:
    """With the files of commands that lie in the workspace among what nothing may change."""
    root = settings.workspace
    inside = [str(p.relative_to(root)) for p in settings.commands if p.is_relative_to(root)]
    return replace(settings, protect=tuple(dict.fromkeys((*settings.protect, *inside))))


def own_commands(
    settings: Settings,
    environ: Mapping[str, str],
    root: Path,
    kind: str,
    cancel: Cancel,
    stack: ExitStack,
    given: Sequence[CommandSpec] = (),
) -> Own:
    """The user's own commands, which run in `root` until `stack` is closed; what is left out.

    `kind` is that of the cage that the agent's commands run in; `given` are of the calling program.
    """
    home = settings.places.home or Path("/")
    # Where no run may work, as `autoagent commands` can, the agent changes nothing.
    roots = [each for each in (root, settings.workspace) if not home.is_relative_to(each)]
    open_to_agent = [*roots, *settings.allow_write]
    found = [
        *_files(settings, landlocked=kind == "landlock"),
        *_installed([each.resolve() for each in open_to_agent]),
    ]
    sources = [each for each in found if isinstance(each, Source)]
    if not sources and not given:
        return Own(left_out=tuple(each for each in found if isinstance(each, LeftOut)))
    from commands.sandbox.bounds import Bounds
    from commands.sandbox.none import NoCage

    # Not under our watch for protected paths: what a person's own command does is their doing.
    bounds = Bounds(root, pass_env=settings.pass_env, limits=settings.command_limits)
    path = _path(environ.get("PATH", os.defpath), open_to_agent)
    cage = stack.enter_context(NoCage(bounds, {**environ, "PATH": path}))
    outside = Outside(cage, open_to_agent)
    own = offered([(CALLER, spec) for spec in given], sources, outside, cancel)
    left_out = (*(each for each in found if isinstance(each, LeftOut)), *own.left_out)
    return replace(own, left_out=left_out)


def _path(path: str, open_to_agent: Sequence[Path]) -> str:
    """Without the folders in which the agent could put a `git` of its own."""
    real = [each.resolve() for each in open_to_agent]
    kept = [
        folder
        for folder in path.split(os.pathsep)
        if Path(folder).is_absolute()
        and not any(Path(folder).resolve().is_relative_to(each) for each in real)
    ]
    return os.pathsep.join(kept)


def described(own: Own) -> list[str]:
    """What a person should know of them, a line each."""
    names = ", ".join(spec.name for spec in own.specs)
    said = [f"Commands of your own, run as you and in no cage: {names}."] if names else []
    return said + [f"Left out, {each}." for each in own.left_out]


def new_to(state: State, commands: Iterable[CommandSpec]) -> list[Noticed]:
    """What the model of a session that goes on isn't told of in its prompt yet."""
    assert state.started is not None
    told = {*state.started.system.split("\n"), *state.noticed}
    lines = [line for spec in commands if spec.own and (line := line_of(spec)) not in told]
    return [Noticed("place", f"one command more: {line}", told=True, key=line) for line in lines]


def _files(settings: Settings, *, landlocked: bool) -> Iterator[Source | LeftOut]:
    for path in settings.commands:
        label = str(path)
        inside = path.is_relative_to(settings.workspace)
        beside = any(path.is_relative_to(folder) for folder in settings.allow_write)
        if beside or (inside and landlocked):  # which keeps no file of a workspace as it is
            yield LeftOut("", label, _WRITTEN)
            continue
        try:
            content = read(path)
        except ConfigError as error:
            yield LeftOut("", label, str(error))
            continue
        if content is None:
            yield LeftOut("", label, "there is no such file any more")
        else:
            yield Source(label, path=label, content=content)


def _installed(open_to_agent: Sequence[Path]) -> Iterator[Source | LeftOut]:
    for entry in entries(sys.path):
        label = f"package {entry.package}"
        folder = Path(entry.folder).resolve()
        if any(folder.is_relative_to(each) for each in open_to_agent):
            yield LeftOut(entry.name, label, _WRITTEN)
        else:
            yield Source(label, entry=replace(entry, folder=str(folder)))
