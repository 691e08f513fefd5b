"""web_search: results with their engine, or an honest reason and the next engine."""

import json
import os
import stat
import sys
import tempfile
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from ddgs import exceptions
from ddgs.engines import ENGINES
from hypothesis import given
from hypothesis import strategies as st

from autoagent.configuration.secrets import Redactor
from commands.builtin import catalogue
from commands.cancel import Cancel
from commands.command import CommandError, Refusal, Result
from commands.context import Context
from commands.sandbox.bounds import Bounds
from commands.sandbox.none import NoCage
from commands.web.contract import Page
from commands.web.engines.brave import Brave
from commands.web.engines.ddgs import SITES, Ddgs
from commands.web.engines.engine import MOST, Engine, EngineFault, Hit, hits
from commands.web.engines.searxng import SearXNG
from commands.web.engines.tavily import Tavily
from commands.web.fetcher import FetchLimits, GuardedFetcher
from commands.web.recent import KEPT_S, MOST_FILES, Recent
from commands.web.search import LONGEST, web_search
from commands.web.searching import Search
from commands.workspace import Workspace
from tests.test_execution import Nothing
from tests.web_server import Answer, Reply, Request, WebServer, here, moved

SECRET = "zebra-9f8e7d6c5b4a"
LOUD = "!giraffe-1a2b3c!"
KEY = "tvly-5f4e3d2c1b0a"
# As SearXNG's own code writes it; of a row only what is read and a little more.
SEARXNG = {
    "query": "port an app",
    "number_of_results": 0,
    "results": [
        {
            "url": "https://docs.example/port?a=1&b=2",
            "title": "Porting  an\napp",
            "content": "Step by\u2028step.",
            "engine": "duckduckgo",
            "score": 4.0,
        },
        {"url": "https://forum.example/7", "title": "", "content": None},
    ],
    "answers": [],
    "suggestions": [],
    "unresponsive_engines": [["google", "access denied"]],
}
# By Tavily's and Brave's documentation.
TAVILY = {
    "query": "port an app",
    "answer": None,
    "images": [],
    "results": [
        {
            "title": "Porting",
            "url": "https://docs.example/port",
            "content": "How to port.",
            "score": 0.81,
            "raw_content": None,
        }
    ],
    "response_time": 1.67,
    "request_id": "123e4567-e89b-12d3-a456-426614174111",
}
BRAVE = {
    "type": "search",
    "query": {"original": "port an app", "more_results_available": True},
    "web": {
        "type": "search",
        "results": [
            {
                "title": "Q&amp;A on <strong>ports</strong>",
                "url": "https://docs.example/port",
                "is_source_local": False,
                "description": "How to <strong>port</strong> if a &lt; b",
                "page_age": "2025-04-12T14:22:41",
                "language": "en",
            }
        ],
    },
}
BRAVE_KEY_REFUSED = {
    "type": "ErrorResponse",
    "error": {
        "id": "5d832250-9396-4f6e-b84a-2a1fe524cd7d",
        "code": "SUBSCRIPTION_TOKEN_INVALID",
        "detail": "The provided subscription token is invalid.",
        "status": 422,
        "meta": {"component": "authentication"},
    },
    "time": 1663072993,
}


@dataclass
class OurWeb:
    """A `Web` with the real fetcher; `refused` are addresses that may not be contacted."""

    fetcher: GuardedFetcher
    cache: Path
    search: Search
    refused: Sequence[str] = ()
    permitted: list[str] = field(default_factory=list)

    def holds_secret(self, text: str) -> str | None:
        return Redactor({"ZEBRA": SECRET, "LOUD": LOUD}).holds(text)

    def permit(self, url: str) -> None:
        if url in self.refused:
            raise Refusal(f"{url} may not be contacted.")
        self.permitted.append(url)

    def keep(self, page: Page) -> None:
        raise AssertionError("a search reads no page")


