"""RSS and Atom: what a feed tells, newest as it gives them."""

from urllib.parse import urljoin

from lxml import etree
from lxml.etree import _Element

from commands.web.foreign.document import Document, on_one_line, seen
from commands.web.foreign.html import fragment
from commands.web.foreign.markdown import words

_LONGEST = 600  # characters of an entry's text
_ENTRIES = ("item", "entry")
_DATES = ("pubDate", "published", "date", "updated")
_TEXTS = ("description", "summary", "encoded", "content")


def feed(data: bytes, address: str) -> Document | None:
    """The entries with title, address, date and the beginning of their text; None: no feed."""
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, recover=True, remove_comments=True
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError:
        return None
    if root is None or _name(root) not in ("rss", "feed", "RDF"):
        return None
    entries = [e for e in root.iter("*") if _name(e) in _ENTRIES]
    about = next((e for e in root.iter("*") if _name(e) in ("channel", "feed")), root)
    title = on_one_line(_child(about, "title"))
    items = "\n".join(_entry(entry, address) for entry in entries)
    return Document(f"# {title}\n\n{items}", title, notes=(f"feed of {len(entries)} entries",))


def _entry(entry: _Element, address: str) -> str:
    title = on_one_line(fragment(_child(entry, "title"), address)) or "(without a title)"
    link = _link(entry)
    date = on_one_line(next(filter(None, (_child(entry, name) for name in _DATES)), ""))
    text = next(filter(None, (_child(entry, name) for name in _TEXTS)), "")
    line = f"- [{title}]({urljoin(address, link)})" if link else f"- {title}"
    summary = on_one_line(seen(fragment(text, address)))
    cut = summary if len(summary) <= _LONGEST else summary[:_LONGEST] + "…"
    return line + (f", {date}" if date else "") + (f"\n  {cut}" if cut and cut != title else "")


def _link(entry: _Element) -> str:
    links = [child for child in entry if _name(child) == "link"]
    best = [e for e in links if e.get("rel", "alternate") == "alternate"] or links
    for element in best:
        link = (element.get("href") or element.text or "").strip()
        if link:
            return link.replace(" ", "%20")
    guid = _child(entry, "guid").strip()
    return guid if guid.startswith(("http://", "https://")) else ""


def _child(element: _Element, name: str) -> str:
    for child in element:
        if _name(child) == name:
            return words(child)
    return ""


def _name(element: _Element) -> str:
    return etree.QName(element).localname if isinstance(element.tag, str) else ""
