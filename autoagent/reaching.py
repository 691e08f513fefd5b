"""The web as a run may use it: what may be reached now, and what was read and reached."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from autoagent import __version__
from autoagent.addresses import same
from autoagent.configuration.places import private_folder
from autoagent.configuration.settings import Settings
from autoagent.events import Event, Visited
from autoagent.longterm.memory import LongTerm
from autoagent.state import State
from autoagent.taint import Taint
from commands.cancel import Cancel
from commands.command import Refusal
from commands.fetch import WEB_PORTS, Host, NotAllowed
from commands.web.address import WebAddress, web_address
from commands.web.contract import Fetched, Fetcher, Page, Web
from commands.web.engines.engine import Engine
from commands.web.searching import Found, Search

_COMMANDS = frozenset({"web_search", "read_webpage"})
_LONGEST_TITLE = 200
_LONGEST_PLAIN = 120
_ANSWERED = frozenset({"blocked", "limited", "key", "unfit"})  # faults that a server told
_NO_HEADERS: Mapping[str, str] = {}


class LiveWeb:
    """A `Web` that knows what stands in the prompt, once `attend` told it.

    `named` are the hosts of --allow-host; `make` gets the rule for redirects and makes the
    one way out. Its methods are called while a command runs.
    """

    def __init__(
        self,
        named: Sequence[Host],
        cache: Path,
        engines: Sequence[Engine],
        holds_secret: Callable[[str], str | None],
        make: Callable[[Callable[[str, str], None]], Fetcher],
    ) -> None:
        self.cache = cache
        self.search: Search = _Telling(engines, self._reach)
        self.holds_secret = holds_secret
        # Their addresses alone: what else is at their hosts was named by nobody.
        self._engines = {same(address) for each in engines for address in each.addresses}
        self.fetcher = _Noting(make(self._permit_redirect), self._reach)
        self._named = tuple(named)
        self._state = State()
        self._led: set[str] = set()  # to by servers, from addresses that stand somewhere
        self._kept: list[Page] = []
        self._unkept: list[tuple[int, Page]] = []  # in long-term memory
        self._reached: list[str] = []

    def attend(self, state: State) -> None:
        """Judge by this run's state from now on."""
        self._state = state

    @property
    def _taint(self) -> Taint:
        return self._state.taint

    def permit(self, url: str) -> None:
        """Refusal unless the user named the host, or the very address stands in a goal, a
        result or a page, or a person opened it to this command, or it is a plain one and no
        web text came in yet; and when it holds a secret."""
        address = web_address(url)
        secret = self.holds_secret(url)
        if secret is not None:
            raise Refusal(f"The address holds {secret}, which must not leave this machine.")
        known = self._names(address) or self._taint.stands(url) or same(url) in self._engines
        if not (known or (self._taint.since is None and _is_plain(address))):
            raise NotAllowed(
                f"{address.host} is not allowed: this very address stands in no goal, no search "
                "result and no page that was read. Read one that does, as it stands there, or "
                f"search for it. The user can allow the host: --allow-host {address.host}"
            )

    def keep(self, page: Page) -> None:
        self._kept.append(page)

    def read(self, step: int, clean: Callable[[str], str]) -> list[Event]:
        """The pages that were read since the last time, each content of an address once."""
        pages, self._kept = self._kept, []
        events: list[Event] = []
        known = {(final, each.sha256) for final, each in self._taint.visited.items()}
        for page in pages:
            if (page.final, page.sha256) not in known:
                known.add((page.final, page.sha256))
                title = clean(" ".join(page.title.split()))[:_LONGEST_TITLE]
                places = clean(page.url), clean(page.final)
                seen = Visited(step, *places, title, page.sha256, page.size_bytes, time.time())
                events.append(seen)
                self._unkept.append((step, page))
        return events

    def remember(self, memory: LongTerm, clean: Callable[[str], str]) -> None:
        """Put the pages whose events are on disk into long-term memory."""
        pages, self._unkept = self._unkept, []
        for step, page in pages:
            memory.keep_page(step, clean(page.final), clean(page.text))

    def reached(self) -> list[str]:
        """The hosts, with ports, that answered since the last time."""
        hosts, self._reached = self._reached, []
        return [host for host in dict.fromkeys(hosts) if host not in self._state.hosts]

    def _reach(self, url: str) -> None:
        address = web_address(url)
        self._reached.append(str(Host(address.name, address.port)))

    def _names(self, address: WebAddress) -> bool:
        name, port = address.name, address.port
        mine = any(host.covers(name, port) for host in self._named)
        return mine or self._taint.names(name, port)

    def _permit_redirect(self, source: str, target: str) -> None:
        """A server may lead on from an address that the model can't have made. From one that
        it made, on a host that the user named, only where the model itself might go: else
        any open redirect would carry what the address holds to anybody."""
        self._reach(source)
        before, after = web_address(source), web_address(target)
        if before.name == after.name and {before.port, after.port} <= set(WEB_PORTS):
            return
        if same(source) in self._led or self._taint.stands(source):
            self._led.add(same(target))
            return
        try:
            self.permit(target)
        except Refusal as refusal:
            raise NotAllowed(f"{source} redirects to {target}. {refusal}") from None


