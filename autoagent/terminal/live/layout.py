"""How the lines at the bottom stand, and what keys do there."""

import re
from collections.abc import Callable, Sequence

from prompt_toolkit.data_structures import Size
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.layout import (
    BufferControl,
    ConditionalContainer,
    FormattedTextControl,
    HSplit,
    Layout,
    Window,
)
from prompt_toolkit.layout.dimension import Dimension
from prompt_toolkit.layout.menus import CompletionsMenu
from prompt_toolkit.layout.processors import (
    AfterInput,
    BeforeInput,
    ConditionalProcessor,
    PasswordProcessor,
)
from prompt_toolkit.layout.screen import Screen as Drawn
from prompt_toolkit.styles import BaseStyle, Style

from autoagent.terminal.columns import clipped
from autoagent.terminal.escape import escaped, one_line
from autoagent.terminal.live.coming import Coming
from autoagent.terminal.live.typing import Typing

_MOST_COMING = 8  # lines
_MOST_QUEUED = 3
_MOST_SHOWN = 1000  # characters of words that wait
_MOST_TYPED = 8
_MENU = 6
_HINT = "words for the agent, or /help"
_INSIST = "say what shall be reached; Ctrl-D leaves"
_MORE_GOALS = "one more, or Enter to begin"
_BEGUN_FIRST = "First your words to the agent, then the question: "
_STYLES = {
    "coming": "dim",
    "queued": "dim",
    "bar": "dim",
    "hint": "dim",
    "question": "bold",
    "completion-menu": "noinherit",
    "completion-menu.completion": "noinherit",
    "completion-menu.completion.current": "noinherit reverse",
    "completion-menu.meta.completion": "noinherit dim",
    "completion-menu.meta.completion.current": "noinherit reverse",
    "scrollbar.background": "noinherit",
    "scrollbar.button": "noinherit",
}


