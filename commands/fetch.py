"""Which hosts may be contacted, and the connection to an address that was checked."""

import ipaddress
import re
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from commands.command import CommandError, Refusal

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str, int], Sequence[str]]
"""The addresses of a name, as texts, in the order to try; OSError when there are none."""

WEB_PORTS = (80, 443)
_MOST_ADDRESSES = 16  # of one name; who has more is not better reached by the rest
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_UNICAST = ipaddress.IPv6Network("2000::/3")
# What Python's tables miss, by its version: protocol assignments, 6to4 relays, documentation.
_UNASSIGNED = tuple(
    ipaddress.ip_network(network)
    for network in ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "2001:db8::/32", "3fff::/20")
)
_CARRIER = ipaddress.IPv4Network("100.64.0.0/10")
_PRIVATE = tuple(
    ipaddress.ip_network(network)
    for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
)
# Where clouds hand out a machine's keys, in ranges that are otherwise anybody's.
_METADATA = frozenset(
    ipaddress.ip_address(address) for address in ("100.100.100.200", "fd00:ec2::254")
)

Kind = Literal["public", "private", "own", "special"]
"""private: of a local network · own: of this machine (loopback) · special: all the rest, among
them link-local addresses, where clouds hand out keys."""


class NotAllowed(Refusal):
    """The rules forbid this host or address; the message says how the user can allow it."""


class NotReached(CommandError):
    """A host that is allowed has no address or does not answer."""


@dataclass(frozen=True, slots=True)
class Host:
    """A host as a person names it; `port` None stands for those of the web, 80 and 443.

    `name` is in lower case, without a final dot, in ASCII; or an IP address as Python
    writes it.
    """

    name: str
    port: int | None = None

    def covers(self, name: str, port: int) -> bool:
        return self.name == name and (port == self.port or (not self.port and port in WEB_PORTS))

    def __str__(self) -> str:
        shown = f"[{self.name}]" if ":" in self.name else self.name
        return shown if self.port is None else f"{shown}:{self.port}"


@dataclass(frozen=True, slots=True)
class Reach:
    """The hosts that may be contacted.

    The user's own words are `named`: these may also lie in a local network. `learned` came
    from elsewhere (an index told where its files lie), so they must be public.
    """

    named: tuple[Host, ...] = ()
    learned: tuple[Host, ...] = ()

    def allows(self, name: str, port: int) -> bool:
        return any(host.covers(name, port) for host in (*self.named, *self.learned))

    def trusts(self, name: str, port: int, kind: Kind) -> bool:
        """Whether an address of that kind is fine for this host."""
        naming = [host for host in self.named if host.covers(name, port)]
        match kind:
            case "public":
                return True
            case "private":
                return bool(naming)
            case "own":  # what listens on this machine needs its port named, too
                return any(host.port for host in naming)
            case "special":  # only who wrote the very address can have meant it
                return any(host.port for host in naming) and is_address(name)


def host_from(text: str) -> Host:
    """The host that `NAME`, `NAME:PORT`, `[IPv6]` or `[IPv6]:PORT` names; ValueError otherwise."""
    found = re.fullmatch(r"(\[[^\[\]]+\]|[^:\[\]]+)(?::([0-9]{1,5}))?", text.strip())
    if found is None:
        return Host(checked_name(f"[{text.strip()}]"))
    name, port = found.groups()
    return Host(checked_name(name), None if port is None else checked_port(port))


def checked_port(text: str) -> int:
    """A port from 1 to 65535 in plain digits; ValueError otherwise."""
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 0 < int(text) < 65536:
        raise ValueError(f"{text!r:.20} is no port")
    return int(text)


def checked_name(text: str) -> str:
    """A host's one spelling; ValueError for what is none, or an address spelled to deceive.

    `2130706433`, `0x7f.1` and `127.1` are 127.0.0.1 to a resolver: only the four plain
    numbers are taken. An IPv6 address stands in brackets.
    """
    if text.startswith("["):
        if "%" in text or not text.endswith("]"):
            raise ValueError(f"{text!r:.80} is no address")
        return str(ipaddress.IPv6Address(text[1:-1]))
    name = text.removesuffix(".")
    if not name.isascii():
        try:
            name = name.encode("idna").decode()
        except UnicodeError:
            raise ValueError(f"{text!r:.80} is no host's name") from None
    name = name.lower()
    labels = name.split(".")
    if _NUMERIC.fullmatch(labels[-1]):
        return str(ipaddress.IPv4Address(name))
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(f"{text!r:.80} is no host's name")
    return name


def is_address(name: str) -> bool:
    """Whether a checked name is an IP address."""
    return ":" in name or name.rpartition(".")[2].isdecimal()


def kind_of(address: Address) -> Kind:
    """What lies behind an address. One that wraps another is never better than private."""
    wrapped = _wrapped(address)
    if wrapped is not None:
        inner = kind_of(wrapped)
        return "private" if inner == "public" else inner
    if address in _METADATA:
        return "special"
    if address.is_loopback:
        return "own"
    if any(address in network for network in (*_PRIVATE, _CARRIER)):
        return "private"
    odd = address.is_multicast or address.is_reserved or not address.is_global
    odd = odd or (address.version == 6 and address not in _UNICAST)
    return "special" if odd or any(address in network for network in _UNASSIGNED) else "public"


def _wrapped(address: Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 one leads to: mapped, 6to4, NAT64."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def system_resolver(name: str, port: int) -> list[str]:
    """What this machine's resolver says."""
    found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in found]


def resolve_checked(
    name: str, port: int, reach: Reach, *, resolver: Resolver = system_resolver
) -> list[str]:
    """The addresses to connect to, each of them checked; one bad address condemns all.

    `name` is one that `checked_name` gave. Connect to what this returns and never resolve
    again: the next answer may be another. NotAllowed or NotReached say why there is none.
    """
    if is_address(name):
        told: Iterable[str] = [name]
    else:
        try:
            told = resolver(name, port)
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise NotReached(f"{name} could not be resolved: {reason}.") from error
    addresses = list(dict.fromkeys(told))
    for text in addresses:
        kind = _kind_of_text(text)
        if not reach.trusts(name, port, kind):
            raise NotAllowed(_refused(name, port, text, kind))
    if not addresses:
        raise NotReached(f"{name} has no address.")
    return addresses[:_MOST_ADDRESSES]


def not_among(name: str, port: int) -> str:
    """Why a host is refused that nobody allowed, and how the user can allow it."""
    asked = Host(name, None if port in WEB_PORTS else port)
    return f"{Host(name, port)} is not allowed; the user can allow it: --allow-host {asked}"


def _refused(name: str, port: int, address: str, kind: Kind) -> str:
    places = {
        "private": "in a local network",
        "own": "on this machine",
        "special": "at a special address",
    }
    wanted = Host(address if kind == "special" else name, port)
    shown = name if name == address else f"{name} ({address})"
    return (
        f"{shown} is {places.get(kind, 'elsewhere')}; the user can allow it: --allow-host {wanted}"
    )


def _kind_of_text(address: str) -> Kind:
    try:
        return kind_of(ipaddress.ip_address(address))
    except ValueError:  # a zone (fe80::1%eth0), or no address at all
        return "special"
