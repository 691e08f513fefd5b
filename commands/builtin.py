"""The commands that autoagent brings."""

from collections.abc import Collection
from difflib import get_close_matches

from commands import control, execution, files, memory, processes
from commands.command import Catalogue, CommandError, CommandSpec

_ALL: tuple[CommandSpec, ...] = (
    *files.COMMANDS,
    *execution.COMMANDS,
    *processes.COMMANDS,
    *control.COMMANDS[:2],
    *memory.COMMANDS,
    *control.COMMANDS[2:],
)


def catalogue(*, interactive: bool, disabled: Collection[str] = ()) -> Catalogue:
    """The built-in commands but the disabled; ask_user only where somebody can answer.

    CommandError names an unknown name among the disabled. `finish` and `give_up` can't be
    left out: a run could never end.
    """
    names = [spec.name for spec in _ALL]
    for name in disabled:
        if name not in names or name in ("finish", "give_up"):
            near = get_close_matches(name, names, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise CommandError(f"There is no command {name!r} that can be left out.{hint}")
    return Catalogue(
        spec for spec in _ALL if spec.name not in disabled and (interactive or spec.effect != "ask")
    )
