"""The proxy at the edge of the cage: what it lets through, and what it makes of hostile clients."""

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from commands.fetch import Host, Reach
from commands.sandbox.exchange import ProxyLimits
from commands.sandbox.proxy import PORT, Contact, Proxy, variables
from tests.proxied import (
    Upstream,
    asked,
    connected,
    echoing,
    get,
    here,
    proxy,
    rest,
    serving,
    status,
)


@pytest.fixture(scope="module")
def web() -> Iterator[Upstream]:
    with serving() as upstream:
        yield upstream


def test_a_request_to_an_allowed_host_arrives_under_that_hosts_name(web: Upstream) -> None:
    """A Host field of another site behind the same address would be a way around the list."""
    with proxy(Host("web.test", web.port)) as (path, contacts):
        answer = asked(path, get(web.port))

    assert status(answer) == 200
    assert web.seen[-1] == ("GET", "/a?b=c", f"web.test:{web.port}", b"")
    assert contacts == [Contact(f"web.test:{web.port}")]


def test_a_host_that_nobody_allowed_is_refused_with_what_the_user_can_do(web: Upstream) -> None:
    """The sentence stands in the first line, too: it is all that many programs show."""
    with proxy(Host("web.test", web.port)) as (path, contacts):
        answers = [
            asked(path, get(80, name="other.test")),
            asked(path, b"CONNECT other.test:443 HTTP/1.1\r\n\r\n"),
            asked(path, b"CONNECT web.test:22 HTTP/1.1\r\n\r\n"),
        ]
        asked(path, get(80, "/again", name="other.test"))

    assert [status(answer) for answer in answers] == [403, 403, 403]
    sentences = [
        b"--allow-host other.test",
        b"--allow-host other.test",
        b"--allow-host web.test:22",
    ]
    for answer, sentence in zip(answers, sentences, strict=True):
        assert answer.split(b"\r\n")[0].endswith(sentence)
        assert answer.endswith(sentence + b"\n")
    assert [contact.host for contact in contacts] == [
        *("other.test:80", "other.test:443", "web.test:22"),
    ]
    assert all(contact.refused for contact in contacts)


def test_a_connection_goes_to_the_address_that_was_checked(web: Upstream) -> None:
    """A name that answers differently the second time (rebinding) is only asked once."""
    answers = iter([["127.0.0.1"], ["127.0.0.2"]])

    def resolver(name: str, port: int) -> list[str]:
        return next(answers)

    with proxy(Host("web.test", web.port), resolver=resolver) as (path, _):
        answer = asked(path, get(web.port))

    assert status(answer) == 200
    assert next(answers) == ["127.0.0.2"]


def test_an_allowed_name_that_leads_into_a_private_place_is_refused(web: Upstream) -> None:
    """One such address among good ones is enough."""

    def resolver(name: str, port: int) -> list[str]:
        return ["93.184.215.14", "127.0.0.1"]

    with proxy(learned=(Host("web.test", web.port),), resolver=resolver) as (path, contacts):
        answer = asked(path, get(web.port))

    assert status(answer) == 403
    assert b"web.test (127.0.0.1) is on this machine" in answer
    assert [contact.host for contact in contacts if contact.refused] == [f"web.test:{web.port}"]