class Clock:
    """Seconds that a test lets pass."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Bench:
    """A server with engines, and a command's context that searches there."""

    folder: Path
    server: WebServer
    fetcher: GuardedFetcher
    clock: Clock = field(default_factory=Clock)
    cancel: Cancel = field(default_factory=Cancel)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    def searxng(self, path: str = "/one") -> SearXNG:
        return SearXNG(self.base + path, f"SearXNG{path}")

    def web(self, *engines: Engine, refused: Sequence[str] = ()) -> OurWeb:
        searching = Search(engines, clock=self.clock)
        return OurWeb(self.fetcher, self.folder / "cache", searching, refused)

    def asked(self, web: OurWeb, query: str = "port an app") -> Result:
        workspace = Workspace(self.folder)
        context = Context(
            workspace=workspace,
            cage=NoCage(Bounds(self.folder), {}),
            memories=Nothing(),
            results=Nothing(),
            catalogue=catalogue(interactive=False),
            cancel=self.cancel,
            command_timeout_s=30,
            ask=None,
            web=web,
        )
        return web_search.run(context, **web_search.checked({"query": query}))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    limits = FetchLimits(total_s=20, pause_s=0)
    with (
        WebServer({}) as server,
        GuardedFetcher(server.reach(), "1", limits=limits) as fetcher,
    ):
        yield Bench(tmp_path, server, fetcher)


def said(answer: object, status: int = 200) -> Reply:
    return Reply(json.dumps(answer).encode(), "application/json", status)


def scripted(**more: object) -> Ddgs:
    """ddgs with a module of the test's in its place, in the same process apart."""
    path = [str(Path(__file__).parent), *sys.path]
    return Ddgs(path, module="scripted_ddgs", **more)  # type: ignore[arg-type]


def test_results_are_numbered_lines_with_whole_addresses_and_the_engines_name(bench: Bench) -> None:
    """What the model may reach next are addresses that stand there verbatim."""
    bench.server.pages["/one/search"] = said(SEARXNG)

    result = bench.asked(bench.web(bench.searxng()))

    assert result == Result(
        "1. Porting an app - https://docs.example/port?a=1&b=2 - Step by step.\n"
        "2. (no title) - https://forum.example/7",
        note="SearXNG/one, 2 results",
        source="web",
    )
    (request,) = bench.server.requests
    assert parse_qs(urlsplit(request.path).query) == {"q": ["port an app"], "format": ["json"]}


def test_tavily_is_asked_as_its_documentation_says(bench: Bench) -> None:
    """One POST with the key in its head and nowhere else."""
    bench.server.pages["/search"] = said(TAVILY)

    result = bench.asked(bench.web(Tavily(KEY, bench.base)))

    (request,) = bench.server.requests
    assert result.text == "1. Porting - https://docs.example/port - How to port."
    assert (request.method, request.path) == ("POST", "/search")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["content-type"] == "application/json"
    asked = json.loads(request.body)
    assert asked == {"query": "port an app", "search_depth": "basic", "max_results": MOST}


def test_brave_is_asked_as_its_documentation_says(bench: Bench) -> None:
    """Its marks of the words found are taken out, what it writes as entities is read."""
    bench.server.pages["/res/v1/web/search"] = said(BRAVE)

    result = bench.asked(bench.web(Brave(KEY, bench.base)))

    (request,) = bench.server.requests
    assert result.text == ("1. Q&A on ports - https://docs.example/port - How to port if a < b")
    assert request.method == "GET"
    assert request.headers["x-subscription-token"] == KEY
    asked = parse_qs(urlsplit(request.path).query)
    assert asked == {"q": ["port an app"], "count": [str(MOST)]}


