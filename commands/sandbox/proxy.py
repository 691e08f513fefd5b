"""The way out of a cage: a proxy that lets through to allowed hosts alone."""

import asyncio
import socket
import tempfile
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from commands.fetch import (
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
from commands.sandbox.exchange import Exchange, ProxyLimits, Way
from commands.sandbox.http_head import BadMessage, Request, read_answer
from commands.sandbox.upstream import Upstream, upstreams

PORT = 61080
"""Of the forwarder inside the cage; no system picks one above 60999 by itself."""
_MOST_REPORTS = 200  # a loop over invented names must not fill the journal
_END_S = 5.0
_USUAL = ProxyLimits()


@dataclass(frozen=True, slots=True)
class Contact:
    """A host that a command asked for; `refused` says why it wasn't let through, else ""."""

    host: str  # with its port
    refused: str = ""


def variables(reach: Reach) -> dict[str, str]:
    """What programs in the cage must know; a host that the user named is never spoken to
    directly, not even `localhost`, which in there is the cage itself."""
    address = f"http://127.0.0.1:{PORT}"
    named = {host.name for host in reach.named}
    direct = ",".join(name for name in ("localhost", "127.0.0.1", "::1") if name not in named)
    pairs = {"http_proxy": address, "https_proxy": address, "all_proxy": address}
    pairs["no_proxy"] = direct
    upper = {name.upper(): value for name, value in pairs.items()}
    return {**pairs, **upper, "NODE_USE_ENV_PROXY": "1"}


class Proxy:
    """Listens on a Unix socket, in a thread of its own, until it is closed.

    `report` is called in that thread, once for each host and each reason. `env` may name a
    proxy of this machine. Leaving the context closes it, its connections too.
    """

    def __init__(
        self,
        reach: Reach,
        report: Callable[[Contact], None],
        *,
        env: Mapping[str, str] | None = None,
        resolver: Resolver = system_resolver,
        limits: ProxyLimits = _USUAL,
    ) -> None:
        self._reach = reach
        self._report = report
        self._upstreams = upstreams(env or {})
        self._resolver = resolver
        self._limits = limits
        self._reported: set[Contact] = set()
        self._open = 0
        self._folder = tempfile.TemporaryDirectory(prefix="autoagent-")
        self.socket = Path(self._folder.name) / "proxy"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.socket))
        self._listener.listen(limits.connections)
        self._stop: Future[Callable[[], object]] = Future()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._thread.start()

    @property
    def notices(self) -> tuple[str, ...]:
        """Lines for the person: how hosts are reached."""
        return self._upstreams.notices

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End it and every connection; may be called twice."""
        if self._thread.is_alive():
            with suppress(RuntimeError):  # its loop may be over
                self._stop.result(_END_S)()
            self._thread.join(_END_S)
        self._folder.cleanup()

    def _run(self) -> None:
        asyncio.run(self._served())

    async def _served(self) -> None:
        over = asyncio.Event()
        loop = asyncio.get_running_loop()
        self._stop.set_result(lambda: loop.call_soon_threadsafe(over.set))
        server = await asyncio.start_unix_server(
            self._met, sock=self._listener, limit=self._limits.head_bytes
        )
        await over.wait()
        server.close()
        # What is still open is cancelled with the loop's end, and closes its sockets.

    async def _met(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        most = self._limits.connections
        try:
            if self._open <= 2 * most:
                opening = self._way if self._open <= most else _crowded
                await Exchange(reader, writer, opening, self._limits).run()
        except asyncio.CancelledError:
            pass  # at the end; Python 3.12's streams would log a task that was cancelled
        finally:
            self._open -= 1
            writer.transport.abort()

    async def _way(self, request: Request) -> Way:
        name, port = request.name, request.port
        try:
            if not self._reach.allows(name, port):
                raise NotAllowed(not_among(name, port))
            upstream = self._upstreams.towards(name, port, tunnels=request.tunnels)
            addresses = [] if upstream and not is_address(name) else await self._found(name, port)
        except NotAllowed as refusal:
            self._tell(Contact(str(Host(name, port)), str(refusal)))
            raise
        self._tell(Contact(str(Host(name, port))))
        if upstream is None:
            return Way(*await self._connected(addresses, port, name))
        return await _through(upstream, request, self._limits)

    def _tell(self, contact: Contact) -> None:
        if contact not in self._reported and len(self._reported) < _MOST_REPORTS:
            self._reported.add(contact)
            self._report(contact)

    async def _found(self, name: str, port: int) -> list[str]:
        """The checked addresses; in a thread that nobody waits for at the end."""
        loop = asyncio.get_running_loop()
        found: asyncio.Future[list[str] | NotAllowed | NotReached] = loop.create_future()

        def settle(result: list[str] | NotAllowed | NotReached) -> None:
            if not found.done():
                found.set_result(result)

        def look_up() -> None:
            result: list[str] | NotAllowed | NotReached
            try:
                result = resolve_checked(name, port, self._reach, resolver=self._resolver)
            except (NotAllowed, NotReached) as error:
                result = error
            with suppress(RuntimeError):  # the proxy was closed meanwhile
                loop.call_soon_threadsafe(settle, result)

        threading.Thread(target=look_up, name="resolver", daemon=True).start()
        result = await found
        if isinstance(result, list):
            return result
        raise result

    async def _connected(
        self, addresses: list[str], port: int, name: str
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to the first of the addresses that answers in its share of the time."""
        fault: OSError | None = None
        for address in addresses:
            try:
                async with asyncio.timeout(self._limits.connect_s / len(addresses)):
                    return await asyncio.open_connection(address, port)
            except OSError as error:
                fault = error
        reason = fault.strerror if fault and fault.strerror else "no answer in time"
        raise NotReached(f"{Host(name, port)} does not answer: {reason}.")


async def _crowded(request: Request) -> Way:
    raise NotReached("too many connections at once; close some first.")


async def _through(upstream: Upstream, request: Request, limits: ProxyLimits) -> Way:
    """A connection to the machine's own proxy, with a tunnel through it where one is wanted."""
    try:
        reader, writer = await asyncio.open_connection(
            upstream.name, upstream.port, limit=limits.head_bytes
        )
    except OSError as error:
        told = Host(upstream.name, upstream.port)
        raise NotReached(f"this machine's proxy, {told}, does not answer: {error}.") from error
    if not request.tunnels:
        return Way(reader, writer, upstream.authorization)
    target = Host(request.name, request.port)
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if upstream.authorization:
        lines.append(f"Proxy-Authorization: {upstream.authorization}")
    try:
        writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        status, _ = read_answer(await reader.readuntil(b"\r\n\r\n"))
        if not 200 <= status < 300:
            raise NotReached(f"this machine's proxy refused {target} with {status}.")
    except (BadMessage, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        writer.close()
        raise NotReached(f"this machine's proxy gave no answer for {target}.") from error
    except BaseException:
        writer.close()
        raise
    return Way(reader, writer)
