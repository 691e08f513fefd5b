"""Questions to a person at a terminal, and what their answers mean."""

import json
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from autoagent.approval import Answer
from autoagent.budget import money
from autoagent.events import Decided
from autoagent.reply import Command, Reply
from autoagent.state import State
from autoagent.terminal.escape import escaped, one_line
from autoagent.terminal.keyboard import Keyboard
from autoagent.terminal.output import Output, width
from commands.cancel import Reason

_SHOWN_LINES = 12
_HELP = """\
  y        run it               y -5   run it and the next 5 without asking
  n        don't; asks why      s      let the model criticise its own step
  e        edit the command     d      show the whole text
  a        always, in this session, for what stands in brackets
  q        leave; the session can be resumed
  /status  limits and cost      /plan  the open plan
  anything longer is feedback to the agent, and the command is not run"""


class Interrupted(Exception):
    """A signal came while a line was awaited."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason


class Prompter:
    """Asks for lines at a terminal."""

    def __init__(self, out: Output, keyboard: Keyboard) -> None:
        self._out = out
        self._keyboard = keyboard

    def goals(self) -> list[str]:
        """The goals, a line each, until an empty line or the end of input."""
        self._out.line("What shall be reached? One goal a line, an empty line ends.", "bold")
        goals: list[str] = []
        while typed := self.line("> "):
            goals.append(typed)
        return goals

    def agrees(self, question: str) -> bool:
        """A clear yes; anything else means no."""
        typed = self.line(f"{question} [y/N] ")
        return typed is not None and typed.lower() in ("y", "yes")

    def line(self, text: str) -> str | None:
        """What was typed, stripped; None at the end of input."""
        self._out.write(text)
        typed = self._keyboard.line()
        if typed is None:
            self._out.line()
        return typed.strip() if typed is not None else None


class Terminal:
    """A `Person` at this terminal. Everything that isn't ours is escaped and fenced."""

    def __init__(
        self,
        out: Output,
        keyboard: Keyboard,
        environ: Mapping[str, str],
        state: State,
        cancel: Callable[[Reason], None],
    ) -> None:
        self._out = out
        self._keyboard = keyboard
        self._prompter = Prompter(out, keyboard)
        self._state = state
        self._environ = environ
        self._cancel = cancel
        self._early: list[str] = []

    def decide(self, step: int, reply: Reply, scope: str) -> Answer:
        """Ask until the answer is clear; the end of input, or Ctrl-C, leaves."""
        command = reply.command
        # What was typed before this question stands was not an answer to it.
        self._early += self._keyboard.typed_ahead()
        self._show(command, _SHOWN_LINES)
        always = f", a [{one_line(scope, 60)}]" if scope else ""
        while True:
            typed = self._prompt(f"Run it? y, y -N, n, s, e, d{always}, q, ?, or words: ")
            if typed is None or typed in ("q", "/quit"):
                return Answer(None)
            match typed.lower().split():
                case ["y" | "yes"]:
                    return Answer(Decided(step, "run", "yes"))
                case ["y", number] if number.lstrip("-").isdecimal():
                    return Answer(Decided(step, "run", "yes", count=int(number.lstrip("-"))))
                case ["n" | "no"]:
                    why = self._prompt("Why not? (Enter for no reason) ") or ""
                    return Answer(Decided(step, "refuse", why), why)
                case ["s"]:
                    return Answer(Decided(step, "criticise"))
                case ["d"]:
                    self._show(command, None)
                case ["e"]:
                    edited = self._edited(command)
                    if edited is not None:
                        args = edited.args
                        return Answer(Decided(step, "edit", "edited", edited.name, args))
                case ["a"] if scope:
                    return Answer(Decided(step, "run", "always", scope=scope))
                case ["/status" | "/cost"]:
                    self._out.line(f"  {_status(self._state)}")
                case ["/plan"]:
                    for item in self._state.plan:
                        self._out.line(f"  - {one_line(item, width() - 4)}")
                case [] | [_] if len(typed.strip()) < 2 or typed.startswith("/"):
                    self._out.line(_HELP)
                case _:
                    return Answer(Decided(step, "refuse", "feedback instead"), typed)

    def ask(self, question: str) -> str:
        self._early += self._keyboard.typed_ahead()
        self._out.line("The agent asks:", "bold")
        self._fenced(question, None)
        return self._prompt("Answer: ") or ""

    def heard(self) -> list[str]:
        early, self._early = [*self._early, *self._keyboard.typed_ahead()], []
        return early

    def interrupted(self) -> str | None:
        self._out.line()
        return self._prompt("Stopped. Words for the agent (Enter: go on, Ctrl-C: leave): ")

    def _prompt(self, text: str) -> str | None:
        try:
            return self._prompter.line(text)
        except Interrupted as interrupted:
            self._out.line()
            self._cancel(interrupted.reason)
            return None

    def _show(self, command: Command, most: int | None) -> None:
        """The whole command, long texts cut to `most` lines with the rest counted."""
        self._out.line(f"  {one_line(command.name, 80)}", "cyan")
        for name, value in command.args.items():
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            if "\n" not in text and len(text) + len(name) < width() - 8:
                self._out.line(f"  {one_line(name, 30)}: {escaped(text)}")
            else:
                self._out.line(f"  {one_line(name, 30)}: {len(text):,} characters")
                self._fenced(text, most)

    def _fenced(self, text: str, most: int | None) -> None:
        """Foreign lines, each behind a bar, so that none looks like ours."""
        columns = width() - 4
        lines = [
            line[at : at + columns]
            for line in escaped(text).split("\n")
            for at in range(0, max(len(line), 1), columns)
        ]
        for line in lines[:most]:
            self._out.line(f"  | {line}")
        if most is not None and len(lines) > most:
            self._out.line(f"  ({len(lines) - most} lines more: d shows all)", "dim")

    def _edited(self, command: Command) -> Command | None:
        """The command as the person changed it; None when they left it or it can't be read."""
        text = json.dumps(
            {"name": command.name, "args": command.args}, ensure_ascii=False, indent=2
        )
        editor = self._environ.get("VISUAL") or self._environ.get("EDITOR")
        changed = self._in_editor(editor, text) if editor else self._retyped(command)
        if changed is None:
            return None
        try:
            data = json.loads(changed)
            name, args = data["name"], data["args"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            self._out.line(f"  Not readable as JSON with name and args: {error}", "yellow")
            return None
        if not isinstance(name, str) or not isinstance(args, dict):
            self._out.line('  It must be {"name": "…", "args": {…}}.', "yellow")
            return None
        return Command(name, args)

    def _retyped(self, command: Command) -> str | None:
        """Without an editor: each text on one line typed anew, Enter keeps it."""
        args = dict(command.args)
        for name, value in args.items():
            if isinstance(value, str) and "\n" not in value:
                self._out.line(f"  {name}: {escaped(value)}")
                args[name] = self._prompt(f"  {name} (Enter keeps it): ") or value
        return json.dumps({"name": command.name, "args": args})

    def _in_editor(self, editor: str, text: str) -> str | None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "command.json")
            path.write_text(text, "utf-8", "backslashreplace")
            try:
                subprocess.run([*shlex.split(editor), str(path)], check=True)  # noqa: S603
            except (OSError, ValueError, subprocess.CalledProcessError) as error:
                self._out.line(f"  The editor failed: {error}", "yellow")
                return None
            return path.read_text("utf-8", "replace")


def _status(state: State) -> str:
    spent, limits = state.spent, state.limits
    cost = money(spent.cost) if not spent.unpriced else "price unknown"
    of = f" of {money(limits.cost)}" if limits.cost is not None else ""
    return (
        f"step {state.step} of {limits.steps}, {cost}{of}, "
        f"{spent.tokens:,} of {limits.tokens:,} tokens ({spent.cached:,} from the cache)"
    )
