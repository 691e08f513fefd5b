"""Transcripts in pages: played anew at a terminal, and put into the page where that is wished.

A page holds `<!-- transcript: NAME -->` and after it a fenced text, which is what a person at
`$ ` saw and typed.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import pexpect  # type: ignore[import-untyped]

from autoagent.terminal.columns import columns
from tests.emulated import ENTER, Emulated
from tests.machine import Machine
from tests.program import ROOT

Said = tuple[str, str]  # what is waited for, and what is typed then
PROMPT = "$ "
ENDS = f"\n{PROMPT}"  # of a command
_LIMIT_S = 60.0
_COLUMNS = 100
_VARIES = (
    (r"\d{8}-\d{6}-[0-9a-f]{4}", "20261120-231800-5f3a"),
    (r"\d+\.\d s\b", "0.1 s"),
    (r"steps, \d+ s;", "steps, 1 s;"),
    (r"(?m)^Cage: .*\n(?:  .*\n)*", "Cage: …\n"),
    (r"process \d+", "process 4711"),
    (r"(?m)^(Session .*)\n  (?=\S)", r"\1 "),  # wrapped by the length of its folder
    (r"\b +\d+ min  ", "     6 h  "),
)


def played(machine: Machine, typed: Sequence[Said]) -> str:
    """The screen of a shell in the machine's folder where that was typed, to its last prompt."""
    child = pexpect.spawn(
        "bash", ["--norc", "--noprofile", "--noediting"], cwd=str(machine.folder),
        env={**machine.environment, "PS1": PROMPT, "TERM": "xterm", "NO_COLOR": "1"},
        timeout=_LIMIT_S, dimensions=(40, _COLUMNS),
    )  # fmt: skip
    child.delaybeforesend = None
    child.ptyproc.delayafterclose = 0.0
    screen = Emulated(child)
    row = -1
    try:
        for awaited, text in (*typed, (ENDS, "exit")):
            row = _prompted(screen, awaited, row)
            screen.types(text + ENTER)
        shown = _unbroken(screen.scrolled[:-1])  # without the last prompt
        screen.ends()
    finally:
        child.close(force=True)
    return settled(shown.strip(), machine.home)


def _unbroken(rows: Sequence[str]) -> str:
    """The lines of a screen; what fills a row goes on in the next one, if there is more."""
    pairs = zip(rows, [*rows[1:], ""], strict=True)
    return "".join(row if columns(row) == _COLUMNS and more else f"{row}\n" for row, more in pairs)


def _prompted(screen: Emulated, awaited: str, above: int) -> int:
    """Wait until that stands before the cursor, beneath that row, and nothing behind it: where
    a hint does nobody asks. Its row, from the first."""

    def is_asked(rows: list[str]) -> bool:
        column, row = screen.cursor
        line = rows[row] if row < len(rows) else ""
        before = "\n".join(["", *rows[:row], f"{line:{column}}"])
        return before.endswith(awaited) and screen.row > above

    screen.waits(is_asked)
    return screen.row


def settled(text: str, home: Path) -> str:
    """What differs from run to run made equal."""
    for pattern, same in ((re.escape(str(home)), "/home/me"), *_VARIES):
        text = re.sub(pattern, same, text)
    return text


def shown(page: str, name: str) -> str:
    """The transcript that stands in that page of docs/."""
    _, text, _ = _parts(page, name)
    return text


def put(page: str, name: str, text: str) -> None:
    head, _, rest = _parts(page, name)
    (ROOT / "docs" / page).write_text(f"{head}{text}{rest}", "utf-8")


def _parts(page: str, name: str) -> tuple[str, str, str]:
    text = (ROOT / "docs" / page).read_text("utf-8")
    head, begin, rest = text.partition(f"<!-- transcript: {name} -->\n```text\n")
    assert begin, f"docs/{page} has no transcript {name!r}"
    inner, end, rest = rest.partition("```\n")
    return head + begin, inner.removesuffix("\n"), f"\n{end}{rest}"
