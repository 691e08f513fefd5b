"""Text that isn't ours, made harmless for a terminal."""

import unicodedata

_PLAIN = {"\n", "\t"}


def _shown(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{{{code:x}}}"


def escaped(text: str) -> str:
    """The text with every character that a terminal would obey, hide or reorder by written
    out: control characters and escape sequences, bidirectional and invisible ones, lone
    surrogates. Line breaks and tabs stay."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c in _PLAIN or _is_visible(c) else _shown(c) for c in text)


def one_line(text: str, width: int) -> str:
    """The escaped text on one line of at most `width` characters."""
    flat = escaped(" ".join(text.split()))
    return flat if len(flat) <= width else flat[: max(1, width - 1)] + "…"


def _is_visible(character: str) -> bool:
    # Cc control, Cf format (bidirectional, zero width), Cs surrogate, Co private, Cn unassigned,
    # Zl and Zp line and paragraph separators.
    return unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} and (
        character not in "\u115f\u1160\u3164\uffa0\u2800"  # letters that show nothing
    )
