"""Source text in our few styles, by the lexers that come with rich."""

import time
from collections.abc import Iterator
from pathlib import PurePosixPath

from pygments.lexers import get_lexer_by_name  # type: ignore[import-untyped]
from pygments.token import (  # type: ignore[import-untyped]
    Comment,
    Generic,
    Keyword,
    Literal,
    Name,
    Number,
    Operator,
    String,
    Token,
)

from autoagent.terminal.output import Line, Style

_LARGEST = 200_000  # characters
_LONGEST_LINE = 2_000  # characters; beyond it a lexer's patterns may try for very long
_LIMIT_S = 0.5

# Those of a line apart by blanks are the suffixes of one language, which is named first.
_LANGUAGES = """
bash sh bash zsh
c c h
c++ cc cpp cxx hpp
c# cs
css css
diff diff patch
go go
html htm html
ini cfg ini
java java
js js jsx mjs
json json jsonl
kotlin kt
lua lua
make mk
markdown md
perl pl
php php
python py pyi
r r
ruby rb
rust rs
sql sql
swift swift
toml toml
ts ts tsx
xml svg xml
yaml yaml yml
"""
_SUFFIXES = {
    suffix: language
    for language, *suffixes in map(str.split, _LANGUAGES.strip().split("\n"))
    for suffix in suffixes
}
_NAMES = {"dockerfile": "docker", "makefile": "make", "gnumakefile": "make"}

_STYLES: dict[object, Style | None] = {
    Comment: "dim",
    Comment.Preproc: "magenta",
    Comment.PreprocFile: "magenta",
    Keyword: "bold",
    Name.Tag: "bold",
    Operator.Word: "bold",
    String: "green",
    Number: "magenta",
    Literal.Date: "magenta",
    Generic.Deleted: "red",
    Generic.Inserted: "green",
    Generic.Heading: "bold",
    Generic.Strong: "bold",
    Generic.Subheading: "dim",
    Token: None,
}


def language_of(path: str) -> str:
    """The language of a file by its name; "" when it isn't known."""
    name = PurePosixPath(path).name.lower()
    return _NAMES.get(name) or _SUFFIXES.get(name.rpartition(".")[2] if "." in name else "", "")


def highlighted(text: str, language: str, *, limit_s: float = _LIMIT_S) -> list[Line] | None:
    """The lines of a text that holds no control characters but line breaks, each unchanged.

    None when there is nothing to tell apart: the language isn't known, the text is large, or
    its lexer fails or hasn't ended after `limit_s` seconds.
    """
    longest = max(map(len, text.split("\n")))
    if not language or len(text) > _LARGEST or longest > _LONGEST_LINE:
        return None
    try:
        lines = _lines(_spans(text, language, time.monotonic() + limit_s))
    except Exception:  # whatever a lexer raises, on text that it wasn't made for
        return None
    shown = "\n".join("".join(piece for piece, _ in line) for line in lines)
    return lines if shown == text else None


def _spans(text: str, language: str, until: float) -> Iterator[tuple[str, Style | None]]:
    """TimeoutError when it isn't through by then."""
    lexer = get_lexer_by_name(language)
    for _, kind, piece in lexer.get_tokens_unprocessed(text):
        if time.monotonic() > until:
            raise TimeoutError
        yield piece, _style(kind)


def _style(kind: object) -> Style | None:
    """That of the nearest kind above it which has one."""
    while kind not in _STYLES:
        kind = getattr(kind, "parent", Token)
    return _STYLES[kind]


def _lines(spans: Iterator[tuple[str, Style | None]]) -> list[Line]:
    lines: list[list[tuple[str, Style | None]]] = [[]]
    for text, style in spans:
        first, *more = text.split("\n")
        for number, piece in enumerate([first, *more]):
            if number:
                lines.append([])
            if not piece:
                continue
            if lines[-1] and lines[-1][-1][1] == style:
                piece = lines[-1].pop()[0] + piece
            lines[-1].append((piece, style))
    return [*lines]
