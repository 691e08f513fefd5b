"""A web server on 127.0.0.1 that answers each path as a test says.

    with WebServer({"/": Reply(b"hello"), "/old": moved("/")}) as server:
        with GuardedFetcher(server.reach("site.example"), "1", resolver=here) as fetcher:
            fetcher.get(server.url("site.example", "/old"), cancel=Cancel())

A page may be a function of the request. What isn't there is a 404. Nothing waits by the clock
but a drip, which goes on until its reader leaves.
"""

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Event, Thread
from typing import Self

from commands.fetch import Host, Reach

_LONGEST_WAIT_S = 30.0  # a test that forgot its event fails, it doesn't hang


@dataclass(frozen=True)
class Reply:
    """What a page answers.

    `hold` is waited for before the head, or with `begun` set after half of the body; then
    `begun` is set. `endless` sends the body again and again; `drip` a byte of it every 10 ms.
    `raw` is sent instead of any HTTP.
    """

    body: bytes = b""
    type: str = "text/html; charset=utf-8"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    hold: Event | None = None
    begun: Event | None = None
    endless: bool = False
    drip: bool = False
    raw: bytes | None = None


@dataclass(frozen=True)
class Request:
    """What a client sent: header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


Answer = Reply | Callable[[Request], Reply]


def moved(location: str, status: int = 302) -> Reply:
    """A redirect."""
    return Reply(b"elsewhere", status=status, headers={"Location": location})


def here(name: str, port: int) -> list[str]:
    """A resolver for which every name is this machine."""
    return ["127.0.0.1"]


class WebServer:
    """A context manager; `requests` and `most_at_once` are what tests read."""

    def __init__(
        self,
        pages: Mapping[str, Answer],
        *,
        address: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.pages = dict(pages)
        self.requests: list[Request] = []
        self.most_at_once = 0
        self.at_once = 0
        self.changed = Condition()
        self.closing = Event()
        self._server = _Server((address, port), self)
        self._tls = tls
        if tls is not None:
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port: int = self._server.server_address[1]

    def __enter__(self) -> Self:
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def url(self, name: str = "127.0.0.1", path: str = "/") -> str:
        """The address of a page, under a name that a test's resolver leads here."""
        return f"{'https' if self._tls else 'http'}://{name}:{self.port}{path}"

    def reach(self, *names: str) -> Reach:
        """What lets these names be reached at this server's port, as --allow-host does."""
        return Reach(tuple(Host(name, self.port) for name in names or ("127.0.0.1",)))

    @property
    def paths(self) -> list[str]:
        return [request.path for request in self.requests]

    def answer(self, request: Request) -> Reply:
        """What a request gets; a query counts as a part of the path where a page says so."""
        with self.changed:
            self.requests.append(request)
        missing = Reply(b"<h1>Not here</h1>", status=404)
        page = self.pages.get(request.path) or self.pages.get(request.path.partition("?")[0])
        page = page or missing
        return page if isinstance(page, Reply) else page(request)


class _Server(ThreadingHTTPServer):
    daemon_threads = False

    def __init__(self, place: tuple[str, int], web: WebServer) -> None:
        self.web = web
        super().__init__(place, _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that leaves in mid-answer is what many tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        web = self.server.web
        with web.changed:
            web.at_once += 1
            web.most_at_once = max(web.most_at_once, web.at_once)
        try:
            size = int(self.headers.get("content-length", "0"))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, self.path, headers, self.rfile.read(size))
            self._answer(web.answer(request))
        finally:
            self.close_connection = True
            with web.changed:
                web.at_once -= 1

    do_POST = do_GET  # noqa: N815 (its base class says so)

    def _answer(self, reply: Reply) -> None:
        if reply.raw is not None:
            self.wfile.write(reply.raw)
            return
        if reply.hold is not None and reply.begun is None:
            self._wait(reply.hold)
        self.send_response(reply.status)
        if reply.type:
            self.send_header("Content-Type", reply.type)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if not reply.endless:
            self.send_header("Content-Length", str(len(reply.body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self._send(reply)

    def _send(self, reply: Reply) -> None:
        half = len(reply.body) // 2
        if reply.begun is not None and reply.hold is not None:
            self.wfile.write(reply.body[:half])
            reply.begun.set()
            self._wait(reply.hold)
            self.wfile.write(reply.body[half:])
        elif reply.drip:
            for byte in reply.body:
                self.wfile.write(bytes([byte]))
                if self.server.web.closing.wait(0.01):
                    break
        else:
            self.wfile.write(reply.body)
            while reply.endless and not self.server.web.closing.is_set():
                self.wfile.write(reply.body)

    def _wait(self, event: Event) -> None:
        """Until the event is set, or the server is closed."""
        for _ in range(int(_LONGEST_WAIT_S / 0.02)):
            if event.wait(0.02) or self.server.web.closing.is_set():
                return

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on the screen of a test run."""
