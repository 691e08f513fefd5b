"""A table of HTML as one of Markdown, or as its cells one after the other."""

import re
from collections.abc import Callable

from lxml.etree import _Element

_PARTS = frozenset(("caption", "colgroup", "col", "thead", "tbody", "tfoot", "tr", "td", "th"))
_WIDEST = 100  # columns
_DEEPEST = 2_000  # rows that one cell may span


def table(
    element: _Element, blocks: Callable[[_Element], list[str]], text: Callable[[_Element], str]
) -> list[str]:
    """A caption and rows; a table for the layout's sake gives the blocks of its cells."""
    rows = [row for row in element.iter("tr") if _owner(row) is element]
    cells = [cell for row in rows for cell in row.iterchildren("td", "th")]
    caption = [text(child) for child in element.iterchildren("caption")]
    before = [*filter(None, caption), *_strays(element, rows, blocks)]
    if _is_layout(element, rows):
        return [*before, *(block for cell in cells for block in blocks(cell))]
    lines = _lines(_grid(rows, text))
    return [*before, "\n".join(lines)] if lines else before


def _strays(
    element: _Element, rows: list[_Element], blocks: Callable[[_Element], list[str]]
) -> list[str]:
    """What stands in a table but in no cell; browsers show it before the table."""
    found: list[str] = []
    for place in (element, *element.iterchildren("tbody", "thead", "tfoot"), *rows):
        found.append(place.text or "")
        for child in place:
            if child.tag not in _PARTS and next(child.iter("tr"), None) is None:
                found += blocks(child)
            found.append(child.tail or "")
    return [text for text in (stray.strip() for stray in found) if text]


def _owner(row: _Element) -> _Element | None:
    return next(row.iterancestors("table"), None)


def _is_layout(element: _Element, rows: list[_Element]) -> bool:
    if element.get("role") in ("presentation", "none"):
        return True
    if next(element.iterdescendants("table"), None) is not None:
        return True
    return all(len(row) < 2 for row in rows)


def _grid(rows: list[_Element], text: Callable[[_Element], str]) -> list[list[str]]:
    """The cells by row and column; one that spans rows stands in each of them."""
    below: dict[int, tuple[int, str]] = {}  # column: rows still to fill, and with what
    grid: list[list[str]] = []
    for row in rows:
        line: list[str] = []
        cells = list(row.iterchildren("td", "th"))
        while (cells or len(line) in below) and len(line) < _WIDEST:
            column = len(line)
            if column in below:
                left, said = below.pop(column)
                if left > 1:
                    below[column] = left - 1, said
                line.append(said)
                continue
            cell = cells.pop(0)
            said = text(cell).replace("|", r"\|")
            for extra in range(min(_span(cell, "colspan"), _WIDEST)):
                line.append("" if extra else said)
            if (down := _span(cell, "rowspan")) > 1:
                below[column] = min(down, _DEEPEST) - 1, said
        grid.append(line)
    return [line for line in grid if any(line)]


def _span(cell: _Element, name: str) -> int:
    said = cell.get(name)
    return max(1, int(said)) if said and re.fullmatch(r"\s*[0-9]{1,5}\s*", said) else 1


def _lines(grid: list[list[str]]) -> list[str]:
    width = max(map(len, grid), default=0)
    if not width:
        return []
    rows = ["| " + " | ".join(line + [""] * (width - len(line))) + " |" for line in grid]
    return [rows[0], "|" + " --- |" * width, *rows[1:]]
