"""Commands on sub-agents. The agent itself carries them out: what they do stands in its journal."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from commands.command import CommandSpec, Result, command
from commands.context import Context

_NAMES = {"agent": "name", "agent_name": "name", "key": "name", "id": "name"}


@command(
    "lead",
    aliases=("create_agent", "spawn_agent", "start_subagent", "delegate"),
    argument_aliases={**_NAMES, "prompt": "task", "goal": "task", "path": "folder"},
)
def start_agent(_ctx: Context, name: str, task: str, role: str = "", folder: str = "") -> Result:
    """works beside you and knows only its task; you are told when it ends"""
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
    """for all of them without names"""
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


def knowing(commands: Iterable[CommandSpec], roles: Sequence[str]) -> Iterator[CommandSpec]:
    """The commands as somebody reads them who may give these roles."""
    for spec in commands:
        if spec is start_agent and roles:
            yield replace(spec, summary=f"{spec.summary}; roles: {', '.join(roles)}")
        else:
            yield spec