@pytest.mark.parametrize(
    ("kind", "answer", "why", "words"),
    [
        ("searxng", Reply(b"Forbidden", status=403), "setup", "add json to search: formats:"),
        ("searxng", Reply(b"Too many", status=429), "limited", "429"),
        ("searxng", Reply(b"", status=401), "setup", "login"),
        ("searxng", Reply(b"", status=404), "setup", "no SearXNG at SEARXNG_URL"),
        ("searxng", Reply(b"", status=502), "down", "502"),
        ("searxng", Reply(b"<html>"), "down", "isn't the JSON"),
        ("searxng", Reply(b"[" * 100_000), "down", "isn't the JSON"),
        ("searxng", said({"results": "none"}), "down", "no list of results"),
        ("searxng", said(SEARXNG | {"results": []}), "blocked", "google"),
        ("searxng", Reply(raw=b"no HTTP at all\n\n"), "down", "HTTP"),
        ("searxng", moved("http://127.0.0.2/"), "refused", "127.0.0.2"),
        ("tavily", said({"detail": {"error": "no"}}, 401), "key", "TAVILY_API_KEY"),
        ("tavily", said({"detail": {"error": "no"}}, 432), "limited", "quota is used up"),
        ("tavily", said({"detail": {"error": "no"}}, 429), "limited", "429"),
        ("tavily", said({}, 500), "down", "500"),
        ("tavily", said({}, 200), "down", "no list of results"),
        ("brave", said(BRAVE_KEY_REFUSED, 422), "key", "BRAVE_API_KEY"),
        ("brave", said({"error": {"code": "VALIDATION"}}, 422), "unfit", "422"),
        ("brave", said({"error": {"code": "RATE_LIMITED"}}, 429), "limited", "429"),
        ("brave", said({"web": 3}), "down", "no list of results"),
    ],
)
def test_each_way_of_failing_is_told_apart(
    bench: Bench, kind: str, answer: Answer, why: str, words: str
) -> None:
    """Who must act, and how, differs: the model, the user, or nobody but time."""
    engines: dict[str, Engine] = {
        "searxng": SearXNG(bench.base),
        "tavily": Tavily(KEY, bench.base),
        "brave": Brave(KEY, bench.base),
    }
    for path in ("/search", "/res/v1/web/search"):
        bench.server.pages[path] = answer

    with pytest.raises(EngineFault, match=words) as fault:
        engines[kind].find("port an app", bench.fetcher, bench.cancel)

    assert fault.value.why == why
    assert KEY not in fault.value.said


def test_an_engine_that_is_not_there_is_down(bench: Bench) -> None:
    """Nothing listens at that port; the fetcher's own sentence says so."""
    with WebServer({}) as gone:
        reach = gone.reach()
    with (
        GuardedFetcher(reach, "1") as fetcher,
        pytest.raises(EngineFault, match=r"can't be connected to$") as fault,
    ):
        SearXNG(f"http://127.0.0.1:{gone.port}").find("x", fetcher, bench.cancel)

    assert fault.value.why == "down"


def test_an_answer_of_another_host_is_none(bench: Bench) -> None:
    """Who redirects a search elsewhere isn't the engine that the user chose."""
    bench.server.pages |= {
        "/search": moved(f"http://two.example:{bench.server.port}/found"),
        "/found": said(SEARXNG),
    }
    reach = bench.server.reach("one.example", "two.example")

    with (
        GuardedFetcher(reach, "1", resolver=here) as fetcher,
        pytest.raises(EngineFault, match="another host"),
    ):
        SearXNG(f"http://one.example:{bench.server.port}").find("x", fetcher, bench.cancel)


def test_the_next_engine_is_asked_and_the_note_says_who_failed_and_why(bench: Bench) -> None:
    """A blocked engine must not end the research, nor be passed over in silence."""
    bench.server.pages |= {"/one/search": Reply(status=429), "/res/v1/web/search": said(BRAVE)}

    result = bench.asked(bench.web(bench.searxng(), Brave(KEY, bench.base)))

    assert result.ok
    assert result.note == (
        "Brave, 1 result; SearXNG/one failed (limited): it limits requests (429)"
    )


