"""A model behind any server that speaks OpenAI's protocol; the only module that imports openai."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from threading import Lock
from time import time
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast
from urllib.parse import urlsplit

from autoagent.model import (
    Cancelled,
    Completion,
    Embedded,
    Format,
    Message,
    ModelCard,
    Price,
    Rejected,
    TooLong,
    Transient,
    Usage,
)
from autoagent.models.address import checked_key, checked_url, is_local
from autoagent.models.answer import Answer, Unreadable, embedded_of, total
from autoagent.models.catalog import OPENAI_URL
from autoagent.models.faults import Asked, ParameterRefused, of_broken, of_status, of_unreadable
from autoagent.models.learned import Facts, Learned
from autoagent.models.request import EMBED_CHARACTERS, batches, chat_body, embedding_body
from autoagent.uncollected import uncollected
from commands.background import Background
from commands.cancel import Cancel

if TYPE_CHECKING:
    import httpx2
    from openai import AsyncOpenAI

T = TypeVar("T")

CONNECT_S = 10.0
USAGE_S = 5.0  # after the last word, for the usage and the end of the stream
DRAIN_S = 0.5  # after the end was said, for the connection to be free again
_SHORTEST = 200  # characters: an embedding of less says nothing
_NO_EMBEDDINGS = frozenset({400, 403, 404, 405, 422, 501})
_PLACEHOLDER = "none"  # the client insists on a key; a server on this machine does not


@dataclass(slots=True)
class _Call:
    """One `complete`, with what has come of it so far."""

    messages: Sequence[Message]
    cap: int
    format: Format
    hear: Callable[[str], None] | None = None
    answer: Answer = field(default_factory=Answer)


class OpenAIModel:
    """A `Model`. Safe to share between threads; close it, or use it as a context manager.

    base_url: None is OpenAI. session: a name for the provider's prompt cache. timeout_s: the
    longest silence; total_s: the longest call. card: what is known before the first call.
    azure: base_url is Azure's and the models' names are those of deployments; with an
    azure_version it is a resource's endpoint, otherwise it ends in /openai/v1. ConfigError for
    an address or key that can't be.
    """

    def __init__(
        self,
        *,
        name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        organization: str | None = None,
        embedding_model: str | None = None,
        embedding_price: Price | None = None,
        temperature: float | None = None,
        effort: str | None = None,
        session: str = "",
        timeout_s: float = 180.0,
        total_s: float = 1800.0,
        card: ModelCard | None = None,
        learned: Learned | None = None,
        azure: bool = False,
        azure_version: str | None = None,
    ) -> None:
        self._url = checked_url(base_url or OPENAI_URL)
        self._key = checked_key(api_key)
        self._organization = organization
        self._name = name
        self._embedding_model = embedding_model
        self._embedding_price = embedding_price
        self._options = {
            "temperature": temperature,
            "reasoning_effort": effort,
            "prompt_cache_key": session or None,
        }
        self._timeout_s = timeout_s
        self._total_s = total_s
        self._card = card or ModelCard(name)
        self._learned = learned or Learned()
        self._azure_version = azure_version
        self._place = Asked(self._url, name, self._key, azure=azure or azure_version is not None)
        self._background: Background | None = None
        self._starting = Lock()
        self._client: AsyncOpenAI | None = None
        self._named_window: int | None = None
        self._stream_doubted = False
        self._embeds = embedding_model is not None

    @property
    def card(self) -> ModelCard:
        """What is known of the model, with what its server has shown since."""
        facts = self._learned.facts(self._url, self._name)
        windows = [w for w in (self._card.window or facts.window, self._named_window) if w]
        most = facts.max_completion or self._card.max_completion
        return replace(self._card, window=min(windows, default=None), max_completion=most)

    @property
    def embeds(self) -> bool:
        """False without an embedding model, or where the server showed that it has none."""
        name = self._embedding_model
        return name is not None and self._embeds and self._learned.facts(self._url, name).embeds

    def __enter__(self) -> Self:
        """Import the client in the background while the caller goes on."""
        self._running().start(self._connected())
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Cut what runs and close the connections; a later call would open them again."""
        if self._background is not None:
            self._background.close(self._disconnect)
        self._background = None

    def complete(
        self,
        messages: Sequence[Message],
        *,
        cap: int,
        cancel: Cancel,
        format: Format = "text",
        hear: Callable[[str], None] | None = None,
    ) -> Completion:
        """One completion of at most `cap` tokens; a `ModelFault` when it fails.

        A parameter that the server refuses by name is left out, or the cap goes by its other
        name, and the request is sent again at once: a refused request costs nothing.
        """
        call = _Call(messages, cap, format, hear)
        return self._run(lambda: self._complete(call), cancel, lambda: call.answer.received)

    def embed(self, texts: Sequence[str], *, cancel: Cancel) -> Embedded | None:
        """A vector for each text, of its beginning when it is long.

        None when the server has no embeddings (not asked again for a day), or gave none
        that can be used (not asked again by this object).
        """
        name = self._embedding_model
        if name is None or not self.embeds:
            return None
        if not texts:
            return Embedded((), Usage(0, 0, cost=0.0), name)
        return self._run(lambda: self._embed(name, texts), cancel, lambda: 0)

    def _run(
        self,
        work: Callable[[], Coroutine[Any, Any, T]],
        cancel: Cancel,
        received: Callable[[], int],
    ) -> T:
        place = self._place.place
        if cancel.reason is not None:
            raise Cancelled(f"{place}: not asked ({cancel.reason})")
        try:
            # The loop bounds each request itself; this end holds even if the loop should not.
            return self._running().run(work(), cancel, 3 * self._total_s + CONNECT_S)
        except CancelledError:
            raise Cancelled(f"{place}: cut ({cancel.reason})", received=received()) from None
        except TimeoutError:
            raise Transient(f"{place}: no end", received=received()) from None

    def _running(self) -> Background:
        with self._starting:
            if self._background is None:
                self._background = Background()
            return self._background

    async def _complete(self, call: _Call) -> Completion:
        known = facts = self._learned.facts(self._url, self._name)
        if self._stream_doubted:
            facts = replace(facts, streams=False)
        refused: set[str] = set()
        while True:
            try:
                completion = await self._attempt(call, facts)
                break
            except ParameterRefused as refusal:
                facts = _mended(facts, refusal, refused)
            except TooLong as fault:
                self._learn_window(fault.window)
                raise
        if facts != known:
            self._learned.learn(
                self._url,
                self._name,
                cap=facts.cap,
                dropped=facts.dropped,
                streams=facts.streams,
                max_completion=facts.max_completion,
            )
        return completion

    def _learn_window(self, window: int | None) -> None:
        if window is not None:
            self._named_window = window
            self._learned.learn(self._url, self._name, window=window)

    def _body(self, call: _Call, facts: Facts) -> dict[str, Any]:
        own = self._place.azure or urlsplit(self._url).hostname == "api.openai.com"
        name = facts.cap or ("max_completion_tokens" if own else "max_tokens")
        cap = {name: min(call.cap, facts.max_completion or call.cap)}
        return chat_body(self._name, call.messages, cap, call.format, self._options, facts)

    async def _attempt(self, call: _Call, facts: Facts) -> Completion:
        body = self._body(call, facts)
        call.answer = answer = Answer(call.hear)
        asked = self._asked(body)
        async with self._faults(asked, answer) as limit:
            async with aclosing(await self._post("/chat/completions", body)) as response:
                await _read(response, answer, limit)
            if not answer.end():
                raise Transient(f"{asked.place}: the answer broke off", received=answer.received)
        return answer.result(self._name, self._card.price)

    @asynccontextmanager
    async def _faults(self, asked: Asked, answer: Answer) -> AsyncIterator[asyncio.Timeout]:
        """Bounds a request and says what its failure means; a complete answer is none."""
        import httpx2
        import openai

        try:
            async with asyncio.timeout(self._total_s) as limit:
                yield limit
        except TimeoutError:
            if not answer.complete:
                text = f"{asked.place}: not finished after {self._total_s:g} s"
                raise Transient(text, received=answer.received) from None
        except openai.APIStatusError as error:
            text = error.response.text
            fault = of_status(error.status_code, error.response.headers, text, asked)
            fault.status = error.status_code
            raise fault from None
        except (openai.APIConnectionError, httpx2.HTTPError) as error:
            if not answer.complete:
                # Without the cause: its text may quote the header that holds the key.
                raise of_broken(error, asked, received=answer.received) from None
        except Unreadable as error:
            self._stream_doubted = self._stream_doubted or error.kind == "garbled"
            raise of_unreadable(error, asked, received=answer.received) from None

    async def _embed(self, name: str, texts: Sequence[str]) -> Embedded | None:
        vectors: list[tuple[float, ...]] = []
        usages: list[Usage | None] = []
        for batch in batches(texts):
            part = await self._embed_batch(name, batch)
            if part is None or (vectors and len(part.vectors[0]) != len(vectors[0])):
                self._embeds = False
                return None
            vectors.extend(part.vectors)
            usages.append(part.usage)
        return Embedded(tuple(vectors), total(usages), name)

    async def _embed_batch(self, name: str, texts: Sequence[str]) -> Embedded | None:
        facts = self._learned.facts(self._url, name)
        size = facts.embed_characters or EMBED_CHARACTERS
        refused: set[str] = set()
        while True:
            try:
                given = await self._embedding(embedding_body(name, texts, size, facts))
                break
            except TooLong:
                size //= 2
                if size < _SHORTEST:
                    raise
            except ParameterRefused as refusal:
                facts = _mended(facts, refusal, refused)
        if given is None:
            self._learned.learn(self._url, name, no_embeddings_at=time())
            return None
        known = None if size == EMBED_CHARACTERS else size
        self._learned.learn(self._url, name, embed_characters=known, dropped=facts.dropped)
        return embedded_of(given, len(texts), name, self._embedding_price)

    async def _embedding(self, body: dict[str, Any]) -> bytes | None:
        """The server's answer; None when it says that it has no embeddings."""
        import openai

        asked = self._asked(body)
        async with self._faults(asked, Answer()):
            try:
                response = await self._post("/embeddings", body)
            except openai.APIStatusError as error:
                fault = of_status(error.status_code, {}, error.response.text, asked)
                mendable = isinstance(fault, TooLong | ParameterRefused)
                if error.status_code in _NO_EMBEDDINGS and not mendable:
                    return None
                raise
            async with aclosing(response):
                return await response.aread()
        return None

    def _asked(self, body: Mapping[str, Any]) -> Asked:
        sent = body.keys() - {"model", "messages", "input"}
        return replace(self._place, model=str(body["model"]), sent=sent)

    async def _post(self, path: str, body: dict[str, Any]) -> "httpx2.Response":
        """The server's answer with its body still to be read.

        By the client's own door for any endpoint, not `chat.completions.create`: that walks
        through all messages and through every delta with pydantic, 70 ms for 300 messages.
        """
        import httpx2
        import openai

        client = await self._connected()
        response: object = await client.post(
            path,
            cast_to=httpx2.Response,
            body=body,
            stream=True,
            stream_cls=openai.AsyncStream[object],
        )
        return cast("httpx2.Response", response)

    async def _connected(self) -> "AsyncOpenAI":
        if self._client is None:
            self._client = self._new_client()
        return self._client

    def _new_client(self) -> "AsyncOpenAI":
        with uncollected():
            import httpx2
            import openai

        settings: dict[str, Any] = {"api_key": self._key or _PLACEHOLDER, "max_retries": 0}
        try:
            settings["http_client"] = openai.DefaultAsyncHttpxClient(
                follow_redirects=False,  # the prompt would go along, within a host the key too
                verify=self._url.startswith("https:"),  # 0.1 s for certificates that http has not
                trust_env=not is_local(self._url),  # no proxy reaches this machine's own servers
                timeout=httpx2.Timeout(self._timeout_s, connect=min(CONNECT_S, self._timeout_s)),
            )
            if self._azure_version is not None:
                settings |= {"azure_endpoint": self._url, "api_version": self._azure_version}
                return openai.AsyncAzureOpenAI(**settings)
            return openai.AsyncOpenAI(
                base_url=self._url, organization=self._organization, **settings
            )
        except (ImportError, ValueError, httpx2.InvalidURL) as error:
            raise Rejected(
                f"No way to {self._place.place}: {self._place.clean(str(error))}. "
                f"See {self._place.address_name}, and the proxy that the environment names."
            ) from None

    async def _disconnect(self) -> None:
        if self._client is not None:
            await self._client.close()
        self._client = None


async def _read(response: "httpx2.Response", answer: Answer, limit: asyncio.Timeout) -> None:
    """Feed the answer to its end; once it is complete, only a short time more."""
    loop = asyncio.get_running_loop()
    known = (False, False)
    async for chunk in response.aiter_bytes():
        answer.feed(chunk)
        if known != (known := (answer.complete, answer.ended)):
            limit.reschedule(loop.time() + (DRAIN_S if answer.ended else USAGE_S))


def _mended(facts: Facts, refusal: ParameterRefused, refused: set[str]) -> Facts:
    """Facts to try again with; the refusal itself when its parameter was mended before."""
    name = refusal.parameter
    matter = "most" if refusal.most else "cap" if name.startswith("max_") else name
    if matter in refused:
        raise refusal
    refused.add(matter)
    return replace(facts, max_completion=refusal.most) if refusal.most else facts.without(name)
