"""The heads of HTTP/1 messages as a proxy must read them: strictly, or not at all."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from commands.fetch import Host, checked_name, checked_port

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_REQUEST = re.compile(rf"({_WORD}) ([\x21-\x7e]+) HTTP/1\.([01])")
_STATUS = re.compile(r"HTTP/1\.[01] ([1-5][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?")
_FIELD = re.compile(rf"({_WORD}):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*")
_SIZE = re.compile(r"[0-9]{1,15}")
_URL = re.compile(r"(?i:http)://([^/?#]+)([^#]*)")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,12})[ \t]*(?:;[\t\x20-\x7e]*)?\r\n")
# What belongs to one connection alone, so that it ends at a proxy.
_HOP = frozenset(
    {
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization"),
        *("proxy-connection", "te", "trailer", "upgrade", "http2-settings"),
    }
)
_FRAMING = frozenset({"content-length", "transfer-encoding", "host"})

Fields = tuple[tuple[str, str], ...]


class BadMessage(ValueError):
    """No message that could be passed on; says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks of a proxy.

    `path` is what the server itself is asked for, "" for a tunnel. `body` is a number of
    bytes, or "chunked". `fields` hold what may be passed on: neither Host nor what is the
    connection's own.
    """

    method: str
    name: str
    port: int
    path: str
    fields: Fields
    body: int | Literal["chunked"]

    @property
    def tunnels(self) -> bool:
        return self.method == "CONNECT"

    @property
    def host(self) -> str:
        """For the Host field."""
        return str(Host(self.name, None if self.port == 80 else self.port))

    def head(self, *, through: str | None = None) -> bytes:
        """To send to the server; or to another proxy, with its authorization, "" for none."""
        target = self.path if through is None else f"http://{self.host}{self.path}"
        fields = [("Host", self.host), *self.fields, ("Connection", "close")]
        fields += [("Proxy-Authorization", through)] if through else []
        return _head(f"{self.method} {target} HTTP/1.1", fields)


def read_request(head: bytes) -> Request:
    """The request of a head with its closing empty line; BadMessage when anything is odd."""
    first, fields = _parts(head)
    found = _REQUEST.fullmatch(first)
    if found is None:
        raise BadMessage("this is no request for a proxy")
    method, target, minor = found.groups()
    named = _values(fields, "host")
    if len(named) > 1:
        raise BadMessage("it has more than one Host")
    try:
        name, port, path = _tunnel(target) if method == "CONNECT" else _target(target)
    except ValueError as error:
        raise BadMessage(f"its target is no address of a host: {error}") from error
    body = _body(fields, old=minor == "0")
    if method == "CONNECT" and body:
        raise BadMessage("a CONNECT has no body")
    return Request(method, name, port, path, _passed_on(fields, body), body)


def read_answer(head: bytes) -> tuple[int, bytes]:
    """A server's status, and its head as the client gets it: the last on its connection."""
    first, fields = _parts(head)
    found = _STATUS.fullmatch(first)
    if found is None:
        raise BadMessage("the server's answer is no HTTP")
    sizes = {*_values(fields, "content-length")}
    if len(sizes) > 1 or (sizes and _values(fields, "transfer-encoding")):
        raise BadMessage("the server's answer has two lengths")
    status = int(found[1])
    kept = _dropped(fields)
    return status, _head(first, kept if status < 200 else [*kept, ("Connection", "close")])


def chunk_size(line: bytes) -> int:
    """The bytes of a chunk, by the line before it."""
    found = _CHUNK.fullmatch(line)
    if found is None:
        raise BadMessage("a chunk has no size")
    return int(found[1], 16)


def answer(status: str, sentence: str) -> bytes:
    """A whole answer of ours, in plain text: `status` as "403 why"."""
    text = f"{sentence}\n".encode()
    fields = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(len(text))),
        ("Connection", "close"),
    ]
    return _head(f"HTTP/1.1 {status}", fields) + text


def _parts(head: bytes) -> tuple[str, Fields]:
    """The first line and the fields; each line ends with CR LF and none continues another."""
    lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    found = [_FIELD.fullmatch(line) for line in lines[1:]]
    if not all(found):
        raise BadMessage("a header line is malformed")
    return lines[0], tuple((match[1], match[2]) for match in found if match)


def _head(first: str, fields: Iterable[tuple[str, str]]) -> bytes:
    lines = [first, *(f"{name}: {value}" for name, value in fields)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _tunnel(target: str) -> tuple[str, int, str]:
    name, colon, port = target.rpartition(":")
    if not colon:
        raise ValueError("CONNECT takes HOST:PORT")
    return checked_name(name), checked_port(port), ""


def _target(target: str) -> tuple[str, int, str]:
    found = _URL.fullmatch(target)
    if found is None:
        raise ValueError("a proxy is asked for http://HOST/…, or for a tunnel by CONNECT")
    authority, path = found.groups()
    if "@" in authority:
        raise ValueError("a name or password stands in it")
    name, colon, port = authority.rpartition(":")
    if not colon or authority.endswith("]"):
        name, port = authority, "80"
    return checked_name(name), checked_port(port), path if path.startswith("/") else f"/{path}"


def _body(fields: Fields, *, old: bool) -> int | Literal["chunked"]:
    """How long the body is. Two ways to tell it are how requests are smuggled."""
    coded = _values(fields, "transfer-encoding")
    sizes = _values(fields, "content-length")
    if coded:
        if sizes or old or [value.lower() for value in coded] != ["chunked"]:
            raise BadMessage("it tells the length of its body in two ways, or in an odd one")
        return "chunked"
    if len(sizes) > 1 or not all(_SIZE.fullmatch(size) for size in sizes):
        raise BadMessage("its Content-Length is no number")
    return int(sizes[0]) if sizes else 0


def _passed_on(fields: Fields, body: int | Literal["chunked"]) -> Fields:
    """What a server gets of a request's fields, the length of the body told in one way."""
    kept = _dropped(fields, _FRAMING)
    if body == "chunked":
        return (*kept, ("Transfer-Encoding", "chunked"))
    told = bool(_values(fields, "content-length"))
    return (*kept, ("Content-Length", str(body))) if told else kept


def _dropped(fields: Fields, names: frozenset[str] = frozenset()) -> Fields:
    """The fields without those names, without what ends here, and without what Connection names.

    A client must not have Content-Length taken out by naming it there.
    """
    listed = ",".join(_values(fields, "connection")).lower().split(",")
    gone = {name.strip() for name in listed} - _FRAMING | _HOP | names
    return tuple((name, value) for name, value in fields if name.lower() not in gone)


def _values(fields: Fields, wanted: str) -> list[str]:
    return [value for name, value in fields if name.lower() == wanted]
