"""Lines asked for at a terminal: the goals, a yes, an answer."""

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from autoagent.terminal.escape import escaped
from autoagent.terminal.keyboard import Keyboard
from autoagent.terminal.layout import told
from autoagent.terminal.output import Output

WHAT = "What shall be reached? One goal a line; an empty line ends."


class Keys(Protocol):
    """What was typed, as far as no question asked for it."""

    @property
    def hung_up(self) -> bool:
        """Whether the input ended because the terminal is gone, not by Ctrl-D."""
        ...

    def wake(self) -> None:
        """End the wait for a line, from any thread."""
        ...

    def forget_wakes(self) -> None:
        """Forget that it was woken: that was meant for what is over."""
        ...

    def lines_ahead(self) -> list[str]:
        """Whole lines that are there already."""
        ...

    def typed_ahead(self) -> list[str]:
        """All that was typed up to now and can be no answer to what is asked next."""
        ...

    def begun(self) -> str:
        """At the end: a line that wasn't sent, where it is known."""
        ...


class Prompter:
    """Asks for lines. `Interrupted` when a wait for one was ended."""

    def __init__(self, out: Output, keys: Keys) -> None:
        self._out = out
        self._keys = keys
        self._early: list[str] = []

    def goals(self) -> list[str]:
        """The goals, a line each, until an empty line or the end of input."""
        told(self._out, WHAT, "bold")
        return self._goals()

    def _goals(self) -> list[str]:
        raise NotImplementedError

    def agrees(self, question: str) -> bool:
        """A clear yes; anything else means no. What was typed before it is no answer."""
        self.keep_early()
        told(self._out, question)
        typed = self.line("[y/N] ")
        return typed is not None and typed.lower() in ("y", "yes")

    def keep_early(self) -> None:
        """What was typed up to now answers nothing; it is kept for the goals, or the agent."""
        self._early += self._keys.typed_ahead()

    def early(self) -> list[str]:
        """What was kept so, once."""
        early, self._early = self._early, []
        return early

    def line(self, text: str, *, takes_begun: bool = False, keeps: bool = True) -> str | None:
        """What was typed, stripped; None at the end of input. `takes_begun`: a line that was
        begun before may be the answer, where it can be told from one. `keeps`: the answer may
        be brought back later, where there is a history."""
        raise NotImplementedError

    def unseen_line(self, text: str) -> str | None:
        """The same for what nobody may see on the screen."""
        raise NotImplementedError

    def edited(self, label: str, value: str) -> str | None:
        """A text as the person changed it; None or "" leave it as it is."""
        raise NotImplementedError

    def edits(self, value: str) -> bool:
        """Whether `edited` can change that text."""
        raise NotImplementedError

    def aside(self) -> AbstractContextManager[None]:
        """Another program has the terminal meanwhile."""
        return nullcontext()


class LinePrompter(Prompter):
    """Reads lines as the terminal gives them."""

    def __init__(self, out: Output, keyboard: Keyboard) -> None:
        super().__init__(out, keyboard)
        self._keyboard = keyboard

    def _goals(self) -> list[str]:
        goals = self.early()
        for goal in goals:
            self._out.line(f"> {goal}")
        while typed := self.line("> "):
            goals.append(typed)
        return goals

    def unseen_line(self, text: str) -> str | None:
        with self._keyboard.echo_off():
            typed = self.line(text)
        if typed is not None:
            self._out.line()  # the Enter wasn't shown either
        return typed

    def line(self, text: str, *, takes_begun: bool = False, keeps: bool = True) -> str | None:
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

    def edited(self, label: str, value: str) -> str | None:
        return self.line(f"  {label}: {escaped(value)}\n  {label} (Enter keeps it): ")

    def edits(self, value: str) -> bool:
        return "\n" not in value
