"""The line that a person types: what it is an answer to, what was pasted into it."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import SimpleQueue

from prompt_toolkit.buffer import Buffer
from prompt_toolkit.completion import Completer
from prompt_toolkit.document import Document
from prompt_toolkit.history import History

_PASTED = re.compile(r"\[pasted text (\d+), \d+ lines\]")
_SHORTEST_KEPT = 3  # characters: y, n and the like are no history


@dataclass(slots=True)
class Question:
    """What a line is asked for. `end` gets the line (of goals: each), None at the end of
    input, or the exception that ends the wait.

    `takes_begun`: a line that was begun before may be the answer; else it is sent first, as
    words of its own, and the question `waits`. `goals`: several lines, ended by an empty one.
    """

    prompt: str
    default: str = ""
    takes_begun: bool = False
    goals: bool = False
    hidden: bool = False
    end: "SimpleQueue[list[str] | BaseException | None]" = field(default_factory=SimpleQueue)
    waits: bool = False


class Typing:
    """One editor line for questions and for words that nobody asked for. Used in the thread of
    the screen alone.

    `said` gets words that answer nothing, `echo` what shall stay on the screen of a line.
    """

    def __init__(
        self,
        history: History,
        completer: Completer,
        said: Callable[[str], None],
        echo: Callable[[str, str], None],
    ) -> None:
        self.question: Question | None = None
        self.buffer = Buffer(
            history=history,
            completer=completer,
            complete_while_typing=True,
            multiline=True,
            on_text_changed=lambda _: self._changed(),
        )
        self._said = said
        self._echo = echo
        self._pasted: dict[int, str] = {}

    @property
    def asked(self) -> Question | None:
        """The question that a line answers now."""
        return None if self.question is None or self.question.waits else self.question

    def ask(self, question: Question) -> None:
        self.question = question
        question.waits = bool(self.buffer.text.strip()) and not question.takes_begun
        self._prefill()

    def end(self, value: list[str] | BaseException | None) -> None:
        """The question is over, answered or not; a line that was begun stays."""
        question, self.question = self.question, None
        if question is not None:
            if question.default and self.buffer.text == question.default:
                self.buffer.reset()
            question.end.put(value)

    def entered(self) -> None:
        """Enter: a line is sent, or goes on."""
        document = self.buffer.document
        if self.buffer.text.endswith("\\") and document.is_cursor_at_the_end:
            self.buffer.delete_before_cursor()
            self.buffer.insert_text("\n")
        elif self.asked and self.asked.goals and document.current_line.strip():
            self.buffer.cursor_position = len(self.buffer.text)
            self.buffer.insert_text("\n")
        else:
            self._send()

    def pasted(self, text: str) -> None:
        """Several lines stand in the line as a word, so that it stays one."""
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        lines = text.rstrip("\n").count("\n") + 1
        if lines == 1 or (self.asked and self.asked.hidden):
            self.buffer.insert_text(text.rstrip("\n"))
            return
        number = len(self._pasted) + 1
        self._pasted[number] = text
        self.buffer.insert_text(f"[pasted text {number}, {lines} lines]")

    def newline(self) -> None:
        self.buffer.insert_text("\n")

    def _send(self) -> None:
        shown = self.buffer.text.strip()
        question = self.asked
        lines = [_PASTED.sub(self._whole, line) for line in shown.split("\n")]
        text = "\n".join(lines)
        if len(text) >= _SHORTEST_KEPT and not (question and question.hidden):
            self.buffer.history.append_string(text)
        self.buffer.reset()
        self._changed()
        if question is None:
            if text:
                self._said(text)
        else:
            self._echo(question.prompt, "" if question.hidden else shown)
            self.end(lines if question.goals else [text])

    def _whole(self, found: re.Match[str]) -> str:
        return self._pasted.get(int(found[1]), found[0])

    def _changed(self) -> None:
        """Once nothing is left of a line that was begun before, the question stands."""
        if self.question is not None and self.question.waits and not self.buffer.text.strip():
            self.question.waits = False
            self._prefill()

    def _prefill(self) -> None:
        if self.asked and self.asked.default and not self.buffer.text:
            text = self.asked.default
            self.buffer.document = Document(text, len(text))
