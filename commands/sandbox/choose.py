"""Which cage a session gets, chosen by running something in it."""

from collections.abc import Mapping
from typing import Literal

from commands.context import Cage
from commands.sandbox import seccomp
from commands.sandbox.bounds import Bounds, CageFault
from commands.sandbox.bubblewrap import Bubblewrap
from commands.sandbox.none import NoCage

Wanted = Literal["auto", "bubblewrap", "none"]


def choose(wanted: Wanted, bounds: Bounds, env: Mapping[str, str]) -> Cage:
    """The strongest cage that works here; CageFault with the reason when none does.

    Running without one is never chosen here, only taken when it is asked for by name.
    """
    if wanted == "none":
        return NoCage(bounds, env)
    reason = ""
    for tight in (True, False):
        cage = Bubblewrap(bounds, env, tight=tight, seccomp=_filter())
        reason = cage.probe()
        if not reason:
            return cage
        cage.close()
    raise CageFault(reason)


def _filter() -> bytes:
    try:
        return seccomp.program()
    except CageFault:  # an architecture whose calls nobody listed: `describe` says so
        return b""


def describe(cage: Cage) -> str:
    """One line for the person: which cage it is, what it gives and what it lacks."""
    if not isinstance(cage, Bubblewrap):
        return "Cage: none. Commands run as you: they can write, read and contact everything."
    network = "the whole network" if cage.network else "no network"
    lacks = [
        *([] if cage.filtered else ["no filter of system calls"]),
        *([] if cage.sized else ["temporary files not limited"]),
        *([] if cage.tight else ["further user namespaces possible"]),
    ]
    lacking = f" ({'; '.join(lacks)})" if lacks else ""
    return (
        f"Cage: bubblewrap. Commands write in the workspace only, have {network} and see "
        f"neither your home folder nor other processes{lacking}."
    )
