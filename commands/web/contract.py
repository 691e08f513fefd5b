"""What the web commands share with each other and ask of the layer above."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from commands.cancel import Cancel

if TYPE_CHECKING:
    from commands.web.searching import Search

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a server answered, of any status.

    `url` is the final address, `redirects` are those that led there, the one asked for first.
    `content_type` is the header with its parameters, "" when there was none. `data` is
    decompressed; `cut` says that there was more of it than the limit.
    """

    url: str
    status: int
    content_type: str
    data: bytes
    cut: bool
    seconds: float
    redirects: tuple[str, ...] = ()


class Fetcher(Protocol):
    """The one way to the web."""

    def get(
        self,
        url: str,
        *,
        accept: str = "*/*",
        headers: Mapping[str, str] = _NO_HEADERS,
        body: bytes | None = None,
        cancel: Cancel,
    ) -> Fetched:
        """What `url` answers to a GET, or to a POST of `body`.

        NotAllowed where the rules forbid it, NotReached where there is no answer, CommandError
        for all else; each holds a sentence for the model. `headers` go to the first host only.
        """
        ...


@dataclass(frozen=True, slots=True)
class Page:
    """A page that was read: `url` as asked for, `final` as answered, `text` whole as Markdown.

    `sha256` and `size_bytes` are those of the data that the text was made of.
    """

    url: str
    final: str
    title: str
    sha256: str
    size_bytes: int
    text: str


class Web(Protocol):
    """The web as a run may use it."""

    @property
    def fetcher(self) -> Fetcher: ...

    @property
    def cache(self) -> Path:
        """A private folder for results of searches and whole pages."""
        ...

    @property
    def search(self) -> "Search":
        """The search engines of this run."""
        ...

    def holds_secret(self, text: str) -> str | None:
        """The name of a known secret in `text`, in any usual spelling; None: it holds none."""
        ...

    def permit(self, url: str) -> None:
        """Refusal, with a sentence, when that address may not be contacted now."""
        ...

    def keep(self, page: Page) -> None:
        """Take note of a page: for the journal, long-term memory, the answer's sources."""
        ...
