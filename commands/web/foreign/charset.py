"""Bytes of the web as text: in the encoding that they, the server or the page name."""

import codecs
import re

_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# What a label means on the web (encoding.spec.whatwg.org), where Python takes it narrowly.
_MEANT = {
    **dict.fromkeys(("ascii", "iso8859-1"), "cp1252"),
    **dict.fromkeys(("gb2312", "gbk"), "gb18030"),
    **dict.fromkeys(("shift_jis", "shift_jis_2004"), "cp932"),
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "euc_kr": "cp949",
    "big5": "big5hkscs",
}
_NAMED = re.compile(
    rb"""(?:<meta[^>]{0,500}?charset|<\?xml[^>]{0,200}?encoding)\s*=\s*["']?\s*([\w:.-]{2,40})""",
    re.IGNORECASE,
)
_LOOKED_THROUGH = 4096  # bytes for a name; browsers look through 1024
_GUESSED_FROM = 1 << 16
_SPOILT_SHARE = 200
_BEYOND_ASCII = bytes(range(128, 256))
_TOO_FEW = 8  # such bytes to guess from: it would see rare Chinese in a French word


def decoded(data: bytes, said: str | None) -> str:
    """The text; `said` is the charset of the answer's head. What fits nowhere becomes U+FFFD.

    A mark at the start counts most, then the head, then the page's own word; a name that
    doesn't fit the bytes counts less than UTF-8 or a guess that does.
    """
    for mark, codec in _MARKS.items():
        if data.startswith(mark):
            return data.decode(codec, "replace")
    for codec in filter(None, (_codec(said), _codec(_named(data)))):
        text = data.decode(codec, "replace")
        if text.count("\ufffd") * _SPOILT_SHARE <= len(text):
            return text
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data":  # cut at the limit of what was fetched
            return data[: error.start].decode()
    return data.decode(_guessed(data), "replace")


def _named(data: bytes) -> str | None:
    found = _NAMED.search(data[:_LOOKED_THROUGH])
    if found is None:
        return None
    name = found[1].decode("ascii", "replace")
    # A page whose name could be read byte by byte is not in UTF-16, whatever it says.
    return "utf-8" if name.lower().startswith(("utf-16", "utf-32")) else name


def _codec(label: str | None) -> str | None:
    if not label:
        return None
    try:
        found = codecs.lookup(label.strip("\"' "))
        " ".encode(found.name)  # not one of Python's codecs for bytes
    except (LookupError, ValueError, TypeError, UnicodeError):
        return None
    return _MEANT.get(found.name, found.name)


def _guessed(data: bytes) -> str:
    if len(data) - len(data.translate(None, _BEYOND_ASCII)) < _TOO_FEW:
        return "cp1252"
    from charset_normalizer import from_bytes

    best = from_bytes(data[:_GUESSED_FROM]).best()
    # Of the Western ones it can't tell apart, browsers take this.
    western = best is None or best.encoding in ("cp1250", "cp1252", "latin_1", "cp1006")
    return "cp1252" if best is None or western else _MEANT.get(best.encoding, best.encoding)
