"""The guarded way to the web: each address checked before it is connected to, all in bounds."""

import asyncio
import re
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import CancelledError
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import Lock
from typing import TYPE_CHECKING, Self

from commands.background import Background
from commands.cancel import Cancel
from commands.command import CommandError
from commands.fetch import (
    WEB_PORTS,
    Host,
    NotAllowed,
    NotReached,
    Reach,
    Resolver,
    is_address,
    not_among,
    resolve_checked,
    system_resolver,
)
from commands.sandbox.upstream import Upstream, Upstreams
from commands.web.address import WebAddress, beyond, web_address
from commands.web.contract import Fetched
from commands.web.inflating import ACCEPTED, Body
from commands.web.turns import Turns

if TYPE_CHECKING:
    import httpx2

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_BUSY = frozenset({429, 503})
_NO_HEADERS: Mapping[str, str] = {}
_DIRECT = Upstreams()


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """What one `get` may take: all of it, redirects and waiting for its turn included."""

    total_s: float = 30.0
    connect_s: float = 10.0  # for each address of a host
    raw_bytes: int = 10 << 20  # of the body as it comes
    data_bytes: int = 30 << 20  # of the body decompressed
    redirects: int = 10
    pause_s: float = 0.5  # between two requests to one host


_USUAL = FetchLimits()


@dataclass(frozen=True, slots=True)
class _Asked:
    address: WebAddress
    headers: Mapping[str, str]
    body: bytes | None

    def towards(self, target: WebAddress, status: int) -> "_Asked":
        """What is asked of the target of a redirect; another origin gets no header of ours."""
        if self.body is not None and status in (307, 308):
            if target.origin != self.address.origin:
                raise NotAllowed(f"{self.address} redirects what was sent to it to {target}.")
            return replace(self, address=target)
        same = target.origin == self.address.origin
        return _Asked(target, self.headers if same else _NO_HEADERS, None)


@dataclass(slots=True)
class _Answer:
    status: int
    content_type: str
    location: str
    again_after_s: float | None
    data: bytes = b""
    cut: bool = False


