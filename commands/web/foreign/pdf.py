"""The text of a PDF, page by page."""

import io
import logging
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from commands.web.foreign.document import Document, Unreadable, on_one_line, seen

if TYPE_CHECKING:
    from pypdf import PdfReader

_TIME_S = 12.0  # after that the pages so far are given
_MOST = 3_000_000  # characters


def pdf(data: bytes) -> Document:
    """Unreadable for one that is locked, broken, or holds pictures of text alone."""
    from pypdf import PdfReader

    logging.disable()  # it tells of every flaw
    try:
        reader = PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise Unreadable("is a PDF that needs a password")
        count = len(reader.pages)
        about: Mapping[str, object] = reader.metadata or {}
        title = on_one_line(str(about.get("/Title") or ""))
        made = str(about.get("/CreationDate") or "")
        pages = list(_pages(reader))
    except Unreadable:
        raise
    except MemoryError:
        raise
    except Exception as error:  # it raises whatever a broken file leads it into
        raise Unreadable(f"is a PDF that can't be read ({type(error).__name__})") from None
    said = "1 page" if count == 1 else f"{count} pages"
    if not any(text for _, text in pages):
        raise Unreadable(f"is a PDF of {said} without text (pictures of it, perhaps)")
    read = said if len(pages) == count else f"{len(pages)} of {said} read"
    text = "\n\n".join(f"## Page {number}\n\n{text}" for number, text in pages if text)
    date = f"{made[2:6]}-{made[6:8]}-{made[8:10]}" if made[:2] == "D:" else ""
    return Document(seen(text), title, date if date[:4].isdecimal() else "", (f"PDF, {read}",))


def _pages(reader: "PdfReader") -> Iterator[tuple[int, str]]:
    until = time.monotonic() + _TIME_S
    size = 0
    for number, page in enumerate(reader.pages, 1):
        text = page.extract_text().strip()
        size += len(text)
        yield number, text
        if time.monotonic() > until or size > _MOST:
            return
