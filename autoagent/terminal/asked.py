"""A command as a person is asked about it."""

from collections.abc import Sequence
from dataclasses import dataclass

from autoagent.approval import Answer, Concern
from autoagent.events import Decided
from autoagent.reply import Command
from autoagent.taint import REACHES
from autoagent.terminal.escape import one_line


@dataclass(frozen=True, slots=True)
class Asked:
    """A command as it stands at the prompt; `edited` by the person, perhaps unreadably."""

    step: int
    command: Command
    scope: str
    edited: bool = False
    draft: str = ""
    concerns: Sequence[Concern] = ()
    agent: str = ""

    def decided(self, reason: str, *, count: int = 0, scope: str = "") -> Answer:
        """It runs, as it stands now."""
        if self.edited:
            name, args = self.command.name, self.command.args
            return Answer(Decided(self.step, "edit", reason, name, args, count))
        return Answer(Decided(self.step, "run", reason, count=count, scope=scope))

    @property
    def question(self) -> str:
        always = f", a = {_covered(self.scope)}" if self.scope else ""
        run = "Run it this once?" if self.concerns else "Run it?"
        who = f"{self.agent}: " if self.agent else ""
        return f"{who}{run} y/n/e/d/s/q/?{always}: "


def _covered(scope: str) -> str:
    """What "always" covers, as it is asked for."""
    if scope.startswith(REACHES):
        return f"every address of {one_line(scope.removeprefix(REACHES), 60)}"
    return "exactly this" if " " in scope else f"every {scope}"
