"""A page of HTML: its title, its date, its text."""

import re
from urllib.parse import urljoin

from lxml import etree
from lxml.etree import _Element

from commands.web.foreign.document import Document, Unreadable, on_one_line, seen
from commands.web.foreign.markdown import markdown, words
from commands.web.foreign.pruning import pruned

_DEEPEST = 2_000  # the parser drops what lies deeper, 2,048 levels
_LITTLE = 200  # characters: no more than a notice
_DATES = (
    "article:published_time",
    *("datepublished", "dc.date.issued", "dc.date", "dcterms.created", "date", "pubdate"),
    *("citation_publication_date", "sailthru.date", "parsely-pub-date"),
)
_CHANGES = ("article:modified_time", "og:updated_time", "datemodified", "last-modified")
_JSON_DATE = re.compile(r'"(datePublished|dateModified)"\s*:\s*"([^"]{4,40})"')
_WHEN = re.compile(r"[0-9]{4}-[0-9]{2}(?:-[0-9]{2})?")
_ROOTS = frozenset(("root", "app", "__next", "__nuxt", "main-app", "svelte", "q-app"))


def page(text: str, address: str) -> Document:
    """The document of a page that was found at that address."""
    root = _parsed(text)
    base = _base(root, address)
    title = _title(root)
    date = _date(root)
    scripts = next(root.iter("script"), None) is not None
    wanted = scripts and _wants_script(root)
    onward = _onward(root, base)
    deep = _is_deep(root)
    body = seen(markdown(pruned(root), base))
    little = len(re.sub(r"\W", "", body)) < _LITTLE
    if onward and little:
        body = f"{body}\n\nThe page sends its reader on to {onward}".strip()
    return Document(
        body,
        title,
        date,
        ("nested too deeply to be read whole",) if deep else (),
        script=not onward and ((little and wanted) or (not body and scripts)),
    )


def fragment(text: str, address: str) -> str:
    """A piece of HTML within another document, as Markdown."""
    if "<" not in text and "&" not in text:
        return text.strip()
    try:
        return markdown(pruned(_parsed(text)), address)
    except Unreadable:
        return ""


def _parsed(text: str) -> _Element:
    parser = etree.HTMLParser(
        encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True, huge_tree=True
    )
    root = etree.fromstring(text.encode("utf-8", "replace"), parser) if text.strip() else None
    if root is None:
        raise Unreadable("is empty")
    for behind in list(root.itersiblings()):  # what stands behind a page's end is shown, too
        root.append(behind)
    return root


def _base(root: _Element, address: str) -> str:
    named: str = next((e.get("href") or "" for e in root.iter("base")), "")
    try:
        return urljoin(address, named.strip())
    except ValueError:
        return address


def _title(root: _Element) -> str:
    for element in root.iter("title"):
        if next(element.iterancestors("svg"), None) is None and element.text:
            return on_one_line(element.text)
    named = _metas(root).get("og:title", "")
    heading = next(root.iter("h1"), None)
    return on_one_line(named or (words(heading) if heading is not None else ""))


def _metas(root: _Element) -> dict[str, str]:
    """What a page says of itself, the first of each name."""
    found: dict[str, str] = {}
    for element in root.iter("meta"):
        name = element.get("property") or element.get("name") or element.get("itemprop") or ""
        found.setdefault(name.strip().lower(), (element.get("content") or "").strip())
    return found


def _date(root: _Element) -> str:
    """When it was published, and changed when that was on another day: `2025-03-14`."""
    metas = _metas(root)
    said = {"datePublished": "", "dateModified": ""}
    for script in root.iter("script"):
        if "json" in (script.get("type") or ""):
            for name, value in _JSON_DATE.findall(script.text or ""):
                said[name] = said[name] or value
    times = (e.get("datetime") or "" for e in root.iter("time"))
    published = [*(metas.get(n, "") for n in _DATES), said["datePublished"], *times]
    changed = [*(metas.get(n, "") for n in _CHANGES), said["dateModified"]]
    first, last = (next(filter(None, map(_day, each)), "") for each in (published, changed))
    return f"{first}, changed {last}" if first and last and first != last else first or last


def _day(text: str) -> str:
    found = _WHEN.match(text.strip())
    return found[0] if found else ""


def _wants_script(root: _Element) -> bool:
    for element in root.iter("noscript"):
        if re.search(r"java\s?script", words(element), re.I):
            return True
    return any(e.get("id") in _ROOTS and not words(e).strip() for e in root.iter("div"))


def _onward(root: _Element, base: str) -> str:
    """Where a page sends its reader by itself."""
    for element in root.iter("meta"):
        if (element.get("http-equiv") or "").lower() == "refresh":
            found = re.search(r"url\s*=\s*[\"']?([^\"'\s]+)", element.get("content") or "", re.I)
            if found:
                try:
                    return urljoin(base, str(found[1]))
                except ValueError:
                    return ""
    return ""


def _is_deep(root: _Element) -> bool:
    level = [root]
    for _ in range(_DEEPEST):
        level = [child for element in level for child in element]
    return bool(level)
