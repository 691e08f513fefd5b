"""Whatever is typed, and whenever: it is an answer that is seen, words of the user's, or said."""

import json
import random
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pexpect  # type: ignore[import-untyped]
import pytest

from tests.emulated import CTRL_C, ENTER, LIMIT_S, VARIABLES, Emulated, pasted
from tests.fake_openai import Answer, FakeOpenAI, Scripted
from tests.program import Program, says

_RUNS = """
import os, signal, sys
from pathlib import Path
from autoagent.cli import main
signal.signal(signal.SIGINT, lambda *_: None)  # one that comes when a run is over
for folder in sys.argv[1:]:
    os.chdir(folder)
    code = main(["Write"])
    print(f"\\nended {code} {Path(folder).name}.", file=sys.stderr)
    left = iter(sys.stdin.readline, "")
    print("left:", *(line.strip() for line in iter(lambda: next(left), "over\\n")), file=sys.stderr)
"""
_MOST_MOVES = 400
_LOOK_S = 0.02  # at what comes of a key; nothing may
_WAITS = "touch run.txt; while [ ! -e go ]; do sleep 0.05; done; rm go"
_SLASH = ("/status", "/plan", "/cost", "/help")


@contextmanager
def _runs(folder: Path, server: FakeOpenAI, count: int) -> Iterator[Emulated]:
    """One run after another at one terminal, each in a workspace of its own: to start Python
    would take longer than all that is typed."""
    folders = [folder / f"run{number}" for number in range(count)]
    for each in folders:
        each.mkdir()
    program = Program(folder, server.base_url, VARIABLES)
    child = pexpect.spawn(
        sys.executable,
        ["-c", _RUNS, *map(str, folders)],
        env=program.environment,
        timeout=LIMIT_S,
        dimensions=(40, 110),
    )
    child.delaybeforesend = None
    try:
        yield Emulated(child)
    finally:
        child.close(force=True)


class _Typist:
    """Types at random what can be told apart, and remembers what was sent."""

    def __init__(self, seen: Emulated, lot: random.Random, held: list[Event], folder: Path) -> None:
        self._folder = folder
        self._seen = seen
        self._lot = lot
        self._held = held
        self._count = 0
        self.sent: list[str] = []  # words with Enter behind them
        self.begun = ""
        self.runs = 0  # questions answered by yes

    def word(self) -> str:
        self._count += 1
        return f"w{self._count}q"

    def types_anything(self) -> None:
        """At any time: a line, half of one, a paste, a word with a slash; now and then none."""
        match self._lot.randrange(7):
            case 0 | 1:
                self.begun += self.word()
                self._seen.types(self.begun[self.begun.rfind("w") :])
                self.enter()
            case 2 | 3:
                self.begun += self.word()
                self._seen.types(self.begun[self.begun.rfind("w") :])
            case 4:
                first, last = self.word(), self.word()
                self.begun += first + last
                self._seen.types(pasted(f"{first}\n\n{last}"))
            case 5 if self._lot.randrange(3) == 0:
                self._seen.types(CTRL_C)
            case 6 if not self.begun:
                self._seen.types(self._lot.choice(_SLASH) + ENTER)

    def enter(self) -> None:
        self.sent += re.findall(r"w\d+q", self.begun)
        self.begun = ""
        self._seen.types(ENTER)

    def moves(self, rows: list[str]) -> None:
        """Answer what stands there, or let things go on."""
        asked = self._line(rows)
        if self._lot.randrange(3) == 0:
            self.types_anything()
        elif asked.startswith("First your words") or (asked.startswith(">") and self.begun):
            self.enter()
        elif asked.startswith("Run it?") and not self.begun:
            self._answers()
        elif asked.startswith((">", "queued")) or not asked:
            (self._folder / "go").touch()
            for held in self._held:
                held.set()
        else:
            self.enter()

    def _answers(self) -> None:
        match self._lot.randrange(5):
            case 0:
                self._seen.types(CTRL_C)
            case 1:
                self._seen.types("n" + ENTER)
            case _:
                self.runs += 1
                self._seen.types("y" + ENTER)

    def _line(self, rows: list[str]) -> str:
        """The prompt of the line that is typed."""
        return rows[self._seen.cursor[1]] if self._seen.cursor[1] < len(rows) else ""


def _script(held: list[Event]) -> Iterator[Scripted]:
    """Steps that ask, steps that don't, some in which it waits for the person to do something."""
    number = 0
    while True:
        number += 1
        if number % 3 == 0:
            event = Event()
            held.append(event)
            yield Answer(says("list_files"), hold=event, hold_after=3)
        elif number == 4:
            yield says("execute_shell", command_line=_WAITS)
        elif number > 8:
            yield says("finish", answer="done")
        else:
            yield says("write_file", path=f"{number}.txt", content="text\n")


@pytest.mark.parametrize("first", [0, 5, 10])
def test_nothing_that_is_typed_is_lost_or_taken_for_an_answer(first: int, tmp_path: Path) -> None:
    """While a reply comes, at a question, in between: lines, halves, pastes, Ctrl-C."""
    held: list[Event] = []
    scripts: list[Iterator[Scripted]] = [_script(held)]

    def answer(body: dict[str, Any]) -> Answer:
        given = next(scripts[0])
        assert not callable(given)
        return given if isinstance(given, Answer) else Answer(given)

    with FakeOpenAI([answer] * 1000) as server, _runs(tmp_path, server, 5) as seen:
        for number in range(5):
            scripts[0] = _script(held)
            typist = _Typist(seen, random.Random(first + number), held, tmp_path / f"run{number}")
            asked = len(server.chats)
            _one(seen, typist, f"run{number}.")
            prompts = json.dumps([chat["messages"] for chat in server.chats[asked:]])
            rows = _told(seen)
            for word in typist.sent:
                assert word in prompts or word in rows, rows
            for word in re.findall(r"w\d+q", typist.begun):
                assert re.search(rf"(Begun and not sent|left:)(?s:.*){word}", rows), rows
            ran = len(list((tmp_path / f"run{number}").glob("*.txt")))
            assert ran <= typist.runs


def _told(seen: Emulated) -> str:
    """What stands there of this run, and what a shell would have got of what was typed."""
    before = sum(row.startswith("left:") for row in seen.scrolled)
    seen.types("\nover\n")
    seen.waits(lambda _: sum(row.startswith("left:") for row in seen.scrolled) > before)
    rows = "\n".join(seen.scrolled)
    return rows[max(0, rows.rfind("\nleft:", 0, rows.rfind("\nleft:"))) :]


def _one(seen: Emulated, typist: _Typist, name: str) -> None:
    for _ in range(_MOST_MOVES):
        seen.looks(_LOOK_S)
        rows = seen.waits(
            lambda rows: (
                any(row.startswith("ended") and name in row for row in rows)
                or any(row.startswith("step ") and " of 100" in row for row in rows[-1:])
            )
        )
        if any(row.startswith("ended") and name in row for row in rows):
            return
        typist.moves(rows)
    raise AssertionError("it never ended:\n" + "\n".join(seen.scrolled[-60:]))
