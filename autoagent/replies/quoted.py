r"""The inside of a string in almost-JSON: where it ends, what its escapes mean.

An escape that JSON doesn't know stays as written (`\d`, `C:\Users`): whoever wrote it escaped
nothing. So where one stands beside `\n` or `\\`, or a raw line break beside `\n`, it can't be
told what was meant, and the string is refused.
"""

import re

from autoagent.replies.refusal import shown, unreadable

CLOSERS = {'"': '"', "'": "'", "“": "”", "‘": "’"}
"""The quote that ends a string, by the one that begins it."""

_STOPS = {q: re.compile(f"[{CLOSERS[q]}\\\\]") for q in CLOSERS}
_PAIR = r"u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_ESCAPE = re.compile(rf"\\({_PAIR}|u[0-9a-fA-F]{{4}}|.)", re.DOTALL)
_MEANING = {
    '"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t",
}  # fmt: skip
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_PYTHON = "xUNav01234567/\n\r"
"""What may stand behind a backslash in Python or JavaScript and isn't kept as written there."""


def string_end(text: str, start: int, end: int) -> int:
    """The index of the quote that ends the string whose first quote stands at start."""
    closer = CLOSERS[text[start]]
    stops = _STOPS[text[start]]
    pos = start + 1
    while stop := stops.search(text, pos, end):
        if stop.group() == closer:
            return stop.start()
        pos = stop.end() + 1
    begun = shown(text[start : start + 40], 30)
    raise unreadable(
        start,
        f"the string {begun} that begins there is never closed. Close it, or put long text "
        "into a block after the object.",
    )


def unescaped(text: str, start: int, stop: int, *, python: bool) -> str:
    """The value of the string between the quotes at start and stop.

    `python`: it is written as in Python or JavaScript, where more escapes have a meaning;
    one of those is refused, as it can't be kept as written.
    """
    body = text[start + 1 : stop]
    if control := _CONTROL.search(body):
        code = f"\\u{ord(control.group()):04x}"
        raise unreadable(start + 1 + control.start(), f"write this control character as {code}.")
    if "\\" not in body:
        return body
    return _decoded(body, start + 1, text[start], python)


def _decoded(body: str, offset: int, quote: str, python: bool) -> str:
    kept: re.Match[str] | None = None
    meant: dict[str, re.Match[str]] = {}
    parts: list[str] = []
    done = 0
    for escape in _ESCAPE.finditer(body):
        sign = escape[1][0]
        parts.append(body[done : escape.start()])
        done = escape.end()
        if sign == "u" and len(escape[1]) > 1:
            parts.append(_character(escape[1]))
        elif sign == quote and sign in "\"'":
            parts.append(sign)
            continue
        elif sign in _MEANING and not (python and sign == "/"):
            parts.append(_MEANING[sign])
        else:
            _check_kept(escape, offset, python)
            kept = kept or escape
            parts.append(escape.group())
            continue
        if sign not in '"/':
            meant.setdefault(sign, escape)
    _check_mixed(body, offset, kept, meant)
    return "".join(parts) + body[done:]


def _character(escape: str) -> str:
    """Of `uXXXX`, or of `uXXXX\\uXXXX`, two halves of one character."""
    if len(escape) == 5:
        return chr(int(escape[1:], 16))
    high, low = int(escape[1:5], 16), int(escape[7:], 16)
    return chr(0x10000 + (high - 0xD800) * 0x400 + (low - 0xDC00))


def _check_kept(escape: re.Match[str], offset: int, python: bool) -> None:
    sign = escape[1]
    if sign in "'\"u“”‘’" or (python and sign in _PYTHON):
        hint = "four hexadecimal digits must follow" if sign == "u" else "that is no escape in JSON"
        raise unreadable(
            offset + escape.start(),
            f"\\{shown(sign)}: {hint}. Write \\\\ for a backslash, or put the text into a block.",
        )


def _check_mixed(
    body: str, offset: int, kept: re.Match[str] | None, meant: dict[str, re.Match[str]]
) -> None:
    """Refuse a string that is half escaped; what its author meant can't be told."""
    slash = meant.pop("\\", None)
    doubtful = min(meant.values(), key=lambda m: m.start(), default=None)
    if kept is not None:
        doubtful = doubtful or slash
        beside = shown(kept.group())
    elif "\n" in body or "\r" in body:
        beside = "a raw line break"
    else:
        return
    if doubtful is not None:
        raise unreadable(
            offset + doubtful.start(),
            f"{shown(doubtful.group())} stands in one string with {beside}, so it is not clear "
            "what is meant. Escape all of it (\\\\ for a backslash, \\n for a line break) or "
            "put the text into a block.",
        )
