"""A tree of HTML as Markdown: headings, links, lists, code, quotes, tables."""

import re
from collections.abc import Iterator
from urllib.parse import urljoin

from lxml.etree import _Element

from commands.web.foreign import tables

_BLOCKS = frozenset(
    """address article aside blockquote body center dd details dialog dir div dl dt fieldset
    figcaption figure footer form h1 h2 h3 h4 h5 h6 header hr html legend li main nav ol optgroup
    option p pre section summary table tbody td tfoot th thead tr ul caption""".split()  # noqa: SIM905
)
_CODE = frozenset(("code", "kbd", "samp", "tt", "var"))
_MARKS = dict.fromkeys(("b", "strong"), "**") | dict.fromkeys(("i", "em", "cite", "dfn"), "*")
_MARKS |= dict.fromkeys(("s", "del", "strike"), "~~")
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_BREAK = "\v"  # a <br> until its line is put together; a page's own was a blank
_LANGUAGE = re.compile(r"(?:^|\s)(?:language|lang|highlight-source|brush:)-?\s*([\w+#.-]{1,20})")
_HEAD_MARK = re.compile(r"(#+ |> |- |\d+\. )?(.*)", re.S)
_BLANKS = re.compile(r"\s+")
_UNLINKED = re.compile(r"\s*(?:$|#|javascript:|data:|blob:|about:)", re.I)


def words(element: _Element) -> str:
    """All text within an element, as it stands there."""
    return "".join(map(str, element.itertext()))


def markdown(element: _Element, base: str) -> str:
    """The text of an element; `base` is what its links are relative to."""
    return "\n\n".join(_Writer(element, base).blocks(element))


class _Writer:
    """`_holds` are the elements with a block somewhere inside, which so are blocks too."""

    def __init__(self, root: _Element, base: str) -> None:
        self._base = base
        self._holds: set[_Element] = set()
        for element in root.iter(*_BLOCKS):
            above = element.getparent()
            while above is not None and above not in self._holds:
                self._holds.add(above)
                above = above.getparent()

    def blocks(self, element: _Element) -> list[str]:
        """What an element holds, one text a block."""
        found: list[str] = []
        line: list[str] = [_plain(element.text)]
        for child in element:
            if child.tag in _BLOCKS or child in self._holds:
                found += _line(line)
                found += self._block(child)
                line = []
            else:
                line.append(self.inline(child))
            line.append(_plain(child.tail))
        return found + _line(line)

    def text(self, element: _Element) -> str:
        """All that an element holds on one line."""
        return " ".join(" ".join(self.blocks(element)).split())

    def _block(self, element: _Element) -> list[str]:
        match element.tag:
            case "h1" | "h2" | "h3" | "h4" | "h5" | "h6":
                return self._heading(element)
            case "pre":
                return _fenced(element)
            case "ul" | "ol" | "dir":
                return self._list(element)
            case "table":
                return tables.table(element, self.blocks, self.text)
            case "blockquote":
                return _behind("> ", "> ", "\n\n".join(self.blocks(element)))
            case "dd":
                return _behind(": ", "  ", "\n\n".join(self.blocks(element)))
            case "hr":
                return ["---"]
            case "a":
                return self._linked(element)
            case _:
                return self.blocks(element)

    def _heading(self, element: _Element) -> list[str]:
        mark = "#" * int(element.tag[1])
        if next(element.iterdescendants(*_HEADINGS), None) is None:
            text = self.text(element)
            return [f"{mark} {text}"] if text else []
        blocks = self.blocks(element)  # it wasn't closed, and more headings follow within
        if blocks and not blocks[0].startswith("#"):
            blocks[0] = f"{mark} {blocks[0]}"
        return blocks

    def _list(self, element: _Element) -> list[str]:
        number = _whole(element.get("start"), 1)
        lines: list[str] = []
        for child in element:
            items = self.blocks(child) if child.tag == "li" else self._block(child)
            mark = f"{number}. " if element.tag == "ol" else "- "
            number += child.tag == "li"
            lines += _behind(mark, " " * len(mark), "\n".join(items))
        return ["\n".join(lines)] if lines else []

    def _linked(self, element: _Element) -> list[str]:
        """A link around whole blocks: the first of them bears it."""
        blocks = self.blocks(element)
        target = self._target(element)
        if blocks and target:
            found = _HEAD_MARK.fullmatch(blocks[0])
            assert found is not None
            blocks[0] = f"{found[1] or ''}[{found[2]}]({target})"
        return blocks

    def inline(self, element: _Element) -> str:
        """An element within a line."""
        tag = element.tag
        if tag == "br":
            return _BREAK
        if tag == "img":
            alt = _plain(element.get("alt")).strip()
            return f"![{alt}]" if alt else ""
        if tag in _CODE:
            return _code(words(element))
        inner = _plain(element.text)
        for child in element:
            inner += self.inline(child) + _plain(child.tail)
        bare = inner.strip(" " + _BREAK)
        if not bare:
            return inner
        if tag == "a":
            return inner.replace(bare, self._link(bare, element), 1)
        if tag == "sup" and bare.isalnum():
            return inner.replace(bare, "^" + bare, 1)
        mark = _MARKS.get(str(tag), "")
        if not mark or bare.startswith(mark):
            return inner
        return inner.replace(bare, mark + bare + mark, 1)

    def _link(self, text: str, element: _Element) -> str:
        target = self._target(element)
        text = text.replace(_BREAK, " ")
        if not target or target == text:
            return text
        return f"[{text}]({target})"

    def _target(self, element: _Element) -> str:
        """Where a link leads, absolute; "" for one within the page or to a program."""
        target = element.get("href") or ""
        if _UNLINKED.match(target):
            return ""
        try:
            return re.sub(r"\s", "%20", urljoin(self._base, target.strip()))
        except ValueError:
            return ""


