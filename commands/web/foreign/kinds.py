"""Which kind of document it is, by what its server says and by its first bytes."""

import re

from commands.encoding import binary_kind
from commands.web.foreign import html, plain
from commands.web.foreign.charset import decoded
from commands.web.foreign.document import Document, Unreadable, seen

_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w:.-]+)", re.I)
_TEXTS = re.compile(r"text/|application/(?:.*(?:json|xml|yaml|toml|javascript|sql|x-sh|csv)|rtf$)")
_HTML = re.compile(
    rb"\s*(?:<!--.{0,2000}?-->\s*)*<(?:!doctype\s+html|html|head|body)\b", re.I | re.S
)
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\r\f\b\x1b"))


def document(data: bytes, content_type: str, address: str) -> Document:
    """Its text; Unreadable for what has none."""
    kind = content_type.partition(";")[0].strip().lower()
    said = _CHARSET.search(content_type)
    charset = said[1] if said else None
    unsure = kind in ("", "application/octet-stream", "binary/octet-stream")
    if not data.strip():
        raise Unreadable("is empty")
    if data[:1024].lstrip().startswith(b"%PDF-"):
        from commands.web.foreign.pdf import pdf

        return pdf(data)
    if kind in ("text/html", "application/xhtml+xml") or (unsure and _HTML.match(data[:4096])):
        return html.page(decoded(data, charset), address)
    if not (unsure or _TEXTS.match(kind)) or _is_binary(data, charset):
        shown = binary_kind(data)
        if shown == "binary" and re.fullmatch(r"[\w.+-]{1,40}/[\w.+-]{1,80}", kind):
            shown = kind
        raise Unreadable(f"is {shown}, not text")
    if kind.endswith("xml") or data.lstrip()[:5] == b"<?xml":
        from commands.web.foreign.feed import feed

        found = feed(data, address)
        if found is not None:
            return found
    text = seen(decoded(data, charset)).strip("\n")
    if kind.endswith("json") or (unsure and text.lstrip()[:1] in ("{", "[")):
        text = plain.pretty_json(text)
    return Document(text)


def _is_binary(data: bytes, charset: str | None) -> bool:
    """As `encoding_of` tells: a NUL, or many signs that no text holds."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or (charset or "").lower().startswith("utf-16"):
        return False
    start = data[: 1 << 16]
    return b"\0" in start or (len(start) - len(start.translate(None, _CONTROLS))) * 50 > len(start)
