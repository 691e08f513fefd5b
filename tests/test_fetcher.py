"""The guarded fetcher reaches what it may, where it was checked, and never more than its bounds."""

import gzip
import shutil
import socket
import ssl
import subprocess
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands.cancel import Cancel
from commands.command import CommandError, Refusal
from commands.fetch import Host, NotAllowed, NotReached, Reach, Resolver
from commands.sandbox.upstream import upstreams
from commands.web.address import web_address
from commands.web.contract import Fetched
from commands.web.fetcher import FetchLimits, GuardedFetcher
from commands.web.inflating import Body
from tests.web_server import Answer, Reply, Request, WebServer, here, moved

QUICK = FetchLimits(total_s=20, pause_s=0)


@contextmanager
def fetching(
    pages: Mapping[str, Answer], limits: FetchLimits = QUICK, name: str = "site.example"
) -> Iterator[tuple[WebServer, GuardedFetcher]]:
    with (
        WebServer(pages) as server,
        GuardedFetcher(server.reach(name), "1.2", resolver=here, limits=limits) as fetcher,
    ):
        yield server, fetcher


def got(fetcher: GuardedFetcher, url: str, **more: object) -> Fetched:
    return fetcher.get(url, cancel=Cancel(), **more)  # type: ignore[arg-type]


def test_a_page_comes_whole_and_its_server_hears_who_asks() -> None:
    """The program names itself, sends no cookie, and names the host that was asked for."""
    with fetching({"/a?q=1": Reply(b"hello", "text/plain")}) as (server, fetcher):
        fetched = got(fetcher, server.url("site.example", "/a?q=1#part"), accept="text/*")

    head = server.requests[0].headers
    assert (fetched.url, fetched.status, fetched.content_type) == (
        f"http://site.example:{server.port}/a?q=1",
        200,
        "text/plain",
    )
    assert (fetched.data, fetched.cut, fetched.redirects) == (b"hello", False, ())
    assert head["host"] == f"site.example:{server.port}"
    assert head["user-agent"].startswith("autoagent/1.2 ")
    assert head["accept"] == "text/*"
    assert "cookie" not in head


def test_a_body_is_posted_with_its_headers() -> None:
    """Engines with a key are asked by POST."""
    with fetching({"/": Reply(b"{}", "application/json")}) as (server, fetcher):
        got(fetcher, server.url("site.example"), headers={"X-Key": "k"}, body=b'{"q": 1}')

    request = server.requests[0]
    assert (request.method, request.headers["x-key"], request.body) == ("POST", "k", b'{"q": 1}')


def test_what_a_server_refuses_is_an_answer_like_any_other() -> None:
    """The reader of a page says what a 404 or 500 means, with its text."""
    with fetching({"/": Reply(b"broken", status=500)}) as (server, fetcher):
        found = [got(fetcher, server.url("site.example", path)) for path in ("/", "/none")]

    assert [(f.status, f.data) for f in found] == [(500, b"broken"), (404, b"<h1>Not here</h1>")]


@pytest.mark.parametrize(
    "url",
    [
        *("http://127.0.0.1/", "http://localhost/", "http://[::1]/", "http://10.0.0.1/"),
        *("http://169.254.169.254/latest/", "http://[64:ff9b::7f00:1]/", "http://0.0.0.0/"),
        *("http://[2002:7f00:1::]/", "http://[::ffff:127.0.0.1]/", "http://192.168.1.1/"),
        *("http://2130706433/", "http://0x7f.1/", "http://127.1/", "http://0177.0.0.1/"),
        *("http://127。0。0。1/", "http://①②⑦.0.0.1/", "http://ｌocalhost/", "http://localhost./"),
        *("http://a@127.0.0.1/", "http://good.example@127.0.0.1/", "http://u:p@good.example/"),
        *("http://good.example:8080/", "http://good.example:0/", "http://good.example:99999/"),
        *("file:///etc/passwd", "ftp://good.example/", "gopher://x/", "data:text/html,x"),
        *("javascript:alert(1)", "unix:///run/docker.sock", "HTTP+unix://x/", "//good.example/"),
        *("http:///etc", "http:127.0.0.1", "http://", "good.example/x", "", "http://[::1"),
        *("http://good.example\\@127.0.0.1/", "http://good.example/a b", "http://a\r\nHost:b/"),
        *("http://[fe80::1%25eth0]/", "http://a_b..c/", "http://-a.example/", "http://a:b:c/"),
    ],
)
def test_an_odd_or_private_address_is_refused_in_a_sentence(url: str) -> None:
    """Every spelling of a place inside is refused before anything is connected to."""

    def resolver(name: str, port: int) -> list[str]:
        return ["127.0.0.1"]  # so that nothing here could leave this machine

    with (
        GuardedFetcher(Reach(), "1", resolver=resolver) as fetcher,
        pytest.raises(CommandError) as refused,
    ):
        got(fetcher, url)

    assert not isinstance(refused.value, NotReached)
    assert "--allow-host" in str(refused.value) or str(refused.value).endswith(".")


