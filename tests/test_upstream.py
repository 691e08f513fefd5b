"""Behind a proxy of the machine's own, as in a company."""

import socket
import threading
from contextlib import ExitStack

from commands.fetch import Host, Reach
from commands.sandbox.proxy import Contact, Proxy
from tests.proxied import asked, connected, echoing, get, proxy, serving, status


def test_the_machines_own_proxy_is_used_and_its_password_kept() -> None:
    """In a company there is no other way out; it gets its password, the cage does not."""
    with (
        serving() as web,
        serving() as company,
        proxy(
            Host("far.test", 80),
            Host("web.test", web.port),
            env={
                "http_proxy": f"http://me:secret@127.0.0.1:{company.port}",
                "NO_PROXY": "near.test, .test:" + str(web.port),
            },
        ) as (path, _),
    ):
        far = asked(path, get(80, name="far.test"))
        near = asked(path, get(web.port))
        refused = asked(path, get(80, name="other.test"))

    assert [status(answer) for answer in (far, near, refused)] == [200, 200, 403]
    assert [seen[:3] for seen in company.seen] == [("GET", "http://far.test/a?b=c", "far.test")]
    assert b'"Proxy-Authorization": "Basic bWU6c2VjcmV0"' in far
    assert b"Proxy-Authorization" not in near


def test_a_tunnel_through_the_machines_own_proxy_works() -> None:
    """Here another proxy of ours plays the company's."""
    with echoing() as port, proxy(Host("echo.test", port)) as (company, seen), ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        front = listener.getsockname()[1]

        def bridge() -> None:
            with listener.accept()[0] as one, connected(company) as other:
                for source, sink in ((one, other), (other, one), (one, other), (other, one)):
                    sink.sendall(source.recv(1000))

        thread = threading.Thread(target=bridge)
        thread.start()
        env = {"HTTPS_PROXY": f"127.0.0.1:{front}"}
        path, _ = stack.enter_context(proxy(Host("echo.test", port), env=env, resolver=nowhere))
        connection = stack.enter_context(connected(path))
        connection.sendall(f"CONNECT echo.test:{port} HTTP/1.1\r\n\r\n".encode())
        opened = connection.recv(100)
        connection.sendall(b"ping")
        back = connection.recv(100)
        thread.join()

    assert (status(opened), back) == (200, b"ping")
    assert seen == [Contact(f"echo.test:{port}")]


def nowhere(name: str, port: int) -> list[str]:
    raise OSError(2, "no resolver here")


def test_another_kind_of_proxy_is_left_out_and_said() -> None:
    """Its address may hold a password, so the line doesn't show it."""
    with Proxy(Reach(), lambda _: None, env={"all_proxy": "socks5://u:p@h:1080"}) as made:
        notices = made.notices

    assert len(notices) == 1
    assert "all_proxy" in notices[0] and "u:p" not in notices[0]
