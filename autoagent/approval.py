"""Who must agree to a command: the table of effects, and what a person can answer."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from autoagent.events import Decided
from autoagent.reply import Command, Reply
from autoagent.state import State
from commands.command import CommandSpec
from commands.guard import ForbiddenPath

_HARMLESS = ("read", "note", "ask", "end")


@dataclass(frozen=True, slots=True)
class Undo:
    """A person's wish to take back all changes after that step; None: the newest change."""

    to: int | None


@dataclass(frozen=True, slots=True)
class Answer:
    """A person's answer to a question about a command.

    `decided` is None when they leave instead, or want an `undo` before they are asked again.
    `words` are for the agent.
    """

    decided: Decided | None
    words: str = ""
    undo: Undo | None = None


class Person(Protocol):
    """Someone at a terminal. Called from the agent's thread; each call returns when they
    answered, and with "leave" when their input ended."""

    def decide(
        self, step: int, reply: Reply, scope: str, forbidden: Sequence[ForbiddenPath]
    ) -> Answer:
        """May this command run? `scope` is what "always" would cover; "" when it can't.

        `forbidden` are the masked or protected paths that only this answer can open to it.
        """
        ...

    def ask(self, question: str) -> str:
        """The answer to the agent's question; "" for none."""
        ...

    def heard(self) -> list[str]:
        """What they typed meanwhile, unasked, a line each."""
        ...

    def wants_room(self) -> bool:
        """Whether they wish since the last time that the oldest steps leave the prompt."""
        ...

    def interrupted(self) -> str | None:
        """After Ctrl-C: words for the agent, "" to go on, None to leave."""
        ...


def scope_of(command: Command, spec: CommandSpec, *, caged: bool) -> str:
    """What "always" covers for this command: its name, or for code exactly these arguments.

    "" when nothing may be covered. A name has no blank, exact arguments stand behind one.
    """
    if spec.effect != "execute":
        return spec.name
    exact = json.dumps(spec.checked(command.args), sort_keys=True)
    return f"{spec.name} {exact}" if caged else ""


def needs_person(
    state: State, spec: CommandSpec, command: Command, *, attended: bool, caged: bool
) -> bool:
    """Whether somebody must be asked first. Unattended nobody is: what would have needed a
    person was refused when the run started."""
    if not attended or spec.effect in _HARMLESS:
        return False
    if spec.effect == "execute" and not caged:
        return True
    scope = scope_of(command, spec, caged=caged)
    return state.free_steps == 0 and scope not in state.always