class Bottom:
    """What goes on, what is queued, the line that is typed, and the bar, one above another."""

    def __init__(self, typing: Typing, coming: Coming, size: Callable[[], Size]) -> None:
        self._typing = typing
        self._coming = coming
        self._size = size
        self._queued: Sequence[str] = ()
        self._bar: Callable[[int], str] = lambda _: ""
        self._hint = _HINT
        typed = BufferControl(
            typing.buffer,
            input_processors=[
                ConditionalProcessor(PasswordProcessor(), Condition(self._hides)),
                BeforeInput(self._prompt),
                ConditionalProcessor(AfterInput(self._empty), Condition(self._is_empty)),
            ],
        )
        most = Dimension(min=1, max=_MOST_TYPED)
        self._typed = Window(
            typed,
            height=most,
            wrap_lines=True,
            dont_extend_height=True,
            get_line_prefix=self._further,
        )
        rows = (
            _shown(self._coming_lines, "class:coming"),
            _shown(self._queued_lines, "class:queued"),
            CompletionsMenu(max_height=_MENU),
            self._typed,
            _shown(self._bar_lines, "class:bar"),
            Window(height=Dimension(min=0)),  # takes what rows are left over
        )
        self.layout = Layout(HSplit(list(rows)), focused_element=self._typed)

    def bar(self, text: Callable[[int], str]) -> None:
        """By the columns that there are."""
        self._bar = text

    def queued(self, words: Sequence[str]) -> None:
        self._queued = tuple(each[:_MOST_SHOWN] for each in words)

    def hint(self, text: str) -> None:
        """Shown in the empty line until something is typed."""
        self._hint = text

    def style(self, *, colour: bool) -> BaseStyle:
        return Style.from_dict(_STYLES if colour else _PLAIN)

    def echoed(self, typed: str) -> str:
        """What was typed, its further lines indented."""
        return escaped(typed).replace("\n", "\n  ")

    def bindings(self, interrupt: Callable[[], None], leave: Callable[[], None]) -> KeyBindings:
        keys = KeyBindings()
        typing = self._typing

        @keys.add("enter")
        @keys.add("c-j")
        def _(event: KeyPressEvent) -> None:
            self._hint = _HINT
            typing.entered()

        @keys.add("escape", "enter")
        def _(event: KeyPressEvent) -> None:
            typing.newline()

        @keys.add(Keys.BracketedPaste)
        def _(event: KeyPressEvent) -> None:
            typing.pasted(event.data)

        @keys.add("c-c")
        def _(event: KeyPressEvent) -> None:
            interrupt()

        @keys.add("c-d", filter=Condition(lambda: not typing.buffer.text))
        def _(event: KeyPressEvent) -> None:
            leave()

        @keys.add("c-z")
        def _(event: KeyPressEvent) -> None:
            event.app.suspend_to_background()

        return keys

    def rows_above_cursor(self, drawn: Drawn, columns: int) -> int:
        """How many rows above the cursor these lines take at that width, wrapped to it."""
        cursor = drawn.get_cursor_position(self._typed)
        last = [_last_cell(drawn, y) for y in range(cursor.y + 1)]
        # Behind the last character the cursor stays with it.
        above = min(cursor.x, last[-1]) // columns
        return above + sum(cell // columns + 1 for cell in last[:-1])

    # The lines.

    def _coming_lines(self) -> list[str]:
        size = self._size()
        most = min(_MOST_COMING, size.rows // 2 - 2)
        return self._coming.lines(size.columns - 1, most) if most > 0 else []

    def _queued_lines(self) -> list[str]:
        room = self._size().columns - 1
        lines = [one_line(f"queued: {words}", room) for words in self._queued[:_MOST_QUEUED]]
        more = len(self._queued) - len(lines)
        return [*lines, f"and {more} more"] if more else lines

    def _bar_lines(self) -> list[str]:
        room = self._size().columns - 1
        text = self._bar(room)
        return [clipped(text, room)] if text else []

    def _prompt(self) -> StyleAndTextTuples:
        typing = self._typing
        if typing.question is None:
            return [("class:hint", "> ")]
        text = typing.question.prompt if typing.asked else _BEGUN_FIRST
        return [("class:question", text)]

    def _further(self, line: int, wrapped: int) -> StyleAndTextTuples:
        """Before each goal but the first, which stands behind the prompt."""
        asked = self._typing.asked
        goal = asked is not None and asked.goals and line > 0 and wrapped == 0
        return [("class:question", "> ")] if goal else []

    def _empty(self) -> StyleAndTextTuples:
        if self._typing.asks_for_more:
            return [("class:hint", _MORE_GOALS)]
        if self._typing.question is not None:
            return [("class:hint", _INSIST)]
        return [("class:hint", self._hint if self._bar(0) else "")]  # before that nobody hears

    def _is_empty(self) -> bool:
        question = self._typing.question
        empty = not self._typing.buffer.text and (question is None or question.insists)
        return empty or self._typing.asks_for_more

    def _hides(self) -> bool:
        return self._typing.asked is not None and self._typing.asked.hidden


_PLAIN = {name: re.sub("dim|bold", "", style) for name, style in _STYLES.items()}


def _last_cell(drawn: Drawn, row: int) -> int:
    """The column of the last character; 0 where there is none."""
    cells = drawn.data_buffer[row].items()
    return max((column for column, cell in cells if cell.char.strip()), default=0)


def _shown(lines: Callable[[], list[str]], style: str) -> ConditionalContainer:
    """A window as high as its lines, none where there are none."""
    control = FormattedTextControl(lambda: [("", "\n".join(lines()))])
    window = Window(control, style=style, dont_extend_height=True, height=_as_many(lines))
    return ConditionalContainer(window, Condition(lambda: bool(lines())))


def _as_many(lines: Callable[[], list[str]]) -> Callable[[], Dimension]:
    def height() -> Dimension:
        count = len(lines())
        return Dimension(min=0, preferred=count, max=count)

    return height