@given(st.text(max_size=40), st.sampled_from(["http://", "https://", "http://a.example/", ""]))
def test_every_text_is_an_address_that_reads_as_itself_or_is_refused(text: str, start: str) -> None:
    """What was checked is what is sent: reading an address again changes nothing."""
    try:
        address = web_address(start + text)
    except CommandError:
        return

    assert web_address(str(address)) == address
    assert address.target.isascii()
    assert not set(address.target) & set(" \r\n\t#\\")


def test_a_name_is_looked_up_once_and_only_the_checked_address_is_connected_to() -> None:
    """Rebinding: an owner of a name answers a harmless address first and another later."""
    answers = [["127.0.0.1"], ["127.0.0.2"]]
    with WebServer({"/": Reply(b"checked")}) as first:
        asked: list[str] = []

        def rebinding(name: str, port: int) -> list[str]:
            asked.append(name)
            return answers[len(asked) - 1]

        with (
            WebServer({"/": Reply(b"inside")}, address="127.0.0.2", port=first.port) as second,
            GuardedFetcher(first.reach("re.example"), "1", resolver=rebinding) as fetcher,
        ):
            fetched = got(fetcher, first.url("re.example"))

    assert (fetched.data, asked, second.requests) == (b"checked", ["re.example"], [])


def test_one_bad_address_among_good_ones_condemns_the_name() -> None:
    """Otherwise the second address would be tried when the first is made not to answer."""
    with (
        GuardedFetcher(Reach(), "1", resolver=lambda n, p: ["93.184.215.14", "10.0.0.1"]) as it,
        pytest.raises(NotAllowed, match=r"mixed\.example \(10\.0\.0\.1\) is in a local network"),
    ):
        got(it, "http://mixed.example/")


def test_the_next_address_is_tried_when_the_first_does_not_answer() -> None:
    """Hosts have several addresses so that one may fail."""
    with WebServer({"/": Reply(b"second")}) as server:
        two: Resolver = lambda name, port: ["127.0.0.3", "127.0.0.1"]  # noqa: E731
        with GuardedFetcher(server.reach("two.example"), "1", resolver=two) as fetcher:
            fetched = got(fetcher, server.url("two.example"))

    assert fetched.data == b"second"


def test_redirects_are_followed_and_told() -> None:
    """The final address is what a source is named by."""
    pages = {"/a": moved("/b", 301), "/b": moved("c?x=ü", 307), "/c": Reply(b"end")}
    with fetching(pages) as (server, fetcher):
        fetched = got(fetcher, server.url("site.example", "/a"))
        base = server.url("site.example", "")

    assert (fetched.url, fetched.data) == (f"{base}/c?x=%C3%BC", b"end")
    assert fetched.redirects == (f"{base}/a", f"{base}/b")


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("http://169.254.169.254/latest/meta-data/", "special address"),
        ("http://127.0.0.1/", "on this machine"),
        ("http://inside.example/", "on this machine"),  # the resolver says where that is
        ("http://site.example:1/", "Only ports 80 and 443"),
        ("file:///etc/passwd", "file: addresses"),
        ("javascript:alert(1)", "javascript: addresses"),
        ("http://u:p@site.example/", "no user name"),
        ("//[::1]/", "on this machine"),
    ],
)
def test_a_redirect_to_where_one_may_not_go_is_refused(location: str, said: str) -> None:
    """The first address is judged by the user and the model; the next is the server's choice."""
    with (
        fetching({"/": moved(location)}) as (server, fetcher),
        pytest.raises(NotAllowed, match=said),
    ):
        got(fetcher, server.url("site.example"))


