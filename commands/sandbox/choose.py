"""Which cage a session gets, chosen by running something in it."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Literal

from commands.context import Cage
from commands.sandbox import seccomp
from commands.sandbox.bounds import Bounds, CageFault
from commands.sandbox.bubblewrap import Bubblewrap

if TYPE_CHECKING:
    from commands.sandbox.landlock import Landlock

Wanted = Literal["auto", "bubblewrap", "landlock", "none"]


def choose(wanted: Wanted, bounds: Bounds, env: Mapping[str, str]) -> Cage:
    """The strongest cage that works here; CageFault with the reason when none does.

    Running without one is never chosen here, only taken when it is asked for by name.
    """
    if wanted == "none":
        from commands.sandbox.none import NoCage

        return NoCage(bounds, env)
    makers: dict[str, list[Callable[[], Bubblewrap | Landlock]]] = {
        "bubblewrap": [partial(_bubblewrap, bounds, env, tight) for tight in (True, False)],
        "landlock": [partial(_landlock, bounds, env)],
    }
    reasons: dict[str, None] = {}  # each once
    for make in (
        makers[wanted] if wanted != "auto" else [m for each in makers.values() for m in each]
    ):
        try:
            cage = make()
        except CageFault as fault:
            reasons[str(fault)] = None
            continue
        if not (reason := cage.probe()):
            return cage
        cage.close()
        reasons[reason] = None
    raise CageFault(" ".join(reasons))


def like(cage: Cage, bounds: Bounds, env: Mapping[str, str]) -> Cage:
    """Another cage for the same session, of the kind that was found to work: it isn't tried,
    and nothing is started before its first command.

    What appears at a protected path is told to each cage whose programs may have made it.
    """
    if isinstance(cage, Bubblewrap):
        return Bubblewrap(bounds, env, neighbour=cage)
    from commands.sandbox.landlock import Landlock
    from commands.sandbox.none import NoCage

    if isinstance(cage, Landlock):
        return Landlock(bounds, env, neighbour=cage)
    assert isinstance(cage, NoCage)
    return NoCage(bounds, env, neighbour=cage)


def _bubblewrap(bounds: Bounds, env: Mapping[str, str], tight: bool) -> Bubblewrap:
    return Bubblewrap(bounds, env, tight=tight, seccomp=_filter())


def _landlock(bounds: Bounds, env: Mapping[str, str]) -> "Landlock":
    from commands.sandbox.landlock import Landlock

    return Landlock(bounds, env)


def _filter() -> bytes:
    try:
        return seccomp.program()
    except CageFault:  # an architecture whose calls nobody listed: `describe` says so
        return b""


WHOLE_NETWORK = "the whole network"


USUAL = (
    "Cage: bubblewrap. Commands write in the workspace only, have no network and see neither "
    "your home folder nor other processes."
)
"""How the strongest cage is described when nothing was opened."""


def describe(cage: Cage, *, protect: bool = False) -> str:
    """One line for the person: which cage it is, what it gives and what it lacks.

    `protect`: they named paths to be kept, which not every cage can.
    """
    file_commands = "--protect binds the file commands only"
    if isinstance(cage, Bubblewrap):
        lacks = [
            *([] if cage.filtered else ["no filter of system calls"]),
            *([] if cage.sized else ["temporary files not limited"]),
            *([] if cage.tight else ["further user namespaces possible"]),
        ]
        return _described(cage, "see neither your home folder nor other processes", lacks)
    from commands.sandbox.landlock import Landlock
    from commands.sandbox.none import NoCage

    if isinstance(cage, Landlock):
        lacks = [*cage.lacks(), *([file_commands] if protect else [])]
        return _described(cage, "cannot read your home folder", lacks)
    if isinstance(cage, NoCage) and cage.bounds.read_only:
        return "Cage: none. Nothing could keep commands from writing, so none runs."
    kept = f"; {file_commands}" if protect else ""
    return f"Cage: none. Commands run as you: they can write, read and contact everything{kept}."


def _described(cage: "Bubblewrap | Landlock", unseen: str, lacks: list[str]) -> str:
    outlet = "no network but the allowed hosts" if cage.let_out else "no network"
    network = WHOLE_NETWORK if cage.network else outlet
    read_only = cage.bounds.read_only
    writes = "write temporary files only" if read_only else "write in the workspace only"
    lacking = f" ({'; '.join(lacks)})" if lacks else ""
    return f"Cage: {cage.kind}. Commands {writes}, have {network} and {unseen}{lacking}."
