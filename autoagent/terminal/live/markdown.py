"""Markdown set for a terminal: in our few styles, its tables folded to the width."""

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode as Node
from rich.box import MARKDOWN
from rich.console import Console, JustifyMethod
from rich.segment import Segment
from rich.style import Style as Set
from rich.table import Table
from rich.text import Text

from autoagent.terminal.columns import chunks, columns
from autoagent.terminal.escape import escaped
from autoagent.terminal.live.highlighting import highlighted
from autoagent.terminal.output import Line, Style

_LARGEST = 20_000  # characters; some texts take the square of their length to read
_READABLE = 100  # columns of prose
_LEAST_CELL = 5  # columns
_WORD = re.compile(r"[^ ]+ *")
_COLOURS: tuple[Style, ...] = ("red", "green", "magenta")
_ALIGNED: dict[object, JustifyMethod] = {"text-align:right": "right", "text-align:center": "center"}


def set_lines(text: str, width: int) -> list[Line] | None:
    """The lines of a foreign text, none wider than the width but those of code and of long
    addresses, which are to be copied. None: it is too large to be set.

    What isn't sure to be meant as markup stays as it is written: HTML, struck out text, names
    between underscores. Line breaks stay, too.
    """
    if len(text) > _LARGEST:
        return None
    # What HTML calls an entity can be any character, so that all is escaped once more below.
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(escaped(text.replace("\r\n", "\n")))
    return [_trimmed(line) for line in _blocks(Node(tokens).children, width)]


def _blocks(nodes: Iterable[Node], width: int) -> Iterator[Line]:
    """Those of a tight list stand without empty lines between them."""
    before = None
    for node in nodes:
        if before is not None and not (before.type == "paragraph" and before.hidden):
            yield ()
        yield from _block(node, width)
        before = node


def _block(node: Node, width: int) -> Iterator[Line]:
    match node.type:
        case "paragraph":
            yield from _wrapped(_inline(node), min(width, _READABLE))
        case "heading":
            yield from _wrapped(_inline(node, "bold"), min(width, _READABLE))
        case "bullet_list" | "ordered_list":
            yield from _list(node, width)
        case "blockquote":
            quoted = _blocks(node.children, width - 2)
            yield from ([("| ", "dim"), *line] for line in quoted)
        case "fence":
            yield from _fence(node)
        case "code_block":
            lines = escaped(node.content).removesuffix("\n").split("\n")
            yield from ([(f"    {line}", None)] for line in lines)
        case "table":
            yield from _table(node, width)
        case "hr":
            yield [("-" * min(width, _READABLE), "dim")]
        case _:
            yield from ([(line, None)] for line in escaped(node.content).split("\n"))


def _list(node: Node, width: int) -> Iterator[Line]:
    first = int(str(node.attrs.get("start", 1)))
    for number, item in enumerate(node.children, first):
        if number > first and not _is_tight(item):
            yield ()
        mark = "- " if node.type == "bullet_list" else f"{number}{item.markup} "
        lines = _blocks(item.children, max(1, width - len(mark)))
        for at, line in enumerate([*lines] or [()]):
            yield [(" " * len(mark) if at else mark, None), *line]


def _is_tight(item: Node) -> bool:
    return all(child.hidden for child in item.children if child.type == "paragraph")


def _fence(node: Node) -> Iterator[Line]:
    """With its marks: they tell where it begins and ends, whatever stands in it."""
    code = escaped(node.content).removesuffix("\n")
    info = escaped(node.info).strip()
    yield [(f"{node.markup}{info}", "dim")]
    plain: list[Line] = [[(line, None)] for line in code.split("\n")]
    yield from highlighted(code, info.partition(" ")[0].lower()) or plain
    yield [(node.markup, "dim")]


def _inline(node: Node, style: str = "") -> Text:
    text = Text(end="")
    for child in node.children:
        _add(text, child, style)
    return text


