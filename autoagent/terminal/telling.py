"""A session read or watched by someone who doesn't run it: all that happened, in order."""

from collections.abc import Callable
from datetime import datetime

from autoagent.events import (
    Decided,
    Executed,
    Executing,
    Fed,
    Replied,
    Reserved,
    Resumed,
    Started,
    Stopped,
)
from autoagent.journal import Entry
from autoagent.reply import Command
from autoagent.terminal.escape import escaped
from autoagent.terminal.layout import paragraph, told
from autoagent.terminal.output import Output
from autoagent.terminal.plain import Plain
from autoagent.terminal.proposal import arguments


class Telling:
    """The lines of an agent's run for a person who watches, and what that person saw or typed
    besides: goals, words, decisions, answers.

    `whole` gives a result's whole text; then commands are shown with all their arguments, too.
    `alive`: signs of life between the lines, as in a run.
    """

    def __init__(
        self, out: Output, whole: Callable[[Executed], str] | None = None, *, alive: bool
    ) -> None:
        self._out = out
        self._whole = whole
        self._alive = alive
        self.view = Plain(out, watched=True, whole=whole)

    def skip(self, entry: Entry) -> None:
        """Take it in without showing it."""
        self.view.state.apply(entry.event)

    def show(self, entry: Entry) -> None:
        event = entry.event
        match event:
            case Reserved() | Executing() if not self._alive:
                self.skip(entry)
                return
            case Started():
                self._out.line(f"{_when(entry.at)} started", "bold")
                self._goals(event.goals)
            case Resumed():
                self._out.line()
                self._out.line(f"{_when(entry.at)} resumed", "bold")
                self._goals(event.goals)
            case Fed() if event.text:
                paragraph(self._out, event.text, "bold", mark="> ")
            case Decided():
                self._decided(event)
            case _:
                pass
        self.view.show(event)
        match event:
            case Replied():
                self._command(Command(event.name, event.args))
            case Stopped() if not self._is_reported or self._whole is not None:
                self._ended(event)
            case _:
                pass

    @property
    def _is_reported(self) -> bool:
        """Whether another agent's report has the beginning and the end of the answer."""
        started = self.view.state.started
        return started is not None and bool(started.sub_agent)

    def _goals(self, goals: tuple[str, ...]) -> None:
        for goal in goals:
            paragraph(self._out, goal, "bold")

    def _decided(self, event: Decided) -> None:
        match event.verdict:
            case "refuse":
                told(self._out, f"Refused by the person. {event.reason}", "magenta")
            case "edit":
                self._out.line("Edited by the person.", "magenta")
                self._command(Command(event.name, event.args or {}))
            case "criticise":
                told(self._out, "The person let the model criticise its own step.", "magenta")
            case "run":
                pass

    def _command(self, command: Command) -> None:
        if self._whole is not None:
            self._out.line(escaped(command.name), "bold")
            arguments(self._out, command, None)

    def _ended(self, event: Stopped) -> None:
        if event.status == "done":
            self._out.line()
            paragraph(self._out, event.answer)


def _when(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")