def test_redirects_in_a_circle_end() -> None:
    """Ten are followed, and no request is made after them."""
    with fetching({"/": moved("/x"), "/x": moved("/")}) as (server, fetcher):
        with pytest.raises(NotReached, match="in a circle, 11 times"):
            got(fetcher, server.url("site.example"))

        assert len(server.requests) == 11


def test_another_host_gets_no_header_and_no_body_of_ours_by_a_redirect() -> None:
    """A key for one engine must not go where that engine, or who owns it now, points."""
    with WebServer({"/": Reply(b"other")}) as other, WebServer({}) as first:
        reach = Reach(first.reach("first.example").named + other.reach("other.example").named)
        with GuardedFetcher(reach, "1", resolver=here, limits=QUICK) as fetcher:
            url = first.url("first.example")
            first.pages["/"] = moved(other.url("other.example"))
            got(fetcher, url, headers={"Authorization": "key"}, body=b"query")
            first.pages["/"] = moved(other.url("other.example"), 308)
            with pytest.raises(NotAllowed, match="redirects what was sent"):
                got(fetcher, url, body=b"query")

    (request,) = other.requests
    assert (request.method, request.body) == ("GET", b"")
    assert "authorization" not in request.headers


def test_the_policy_is_asked_about_each_redirect() -> None:
    """An open redirect of an allowed host would be a way out to any other."""

    def forbid(source: str, target: str) -> None:
        raise Refusal(f"{source} -> {target}")

    with (
        WebServer({"/": moved("http://evil.example/?secret")}) as server,
        GuardedFetcher(
            server.reach("site.example"), "1", resolver=here, permit_redirect=forbid
        ) as fetcher,
        pytest.raises(Refusal, match=r"site\.example:[0-9]+/ -> http://evil\.example/\?secret"),
    ):
        got(fetcher, server.url("site.example"))


def test_a_slow_drip_is_cut_by_the_total_time() -> None:
    """Each byte comes in time, the whole never does."""
    limits = replace(QUICK, total_s=0.5)
    with (
        fetching({"/": Reply(b"x" * 10_000, drip=True)}, limits) as (server, fetcher),
        pytest.raises(NotReached, match=r"did not finish its answer within 0\.5 s"),
    ):
        got(fetcher, server.url("site.example"))


def test_an_endless_answer_is_cut_at_the_bytes_that_are_read() -> None:
    """What came is given, marked as cut."""
    limits = replace(QUICK, raw_bytes=100_000)
    with fetching({"/": Reply(b"abcd" * 1000, endless=True)}, limits) as (server, fetcher):
        fetched = got(fetcher, server.url("site.example"))

    assert (len(fetched.data), fetched.cut) == (100_000, True)
    assert fetched.data == b"abcd" * 25_000


def deflated(data: bytes, bits: int) -> bytes:
    packer = zlib.compressobj(wbits=bits)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("gzip", gzip.compress),
        ("x-gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("Deflate", lambda data: deflated(data, -15)),  # what some servers mean by it
        ("identity", bytes),
    ],
)
def test_compressed_answers_are_read(coding: str, packed: Callable[[bytes], bytes]) -> None:
    """Most servers compress."""
    text = b"words that come again, " * 100_000
    with fetching({"/": Reply(packed(text), headers={"Content-Encoding": coding})}) as (s, fetcher):
        fetched = got(fetcher, s.url("site.example"))

    assert (fetched.data == text, fetched.cut) == (True, False)


def test_a_gzip_bomb_is_cut_early() -> None:
    """A hundred megabytes of zeros come as a hundred kilobytes."""
    packer = zlib.compressobj(wbits=31)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(100)) + packer.flush()
    limits = replace(QUICK, data_bytes=2 << 20)
    with fetching({"/": Reply(bomb, headers={"Content-Encoding": "gzip"})}, limits) as (s, fetcher):
        fetched = got(fetcher, s.url("site.example"))

    assert (fetched.data == bytes(2 << 20), fetched.cut) == (True, True)


