"""The proxy that this machine itself needs to get out, as its environment names it."""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from commands.fetch import Host, host_from


@dataclass(frozen=True, slots=True)
class Upstream:
    """An HTTP proxy; `authorization` is the header's value, "" when it needs none."""

    name: str
    port: int
    authorization: str = ""


@dataclass(frozen=True, slots=True)
class Upstreams:
    """Which proxy leads to which host; `notices` are lines for the person."""

    plain: Upstream | None = None  # for http://
    tunnel: Upstream | None = None  # for all else
    direct: tuple[str, ...] = ()  # hosts that are reached without one
    notices: tuple[str, ...] = ()

    def towards(self, name: str, port: int, *, tunnels: bool) -> Upstream | None:
        """The proxy for this host; None: straight to it."""
        return None if self._is_direct(name, port) else self.tunnel if tunnels else self.plain

    def _is_direct(self, name: str, port: int) -> bool:
        if name in ("localhost", "::1") or name.startswith("127."):
            return True
        return any(_matches(entry, name, port) for entry in self.direct)


def upstreams(env: Mapping[str, str]) -> Upstreams:
    """What http_proxy, https_proxy, all_proxy and no_proxy say, in either case of letters."""
    notices: list[str] = []
    plain, tunnel = (_proxy(env, f"{scheme}_proxy", notices) for scheme in ("http", "https"))
    direct = env.get("no_proxy") or env.get("NO_PROXY") or ""
    entries = tuple(entry.strip().lower() for entry in direct.split(",") if entry.strip())
    used = dict.fromkeys(str(Host(proxy.name, proxy.port)) for proxy in (plain, tunnel) if proxy)
    if used:
        notices.append(
            f"Hosts are reached through this machine's proxy, {' and '.join(used)}; it looks up "
            "their names, so only the names are checked, not the addresses."
        )
    return Upstreams(plain, tunnel, entries, tuple(notices))


def _proxy(env: Mapping[str, str], name: str, notices: list[str]) -> Upstream | None:
    names = (name, name.upper(), "all_proxy", "ALL_PROXY")
    named = next((each for each in names if env.get(each)), None)
    if named is None:
        return None
    text = env[named] if "://" in env[named] else f"http://{env[named]}"
    try:
        parts = urlsplit(text)
        if parts.scheme != "http":
            raise ValueError
        host = host_from(parts.netloc.rpartition("@")[2])
    except ValueError:
        # Not shown: it may hold a password.
        line = f"{named} names no proxy of the form http://HOST:PORT, so it isn't used."
        notices += [line] * (line not in notices)
        return None
    user = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    basic = f"Basic {b64encode(user.encode()).decode()}" if parts.username else ""
    return Upstream(host.name, host.port or 80, basic)


def _matches(entry: str, name: str, port: int) -> bool:
    """`*`, a host, a domain with all below it; each also with a port."""
    host, colon, number = entry.rpartition(":")
    if colon and number.isdecimal() and not host.endswith(":"):
        if int(number) != port:
            return False
        entry = host
    domain = entry.removeprefix("*").removeprefix(".")
    return entry == "*" or name == domain or name.endswith(f".{domain}")
