"""The commands that autoagent brings."""

from collections.abc import Collection, Sequence
from difflib import get_close_matches

from commands import agents, control, execution, files, memory, processes
from commands.command import Catalogue, CommandError, CommandSpec
from commands.web import search, webpage

_ALL: tuple[CommandSpec, ...] = (
    *files.COMMANDS,
    *execution.COMMANDS,
    *processes.COMMANDS,
    *search.COMMANDS,
    *webpage.COMMANDS,
    *control.COMMANDS[:2],
    *memory.COMMANDS,
    *agents.COMMANDS,
    *control.COMMANDS[2:],
)


def catalogue(
    *,
    interactive: bool,
    remembers: bool = True,
    leads: bool = True,
    disabled: Collection[str] = (),
    own: Sequence[CommandSpec] = (),
) -> Catalogue:
    """The built-in commands and the user's `own` but the disabled; ask_user only where
    somebody can answer, those of memory only where there is one, those on sub-agents only
    where the agent can start some (`leads`).

    CommandError names an unknown name among the disabled. `finish` and `give_up` can't be
    left out: a run could never end.
    """
    names = [spec.name for spec in (*_ALL, *own)]
    for name in disabled:
        if name not in names or name in ("finish", "give_up"):
            near = get_close_matches(name, names, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise CommandError(f"There is no command {name!r} that can be left out.{hint}")
    ours = [spec for spec in _ALL if interactive or spec.effect != "ask"]
    if not remembers:
        ours = [spec for spec in ours if spec not in memory.COMMANDS]
    if not leads or agents.start_agent.name in disabled:
        ours = list(agents.alone(ours))
    return Catalogue(spec for spec in (*ours, *own) if spec.name not in disabled)


def taken() -> dict[str, str]:
    """Every name and alias of the built-in commands, with the command that it means."""
    aliases = {alias: spec.name for spec in _ALL for alias in spec.aliases}
    return aliases | {spec.name: spec.name for spec in _ALL}