def test_no_results_is_no_success_and_asks_nobody_else(bench: Bench) -> None:
    """An answer, so the next engine isn't bothered; the model is told to use other words."""
    empty = SEARXNG | {"results": [], "unresponsive_engines": []}
    bench.server.pages |= {"/one/search": said(empty), "/two/search": said(SEARXNG)}

    result = bench.asked(bench.web(bench.searxng("/one"), bench.searxng("/two")))

    assert (result.ok, result.note, result.source) == (False, "no results; SearXNG/one", "command")
    assert "Try other words" in result.text
    assert len(bench.server.requests) == 1


def test_brave_leaves_web_out_when_it_found_nothing(bench: Bench) -> None:
    """No list isn't the same as a list that can't be read."""
    bench.server.pages["/res/v1/web/search"] = said({"type": "search", "query": {}})

    assert Brave(KEY, bench.base).find("x", bench.fetcher, bench.cancel) == []


def test_when_nobody_answers_each_reason_stands_there_and_the_user_hears_of_the_key(
    bench: Bench,
) -> None:
    """A wrong key is the user's to mend, once said, not each time it isn't tried again."""
    bench.server.pages |= {"/search": said({}, 401), "/one/search": Reply(status=500)}
    web = bench.web(Tavily(KEY, bench.base), bench.searxng())

    first, second = bench.asked(web), bench.asked(web)

    assert (first.ok, first.note) == (False, "no search engine answered")
    assert first.text.splitlines()[:2] == [
        "- Tavily failed (key): it refuses the key in TAVILY_API_KEY (401); the user has to mend "
        "that; it isn't asked again for 30 min",
        "- SearXNG/one failed (down): it answered with status 500; it isn't asked again for 20 s",
    ]
    assert first.notices == ("Search by Tavily: it refuses the key in TAVILY_API_KEY (401).",)
    assert second.notices == ()
    assert len(bench.server.requests) == 2


def test_a_failed_engine_rests_twice_as_long_each_time_until_it_answers(bench: Bench) -> None:
    """60 s when it limits requests, 120 s, 240 s; after an answer 60 s again."""
    limited = Reply(status=429)
    answers = [limited, limited, limited, said(SEARXNG), limited, limited]
    bench.server.pages["/one/search"] = lambda _: answers[len(bench.server.requests) - 1]
    web = bench.web(bench.searxng())
    asked = []

    for number, pass_s in enumerate((0.0, 59.0, 2.0, 118.0, 3.0, 241.0, 0.0, 59.0, 2.0)):
        bench.clock.now += pass_s
        bench.asked(web, f"query {number}")
        asked.append(len(bench.server.requests))

    assert asked == [1, 1, 2, 2, 3, 4, 5, 5, 6]


def test_what_was_found_is_kept_for_an_hour_by_engine_and_query(bench: Bench) -> None:
    """The same question again costs no request and no money, and says how old the answer is."""
    bench.server.pages["/one/search"] = said(SEARXNG)
    web = bench.web(bench.searxng())

    first, again = bench.asked(web), bench.asked(web)
    bench.asked(web, "another")

    assert (again.text, again.note) == (first.text, "SearXNG/one, 2 results, as found 0 s ago")
    assert len(bench.server.requests) == 2
    files = list((web.cache / "searches").iterdir())
    assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600, 0o600]


def test_a_resting_engines_kept_results_still_count(bench: Bench) -> None:
    """They need no request."""
    bench.server.pages["/one/search"] = said(SEARXNG)
    web = bench.web(bench.searxng())
    bench.asked(web)
    bench.server.pages["/one/search"] = Reply(status=429)
    bench.asked(web, "another")

    assert bench.asked(web).ok


