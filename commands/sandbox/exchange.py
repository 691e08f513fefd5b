"""One connection from the cage through the proxy: a request read, judged, and carried."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from commands.fetch import NotAllowed, NotReached
from commands.sandbox import http_head
from commands.sandbox.http_head import BadMessage, Request

_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class ProxyLimits:
    """What one connection may take, and how many there are at once."""

    connections: int = 64
    head_bytes: int = 1 << 16
    head_s: float = 10.0  # from its beginning until the request is read
    connect_s: float = 20.0  # to look up and reach the host
    idle_s: float = 300.0  # nothing moved in either direction
    total_s: float = 3600.0


@dataclass(frozen=True, slots=True)
class Way:
    """An open connection to a host, or to a proxy before it.

    `through` is what that other proxy gets as authorization with a plain request, "" for
    none; None when there is no other, or it has opened a tunnel.
    """

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    through: str | None = None


Opening = Callable[[Request], Awaitable[Way]]
"""The way to the host of a request; NotAllowed or NotReached when there is none."""


class Exchange:
    """Serves a single request: what comes after it on the connection goes nowhere.

    So a connection that was allowed for one host can't be used for another.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        opening: Opening,
        limits: ProxyLimits,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._opening = opening
        self._limits = limits
        self._end = asyncio.get_running_loop().time() + limits.total_s
        self._too_late = http_head.answer("408 Request Timeout", "The request came too slowly.")

    async def run(self) -> None:
        """Serve it to its end; never raises for what either side does."""
        try:
            async with asyncio.timeout(self._limits.head_s) as self._clock:
                await self._served()
        except TimeoutError:
            self._writer.write(self._too_late)
        except asyncio.LimitOverrunError:
            self._say("431 Request Header Fields Too Large", "The request's head is too large.")
        except BadMessage as error:
            self._say("400 Bad Request", f"autoagent's proxy does not pass this on: {error}.")
        except NotAllowed as refusal:
            # Also in the first line: of a refused CONNECT many programs show nothing else.
            self._say(f"403 Forbidden by autoagent: {refusal}", f"autoagent: {refusal}")
        except NotReached as error:
            self._say("502 Bad Gateway", f"autoagent: {error}")
        except (OSError, asyncio.IncompleteReadError):
            self._say("502 Bad Gateway", "The connection to the host broke off.")
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(self._limits.head_s):
                await self._writer.drain()
                self._writer.close()
                await self._writer.wait_closed()

    async def _served(self) -> None:
        head = await self._reader.readuntil(b"\r\n\r\n")
        request = http_head.read_request(head)
        self._grant(self._limits.connect_s)
        self._too_late = http_head.answer("504 Gateway Timeout", f"{request.host} did not answer.")
        way = await self._opening(request)
        try:
            self._grant(self._limits.idle_s)
            if request.tunnels:
                await self._tunnel(way)
            else:
                await self._exchanged(request, way)
        finally:
            way.writer.close()

    def _grant(self, seconds: float) -> None:
        now = asyncio.get_running_loop().time()
        self._clock.reschedule(min(now + seconds, self._end))

    def _say(self, status: str, sentence: str) -> None:
        if self._too_late:  # else part of an answer is out already
            self._writer.write(http_head.answer(status, sentence))

    async def _tunnel(self, way: Way) -> None:
        self._too_late = b""
        self._writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(
            self._carried(self._reader, way.writer), self._carried(way.reader, self._writer)
        )

    async def _carried(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, size: int | None = None
    ) -> None:
        """Carry `size` bytes, or all until the end, which is passed on."""
        while size is None or size > 0:
            data = await source.read(_CHUNK if size is None else min(size, _CHUNK))
            if not data:
                if size is not None:
                    raise BadMessage("its body ends too early")
                with suppress(OSError):
                    sink.write_eof()
                return
            size = None if size is None else size - len(data)
            self._grant(self._limits.idle_s)
            sink.write(data)
            await sink.drain()

    async def _exchanged(self, request: Request, way: Way) -> None:
        """The request to the server, its answer back; whichever fails first ends both."""
        way.writer.write(request.head(through=way.through))
        sending = asyncio.ensure_future(self._sent(request, way.writer))
        answering = asyncio.ensure_future(self._answered(way))
        try:
            await asyncio.wait({sending, answering}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done() and isinstance(sending.exception(), BadMessage):
                sending.result()
            # A server may refuse a body that is still coming: its answer counts.
            await answering
        finally:
            for task in (sending, answering):
                task.cancel()
            await asyncio.gather(sending, answering, return_exceptions=True)

    async def _sent(self, request: Request, sink: asyncio.StreamWriter) -> None:
        if request.body != "chunked":
            return await self._carried(self._reader, sink, request.body)
        size = 1
        while size:
            size = http_head.chunk_size(await self._line())
            sink.write(b"%x\r\n" % size)
            await self._carried(self._reader, sink, size)
            if await self._line() != b"\r\n":
                raise BadMessage("a chunk does not end where it says, or fields follow the last")
            sink.write(b"\r\n")
        return await sink.drain()

    async def _line(self) -> bytes:
        try:
            return await self._reader.readuntil(b"\r\n")
        except (asyncio.LimitOverrunError, asyncio.IncompleteReadError):
            raise BadMessage("its body is cut off or malformed") from None

    async def _answered(self, way: Way) -> None:
        status = 100
        while status < 200:
            try:
                head = await way.reader.readuntil(b"\r\n\r\n")
            except (asyncio.LimitOverrunError, asyncio.IncompleteReadError):
                raise NotReached("the server's answer broke off or is no HTTP.") from None
            try:
                status, passed = http_head.read_answer(head)
            except BadMessage as error:
                raise NotReached(f"{error}.") from error
            if status == 101:
                raise NotReached("the server changes the protocol, which only a tunnel can.")
            self._too_late = b""
            self._writer.write(passed)
        await self._carried(way.reader, self._writer)
