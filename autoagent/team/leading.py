"""Commands on sub-agents carried out: one, or several starts in one batch."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from autoagent.running import failure
from autoagent.team.team import Leading, Team
from commands.command import Catalogue, CommandError, CommandSpec, Result, Section
from commands.control import MOST_AT_ONCE
from commands.touching import called

_AT_ONCE = ("start_agent", "message_agent")


def starts_some(catalogue: Catalogue, spec: CommandSpec, args: Mapping[str, Any]) -> bool:
    """Whether a batch holds commands on sub-agents."""
    if spec.name != "batch":
        return False
    with suppress(CommandError):
        return any(inner.effect == "lead" for inner, _ in called(catalogue, spec.checked(args)))
    return False


def led(
    team: Team, catalogue: Catalogue, step: int, spec: CommandSpec, args: Mapping[str, Any]
) -> Leading:
    """The result of a command on sub-agents, or of a batch of them; CommandError for what
    can't be."""
    if spec.name != "batch":
        return (yield from team.lead(step, spec.name, args))
    calls = [_checked(catalogue, call) for call in args["commands"]]
    if len(calls) > MOST_AT_ONCE:
        raise CommandError(f"batch takes 1 to {MOST_AT_ONCE} commands, not {len(calls)}.")
    sections: list[Section] = []
    failed = 0
    for number, (inner, given) in enumerate(calls, 1):
        try:
            result = yield from team.lead(step, inner.name, given)
        except CommandError as error:
            result = failure(error)
        failed += not result.ok
        about = f"{number} {inner.name}"
        sections.append(Section(about, result.note, result.text, "agents"))
    note = f"{len(sections)} results{f', {failed} failed' if failed else ''}"
    return Result(note=note, source="agents", sections=tuple(sections))


def _checked(catalogue: Catalogue, call: Mapping[str, Any]) -> tuple[CommandSpec, dict[str, Any]]:
    """One command of the batch, before any of them is carried out."""
    spec = catalogue.find(str(call.get("name")))
    if spec.name not in _AT_ONCE:
        raise CommandError(
            f"A batch takes reading commands, or {' and '.join(_AT_ONCE)}, not both: "
            f"{spec.name} is run by itself."
        )
    return spec, spec.checked(call.get("args") or {})