def test_kept_results_grow_old_and_room_is_made(tmp_path: Path) -> None:
    """A bounded folder: the newest stay; what is too old goes, whoever left it."""
    clock = Clock()
    recent = Recent(tmp_path, clock)
    clock.now = tmp_path.stat().st_mtime
    found = [Hit("t", "https://a.example/", "s")]
    for number in range(MOST_FILES + 20):
        recent.keep("e", str(number), found)
    last = str(MOST_FILES + 19)

    assert len(list(tmp_path.iterdir())) == MOST_FILES
    kept = recent.read("e", last)
    assert kept is not None
    assert kept[0] == found
    assert recent.read("other", last) is None
    clock.now += KEPT_S + 5
    assert recent.read("e", last) is None
    recent.keep("e", "new", found)
    assert len(list(tmp_path.iterdir())) == 1


@given(st.data())
def test_a_damaged_entry_is_as_if_it_were_not(data: st.DataObject) -> None:
    """Cut at any byte, or a byte of it changed: no altered address is ever shown."""
    with tempfile.TemporaryDirectory() as folder:
        recent = Recent(Path(folder), Clock())
        found = [Hit("title", "https://a.example/1", "snippet")]
        recent.keep("e", "q", found)
        (file,) = Path(folder).iterdir()
        content = bytearray(file.read_bytes())
        at = data.draw(st.integers(0, len(content) - 1))
        if data.draw(st.booleans()):
            del content[at:]
        else:
            content[at] = data.draw(st.integers(0, 255))
        file.write_bytes(content)

        kept = recent.read("e", "q")

    assert kept in (None, (found, 0.0))


@pytest.mark.parametrize("content", ["[]", "3", '{"at": null}', '{"at": 1e999}', "[" * 50_000])
def test_whatever_stands_in_an_entry_is_read_without_a_fault(tmp_path: Path, content: str) -> None:
    """The folder is the user's; another version may have written there."""
    recent = Recent(tmp_path)
    recent.keep("e", "q", [Hit("t", "https://a.example/", "s")])
    (file,) = tmp_path.iterdir()
    file.write_text(f"{sha256(content.encode()).hexdigest()}\n{content}")

    assert recent.read("e", "q") is None


def test_a_cache_that_can_not_be_written_is_no_fault(bench: Bench) -> None:
    """A file stands where its folder would be."""
    bench.server.pages["/one/search"] = said(SEARXNG)
    (bench.folder / "cache").write_text("")

    assert bench.asked(bench.web(bench.searxng())).ok


@pytest.mark.parametrize(
    ("query", "kind", "words"),
    [
        ("", CommandError, "is empty"),
        (" !!! ", CommandError, "is empty"),
        ("x" * (LONGEST + 1), CommandError, "has 401 characters, 400 are allowed"),
        ("a\nb", CommandError, r"control character '\\n'"),
        ("a\x1b[2J", CommandError, r"control character '\\x1b'"),
        ("a\ud800", CommandError, r"control character '\\ud800'"),
        (f"who is {SECRET}", Refusal, "the secret ZEBRA"),
        (b64encode(SECRET.encode()).decode(), Refusal, "the secret ZEBRA"),
        (f"is it {LOUD}", Refusal, "the secret LOUD"),
        (f"!{SECRET}!", Refusal, "the secret ZEBRA"),
    ],
)
def test_a_query_that_may_not_leave_reaches_nobody(
    bench: Bench, query: str, kind: type[CommandError], words: str
) -> None:
    """A query is a way out: short, one line, and never with a known secret in it."""
    with pytest.raises(kind, match=words):
        bench.asked(bench.web(bench.searxng()), query)

    assert bench.server.requests == []


def test_signs_that_lead_to_other_sites_are_not_sent(bench: Bench) -> None:
    """`!!name` makes a SearXNG redirect to that site with the query, `!name`, `name!` and a
    backslash DuckDuckGo; the same signs inside words stay."""
    bench.server.pages["/one/search"] = said(SEARXNG)

    bench.asked(bench.web(bench.searxng()), r"!!evil a!=b w! \ducky C:\x Hello, world!")

    (request,) = bench.server.requests
    assert parse_qs(urlsplit(request.path).query)["q"] == [r"evil a!=b w ducky C:\x Hello, world"]


