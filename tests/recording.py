"""What stands on an emulated terminal, as a picture (SVG) with its text in it."""

import re
from collections.abc import Iterator
from itertools import groupby
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from tests.emulated import Seen

_WIDE, _HIGH = 8.4, 18  # of a cell, in pixels
_EDGE = 14
_STYLE = """
text { font: 14px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #1f2328;
  white-space: pre }
.page { fill: #f6f8fa } .bold { font-weight: 700 } .dim { opacity: .6 }
.red { fill: #b3261e } .green { fill: #1a7f37 } .magenta { fill: #8a3ab9 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .page { fill: #161b22 }
  .red { fill: #ff8a80 } .green { fill: #56d364 } .magenta { fill: #d2a8ff }
}
"""

_DIFFERS = r"(?<=…) \d+ s|-[0-9a-f]{4}(?= in)|([\d.]+[kM]?)"
"""A clock that isn't there at first, the end of a session's name, numbers."""


def picture(seen: Seen, first: str) -> str:
    """The rows from the one that begins so, in the colours they have."""
    rows = seen.rows
    begin = next(n for n, row in enumerate(rows) if row.startswith(first))
    shown = range(begin, len(rows))
    width = 2 * _EDGE + _WIDE * seen.size[0]
    height = 2 * _EDGE + _HIGH * len(shown)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" role="img">',
        f"<style>{_STYLE}</style>",
        f'<rect class="page" width="{width:g}" height="{height:g}" rx="8"/>',
    ]
    for number, row in enumerate(shown, 1):
        place = f'x="{_EDGE}" y="{_EDGE - 4 + _HIGH * number}"'
        lines.append(f"<text {place}>{''.join(_runs(seen, row))}</text>")
    return "\n".join([*lines, "</svg>", ""])


def _runs(seen: Seen, row: int) -> Iterator[str]:
    """Stretches of one style."""
    cells = [seen.cell(column, row) for column in range(seen.size[0])]
    while cells and cells[-1].data == " ":
        cells.pop()
    for style, run in groupby(cells, _class):
        text = escape("".join(cell.data for cell in run))
        yield f'<tspan class="{style}">{text}</tspan>' if style else text


def _class(cell: Any) -> str:
    colour = cell.fg if cell.fg in ("red", "green", "magenta") else ""
    weight = "bold" if cell.bold else "dim" if cell.italics else ""
    return f"{colour} {weight}".strip()


def text_of(svg: str) -> str:
    """The text of a picture, a line each, without what differs from run to run."""
    root = ElementTree.fromstring(svg)  # our own file
    rows = ("".join(row.itertext()) for row in root.iter("{http://www.w3.org/2000/svg}text"))
    return "\n".join(re.sub(_DIFFERS, lambda found: "0" * bool(found[1]), row) for row in rows)
