"""A page as the model reads it: fetched, converted, kept, in parts."""

from hashlib import sha256

from commands.command import CommandError, Result
from commands.context import Context
from commands.web import pages
from commands.web.address import web_address
from commands.web.contract import Fetched, Page, Web
from commands.web.converting import converted
from commands.web.foreign.document import Document, Unreadable
from commands.web.pages import Kept
from commands.web.parts import PART_BYTES, parts

ACCEPT = "text/html, application/xhtml+xml, text/*;q=0.9, application/pdf;q=0.9, */*;q=0.5"
_PASSAGE_BYTES = 1_200
_OF_AN_ERROR = 1_000  # characters of the page that comes with a refusal
_MEANT = {
    401: "wants a login",
    402: "wants to be paid",
    403: "doesn't let this program in",
    404: "isn't there",
    410: "isn't there any more",
    429: "was asked too often; read something else first",
    451: "is withheld by law",
}


def read(ctx: Context, web: Web, url: str, part: int, question: str) -> Result:
    """A part of the page, or what of it answers the question."""
    address = str(web_address(url))
    web.permit(url.strip())
    # A plain read is a new look at the page: it may have changed.
    kept = pages.find(web.cache, address) if part != 1 or question else None
    if kept is None:
        fetched = web.fetcher.get(address, accept=ACCEPT, cancel=ctx.cancel)
        found = _read(ctx, web, address, fetched)
        if isinstance(found, Result):
            return found
        kept = found
    return _shown(kept, part, question)


def _read(ctx: Context, web: Web, address: str, fetched: Fetched) -> Kept | Result:
    """The page, kept; or the result that says why there is none."""
    try:
        document = converted(fetched.data, fetched.content_type, fetched.url, cancel=ctx.cancel)
    except Unreadable as error:
        why = "is larger than what is fetched" if fetched.cut else str(error)
        if fetched.status >= 300:
            return _refused(fetched, "")
        return _without(f"{fetched.url} {why}.", "no text")
    if not 200 <= fetched.status < 300:
        return _refused(fetched, document.text)
    if document.script:
        return _without(
            f"{fetched.url} shows its text only with JavaScript, which isn't run here.\n"
            f"{document.title}\n\n{document.text}".rstrip(),
            "needs JavaScript",
        )
    if not document.text.strip():
        return _without(f"{fetched.url} holds no text. {document.title}".rstrip(), "no text")
    page = Page(
        address,
        fetched.url,
        document.title,
        sha256(fetched.data).hexdigest(),
        len(fetched.data),
        document.text,
    )
    kept = Kept(page, document.date, _notes(document, fetched))
    pages.keep(web.cache, kept)
    web.keep(page)
    return kept


def _notes(document: Document, fetched: Fetched) -> tuple[str, ...]:
    if not fetched.cut:
        return document.notes
    return (*document.notes, f"only its first {len(fetched.data):,} bytes were fetched")


def _refused(fetched: Fetched, text: str) -> Result:
    status = fetched.status
    failed = "failed at its server" if status >= 500 else "was refused"
    meant = _MEANT.get(status, failed)
    return _without(f"{fetched.url} {meant}.\n\n{text[:_OF_AN_ERROR]}".strip(), f"status {status}")


def _without(text: str, note: str) -> Result:
    return Result(text, note=note, ok=False, source="web")


def _shown(kept: Kept, part: int, question: str) -> Result:
    """Title, address and date stand in the text, not in the note: they are the page's words."""
    page = kept.page
    every = parts(page.text)
    if not 1 <= part <= len(every):
        raise CommandError(f"part must be from 1 to {len(every)}, not {part}.")
    said = [f"part {part} of {len(every)}", f"{len(page.text):,} characters", *kept.notes]
    text = every[part - 1]
    if question.strip() and len(every) > 1:
        best = _answering(every, question)
        if best:
            said[0] = f"what matters to the question, of {len(every)} parts"
            text = best
        else:
            said.insert(1, "no words of the question on it")
    head = [f"Title: {page.title}"] if page.title else []
    head += [f"Address: {page.final}"] if page.final != page.url else []
    head += [f"Date: {kept.date}"] if kept.date else []
    return Result("\n".join([*head, "", text] if head else [text]), "; ".join(said), source="web")


def _answering(every: list[str], question: str) -> str:
    """The best passages that fit into a part, best first, each with the part it stands in."""
    from memory_store.passages import ranked

    passages = [
        (number, passage)
        for number, text in enumerate(every, 1)
        for passage in parts(text, _PASSAGE_BYTES)
    ]
    chosen: list[str] = []
    room = PART_BYTES
    for place in ranked([passage for _, passage in passages], question):
        number, passage = passages[place]
        shown = f"(part {number})\n{passage}"
        size = len(shown.encode("utf-8", "replace"))
        if size > room:
            break
        chosen.append(shown)
        room -= size + 2
    return "\n\n".join(chosen)
