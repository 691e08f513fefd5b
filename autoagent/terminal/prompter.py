"""Lines asked for at a terminal: the goals, a yes, an answer."""

from autoagent.terminal.keyboard import Keyboard
from autoagent.terminal.layout import told
from autoagent.terminal.output import Output


class Prompter:
    """Asks for lines at a terminal. `Interrupted` when a wait for one was ended."""

    def __init__(self, out: Output, keyboard: Keyboard) -> None:
        self._out = out
        self._keyboard = keyboard
        self._early: list[str] = []

    def goals(self) -> list[str]:
        """The goals, a line each, until an empty line or the end of input."""
        told(self._out, "What shall be reached? One goal a line; an empty line ends.", "bold")
        goals = list(self._early)
        for goal in goals:
            self._out.line(f"> {goal}")
        while typed := self.line("> "):
            goals.append(typed)
        return goals

    def agrees(self, question: str) -> bool:
        """A clear yes; anything else means no. What was typed before it is no answer."""
        self.keep_early()
        told(self._out, question)
        typed = self.line("[y/N] ")
        return typed is not None and typed.lower() in ("y", "yes")

    def keep_early(self) -> None:
        """What was typed up to now answers nothing; it is kept for the goals."""
        self._early += self._keyboard.typed_ahead()

    def unseen_line(self, text: str) -> str | None:
        """The same as `line` for what nobody may see on the screen."""
        with self._keyboard.echo_off():
            typed = self.line(text)
        if typed is not None:
            self._out.line()  # the Enter wasn't shown either
        return typed

    def line(self, text: str) -> str | None:
        """What was typed, stripped; None at the end of input."""
        self._out.write(text)
        try:
            typed = self._keyboard.line()
        except BaseException:
            self._out.line()  # after ^C, which the terminal showed
            raise
        if typed is None:
            self._out.line()
            return None
        return typed.strip()