def test_an_engine_that_may_not_be_contacted_is_not(bench: Bench) -> None:
    """One policy decides for searches, too; when it forbids all, that is final."""
    bench.server.pages |= {"/one/search": said(SEARXNG), "/two/search": said(SEARXNG)}
    one, two = bench.searxng("/one"), bench.searxng("/two")

    result = bench.asked(bench.web(one, two, refused=[one.base]))
    with pytest.raises(Refusal, match="No search engine may be asked"):
        bench.asked(bench.web(one, refused=[one.base]))

    assert result.note.startswith("SearXNG/two, 2 results; SearXNG/one failed (refused): ")
    assert [urlsplit(path).path for path in bench.server.paths] == ["/two/search"]


def test_the_search_ends_with_the_run(bench: Bench) -> None:
    """Cancelled while the first engine is silent: the second isn't asked."""

    def cancelling(request: Request) -> Reply:
        bench.cancel.set("interrupt")
        return Reply(hold=bench.server.closing)

    bench.server.pages |= {"/one/search": cancelling, "/two/search": said(SEARXNG)}

    with pytest.raises(CommandError, match="stopped"):
        bench.asked(bench.web(bench.searxng("/one"), bench.searxng("/two")))

    assert len(bench.server.requests) == 1


def test_without_the_web_the_command_says_so(bench: Bench) -> None:
    """A run may have it switched off."""
    with pytest.raises(CommandError, match="switched off"):
        bench.asked(None)  # type: ignore[arg-type]


@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.text(max_size=400)),
            st.one_of(
                st.none(),
                st.text(max_size=50),
                st.text(max_size=20).map(lambda text: f"https://a.example/{text}"),
            ),
            st.one_of(st.integers(), st.text(max_size=1000)),
        ),
        max_size=20,
    )
)
def test_whatever_an_engine_gives_is_a_few_short_lines(found: list[tuple[object, ...]]) -> None:
    """Foreign text can't make a result long, break its line, or hide a sign in an address."""
    kept = hits(found)  # type: ignore[arg-type]

    assert len(kept) <= MOST
    assert len({hit.address for hit in kept}) == len(kept)
    for hit in kept:
        line = f"{hit.title} {hit.address} {hit.snippet}"
        assert len(line.splitlines()) == 1
        assert len(line) < 2_500
        assert hit.address.isprintable()
        assert hit.address in {address for _, address, _ in found}
        json.dumps(line).encode()
        line.encode()


def test_ddgs_answers_from_a_process_of_its_own(bench: Bench) -> None:
    """What its module prints is no part of the answer."""
    web = bench.web(scripted())

    results = [bench.asked(web, query) for query in ("plain words", "prints more")]

    assert [result.note for result in results] == ["ddgs, 2 results"] * 2
    assert results[0].text == (
        "1. One - https://one.example/ - first\n2. Two - https://two.example/ - second"
    )
    assert web.permitted == list(SITES.values()) * 2


@pytest.mark.parametrize(
    ("query", "why", "words"),
    [
        ("fails RatelimitException x", "limited", "limit requests"),
        ("fails TimeoutException operation timed out", "down", "in time"),
        ("fails DDGSException ConnectError: ConnectError('x')", "down", "is there a network"),
        ("fails DDGSException DNSError: DNSError('x')", "down", "is there a network"),
        ("fails DDGSException a page has changed", "down", "a newer ddgs may help"),
        ("breaks", "down", "a newer ddgs may help"),
        ("dies", "down", "no answer within 30 s, or broke"),
    ],
)
def test_the_exceptions_of_ddgs_are_told_apart(
    bench: Bench, query: str, why: str, words: str
) -> None:
    """Its own classes, raised in the process apart."""
    with pytest.raises(EngineFault, match=words) as fault:
        scripted().find(query, bench.fetcher, bench.cancel)

    assert fault.value.why == why


