"""Which hosts and addresses may be contacted."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands.fetch import (
    Host,
    NotAllowed,
    NotReached,
    Reach,
    checked_name,
    host_from,
    kind_of,
    resolve_checked,
)

PUBLIC = "93.184.215.14"
# Each range by the registry that assigned it (RFC 6890 and its successors), not by our code.
KINDS = {
    "public": [PUBLIC, "1.1.1.1", "2606:4700::1111", "2a00:1450:4001::1"],
    "private": [
        *("10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "fc00::1"),
        *("64:ff9b::5db8:d70e", "2002:5db8:d70e::1", "::ffff:93.184.215.14"),
    ],
    "own": ["127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"],
    "special": [
        *("169.254.169.254", "fe80::1", "fd00:ec2::254", "100.100.100.200", "64:ff9b::a9fe:a9fe"),
        *("0.0.0.0", "::", "0.1.2.3", "224.0.0.1", "ff02::1", "255.255.255.255", "240.0.0.1"),
        *("192.0.2.1", "198.18.0.1", "192.0.0.8", "192.88.99.1", "2001::1", "2001:db8::1"),
        *("fec0::1", "::127.0.0.1", "64:ff9b:1::1", "::ffff:0:7f00:1", "3fff::1", "100::1"),
    ],
}
EVERY = [address for addresses in KINDS.values() for address in addresses]


@pytest.mark.parametrize("kind", KINDS)
def test_each_range_of_addresses_is_of_its_kind(kind: str) -> None:
    """Python's is_global takes NAT64 and 6to4 for public and knows no clouds."""
    found = {address: kind_of(ipaddress.ip_address(address)) for address in KINDS[kind]}

    assert found == dict.fromkeys(KINDS[kind], kind)


@pytest.mark.parametrize("address", EVERY)
def test_a_name_that_nobody_named_leads_to_public_addresses_only(address: str) -> None:
    """Whoever owns a name decides where it points: at a router, a database, a cloud's keys."""

    def resolver(name: str, port: int) -> list[str]:
        return [PUBLIC, address]

    if address in KINDS["public"]:
        found = resolve_checked("a.example", 443, Reach(), resolver=resolver)
        assert found == list(dict.fromkeys([PUBLIC, address]))
    else:
        with pytest.raises(NotAllowed, match="--allow-host"):
            resolve_checked("a.example", 443, Reach(), resolver=resolver)


@pytest.mark.parametrize(
    ("named", "port", "kinds"),
    [
        ("a.example", 443, {"public", "private"}),
        ("a.example:8080", 8080, {"public", "private", "own"}),
        ("other.example:8080", 8080, {"public"}),
    ],
)
def test_what_the_user_named_may_lie_in_a_local_network(
    named: str, port: int, kinds: set[str]
) -> None:
    """A company's own index has a private address; this machine's services need their port."""
    reach = Reach(named=(host_from(named),))

    def is_reached(address: str) -> bool:
        try:
            return bool(resolve_checked("a.example", port, reach, resolver=lambda *_: [address]))
        except NotAllowed:
            return False

    assert {kind for kind in KINDS if all(map(is_reached, KINDS[kind]))} == kinds
    assert {kind for kind in KINDS if any(map(is_reached, KINDS[kind]))} == kinds


def test_a_special_address_is_reached_only_when_it_is_named_itself() -> None:
    """No name may lead to a cloud's keys, but who writes the address has meant it."""
    reach = Reach(named=(host_from("169.254.169.254:80"), host_from("a.example:80")))

    assert resolve_checked("169.254.169.254", 80, reach) == ["169.254.169.254"]
    with pytest.raises(NotAllowed, match=r"--allow-host 169\.254\.169\.254:80"):
        resolve_checked("a.example", 80, reach, resolver=lambda *_: ["169.254.169.254"])


def test_a_learned_host_must_be_public() -> None:
    """A stranger's page named it, not the user."""
    reach = Reach(learned=(Host("files.example", 443),))

    assert reach.allows("files.example", 443)
    with pytest.raises(NotAllowed, match="local network"):
        resolve_checked("files.example", 443, reach, resolver=lambda *_: ["10.0.0.1"])


def test_a_host_without_a_port_means_those_of_the_web() -> None:
    """`--allow-host example.org` must not open its mail server."""
    reach = Reach(named=(host_from("Example.ORG."), host_from("b.example:8443")))

    allowed = [("example.org", 80), ("example.org", 443), ("b.example", 8443)]
    refused = [("example.org", 25), ("b.example", 443), ("sub.example.org", 443)]
    assert [reach.allows(*each) for each in allowed] == [True] * 3
    assert [reach.allows(*each) for each in refused] == [False] * 3


@pytest.mark.parametrize(
    "text",
    [
        *("2130706433", "0x7f000001", "0x7f.1", "127.1", "0177.0.0.1", "1.2.3", "1.2.3.4.5"),
        *("127.0.0.0x1", "256.1.1.1", "a.1", "[fe80::1%eth0]", "[::1", "[1.2.3.4]", "::1"),
        *("", ".", "a..b", "-a.b", "a b", "a/b", "u@h", "a%2eb", "a\nb", "a:1", "x" * 64),
        *("127。1", "①②⑦.1", "a.b\0"),
    ],
)
def test_odd_spellings_of_hosts_are_refused(text: str) -> None:
    """To a resolver most of these are some address; to a filter each looks like another name."""
    with pytest.raises(ValueError, match=r".+"):
        checked_name(text)


@given(st.ip_addresses())
def test_an_address_has_one_spelling(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    """The rules compare texts."""
    text = str(address) if address.version == 4 else f"[{address.exploded.upper()}]"

    assert checked_name(text) == str(address)


@given(st.ip_addresses(v=4))
def test_wrapping_an_address_never_makes_it_better(address: ipaddress.IPv4Address) -> None:
    """Mapped, NAT64 and 6to4 forms lead to the same machine as the plain one."""
    order = ["public", "private", "own", "special"]
    number = int(address)
    wraps = [(0xFFFF << 32) | number, (0x64FF9B << 96) | number, (0x2002 << 112) | (number << 80)]

    kinds = [kind_of(ipaddress.IPv6Address(wrap)) for wrap in wraps]

    assert all(order.index(k) >= max(1, order.index(kind_of(address))) for k in kinds)


def test_a_name_that_cannot_be_resolved_is_said() -> None:
    """The model must see that the name is wrong, not that it is forbidden."""

    def resolver(name: str, port: int) -> list[str]:
        raise OSError(2, "Name or service not known")

    with pytest.raises(NotReached, match=r"a\.example could not be resolved: Name or service"):
        resolve_checked("a.example", 443, Reach(), resolver=resolver)
    with pytest.raises(NotReached, match="no address"):
        resolve_checked("a.example", 443, Reach(), resolver=lambda *_: [])


def test_an_address_is_never_looked_up() -> None:
    """A resolver could answer with another."""

    def resolver(name: str, port: int) -> list[str]:
        raise AssertionError(name)

    assert resolve_checked(PUBLIC, 443, Reach(), resolver=resolver) == [PUBLIC]