@given(st.binary(max_size=3_000), st.integers(0, 4_000), st.integers(1, 700))
def test_a_body_is_the_same_however_it_is_cut_into_pieces(
    data: bytes, most: int, piece: int
) -> None:
    """And `full` says exactly whether there was more than the bound."""
    packed = gzip.compress(data)
    body = Body("gzip", len(packed), most)
    for start in range(0, len(packed), piece):
        body.take(packed[start : start + piece])

    assert bytes(body.data) == data[:most]
    assert body.full == (len(data) > most)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(b"no gzip", headers={"Content-Encoding": "gzip"}), "compression is broken"),
        (Reply(b"x", headers={"Content-Encoding": "br"}), "compressed as 'br'"),
        (Reply(raw=b"SSH-2.0-OpenSSH_9.2\r\n"), "does not speak HTTP"),
        (Reply(raw=b""), "broke off"),
        (Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"), "broke off"),
        (Reply(headers={"X-Large": "x" * 200_000}), "does not speak HTTP"),
    ],
)
def test_a_malformed_answer_is_a_sentence(reply: Reply, said: str) -> None:
    """The model can't mend a server, but must know that it isn't its own fault."""
    with (
        fetching({"/": reply}) as (server, fetcher),
        pytest.raises(CommandError, match=said),
    ):
        got(fetcher, server.url("site.example"))


def test_a_closed_port_is_said() -> None:
    """Nobody listens there."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    with (
        GuardedFetcher(Reach((Host("127.0.0.1", port),)), "1") as fetcher,
        pytest.raises(NotReached, match=f"127.0.0.1:{port} can't be connected to"),
    ):
        got(fetcher, f"http://127.0.0.1:{port}/")


def test_cancel_cuts_an_answer_in_its_middle() -> None:
    """Law 9: whatever a server does, a person who stops the run isn't kept waiting."""
    begun, never, cancel = Event(), Event(), Cancel()
    page = Reply(b"half and half", hold=never, begun=begun)
    with fetching({"/": page}) as (server, fetcher):
        setter = Thread(target=lambda: cancel.set("interrupt") if begun.wait(10) else None)
        setter.start()
        with pytest.raises(NotReached, match="Stopped before"):
            fetcher.get(server.url("site.example"), cancel=cancel)
        with pytest.raises(NotReached, match="Stopped before"):
            fetcher.get(server.url("site.example"), cancel=cancel)
        setter.join()

        assert len(server.requests) == 1


