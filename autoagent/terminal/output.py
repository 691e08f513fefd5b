"""Where a person reads: standard error in plain lines, colour where it is wanted."""

import os
import sys
from collections.abc import Mapping
from typing import Literal, TextIO

Style = Literal["bold", "dim", "red", "green", "yellow", "cyan"]


class Output:
    """Writes lines to a stream that may be closed, may be no terminal, may not know UTF-8."""

    def __init__(self, stream: TextIO | None, *, colour: bool = False) -> None:
        self._stream = stream
        self._colour = colour

    @property
    def is_terminal(self) -> bool:
        return self._stream is not None and self._stream.isatty()

    def line(self, text: str = "", style: Style | None = None) -> None:
        self.write(self.styled(text, style) + "\n")

    def write(self, text: str) -> None:
        """Write and flush. A reader that is gone is no reason to stop the run."""
        if self._stream is None:
            return
        try:
            encoding = self._stream.encoding or "utf-8"
            self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
            self._stream.flush()
        except (OSError, ValueError):
            self._stream = None

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
            "yellow": Fore.YELLOW,
            "cyan": Fore.CYAN,
        }
        return f"{codes[style]}{text}{Weight.RESET_ALL}"


def standard_error(color: str, environ: Mapping[str, str]) -> Output:
    """Standard error with colour by --color, NO_COLOR, CLICOLOR_FORCE and TERM=dumb."""
    stream = sys.stderr
    if color == "auto":
        terminal = stream is not None and stream.isatty() and environ.get("TERM") != "dumb"
        forced = environ.get("CLICOLOR_FORCE", "0") not in ("", "0")
        colour = not environ.get("NO_COLOR") and (forced or terminal)
    else:
        colour = color == "always"
    return Output(stream, colour=colour)


def width() -> int:
    """Columns of the terminal; 80 where there is none."""
    try:
        return max(40, os.get_terminal_size(2).columns)
    except OSError:
        return 80
