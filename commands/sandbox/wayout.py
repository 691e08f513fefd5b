"""What of the network the commands of a session have: some hosts, through a proxy of ours."""

from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Self

from commands.fetch import Host, Reach, Resolver, system_resolver
from commands.sandbox.bounds import CageFault, Outlet
from commands.sandbox.packages import Packages
from commands.sandbox.proxy import PORT, Contact, Proxy, variables

_FORWARDER = Path(__file__).with_name("forwarder.py")
# Where this machine's own certificates are, for the tools that don't ask the system.
_CERTIFICATES = (
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT"),
    *("NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO", "CARGO_HTTP_CAINFO", "npm_config_cafile"),
)
_NO_PACKAGES = Packages()


class WayOut:
    """An open proxy for these hosts; give `outlet` and `certificates` to the cage's bounds.

    `certificates` are files and folders that commands need to read. `notices` are lines for
    the person. Use it as a context manager, or `close` it after the cage. CageFault when
    the proxy can't be started.
    """

    def __init__(
        self,
        hosts: Iterable[Host],
        env: Mapping[str, str],
        *,
        packages: Packages = _NO_PACKAGES,
        resolver: Resolver = system_resolver,
    ) -> None:
        reach = Reach((*hosts, *packages.named), packages.learned)
        self._contacts: deque[Contact] = deque()
        try:
            self._proxy = Proxy(reach, self._contacts.append, env=env, resolver=resolver)
        except OSError as error:
            raise CageFault(f"The proxy for commands could not be started: {error}.") from error
        trusted = {name: env[name] for name in _CERTIFICATES if env.get(name)}
        settings = {**trusted, **packages.env}
        self.outlet = Outlet(
            socket=self._proxy.socket,
            forwarder=_FORWARDER,
            port=PORT,
            env={**settings, **variables(reach)},
        )
        places = (Path(settings[name]) for name in _CERTIFICATES if settings.get(name))
        self.certificates = tuple(p for p in places if p.is_absolute() and p.exists())
        self.hosts = tuple(str(host) for host in (*reach.named, *reach.learned))
        self.notices = (*packages.notices, *self._proxy.notices)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the proxy and its connections; may be called twice."""
        self._proxy.close()

    def contacts(self) -> list[Contact]:
        """The hosts that commands have asked for since the last time, each once in a session."""
        taken: list[Contact] = []
        while self._contacts:
            taken.append(self._contacts.popleft())
        return taken