def _is_plain(address: WebAddress) -> bool:
    """One that a model knows by itself, and that has little room for what it has read."""
    return "?" not in address.target and len(address.target) <= _LONGEST_PLAIN


class _Noting:
    """A fetcher that tells of each address that answered."""

    def __init__(self, fetcher: Fetcher, note: Callable[[str], None]) -> None:
        self._fetcher = fetcher
        self._note = note

    def get(
        self,
        url: str,
        *,
        accept: str = "*/*",
        headers: Mapping[str, str] = _NO_HEADERS,
        body: bytes | None = None,
        cancel: Cancel,
    ) -> Fetched:
        fetched = self._fetcher.get(url, accept=accept, headers=headers, body=body, cancel=cancel)
        for each in (*fetched.redirects, fetched.url):
            self._note(each)
        return fetched


class _Telling(Search):
    """Tells where it asked by another way than the fetcher's: any of an engine's hosts."""

    def __init__(self, engines: Sequence[Engine], note: Callable[[str], None]) -> None:
        super().__init__(engines)
        self._note = note

    def find(self, query: str, web: Web, cancel: Cancel) -> Found:
        found = super().find(query, web, cancel)
        answered = (each for each in found.failed if each.fresh and each.fault.why in _ANSWERED)
        asked = {each.engine for each in answered}
        asked |= {found.engine} if found.age_s is None else set()
        for engine in self.engines:
            if engine.name == "ddgs" and engine.name in asked:
                for address in engine.addresses:
                    self._note(address)
        return found


def open_web(
    settings: Settings,
    environ: Mapping[str, str],
    folder: Path,
    holds_secret: Callable[[str], str | None],
    stack: ExitStack,
) -> tuple[LiveWeb | None, list[str]]:
    """The web of a session whose folder that is, and what a person must know of the way to it;
    None when both web commands are left out."""
    if set(settings.disable) >= _COMMANDS:
        return None, []
    from autoagent.web import engines_of, hosts_of
    from commands.fetch import Reach
    from commands.sandbox.upstream import upstreams
    from commands.web.fetcher import GuardedFetcher

    way = upstreams(environ)
    cache = folder / "web"
    private_folder(cache)
    engines = engines_of(settings, environ)
    reach = Reach((*settings.allow_host, *hosts_of(engines)))
    web = LiveWeb(
        settings.allow_host,
        cache,
        engines,
        holds_secret,
        lambda permit: stack.enter_context(
            GuardedFetcher(reach, __version__, upstreams=way, permit_redirect=permit)
        ),
    )
    return web, list(way.notices)
