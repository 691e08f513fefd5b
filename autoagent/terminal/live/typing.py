"""The line that a person types: what it is an answer to, what was pasted into it."""

import os
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

from prompt_toolkit.buffer import Buffer
from prompt_toolkit.completion import Completer
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding.key_processor import KeyPress
from prompt_toolkit.keys import Keys

from autoagent.terminal.unheard import SHORTEST_KEPT

_PASTED = re.compile(r"\[pasted text (\d+), \d+ lines\]")


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
    above: str = ""  # printed as soon as the line is there for it
    insists: bool = False  # an empty line was no answer
    keeps: bool = True  # the answer is history


class Typing:
    """One editor line for questions and for words that nobody asked for. Used in the thread of
    the screen alone.

    `said` gets words that answer nothing, `echo` what shall stay on the screen of a line. What
    `clean` would change holds a secret, and is no history.
    """

    def __init__(
        self,
        history: History,
        completer: Completer,
        said: Callable[[str], None],
        echo: Callable[[str, str], None],
        clean: Callable[[str], str],
    ) -> None:
        self.clean = clean
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

    @property
    def asks_for_more(self) -> bool:
        """Whether the line is there for one goal more."""
        goals = self.asked is not None and self.asked.goals
        return goals and bool(self.buffer.text.strip()) and self.buffer.text.endswith("\n")

    def ask(self, question: Question) -> None:
        self.question = question
        question.waits = bool(self.buffer.text.strip()) and not question.takes_begun
        self._prefill()

    def end(self, value: list[str] | BaseException | None) -> None:
        """The question is over, answered or not; a line that was begun stays. A text that was
        to be changed is no such line: Up brings it back."""
        question, self.question = self.question, None
        if question is not None:
            if question.default and not question.waits and self.buffer.text != question.default:
                self._keep(self.buffer.text)
            if (question.default or question.hidden) and not question.waits:
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
        elif self.asked and self.asked.goals and not self.buffer.text.strip():
            self.asked.insists = True
        else:
            self._send()

    def left(self, keys: Iterable[KeyPress]) -> list[str]:
        """At the end: lines that came too late, and last the one that wasn't sent, which comes
        back with the history. `keys` were typed and not heeded."""
        if self.asked and self.asked.hidden:
            return [""]
        document = self.buffer.document
        before, after = document.text_before_cursor, document.text_after_cursor
        lines = []
        for key in keys:
            if key.key in (Keys.ControlM, Keys.ControlJ):
                lines.append(self._unfolded(before + after).strip())
                before = after = ""
            elif key.key == Keys.BracketedPaste or len(key.key) == 1:
                before += key.data
        begun = self._unfolded(before + after).strip()
        if self.asked and not self.asked.goals and begun == self.asked.default.strip():
            begun = ""
        self._keep(begun)
        return [*filter(None, lines), begun]

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
        question, shown = self.asked, self.buffer.text
        if not (question and question.default):  # a text that was changed is taken as it stands
            shown = shown.strip()
        text = self._unfolded(shown)
        if question is None or (question.keeps and not question.hidden):
            self._keep(text.strip())
        # Each line by itself: one may stand for a text of several.
        lines = [_PASTED.sub(self._whole, line) for line in shown.split("\n")]
        self.buffer.reset()
        self._changed()
        if question is None:
            if text:
                self._said(text)
        else:
            self._echo(question.prompt, "" if question.hidden else shown)
            self.end(lines if question.goals else [text])

    def _unfolded(self, text: str) -> str:
        """The whole line, with what was pasted into it."""
        return _PASTED.sub(self._whole, text)

    def _keep(self, text: str) -> None:
        if len(text) >= SHORTEST_KEPT and self.clean(text) == text:
            with suppress(OSError):  # a courtesy: this session has it all the same
                self.buffer.history.append_string(text)

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


def history_in(path: Path | None) -> History:
    """What was typed in earlier sessions; without a file of its own only in this one."""
    if path is None:
        return InMemoryHistory()
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600))
    except OSError:
        return InMemoryHistory()
    return FileHistory(path)