def test_two_threads_at_one_host_take_turns() -> None:
    """Sub-agents share the fetcher; a small server isn't asked by all of them at once."""
    with fetching({"/": Reply(b"x" * 100)}, replace(QUICK, pause_s=0.01)) as (server, fetcher):
        url = server.url("site.example")
        threads = [Thread(target=got, args=(fetcher, url)) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert (len(server.requests), server.most_at_once) == (5, 1)


def test_a_closed_fetcher_begins_anew() -> None:
    """Though threads stood in line at the host before."""
    with fetching({"/": Reply(b"x")}) as (server, fetcher):
        for _ in range(2):
            url = server.url("site.example")
            threads = [Thread(target=got, args=(fetcher, url)) for _ in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            fetcher.close()

    assert len(server.requests) == 6


def test_other_hosts_do_not_wait_for_a_slow_one() -> None:
    """Turns are taken at each host by itself."""
    hold, begun = Event(), Event()
    pages: dict[str, Answer] = {"/slow": Reply(b"slow", hold=hold, begun=begun)}
    with WebServer({**pages, "/": Reply(b"quick")}) as server:
        reach = server.reach("slow.example", "quick.example")
        with GuardedFetcher(reach, "1", resolver=here, limits=QUICK) as fetcher:
            slow = Thread(target=got, args=(fetcher, server.url("slow.example", "/slow")))
            slow.start()
            assert begun.wait(10)
            fetched = got(fetcher, server.url("quick.example"))
            hold.set()
            slow.join()

    assert fetched.data == b"quick"


def test_a_busy_server_is_asked_once_more_when_it_says_when() -> None:
    """Retry-After is kept to where it fits into the time; a second refusal is the answer."""

    def busy(request: Request) -> Reply:
        later = "0" if request.path == "/now" else "3600"
        return Reply(b"busy", status=429, headers={"Retry-After": later})

    with fetching({"/now": busy, "/later": busy, "/": Reply(b"", status=503)}) as (server, fetcher):
        for path in ("/now", "/later", "/"):
            got(fetcher, server.url("site.example", path))

    assert server.paths == ["/now", "/now", "/later", "/"]


def test_the_proxy_of_the_machine_is_gone_through_by_name() -> None:
    """Behind it no name is looked up here, but written addresses are still checked."""
    with WebServer({"http://far.example/": Reply(b"by proxy")}) as proxy:
        machine = upstreams({"http_proxy": f"http://me:pw@127.0.0.1:{proxy.port}"})

        def none(name: str, port: int) -> list[str]:
            raise AssertionError(name)

        with GuardedFetcher(Reach(), "1", machine, resolver=none) as fetcher:
            fetched = got(fetcher, "http://far.example/")
            with pytest.raises(NotAllowed, match="local network"):
                got(fetcher, "http://10.0.0.1/")

    assert fetched.data == b"by proxy"
    assert proxy.paths == ["http://far.example/"]
    assert proxy.requests[0].headers["proxy-authorization"] == "Basic bWU6cHc="
    assert "looks up" in machine.notices[0]


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's side and a client's side for tls.example."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate")
    folder: Path = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key", folder / "cert"
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    argv += ["-nodes", "-days", "2", "-subj", "/CN=tls.example", "-keyout", str(key)]
    argv += ["-addext", "subjectAltName=DNS:tls.example", "-out", str(cert)]
    subprocess.run(argv, check=True, capture_output=True)
    inside = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    inside.load_cert_chain(cert, key)
    return inside, ssl.create_default_context(cafile=str(cert))


def test_a_certificate_is_verified_by_name_though_an_address_is_connected_to(
    certified: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    """The name goes into the handshake; a certificate of another name is no proof."""
    inside, outside = certified
    heard: list[str | None] = []
    inside.sni_callback = lambda connection, name, context: heard.append(name)
    with WebServer({"/": Reply(b"private")}, tls=inside) as server:
        reach = server.reach("tls.example", "other.example")
        with GuardedFetcher(
            reach, "1", resolver=here, limits=QUICK, certificates=outside
        ) as fetcher:
            fetched = got(fetcher, server.url("tls.example"))
            with pytest.raises(NotReached, match=r"proves it is other\.example: .*mismatch"):
                got(fetcher, server.url("other.example"))
        with (
            GuardedFetcher(reach, "1", resolver=here) as plain,
            pytest.raises(NotReached, match=r"no certificate .*self.signed"),
        ):
            got(plain, server.url("tls.example"))

    assert (fetched.data, heard[:2]) == (b"private", ["tls.example", "other.example"])


def test_a_redirect_from_https_to_http_is_not_followed_by_itself(
    certified: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    """Whoever sits on the way could read and change the plain page."""
    inside, outside = certified
    with WebServer({"/": moved("http://tls.example/plain")}, tls=inside) as server:
        reach = server.reach("tls.example")
        with (
            GuardedFetcher(reach, "1", resolver=here, certificates=outside) as fetcher,
            pytest.raises(NotAllowed, match=r"from https to plain http; read http://tls\.example"),
        ):
            got(fetcher, server.url("tls.example"))


def test_plain_http_at_a_tls_port_and_the_other_way_round_are_sentences(
    certified: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    """A wrong scheme is the most usual mistake with a local server."""
    with WebServer({"/": Reply(b"plain")}) as server:
        reach = server.reach("tls.example")
        with (
            GuardedFetcher(reach, "1", resolver=here) as fetcher,
            pytest.raises(NotReached, match="No secure connection"),
        ):
            got(fetcher, f"https://tls.example:{server.port}/")
