"""A file's bytes as text, and text as bytes in the encoding and line ends that a file has."""

import codecs
from dataclasses import dataclass
from typing import Literal

from commands.command import CommandError

LineEnd = Literal["\n", "\r\n", "mixed"]

_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_SAID = {
    "utf-8": "UTF-8",
    "utf-16-le": "UTF-16",
    "utf-16-be": "UTF-16",
    "cp1252": "Windows-1252",
    "latin-1": "Latin-1",
}
_SIGNATURES = {
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a ZIP archive, or an office document",
    b"\x1f\x8b": "gzip data",
    b"\x7fELF": "a Linux program",
    b"SQLite format 3": "an SQLite database",
}
# C0 controls that don't occur in texts of any encoding that is guessed here.
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\r\f\b\x1b"))


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a file's text is kept: a codec, its byte order mark, whether it is a guess."""

    codec: str = "utf-8"
    mark: bytes = b""
    guessed: bool = False

    def decode(self, data: bytes, *, whole: bool = True) -> str:
        """The text after the mark; UnicodeDecodeError. Not `whole`: the end may be cut."""
        decoder = codecs.getincrementaldecoder(self.codec)()
        return decoder.decode(data[len(self.mark) :], final=whole)

    def encode(self, text: str) -> bytes:
        """The bytes of a whole file; CommandError names the first character it can't hold."""
        try:
            return self.mark + text.encode(self.codec)
        except UnicodeEncodeError as error:
            character = text[error.start]
            raise CommandError(
                f"The file is {self.said}, which has no {character!a}"
                f" (character {error.start + 1} of the text)."
            ) from error

    @property
    def said(self) -> str:
        return _SAID[self.codec] + (
            " with a byte order mark" if self.mark == codecs.BOM_UTF8 else ""
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know of it: nothing when it's plain UTF-8."""
        if self == Encoding():
            return ()
        return (self.said + (" (guessed)" if self.guessed else ""),)


def encoding_of(data: bytes, *, whole: bool = True) -> Encoding | None:
    """How those bytes of a file's start are encoded; None when they are no text."""
    for mark, codec in _MARKS.items():
        if data.startswith(mark):
            return _fitting(Encoding(codec, mark), data, whole)
    if b"\0" in data:
        return None
    if (plain := _fitting(Encoding(), data, whole)) is not None:
        return plain
    controls = len(data) - len(data.translate(None, _CONTROLS))
    if controls * 50 > len(data):
        return None
    guess = Encoding("cp1252", guessed=True)
    return _fitting(guess, data, whole) or Encoding("latin-1", guessed=True)


def binary_kind(data: bytes) -> str:
    """What a file that is no text seems to be, by its first bytes."""
    kinds = (said for start, said in _SIGNATURES.items() if data.startswith(start))
    return next(kinds, "binary")


def line_end(text: str) -> LineEnd:
    """How the lines of a text end; one without line breaks counts as plain."""
    pairs = text.count("\r\n")
    if pairs == 0:
        return "\n"
    return "\r\n" if pairs == text.count("\n") else "mixed"


def plain_lines(text: str) -> str:
    """The text with every line ended by a line feed alone."""
    return text.replace("\r\n", "\n")


def line_count(text: str) -> int:
    """How many lines an editor shows; a last one without a line break counts."""
    return text.count("\n") + (1 if text and not text.endswith("\n") else 0)


def _fitting(encoding: Encoding, data: bytes, whole: bool) -> Encoding | None:
    try:
        encoding.decode(data, whole=whole)
    except UnicodeDecodeError:
        return None
    return encoding
