"""Commands on sub-agents. The agent itself carries them out: what they do stands in its journal."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from commands.command import CommandSpec, Result, command
from commands.context import Context
from commands.control import batch, read_result

_NAMES = {"agent": "name", "agent_name": "name", "key": "name", "id": "name"}


@command(
    "lead",
    aliases=("create_agent", "spawn_agent", "start_subagent", "delegate"),
    argument_aliases={**_NAMES, "prompt": "task", "goal": "task", "path": "folder"},
)
def start_agent(_ctx: Context, name: str, task: str, role: str = "", folder: str = "") -> Result:
    """works beside you and knows only its task; you are told when it ends; your finish ends it"""
    return Result()


@command(
    "lead",
    aliases=("send_message", "tell_agent"),
    argument_aliases={**_NAMES, "text": "message", "prompt": "message"},
)
def message_agent(_ctx: Context, name: str, message: str) -> Result:
    """"""
    return Result()


@command(
    "lead",
    aliases=("wait", "wait_for_agent", "join_agents"),
    argument_aliases={"name": "names", "agents": "names", "agent": "names"},
)
def wait_for_agents(_ctx: Context, names: list[str] | None = None) -> Result:
    """until they have ended; without names all"""
    return Result()


@command("lead", aliases=("agents", "show_agents"))
def list_agents(_ctx: Context) -> Result:
    """"""
    return Result()


@command("lead", aliases=("stop_agent", "kill_agent", "end_agent"), argument_aliases=_NAMES)
def delete_agent(_ctx: Context, name: str) -> Result:
    """ends it"""
    return Result()


COMMANDS: tuple[CommandSpec, ...] = (
    start_agent,
    message_agent,
    wait_for_agents,
    list_agents,
    delete_agent,
)


_AT_ONCE = "reading commands", "reading commands, or start_agent,"


def leading(commands: Iterable[CommandSpec], roles: Sequence[str]) -> Iterator[CommandSpec]:
    """The commands as an agent reads them that may start others, in these roles."""
    for spec in commands:
        if spec.name == "start_agent" and roles:
            yield replace(spec, summary=f"{start_agent.summary}; roles: {', '.join(roles)}")
        elif spec.name == "batch":
            yield replace(spec, summary=batch.summary.replace(*_AT_ONCE))
        elif spec.name == "read_result":
            yield replace(read_result, summary=f"{read_result.summary}, of a step or of an agent")
        else:
            yield spec


def alone(commands: Iterable[CommandSpec]) -> Iterator[CommandSpec]:
    """The commands as an agent reads them that works by itself."""
    for spec in commands:
        if spec.name == "read_result":
            first, *rest = (each for each in spec.arguments if each.name != "agent")
            yield replace(read_result, arguments=(replace(first, required=True), *rest))
        elif spec.name == "batch":
            yield batch
        elif spec.effect != "lead":
            yield spec
