"""Lines asked for and shown by the screen of an interactive session."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Self, TextIO

from autoagent.terminal.columns import wrapped
from autoagent.terminal.desk import Desk
from autoagent.terminal.keyboard import Keyboard
from autoagent.terminal.live.coming import Activity
from autoagent.terminal.live.screen import Lost, Screen
from autoagent.terminal.live.typing import Question
from autoagent.terminal.output import Output, Shows
from autoagent.terminal.prompter import WHAT, LinePrompter, Prompter


class LiveOutput(Output):
    """Lines are printed above those of the screen, while it is there."""

    lives = True

    def __init__(self, stream: TextIO, screen: Screen, *, colour: bool) -> None:
        super().__init__(stream, colour=colour)
        self._screen = screen
        self._begun = ""  # a line without its end
        self._meanwhile = False

    def status(self, text: str, shows: Shows = "") -> None:
        if self._screen.runs:
            self._screen.activity(Activity(text, shows))

    def above(self, text: str) -> None:
        self._print(text)

    def write(self, text: str) -> None:
        if not self._meanwhile:
            self._screen.activity(None)
        self._print(text)

    def _plainly(self, text: str) -> None:
        """Without a screen nothing waits for its line to be whole."""
        begun, self._begun = self._begun, ""
        super().write(f"{begun}{text}")

    @contextmanager
    def meanwhile(self) -> Iterator[None]:
        self._meanwhile = True
        try:
            yield
        finally:
            self._meanwhile = False

    def ring(self) -> None:
        self._screen.print("\a")

    def queued(self, words: Sequence[str]) -> None:
        self._screen.queued(words)

    def bar(self, text: Callable[[int], str]) -> None:
        self._screen.bar(text)

    def _print(self, text: str) -> None:
        if not self._screen.runs:
            self._plainly(text)
            return
        whole, end, self._begun = f"{self._begun}{text}".rpartition("\n")
        if end:
            self._screen.print(self._encodable(whole + end))


class LiveKeyboard:
    """What was typed to the screen; by lines, if that is lost."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self.lines = Keyboard()

    @property
    def hung_up(self) -> bool:
        return self._screen.hung_up or self.lines.hung_up

    def wake(self) -> None:
        self._screen.wake()
        self.lines.wake()

    def forget_wakes(self) -> None:
        self._screen.forget_wakes()
        self.lines.forget_wakes()

    def lines_ahead(self) -> list[str]:
        more = self.lines.lines_ahead() if self._screen.is_lost else []
        return [*self._screen.ahead(), *more]

    def typed_ahead(self) -> list[str]:
        """What was begun stays in its line: it is sent before a question is answered."""
        more = self.lines.typed_ahead() if self._screen.is_lost else []
        return [*self._screen.ahead(), *more]

    def begun(self) -> str:
        return self._screen.begun


class LivePrompter(Prompter):
    """Asks in the line that is always there; by lines, if that is lost."""

    def __init__(self, out: Output, keyboard: LiveKeyboard, screen: Screen) -> None:
        super().__init__(out, keyboard)
        self._screen = screen
        self._lines = LinePrompter(out, keyboard.lines)

    def goals(self) -> list[str]:
        early = self.early()
        default = "\n".join([*early, ""]) if early else ""
        lines = wrapped(WHAT, self._out.width - 1)
        above = "".join(f"{self._out.styled(line, 'bold')}\n" for line in lines)
        asked = Question("> ", default, takes_begun=True, goals=True, above=above)
        try:
            typed = self._screen.ask(asked)
        except Lost:
            return [*early, *self._lines.goals()]
        return [goal.strip() for goal in typed or () if goal.strip()]

    def unseen_line(self, text: str) -> str | None:
        return self._asked(Question(text, hidden=True), lambda: self._lines.unseen_line(text))

    def line(self, text: str, *, takes_begun: bool = False, keeps: bool = True) -> str | None:
        asked = Question(text, takes_begun=takes_begun, keeps=keeps)
        return self._asked(asked, lambda: self._lines.line(text))

    def edited(self, label: str, value: str) -> str | None:
        asked = Question(f"{label}: ", default=value)
        return self._asked(asked, lambda: self._lines.edited(label, value))

    def edits(self, value: str) -> bool:
        return not self._screen.is_lost or self._lines.edits(value)

    def aside(self) -> AbstractContextManager[None]:
        return self._screen.aside()

    def _asked(self, question: Question, by_lines: Callable[[], str | None]) -> str | None:
        try:
            typed = self._screen.ask(question)
        except Lost:
            return by_lines()
        return None if typed is None else "\n".join(typed)


class LiveDesk(Desk):
    """The screen with what reads and writes through it."""

    def __init__(self, screen: Screen, stream: TextIO, *, colour: bool) -> None:
        self._screen = screen
        out = LiveOutput(stream, screen, colour=colour)
        keyboard = LiveKeyboard(screen)
        super().__init__(out, keyboard, LivePrompter(out, keyboard, screen))
        self.glimpsed = screen.glimpse

    def __enter__(self) -> Self:
        self._screen.begin()
        return self

    def close(self) -> None:
        self._screen.close()

    def cleans(self, clean: Callable[[str], str]) -> None:
        self._screen.cleans(clean)

    def when_typed(self, call: Callable[[], None]) -> None:
        self._screen.said = call
