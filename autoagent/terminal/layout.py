"""Foreign text on a screen. What is ours begins at the margin; what isn't is indented, on
every line, so that it can't pass for ours."""

from autoagent.terminal.columns import chunks, wrapped
from autoagent.terminal.escape import escaped
from autoagent.terminal.output import Output, Style

_READABLE = 100  # columns of prose
_UNBROKEN = 1_000_000  # columns: who reads a log searches it by lines
_BAR = "  | "


def told(out: Output, text: str, style: Style | None = None, mark: str = "") -> None:
    """A sentence of ours at the margin, further lines of it indented; `mark` stands before."""
    flat = escaped(" ".join(text.split()))
    before, indent = mark, " " * max(2, len(mark))
    for piece in wrapped(flat, _room(out) - len(mark)):
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
    return barred(out, [(line, style) for line in _lines(text.removesuffix("\n"))], most)


def barred(out: Output, lines: list[tuple[str, Style | None]], most: int | None = None) -> int:
    """Escaped lines behind a bar, none wider than the screen; how many are left out."""
    room = out.width - len(_BAR) - 1
    pieces = [(piece, style) for line, style in lines for piece in chunks(line, room)]
    for piece, style in pieces[:most]:
        out.line(_BAR + out.styled(piece, style) if piece else _BAR.rstrip())
    return 0 if most is None else max(0, len(pieces) - most)


def _room(out: Output) -> int:
    return min(out.width, _READABLE) - 3 if out.is_terminal else _UNBROKEN


def _lines(text: str) -> list[str]:
    return escaped(text).expandtabs().split("\n")
