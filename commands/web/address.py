"""A web address, read strictly: what it names is what is checked and what is connected to."""

import re
from dataclasses import dataclass
from urllib.parse import quote, urljoin, urlsplit

from commands.command import CommandError
from commands.fetch import Host, NotAllowed, checked_name, checked_port

_LONGEST = 8_000  # characters; servers refuse longer ones
_SAFE = "/:@!$&'()*+,;=~-._?%[]|"
_PORTS = {"http": 80, "https": 443}
_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*):(?!\d)")


@dataclass(frozen=True, slots=True)
class WebAddress:
    """`target` is path and query as sent: ASCII, from "/" on; a fragment is no part of it."""

    scheme: str
    name: str
    port: int
    target: str

    @property
    def secure(self) -> bool:
        return self.scheme == "https"

    @property
    def host(self) -> str:
        """Name and port as a request's head names them."""
        return str(Host(self.name, None if self.port == _PORTS[self.scheme] else self.port))

    @property
    def origin(self) -> tuple[str, str, int]:
        return self.scheme, self.name, self.port

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}{self.target}"


def web_address(text: str) -> WebAddress:
    """The address that a text is; NotAllowed for other schemes and for names with passwords,
    CommandError for what can't be read in one way alone."""
    text = text.strip()
    found = _SCHEME.match(text)
    if found is None:
        raise CommandError(f"{text!r:.200} has no scheme; write https://… in front.")
    if found[1].lower() not in _PORTS:
        raise NotAllowed(f"{found[1].lower()}: addresses are not read, only http: and https:.")
    if len(text) > _LONGEST:
        raise CommandError(f"The address has {len(text):,} characters; {_LONGEST:,} are read.")
    # Programs disagree on what these mean, so one could be checked and another reached.
    if re.search(r"[\s\\\x00-\x1f\x7f]", text):
        raise CommandError(f"{text!r:.200} holds a blank, a backslash or a control character.")
    try:
        return _read(text)
    except ValueError as error:
        raise CommandError(f"{text!r:.200} is no web address: {error}.") from None


def beyond(address: WebAddress, location: str) -> WebAddress:
    """Where a redirect leads; NotAllowed where it can't be followed."""
    try:
        target = web_address(urljoin(str(address), quote(location.strip(), safe=_SAFE + "#")))
    except (CommandError, ValueError) as error:
        raise NotAllowed(f"{address} redirects to {location!r:.200}: {error}") from None
    if address.secure and not target.secure:
        raise NotAllowed(
            f"{address} redirects from https to plain http; read {target} itself if that will do."
        )
    return target


def _read(text: str) -> WebAddress:
    parts = urlsplit(text)
    if "@" in parts.netloc:
        raise NotAllowed("An address may hold no user name or password.")
    found = re.fullmatch(r"(\[[^\[\]]*\]|[^:\[\]]+)(?::([0-9]*))?", parts.netloc)
    if found is None:
        raise ValueError("it names no host")
    name = checked_name(found[1])
    port = checked_port(found[2]) if found[2] else _PORTS[parts.scheme]
    # As in a browser: what is quoted already stays, everything else that must be is quoted.
    target = quote(parts.path or "/", safe=_SAFE, errors="surrogatepass")
    if parts.query:
        target += "?" + quote(parts.query, safe=_SAFE, errors="surrogatepass")
    return WebAddress(parts.scheme, name, port, target)