def _plain(text: str | None) -> str:
    """Text as a browser shows it: white space is a blank."""
    return _BLANKS.sub(" ", text) if text else ""


def _line(pieces: list[str]) -> list[str]:
    text = re.sub(rf" *{_BREAK} *", "\n", re.sub(" +", " ", "".join(pieces)))
    text = re.sub(r"\n{3,}", "\n\n", text).strip()
    return [text] if text else []


def _behind(first: str, rest: str, text: str) -> list[str]:
    """The lines of a text behind a mark."""
    if not text:
        return []
    lines = text.split("\n")
    return [
        "\n".join(
            [first + lines[0], *(rest + line if line else rest.rstrip() for line in lines[1:])]
        )
    ]


def _code(text: str) -> str:
    text = " ".join(text.split())
    fence = "`" if "`" not in text else "``"
    return f"{fence}{text}{fence}" if text else ""


def _fenced(element: _Element) -> list[str]:
    text = "".join(_raw(element)).replace("\r\n", "\n").strip("\n").rstrip()
    if not text:
        return []
    runs = [len(run) for run in re.findall("`{3,}", text)]
    fence = "`" * (max(runs, default=2) + 1)
    return [f"{fence}{_language(element)}\n{text}\n{fence}"]


def _raw(element: _Element) -> Iterator[str]:
    """Preformatted text; a block within it stands on a line of its own."""
    yield element.text or ""
    for child in element:
        if child.tag == "br":
            yield "\n"
        else:
            text = "".join(_raw(child))
            own = child.tag in _BLOCKS and not text.endswith("\n")
            yield text + ("\n" if own else "")
        yield child.tail or ""


def _language(element: _Element) -> str:
    near = [element, *element.iterchildren("code"), *list(element.iterancestors())[:2]]
    found = (_LANGUAGE.search(e.get("class") or "") for e in near)
    return next((match[1] for match in found if match), "")


def _whole(text: str | None, otherwise: int) -> int:
    return int(text) if text and re.fullmatch(r"-?[0-9]{1,6}", text.strip()) else otherwise
