"""Where a person reads: standard error, its colours, a passing line where it can redraw."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Literal, TextIO

from autoagent.terminal.columns import clipped, columns

# No yellow, cyan or blue: one of them can't be read on a light or on a dark background.
Style = Literal["bold", "dim", "red", "green", "magenta"]

Line = Sequence[tuple[str, Style | None]]
"""A line of text in pieces, each in one style."""

Shows = Literal["reply", "output", ""]
"""Which glimpses belong to a sign of life."""

_NARROWEST, _USUAL = 40, 80  # columns
_LEAST = 20  # columns, beside a name


class Output:
    """Writes lines to a stream that may be closed, may be no terminal, may not know UTF-8.

    `plain`: nothing is redrawn and no sign beyond ASCII is ours.
    """

    lives = False  # whether it has lines of its own beneath, see `bar`

    def __init__(self, stream: TextIO | None, *, colour: bool = False, plain: bool = False) -> None:
        self._stream = stream
        self._colour = colour
        self._plain = plain
        self._passing = ""  # the line that is to be replaced
        self.lost: OSError | None = None  # why nothing more is written

    @property
    def colour(self) -> bool:
        return self._colour

    @property
    def is_terminal(self) -> bool:
        try:
            return self._stream is not None and self._stream.isatty()
        except ValueError:  # closed
            return False

    @property
    def redraws(self) -> bool:
        """Whether somebody may be watching a terminal that can replace a line."""
        return self.is_terminal and not self._plain

    @property
    def sets_type(self) -> bool:
        """Whether what is shown there may be highlighted and set, which takes a while to load."""
        return self.colour and self.redraws

    @property
    def width(self) -> int:
        """Columns of the terminal now; 80 where there is none."""
        if self._stream is None:
            return _USUAL
        try:
            return max(_NARROWEST, os.get_terminal_size(self._stream.fileno()).columns)
        except (OSError, ValueError):
            return _USUAL

    def line(self, text: str = "", style: Style | None = None) -> None:
        self.write(self.styled(text, style) + "\n")

    def status(self, text: str, shows: Shows = "") -> None:
        """A sign of life, at a terminal only: the next line replaces it, or follows it."""
        if self.is_terminal:
            self.line(clipped(text, self.width - 1), "dim") if self._plain else self._pass(text)

    def _pass(self, text: str) -> None:
        self.write(self.styled(clipped(text, self.width - 1), "dim"))
        self._passing = text

    def above(self, text: str) -> None:
        """Write lines that leave the passing line where it is, behind them."""
        passing = self._passing
        self.write(text)
        if passing:
            self._pass(passing)

    @contextmanager
    def meanwhile(self) -> Iterator[None]:
        """What is written in it is beside what goes on, whose sign of life stays where it can."""
        yield

    def ring(self) -> None:
        """The bell."""
        self.write("\a")

    def queued(self, words: Sequence[str]) -> None:
        """What was typed and the agent doesn't have yet, where it can be shown."""

    def bar(self, text: Callable[[int], str]) -> None:
        """The line that says how the session stands, by its columns, where there is one."""

    def behind(self, name: str) -> "Output":
        """For somebody else's lines on the same screen: each stands behind that name."""
        return _Named(self, name, self._stream, colour=self._colour, plain=self._plain)

    def write(self, text: str) -> None:
        """Write and flush. A reader that is gone is no reason to stop the run."""
        if self._stream is None:
            return
        if self._passing:
            from colorama.ansi import clear_line

            text = f"\r{clear_line()}{text}"
            self._passing = ""
        try:
            self._stream.write(self._encodable(text))
            self._stream.flush()
        except (OSError, ValueError) as error:
            self.lost = error if isinstance(error, OSError) else None
            self._abandon(self._stream)
            self._stream = None

    def _abandon(self, stream: TextIO) -> None:
        """What Python still holds of it must not fail once more, and the exit code with it."""
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())

    def _encodable(self, text: str) -> str:
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        if self._plain or not encoding.lower().startswith("utf"):
            text = text.replace("…", "...")
        return text.encode(encoding, "backslashreplace").decode(encoding)

    def set_line(self, line: Line) -> str:
        """The text of a line in its styles."""
        return "".join(self.styled(text, style) for text, style in line)

    def styled(self, text: str, style: Style | None) -> str:
        if not self._colour or style is None or not text:
            return text
        from colorama import Fore
        from colorama import Style as Weight

        codes: dict[Style, str] = {
            "bold": Weight.BRIGHT,
            "dim": Weight.DIM,
            "red": Fore.RED,
            "green": Fore.GREEN,
            "magenta": Fore.MAGENTA,
        }
        return f"{codes[style]}{text}{Weight.RESET_ALL}"


class _Named(Output):
    """Empty lines are left out, and signs of life to whom the screen belongs."""

    def __init__(
        self, out: Output, name: str, stream: TextIO | None, *, colour: bool, plain: bool
    ) -> None:
        super().__init__(stream, colour=colour, plain=plain)
        self._out = out
        self._before = f"{name}: "

    @property
    def width(self) -> int:
        return max(_LEAST, super().width - columns(self._before))

    def status(self, text: str, shows: Shows = "") -> None:
        pass

    def write(self, text: str) -> None:
        before = self.styled(self._before, "dim")
        if named := "".join(f"{before}{line}\n" for line in text.split("\n") if line.strip()):
            self._out.above(named)
        self.lost = self._out.lost


def standard_error(color: str, environ: Mapping[str, str], *, plain: bool = False) -> Output:
    """Where a run is told of."""
    return output_to(sys.stderr, color, environ, plain=plain)


def output_to(
    stream: TextIO | None, color: str, environ: Mapping[str, str], *, plain: bool = False
) -> Output:
    """With colour by --color, NO_COLOR, CLICOLOR_FORCE and TERM=dumb."""
    dumb = environ.get("TERM") == "dumb"
    if color == "auto":
        terminal = Output(stream).is_terminal and not dumb and not plain
        forced = environ.get("CLICOLOR_FORCE", "0") not in ("", "0")
        colour = not environ.get("NO_COLOR") and (forced or terminal)
    else:
        colour = color == "always"
    return Output(stream, colour=colour, plain=plain or dumb)
