"""Foreign text on a screen. What is ours begins at the margin; what isn't is indented, on
every line, so that it can't pass for ours."""

from collections.abc import Iterable, Iterator

from autoagent.terminal.columns import chunks, wrapped
from autoagent.terminal.escape import escaped
from autoagent.terminal.output import Line, Output, Style

_READABLE = 100  # columns of prose
_UNBROKEN = 1_000_000  # columns: who reads a log searches it by lines
_BAR = "  | "


def told(out: Output, text: str, style: Style | None = None, mark: str = "") -> None:
    """A sentence of ours at the margin, further lines of it indented; `mark` stands before."""
    flat = escaped(" ".join(text.split()))
    before, indent = mark, " " * max(2, len(mark))
    for piece in wrapped(flat, _room(out) + 2 - len(indent)):
        out.line(f"{before}{piece}", style)
        before = indent


def paragraph(out: Output, text: str, style: Style | None = None, mark: str = "") -> None:
    """Foreign prose, wrapped; `mark` stands before its first line."""
    room = _room(out) - len(mark)
    before = mark
    for line in _lines(text.strip()):
        for piece in wrapped(line, room):
            out.line(f"  {before}{piece}".rstrip(), style)
            before = " " * len(mark)


def fenced(out: Output, text: str, most: int | None = None, style: Style | None = None) -> int:
    """Foreign lines as they are, each behind a bar; how many of them are left out."""
    return barred(out, ([(line, style)] for line in shown_lines(text)), most)


def shown_lines(text: str) -> list[str]:
    """The escaped lines of a text that is shown as it is, without their ends."""
    return _lines(text.removesuffix("\n"))


def barred(out: Output, lines: Iterable[Line], most: int | None = None) -> int:
    """Escaped lines behind a bar, none wider than the screen; how many are left out."""
    room = out.width - len(_BAR) - 1
    pieces = [piece for line in lines for piece in _cut(line, room)]
    for piece in pieces[:most]:
        out.line(_BAR + out.set_line(piece) if piece else _BAR.rstrip())
    return 0 if most is None else max(0, len(pieces) - most)


def _cut(line: Line, room: int) -> Iterator[Line]:
    """The line in as many as its text takes, cut without regard to its styles."""
    spans = [(text, style) for text, style in line if text]
    number = begin = 0  # of the span that comes next, and in it
    for piece in chunks("".join(text for text, _ in spans), room):
        left = len(piece)
        cut: list[tuple[str, Style | None]] = []
        while left:
            text, style = spans[number]
            cut.append((text[begin : begin + left], style))
            taken = len(cut[-1][0])
            left, begin = left - taken, begin + taken
            if begin == len(text):
                number, begin = number + 1, 0
        yield cut


def _room(out: Output) -> int:
    return min(out.width, _READABLE) - 3 if out.is_terminal else _UNBROKEN


def _lines(text: str) -> list[str]:
    return escaped(text).expandtabs().split("\n")