@pytest.mark.parametrize(
    ("statuses", "why"),
    [([202], "blocked"), ([200, 403], "blocked"), ([200, 429], "limited"), ([500], "down")],
)
def test_what_ddgs_calls_no_results_is_blocked_when_a_server_said_so(
    bench: Bench, statuses: list[int], why: str
) -> None:
    """ddgs takes every status but 200 for an empty page; its own client asks a real server."""
    bench.server.pages |= {f"/{status}": Reply(status=status) for status in statuses}
    addresses = " ".join(f"{bench.base}/{status}" for status in statuses)

    with pytest.raises(EngineFault) as fault:
        scripted().find(f"asks {addresses}", bench.fetcher, bench.cancel)

    assert fault.value.why == why
    assert len(bench.server.requests) == len(statuses)


def test_ddgs_found_nothing_when_every_server_answered(bench: Bench) -> None:
    """The other reading of the same exception."""
    bench.server.pages["/200"] = Reply(b"<html></html>")

    result = bench.asked(bench.web(scripted()), f"asks {bench.base}/200")

    assert (result.ok, result.note) == (False, "no results; ddgs")


def test_ddgs_is_cut_after_its_time(bench: Bench) -> None:
    """Its module never returns: the server that it waits for is silent until the end."""
    bench.server.pages["/"] = Reply(hold=bench.server.closing)

    with pytest.raises(EngineFault, match="no answer within 1 s, or broke") as fault:
        scripted(timeout_s=1.0).find(f"waits {bench.base}/?", bench.fetcher, bench.cancel)

    assert fault.value.why == "down"


def test_ddgs_ends_with_the_run(bench: Bench) -> None:
    """Its process is gone when the command is."""

    def cancelling(request: Request) -> Reply:
        bench.cancel.set("time")
        return Reply(hold=bench.server.closing)

    bench.server.pages["/"] = cancelling

    with pytest.raises(CommandError, match="stopped"):
        bench.asked(bench.web(scripted()), f"waits {bench.base}/?")

    (path,) = bench.server.paths
    with pytest.raises(ProcessLookupError):
        os.kill(int(path.partition("?")[2]), 0)


def test_ddgs_hears_of_proxies_and_certificates_and_of_no_other_variable(bench: Bench) -> None:
    """It connects by itself; the keys of this process are none of its business."""
    environ = {"https_proxy": "http://proxy.example:3128", "OPENAI_API_KEY": KEY}

    told = scripted(environ=environ).find("tells", bench.fetcher, bench.cancel)

    known = {hit.title: hit.snippet for hit in told}
    assert known.pop("https_proxy") == "http://proxy.example:3128"
    assert known.pop("arguments") == f"[8, {MOST}, '{','.join(SITES)}']"
    assert known.keys() <= {"LC_CTYPE", "LD_LIBRARY_PATH"}


def test_ddgs_that_is_not_there_is_the_users_to_mend(bench: Bench) -> None:
    """Nothing to import from."""
    with pytest.raises(EngineFault, match="isn't installed") as fault:
        Ddgs(()).find("x", bench.fetcher, bench.cancel)

    assert fault.value.why == "setup"


def test_the_sites_named_are_those_that_the_installed_ddgs_knows() -> None:
    """What the policy and the documentation name is who is contacted."""
    known = {
        name: f"https://{urlsplit(engine.search_url).hostname}"
        for name, engine in ENGINES["text"].items()
    }

    assert {name: known.get(name) for name in SITES} == dict(SITES)
    assert issubclass(exceptions.RatelimitException, exceptions.DDGSException)
    assert issubclass(exceptions.TimeoutException, exceptions.DDGSException)
