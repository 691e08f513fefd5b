"""A run in plain lines: one a step for logs, a few more for someone who watches."""

from autoagent.budget import duration, money
from autoagent.events import (
    Changed,
    Cut,
    Decided,
    Event,
    Executed,
    Executing,
    Fed,
    Noticed,
    Recalled,
    Refused,
    Replied,
    Reserved,
    Resumed,
    Retried,
    Started,
    Stopped,
    Verified,
)
from autoagent.state import State
from autoagent.terminal.escape import escaped, one_line
from autoagent.terminal.output import Output, width

_SHOWN_LINES = 8


class Plain:
    """Shows events as they come, live or from a journal; keeps a state of its own.

    `watched`: thoughts, plan and results, too. `quiet`: only what ends the run.
    """

    def __init__(self, out: Output, *, watched: bool, quiet: bool = False) -> None:
        self._out = out
        self._watched = watched
        self._quiet = quiet
        self.state = State()

    def show(self, event: Event) -> None:
        """Fold the event in and write what a person wants to know of it."""
        plan_before = self.state.plan
        self.state.apply(event)
        if self._quiet:
            return
        match event:
            case Started():
                self._started(event)
            case Resumed():
                self._note(f"Resumed at step {self.state.step}.")
            case Replied() if self._watched:
                self._replied(event, plan_before)
            case Executed():
                self._executed(event)
            case Refused():
                self._note(
                    f"step {event.step}: reply refused: {one_line(event.fault, 160)}", warn=True
                )
            case Retried():
                self._retried(event)
            case Noticed():
                self._note(one_line(event.text, 200), warn=event.topic == "stuck")
            case Verified():
                self._verified(event)
            case Cut():
                self._note(f"Steps up to {event.step} left the prompt; a digest stands for them.")
            case Changed(window=int(window)):
                self._note(f"The model's window is {window:,} tokens.")
            case Changed(format=str(form)):
                self._note(f"Replies are asked for as {form} from now on.")
            case Recalled(memos=memos) if memos and self._watched:
                self._note(f"{len(memos)} memories recalled.")
            case (
                Replied() | Recalled() | Changed() | Reserved() | Decided() | Executing() | Fed()
            ) | Stopped():
                pass  # shown with the result, typed by the person, or told by the receipt

    def _note(self, text: str, *, warn: bool = False) -> None:
        self._out.line(f"  {text}", "yellow" if warn else "dim")

    def _started(self, event: Started) -> None:
        limits = [f"{event.limits.steps} steps", f"{event.limits.tokens:,} tokens"]
        if event.limits.cost is not None:
            limits.insert(0, money(event.limits.cost))
        if event.limits.time_s is not None:
            limits.append(duration(event.limits.time_s))
        self._note(
            f"{escaped(event.model)}, window {event.window:,} tokens, cage {event.cage}, "
            f"limits {', '.join(limits)}"
        )
        self._note(f"session {event.session} in {escaped(event.workspace)}")

    def _replied(self, event: Replied, plan_before: tuple[str, ...]) -> None:
        spent = self.state.spent
        cost = "" if spent.unpriced else f"  {money(spent.cost)}"
        self._out.line(f"step {event.step}{cost}", "bold")
        self._paragraph(event.thoughts)
        self._paragraph(event.reasoning)
        if event.plan is not None and event.plan != plan_before:
            for item in event.plan:
                self._out.line(f"  - {one_line(item, width() - 4)}")
        self._paragraph(event.criticism, dim=True)

    def _paragraph(self, text: str, *, dim: bool = False) -> None:
        for line in escaped(text).splitlines():
            self._out.line(f"  {line}", "dim" if dim else None)

    def _executed(self, event: Executed) -> None:
        past = self.state.past[-1]
        about = f" {past.about}" if past.about else ""
        note = event.note or ("done" if event.ok else "failed")
        room = width() - 2 if self._watched else 200
        line = f"step {event.step}: {event.name}{about}: {note}"
        self._out.line(one_line(line, room), None if event.ok else "yellow")
        if self._watched and event.name not in ("finish", "give_up"):
            lines = escaped(event.text).splitlines()
            for text in lines[:_SHOWN_LINES]:
                self._out.line(f"  | {text[: width() - 4]}", "dim")
            if len(lines) > _SHOWN_LINES:
                self._out.line(f"  | {len(lines) - _SHOWN_LINES} lines more", "dim")

    def _retried(self, event: Retried) -> None:
        wait = f", again in {event.wait_s:.0f} s" if event.wait_s >= 1 else ", again"
        self._note(f"attempt {event.attempt}: {one_line(event.reason, 200)}{wait}", warn=True)

    def _verified(self, event: Verified) -> None:
        verdict = "passes" if event.exit == 0 else f"exits with {event.exit}"
        self._note(f"verify: {one_line(event.command_line, 120)} {verdict}, {event.seconds:.1f} s")