@dataclass(slots=True)
class GuardedFetcher:
    """A `Fetcher`. Safe to share between threads; close it, or use it as a context manager.

    reach: whose `named` hosts may lie in a local network and have ports of their own; every
    public host is reached at ports 80 and 443. version: of this program, told to servers.
    upstreams: the machine's proxy, if any; it looks up names, so that only names and written
    addresses are checked then (its `notices` are the caller's to show). permit_redirect: gets
    the address that answered and the one that it redirects to, and raises Refusal where that
    may not be followed. certificates: whose signatures count, None for the system's.
    """

    reach: Reach
    version: str
    upstreams: Upstreams = _DIRECT
    permit_redirect: Callable[[str, str], None] = lambda source, target: None
    resolver: Resolver = system_resolver
    limits: FetchLimits = _USUAL
    certificates: ssl.SSLContext | None = None
    _background: Background | None = field(default=None, init=False)
    _starting: Lock = field(default_factory=Lock, init=False)
    _turns: Turns = field(init=False)

    def __post_init__(self) -> None:
        self._turns = Turns(self.limits.pause_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Cut what runs; a later call would begin anew."""
        with self._starting:
            background, self._background = self._background, None
            self._turns = Turns(self.limits.pause_s)  # those of before belong to that loop
        if background is not None:
            background.close(_nothing)

    def get(
        self,
        url: str,
        *,
        accept: str = "*/*",
        headers: Mapping[str, str] = _NO_HEADERS,
        body: bytes | None = None,
        cancel: Cancel,
    ) -> Fetched:
        """What the address answers, of whatever status; see `Fetcher`."""
        address = web_address(url)
        asked = _Asked(address, {"Accept": accept, **headers}, body)
        stopped = NotReached(f"Stopped before {address.host} had answered.")
        if cancel.reason is not None:
            raise stopped
        try:
            # The loop bounds the work itself; this end holds even if the loop should not.
            return self._running().run(self._fetched(asked), cancel, self.limits.total_s + 5)
        except CancelledError:
            raise stopped from None
        except TimeoutError:
            raise NotReached(
                f"{address.host} did not finish its answer within {self.limits.total_s:g} s."
            ) from None

    def _running(self) -> Background:
        with self._starting:
            if self._background is None:
                self._background = Background()
            return self._background

    async def _fetched(self, asked: _Asked) -> Fetched:
        began = time.monotonic()
        passed: list[str] = []
        async with asyncio.timeout(self.limits.total_s):
            while True:
                until = began + self.limits.total_s
                answer = await self._in_turn(asked, until)
                if not answer.location:
                    break
                passed.append(str(asked.address))
                asked = self._redirected(asked, answer, passed)
        seconds = time.monotonic() - began
        return Fetched(
            str(asked.address),
            answer.status,
            answer.content_type,
            answer.data,
            answer.cut,
            seconds,
            tuple(passed),
        )

    def _redirected(self, asked: _Asked, answer: _Answer, passed: list[str]) -> _Asked:
        target = beyond(asked.address, answer.location)
        if len(passed) > self.limits.redirects:
            circle = "in a circle" if str(target) in passed else "again and again"
            raise NotReached(
                f"{passed[0]} redirects {circle}, {len(passed)} times, at last to {target}; "
                "it may want cookies, which are not kept."
            )
        self.permit_redirect(str(asked.address), str(target))
        return asked.towards(target, answer.status)

    async def _in_turn(self, asked: _Asked, until: float) -> _Answer:
        async with self._turns.at(asked.address.name):
            answer = await self._answered(asked)
            wait = answer.again_after_s
            if wait is not None and time.monotonic() + wait < until:
                await asyncio.sleep(wait)
                answer = await self._answered(asked)
            return answer

    async def _answered(self, asked: _Asked) -> _Answer:
        import httpx2

        upstream, addresses = await self._way(asked.address)
        try:
            async with self._opened(asked, upstream, addresses) as response:
                return await self._read(response)
        except httpx2.HTTPError as error:
            raise NotReached(_said(error, asked.address)) from None
        except httpx2.InvalidURL as error:
            raise CommandError(f"{asked.address} is no web address: {error}.") from None

    async def _way(self, address: WebAddress) -> tuple[Upstream | None, list[str]]:
        """The proxy to go through, or the checked addresses to connect to."""
        name, port = address.name, address.port
        named = any(host.covers(name, port) for host in self.reach.named)
        if port not in WEB_PORTS and not named:
            raise NotAllowed(f"Only ports 80 and 443 are open. {not_among(name, port)}")
        upstream = self.upstreams.towards(name, port, tunnels=address.secure)
        if upstream is not None and not is_address(name):
            return upstream, []
        loop = asyncio.get_running_loop()
        addresses = await loop.run_in_executor(None, self._resolved, name, port)
        return upstream, addresses

    def _resolved(self, name: str, port: int) -> list[str]:
        return resolve_checked(name, port, self.reach, resolver=self.resolver)

    @asynccontextmanager
    async def _opened(
        self, asked: _Asked, upstream: Upstream | None, addresses: list[str]
    ) -> AsyncIterator["httpx2.Response"]:
        """The answer's head; of several addresses the first that can be connected to."""
        import httpx2

        places = [asked.address.name] if upstream else addresses
        proxy = None if upstream is None else _proxy(upstream)
        for number, place in enumerate(places, 1):
            transport = httpx2.AsyncHTTPTransport(
                verify=self._verifying(), trust_env=False, proxy=proxy
            )
            async with transport:
                try:
                    response = await transport.handle_async_request(self._request(asked, place))
                except (httpx2.ConnectError, httpx2.ConnectTimeout):
                    if number == len(places):
                        raise
                    continue
                try:
                    yield response
                finally:
                    await response.aclose()
                return

    def _request(self, asked: _Asked, place: str) -> "httpx2.Request":
        """A request to a checked address, in the host's name: Host, SNI and certificate."""
        import httpx2

        address = asked.address
        headers = {
            "Host": address.host,
            "User-Agent": f"autoagent/{self.version} (an autonomous agent for the terminal)",
            "Accept-Encoding": ACCEPTED,
            "Connection": "close",
            **asked.headers,
        }
        return httpx2.Request(
            "GET" if asked.body is None else "POST",
            httpx2.URL(
                scheme=address.scheme,
                host=place,
                port=address.port,
                raw_path=address.target.encode("ascii"),
            ),
            headers=headers,
            content=asked.body,
            extensions={
                "timeout": {"connect": self.limits.connect_s},
                "sni_hostname": address.name,
            },
        )

    def _verifying(self) -> ssl.SSLContext:
        import httpx2

        if self.certificates is None:
            self.certificates = httpx2.create_ssl_context()
        return self.certificates

    async def _read(self, response: "httpx2.Response") -> _Answer:
        head = response.headers
        status = response.status_code
        answer = _Answer(
            status,
            head.get("content-type", ""),
            head.get("location", "") if status in _REDIRECTS else "",
            _seconds(head.get("retry-after", "")) if status in _BUSY else None,
        )
        if not answer.location:
            coding = head.get("content-encoding", "")
            body = Body(coding, self.limits.raw_bytes, self.limits.data_bytes)
            async for piece in response.aiter_raw():
                body.take(piece)
                if body.full:
                    break
            answer.data, answer.cut = bytes(body.data), body.full
        return answer


async def _nothing() -> None:
    """What is left to do when the loop is closed: each answer closed its own connection."""


def _proxy(upstream: Upstream) -> "httpx2.Proxy":
    import httpx2

    authorization = upstream.authorization
    return httpx2.Proxy(
        f"http://{Host(upstream.name, upstream.port)}",
        headers={"Proxy-Authorization": authorization} if authorization else None,
    )


def _seconds(retry_after: str) -> float | None:
    """What a Retry-After asks for: seconds, or a date."""
    if re.fullmatch(r"[0-9]{1,6}", retry_after.strip()):
        return float(retry_after)
    try:
        at = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def _said(error: "httpx2.HTTPError", address: WebAddress) -> str:
    """A failed exchange as a sentence."""
    import httpx2

    host = address.host
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"{host} has no certificate that proves it is {address.name}: {_reason(cause)}."
        if isinstance(cause, ssl.SSLError):
            return f"No secure connection to {host} comes about: {cause.reason or cause}."
        cause = cause.__cause__ or cause.__context__
    match error:
        case httpx2.ProxyError():
            return f"This machine's proxy does not lead to {host}: {error}."
        case httpx2.ConnectTimeout() | httpx2.ConnectError():
            return f"{host} can't be connected to."
        case httpx2.ProtocolError():
            return f"{host} broke off, or does not speak HTTP as it should: {error}."
        case _:
            return f"The connection to {host} broke off."


def _reason(error: ssl.SSLCertVerificationError) -> str:
    return error.verify_message or str(error)