def test_a_tunnel_carries_bytes_both_ways_and_each_end_closes_alone() -> None:
    """TLS lives in it; `git clone` closes one direction first."""
    data = bytes(range(256)) * 4000

    with ExitStack() as stack:
        port = stack.enter_context(echoing())
        path, contacts = stack.enter_context(proxy(Host("echo.test", port)))
        connection = stack.enter_context(connected(path))
        connection.sendall(f"CONNECT echo.test:{port} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        opened = connection.recv(100)

        def send() -> None:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        back = rest(connection)
        sender.join()

    assert opened == b"HTTP/1.1 200 Connection established\r\n\r\n"
    assert back == data
    assert contacts == [Contact(f"echo.test:{port}")]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_tls_through_a_tunnel_is_verified_by_the_client(tmp_path: Path) -> None:
    """The proxy is no man in the middle: the certificate is the host's own."""
    key, cert = tmp_path / "key", tmp_path / "cert"
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    argv += ["-nodes", "-days", "2", "-subj", "/CN=tls.test", "-keyout", str(key)]
    argv += ["-addext", "subjectAltName=DNS:tls.test", "-out", str(cert)]
    subprocess.run(argv, check=True, capture_output=True)
    inside = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    inside.load_cert_chain(cert, key)
    outside = ssl.create_default_context(cafile=str(cert))

    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = listener.getsockname()[1]
        path, _ = stack.enter_context(proxy(Host("tls.test", port)))

        def serve() -> None:
            with inside.wrap_socket(listener.accept()[0], server_side=True) as connection:
                connection.sendall(connection.recv(100).upper())

        server = threading.Thread(target=serve)
        server.start()
        connection = stack.enter_context(connected(path))
        connection.sendall(f"CONNECT tls.test:{port} HTTP/1.1\r\n\r\n".encode())
        connection.recv(100)
        with outside.wrap_socket(connection, server_hostname="tls.test") as secured:
            secured.sendall(b"hello")
            answer = secured.recv(100)
        server.join()

    assert answer == b"HELLO"


@pytest.mark.parametrize(
    "fields",
    [
        ["Content-Length: 11", "", "hello world"],
        ["Transfer-Encoding: chunked", "", "b;x=y", "hello world", "0", "", ""],
    ],
    ids=["sized", "chunked"],
)
def test_a_body_arrives_and_nothing_after_it_does(web: Upstream, fields: list[str]) -> None:
    """A second request on the same connection could name another host behind the address."""
    smuggled = f"GET http://other.test:{web.port}/smuggled HTTP/1.1\r\nHost: other.test\r\n\r\n"
    lines = [f"POST http://web.test:{web.port}/p HTTP/1.1", *fields]

    with proxy(Host("web.test", web.port)) as (path, _):
        answer = asked(path, ("\r\n".join(lines) + smuggled).encode())

    assert answer.count(b"HTTP/1.1 200") == 1
    assert b"\r\nConnection: close\r\n" in answer
    assert web.seen[-1] == ("POST", "/p", f"web.test:{web.port}", b"hello world")


HOSTILE = {
    "an address of its own": "GET http://127.0.0.1:{port}/ HTTP/1.1",
    "an address in decimal": "GET http://2130706433:{port}/ HTTP/1.1",
    "an address in hexadecimal": "GET http://0x7f.1:{port}/ HTTP/1.1",
    "a short address": "GET http://127.1:{port}/ HTTP/1.1",
    "an IPv6 address": "GET http://[::1]:{port}/ HTTP/1.1",
    "a mapped address": "CONNECT [::ffff:127.0.0.1]:{port} HTTP/1.1",
    "a zone": "CONNECT [fe80::1%25eth0]:{port} HTTP/1.1",
    "a name before an @": "GET http://web.test@127.0.0.1:{port}/ HTTP/1.1",
    "a password": "GET http://u:p@web.test:{port}/ HTTP/1.1",
    "a tunnel with a name": "CONNECT u@web.test:{port} HTTP/1.1",
    "a tunnel without a port": "CONNECT web.test HTTP/1.1",
    "a tunnel with a path": "CONNECT web.test:{port}/x HTTP/1.1",
    "a port out of range": "CONNECT web.test:99999 HTTP/1.1",
    "another scheme": "GET ftp://web.test:{port}/ HTTP/1.1",
    "a file": "GET file:///etc/passwd HTTP/1.1",
    "https without a tunnel": "GET https://web.test:{port}/ HTTP/1.1",
    "a path alone": "GET / HTTP/1.1\r\nHost: web.test:{port}",
    "a backslash": "GET http://127.0.0.1:{port}\\@web.test/ HTTP/1.1",
    "a fragment": "GET http://web.test:{port}/#x HTTP/1.1",
    "a blank in the target": "GET http://web.test:{port}/ x HTTP/1.1",
    "an escaped host": "GET http://web%2etest:{port}/ HTTP/1.1",
    "another version": "GET http://web.test:{port}/ HTTP/2.0",
    "no version": "GET http://web.test:{port}/",
    "two hosts": "GET http://web.test:{port}/ HTTP/1.1\r\nHost: a\r\nHost: b",
    "two lengths": (
        "POST http://web.test:{port}/ HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2"
    ),
    "a length and chunks": (
        "POST http://web.test:{port}/ HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked"
    ),
    "an odd coding": "POST http://web.test:{port}/ HTTP/1.1\r\nTransfer-Encoding: gzip, chunked",
    "a veiled coding": "POST http://web.test:{port}/ HTTP/1.1\r\nTransfer-Encoding: xchunked",
    "chunks in HTTP/1.0": "POST http://web.test:{port}/ HTTP/1.0\r\nTransfer-Encoding: chunked",
    "a signed length": "POST http://web.test:{port}/ HTTP/1.1\r\nContent-Length: +5",
    "a list as length": "POST http://web.test:{port}/ HTTP/1.1\r\nContent-Length: 5, 5",
    "a blank before the colon": "GET http://web.test:{port}/ HTTP/1.1\r\nContent-Length : 5",
    "a continued line": "GET http://web.test:{port}/ HTTP/1.1\r\nX: a\r\n b",
    "a lone line feed": "GET http://web.test:{port}/ HTTP/1.1\r\nX: a\nHost: b",
    "a lone carriage return": "GET http://web.test:{port}/ HTTP/1.1\r\nX: a\rHost: b",
    "a NUL": "GET http://web.test:{port}/ HTTP/1.1\r\nX: \0",
    "no request": "\x16\x03\x01\x02",
}


@pytest.mark.parametrize("head", HOSTILE.values(), ids=HOSTILE)
def test_what_is_odd_is_refused_and_reaches_nobody(web: Upstream, head: str) -> None:
    """Two readers that read one message differently are how filters are passed."""
    before = len(web.seen)

    with proxy(Host("web.test", web.port)) as (path, contacts):
        answer = asked(path, head.format(port=web.port).encode("latin-1") + b"\r\n\r\n")

    assert status(answer) in (400, 403)
    assert len(web.seen) == before
    assert [contact for contact in contacts if not contact.refused] == []


def test_a_clients_own_headers_for_the_proxy_end_there(web: Upstream) -> None:
    """Nor can it have a length taken out by naming it as the connection's own."""
    fields = [
        "Connection: keep-alive, X-Secret, content-length, host",
        "X-Secret: 1",
        "Proxy-Authorization: Basic eDp5",
        "Upgrade: h2c",
        "Content-Length: 2",
    ]

    with proxy(Host("web.test", web.port)) as (path, _):
        answer = asked(path, get(web.port, "/", *fields) + b"ab")

    seen = answer.partition(b"\r\n\r\n")[2]
    assert b'"Connection": "close"' in seen and b'"Content-Length": "2"' in seen
    assert not any(name in seen for name in (b"X-Secret", b"Proxy-", b"Upgrade"))


def test_slow_and_huge_heads_are_ended() -> None:
    """A drip of bytes must not hold a place for ever."""
    limits = ProxyLimits(head_bytes=2000, head_s=0.3)
    with proxy(limits=limits) as (path, _):
        with connected(path) as connection:
            connection.sendall(b"GET http://web.test/ HTTP/1.1\r\nX: ")
            slow = rest(connection)
        huge = asked(path, b"GET http://web.test/ HTTP/1.1\r\nX: " + b"x" * 4000)

    assert (status(slow), status(huge)) == (408, 431)


def test_an_idle_and_an_endless_connection_are_ended() -> None:
    """The one for want of bytes, the other although they come."""
    with echoing() as port:
        opening = f"CONNECT echo.test:{port} HTTP/1.1\r\n\r\n".encode()
        with proxy(Host("echo.test", port), limits=ProxyLimits(idle_s=0.2)) as (path, _):
            idle = asked(path, opening)
        limits = ProxyLimits(total_s=0.3)
        with proxy(Host("echo.test", port), limits=limits) as (path, _), connected(path) as busy:
            busy.sendall(opening + b"x")
            carried = 0
            with suppress(BrokenPipeError, ConnectionResetError):
                while data := busy.recv(1000):
                    carried += len(data)
                    busy.sendall(b"x")

    assert idle.endswith(b"\r\n\r\n")
    assert carried > len(b"HTTP/1.1 200 Connection established\r\n\r\n")


def test_there_is_a_most_of_connections_at_once() -> None:
    """A loop that opens sockets must not eat the agent's own descriptors."""
    limits = ProxyLimits(connections=3)
    with ExitStack() as stack:
        port = stack.enter_context(echoing())
        path, _ = stack.enter_context(proxy(Host("echo.test", port), limits=limits))
        opening = f"CONNECT echo.test:{port} HTTP/1.1\r\n\r\n".encode()
        for _ in range(3):
            held = stack.enter_context(connected(path))
            held.sendall(opening)
            assert status(held.recv(100)) == 200
        beyond = asked(path, opening)

    assert status(beyond) == 502
    assert b"too many connections" in beyond


def test_many_requests_at_once_are_all_served(web: Upstream) -> None:
    """npm and cargo open dozens."""
    answers: list[bytes] = []
    with proxy(Host("web.test", web.port)) as (path, contacts):
        threads = [
            threading.Thread(target=lambda: answers.append(asked(path, get(web.port))))
            for _ in range(40)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert [status(answer) for answer in answers] == [200] * 40
    assert len(contacts) == 1


def test_closing_ends_connections_and_removes_the_socket() -> None:
    """Nothing of a session is left, and a closed one closes again."""
    with echoing() as port, ExitStack() as stack:
        made = Proxy(Reach(named=(Host("echo.test", port),)), lambda _: None, resolver=here)
        connection = stack.enter_context(connected(made.socket))
        connection.sendall(f"CONNECT echo.test:{port} HTTP/1.1\r\n\r\n".encode())
        connection.recv(100)
        made.close()
        made.close()
        left = rest(connection)

    assert left == b""
    assert not made.socket.parent.exists()


def test_a_resolver_that_hangs_does_not_hold_up_the_end() -> None:
    """A broken name server must not make leaving take a minute."""
    never = threading.Event()

    def resolver(name: str, port: int) -> list[str]:
        never.wait(60)
        return ["127.0.0.1"]

    with proxy(Host("web.test", 1), resolver=resolver, limits=ProxyLimits(connect_s=0.1)) as made:
        answer = asked(made[0], get(1))
    never.set()

    assert status(answer) == 504


def test_faults_of_the_server_are_said() -> None:
    """A closed port, no HTTP, an answer with two lengths, a switch of protocols."""
    told = [
        b"hello\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n",
    ]
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = listener.getsockname()[1]

        def serve() -> None:
            for answer in told:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(1000)
                    connection.sendall(answer)

        server = threading.Thread(target=serve)
        server.start()
        path, _ = stack.enter_context(proxy(Host("web.test", port)))
        answers = [asked(path, get(port)) for _ in told]
        server.join()
        listener.close()
        answers.append(asked(path, get(port)))

    assert [status(answer) for answer in answers] == [502] * 5


def test_programs_are_told_of_the_proxy_and_loopback_stays_their_own() -> None:
    """A test server inside must be reached directly, unless the user named that very host."""
    usual = variables(Reach())
    named = variables(Reach(named=(Host("127.0.0.1", 8000),)))

    assert usual["https_proxy"] == usual["HTTP_PROXY"] == f"http://127.0.0.1:{PORT}"
    assert usual["NO_PROXY"] == "localhost,127.0.0.1,::1"
    assert named["no_proxy"] == "localhost,::1"
