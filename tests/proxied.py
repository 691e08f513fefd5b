"""The two ends of the proxy's tests: real servers on 127.0.0.1 and a client of raw bytes."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from commands.fetch import Host, Reach
from commands.sandbox.exchange import ProxyLimits
from commands.sandbox.proxy import Contact, Proxy

_ANSWER_S = 20.0


@dataclass(frozen=True, slots=True)
class Upstream:
    """`port` it listens on; `seen` holds each request: method, path, Host, body."""

    port: int
    seen: list[tuple[str, str, str, bytes]] = field(default_factory=list)


@contextmanager
def serving(keep_alive: bool = True) -> Iterator[Upstream]:
    """Answers every request with what it saw, as JSON."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1" if keep_alive else "HTTP/1.0"

        def do_GET(self) -> None:
            body = self._body()
            host = ",".join(self.headers.get_all("Host") or [])
            upstream.seen.append((self.command, self.path, host, body))
            text = json.dumps(dict(self.headers.items())).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_POST = do_GET  # noqa: N815 (http.server finds it by this name)

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") == "chunked":
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    upstream = Upstream(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield upstream
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def echoing() -> Iterator[int]:
    """A port where what comes in goes back, as long as it comes."""

    def echo(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while data := connection.recv(1 << 16):
                connection.sendall(data)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=echo, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def connected(path: Path) -> socket.socket:
    """A connection to a Unix socket on which no wait is endless."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(_ANSWER_S)
    connection.connect(str(path))
    return connection


def asked(path: Path, request: bytes) -> bytes:
    """All that the proxy answers on one connection, up to its end."""
    with connected(path) as connection:
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(request)
        return rest(connection)


def rest(connection: socket.socket) -> bytes:
    found = b""
    with suppress(ConnectionResetError):
        while data := connection.recv(1 << 16):
            found += data
    return found


USUAL = ProxyLimits()


def here(name: str, port: int) -> list[str]:
    """Every name is this machine."""
    return ["127.0.0.1"]


@contextmanager
def proxy(
    *hosts: Host,
    resolver: Callable[[str, int], list[str]] = here,
    limits: ProxyLimits = USUAL,
    env: dict[str, str] | None = None,
    learned: tuple[Host, ...] = (),
) -> Iterator[tuple[Path, list[Contact]]]:
    """A proxy for these hosts: its socket, and what it reported."""
    contacts: list[Contact] = []
    reach = Reach(named=hosts, learned=learned)
    with Proxy(reach, contacts.append, resolver=resolver, limits=limits, env=env) as made:
        yield made.socket, contacts


def get(port: int, path: str = "/a?b=c", *fields: str, name: str = "web.test") -> bytes:
    lines = [f"GET http://{name}:{port}{path} HTTP/1.1", "Host: other.test", *fields]
    return "\r\n".join([*lines, "", ""]).encode()


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0