def _add(text: Text, node: Node, style: str) -> None:
    match node.type:
        case "inline":
            _add_all(text, node, style)
        case "softbreak" | "hardbreak":
            text.append("\n")
        case "code_inline":
            text.append(_flat(node.content), style or "magenta")
        case "strong" | "em" if "_" in node.markup:
            text.append(node.markup, style)
            _add_all(text, node, style)
            text.append(node.markup, style)
        case "strong" | "em":
            _add_all(text, node, "bold")
        case "link" | "image":
            begin = len(text)
            _add_all(text, node, style)
            address = _flat(str(node.attrs.get("href") or node.attrs.get("src") or ""))
            if address and address.removeprefix("mailto:") != text.plain[begin:]:
                text.append(f" ({address})", style)
        case _:
            text.append(_flat(node.content), style)


def _add_all(text: Text, node: Node, style: str) -> None:
    for child in node.children:
        _add(text, child, style)


def _flat(text: str) -> str:
    return " ".join(escaped(text).replace("\t", " ").split("\n"))


def _table(node: Node, width: int) -> Iterator[Line]:
    """Rows that take several lines are told apart by more lines. Where the columns have no
    room, each row is told by itself, a cell a line."""
    rows = [row.children for part in node.children for row in part.children]
    head = [_inline(cell, "bold") for cell in rows[0]]
    body = [[_inline(cell) for cell in row] for row in rows[1:]]
    if width - 1 < len(head) * (_LEAST_CELL + 3):
        yield from _told(head, body, width)
        return
    aligned = [_ALIGNED.get(cell.attrs.get("style"), "left") for cell in rows[0]]
    lines = _ruled(head, body, aligned, width, between=False)
    if len(lines) > len(body) + 2:
        lines = _ruled(head, body, aligned, width, between=True)
    yield from lines


def _ruled(
    head: Sequence[Text],
    body: Sequence[Sequence[Text]],
    aligned: Sequence[JustifyMethod],
    width: int,
    *,
    between: bool,
) -> list[Line]:
    table = Table(box=MARKDOWN, border_style="dim", show_lines=between, header_style="bold")
    for title, justify in zip(head, aligned, strict=True):
        table.add_column(title, justify=justify, overflow="fold")
    for row in body:
        table.add_row(*row)
    console = _console(width)
    lines = Segment.split_lines(console.render(table, console.options))
    # The box has an empty line above and one below.
    return [_spans(line) for line in lines if "".join(segment.text for segment in line).strip()]


def _told(head: Sequence[Text], body: Sequence[Sequence[Text]], width: int) -> Iterator[Line]:
    for number, row in enumerate(body):
        if number:
            yield ()
        for title, cell in zip(head, row, strict=True):
            yield from _wrapped(Text.assemble(title, ": ", cell, end=""), width)


def _wrapped(text: Text, width: int) -> Iterator[Line]:
    console = _console(width)
    for line in text.split("\n", allow_blank=True):
        for part in line.divide(_breaks(line.plain, width)):
            part.end = ""
            yield _spans(part.render(console))


def _breaks(line: str, width: int) -> Iterator[int]:
    """Where a line is broken: between words, and within one that is wider than all. An address
    stays whole, to be copied; a terminal that wraps it still knows that it is one."""
    used = 0
    for found in _WORD.finditer(line):
        cells, word = columns(found[0]), found[0].rstrip(" ")
        if used and used + columns(word) > width:
            yield found.start()
            used = 0
        used += cells
        if columns(word) > width and "://" not in word:
            begin = found.start()
            *folded, last = chunks(word, width)
            for piece in folded:
                begin += len(piece)
                yield begin
            used = columns(last) + cells - columns(word)


def _console(width: int) -> Console:
    """Nothing is written to it: it measures."""
    return Console(
        file=io.StringIO(), width=width, color_system=None, legacy_windows=False, _environ={}
    )


def _spans(segments: Iterable[Segment]) -> list[tuple[str, Style | None]]:
    styled = ((segment.text, _ours(segment.style)) for segment in segments if segment.text)
    groups = groupby(styled, key=lambda span: span[1])
    return [("".join(text for text, _ in group), style) for style, group in groups]


def _ours(style: Set | None) -> Style | None:
    if style is None:
        return None
    if style.bold:
        return "bold"
    colour = next((name for name in _COLOURS if style.color and style.color.name == name), None)
    return colour or ("dim" if style.dim else None)


def _trimmed(line: Line) -> Line:
    """Without blanks at its end."""
    spans = list(line)
    while spans:
        text, style = spans.pop()
        if text.rstrip(" "):
            return [*spans, (text.rstrip(" "), style)]
    return spans
