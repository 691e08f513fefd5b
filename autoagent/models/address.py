"""Addresses and keys of model servers, checked before they are used."""

import ipaddress
from urllib.parse import urlsplit

from autoagent.errors import ConfigError

_HINT = "A model server's address looks like http://127.0.0.1:11434/v1."


def checked_url(url: str) -> str:
    """A server's base URL without its last slash; ConfigError when it can't be one."""
    url = url.strip()
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        raise ConfigError(f"{url!r} is not an address. {_HINT}") from None
    if "@" in parts.netloc:  # not shown: what stands before it is a secret
        raise ConfigError(f"The model's address holds a name or password. {_HINT}")
    if not sound or not url.isprintable() or " " in url:
        raise ConfigError(f"{url!r} is not an address. {_HINT}")
    if parts.query or parts.fragment:
        raise ConfigError(f"{url!r}: leave out what stands after ? or #. {_HINT}")
    return url.rstrip("/")


def checked_key(key: str | None) -> str:
    """A key without blanks around it, "" for none; ConfigError when no header could carry it."""
    key = (key or "").strip()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigError("OPENAI_API_KEY holds a sign that no key has. Copy it again, whole.")
    return key


def is_local(url: str) -> bool:
    """Whether the address is this machine's own."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
