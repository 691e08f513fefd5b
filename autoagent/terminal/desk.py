"""Where a person sits: what they read, what they type, and how both look."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from autoagent.glimpse import Glimpsed
from autoagent.terminal.keyboard import Keyboard
from autoagent.terminal.output import Output
from autoagent.terminal.prompter import Keys, LinePrompter, Prompter


class Desk:
    """A terminal, or what stands in its place. As a context manager it is left as it was.

    `glimpsed` takes what is coming, None where it isn't shown.
    """

    def __init__(self, out: Output, keys: Keys, prompter: Prompter) -> None:
        self.out = out
        self.keys = keys
        self.prompter = prompter
        self.glimpsed: Glimpsed | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave the terminal; the output goes on, in plain lines."""

    def cleans(self, clean: Callable[[str], str]) -> None:
        """More is secret than was known when it began."""

    def when_typed(self, call: Callable[[], None]) -> None:
        """Call this, from any thread, when something was typed that answers no question;
        where that can't be known, never."""


def line_desk(out: Output) -> Desk:
    """By lines, as every terminal knows them."""
    keyboard = Keyboard()
    return Desk(out, keyboard, LinePrompter(out, keyboard))


def lives(out: Output, environ: Mapping[str, str]) -> bool:
    """Whether this terminal can redraw lines, and may."""
    encoding = getattr(sys.stderr, "encoding", None) or ""
    term = environ.get("TERM", "")
    return out.redraws and term not in ("", "dumb") and encoding.lower().startswith("utf")


def in_foreground() -> bool:
    """Whether this process may read the terminal on standard input; `&` takes that away."""
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False


def live_desk(
    out: Output,
    environ: Mapping[str, str],
    history: Path | None,
    words: Sequence[tuple[str, str]],
    clean: Callable[[str], str],
) -> Desk:
    """With a line to type in that is always there, and what goes on above it."""
    from autoagent.terminal.live.desk import LiveDesk
    from autoagent.terminal.live.screen import Screen

    screen = Screen(
        *(sys.stdin, sys.stderr, environ),
        history=history,
        words=words,
        clean=clean,
        colour=out.colour,
    )
    return LiveDesk(screen, sys.stderr, colour=out.colour)
