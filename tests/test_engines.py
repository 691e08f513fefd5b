"""From settings to search engines: which are asked, in which order, and who may choose them."""

import re
import sys
from pathlib import Path
from typing import get_args
from urllib.parse import urlsplit

import pytest

from autoagent.configuration import options, settings
from autoagent.configuration.settings import Settings
from autoagent.errors import ConfigError
from autoagent.web import engines_of, hosts_of
from commands.cancel import Cancel
from commands.fetch import Reach
from commands.web.engines.brave import Brave
from commands.web.engines.ddgs import SITES, Ddgs
from commands.web.engines.engine import MOST, SNIPPET, TITLE, EngineFault, Why
from commands.web.engines.searxng import SearXNG
from commands.web.engines.tavily import Tavily
from commands.web.fetcher import GuardedFetcher
from commands.web.search import LONGEST

KEYS = {"TAVILY_API_KEY": "tvly-5f4e3d2c1b0a", "BRAVE_API_KEY": "BSA-0a1b2c3d4e5f"}


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A project in a home folder of its own."""
    project = tmp_path / "home" / "project"
    project.mkdir(parents=True)
    return project


def loaded(workspace: Path, **environ: str) -> Settings:
    environ = {"HOME": str(workspace.parent), **environ}
    return settings.load(options.parse([]), environ, cwd=workspace)


def test_the_engines_that_were_set_up_are_asked_before_the_one_without_a_key(
    workspace: Path,
) -> None:
    """SearXNG, Tavily, Brave, ddgs."""
    found = loaded(workspace, SEARXNG_URL="http://localhost:8888/", **KEYS)

    *set_up, last = engines_of(found, {})
    (alone,) = engines_of(loaded(workspace), {})

    assert set_up == [
        SearXNG("http://localhost:8888"),
        Tavily(KEYS["TAVILY_API_KEY"]),
        Brave(KEYS["BRAVE_API_KEY"]),
    ]
    assert isinstance(last, Ddgs)
    assert isinstance(alone, Ddgs)


def test_their_hosts_count_as_named_with_their_ports(workspace: Path) -> None:
    """A SearXNG on this machine is reached because the user wrote its address down."""
    found = loaded(workspace, SEARXNG_URL="http://localhost:8888/searxng", **KEYS)

    reach = Reach(hosts_of(engines_of(found, {})))

    assert reach.trusts("localhost", 8888, "own")
    assert not reach.trusts("localhost", 80, "own")
    assert reach.allows("api.tavily.com", 443)
    assert reach.allows("api.search.brave.com", 443)
    assert not reach.allows("api.tavily.com", 80)


def test_keys_are_shown_nowhere(workspace: Path) -> None:
    """They are known secrets, also to whoever prints an engine."""
    found = loaded(workspace, **KEYS)

    assert KEYS.items() <= found.secrets.items()
    shown = repr(found) + repr(engines_of(found, KEYS))
    assert not any(key in shown for key in KEYS.values())


def test_a_folder_that_nobody_trusts_can_not_choose_who_hears_the_queries(workspace: Path) -> None:
    """A SearXNG of somebody else would read what the agent looks for."""
    lines = ["SEARXNG_URL=http://evil.example", *(f"{k}={v}" for k, v in KEYS.items())]
    (workspace / ".env").write_text("\n".join(lines))

    found = loaded(workspace)

    assert (found.searxng_url, found.tavily_key, found.brave_key) == (None, None, None)
    assert "BRAVE_API_KEY, SEARXNG_URL, TAVILY_API_KEY" in found.notices[0]


@pytest.mark.parametrize(
    "given", ["http://one.example/a", "http://one.example/a/", "http://one.example/a/search"]
)
def test_an_address_is_understood_as_people_write_it(workspace: Path, given: str) -> None:
    """Other programs want it with /search."""
    assert loaded(workspace, SEARXNG_URL=given).searxng_url == "http://one.example/a"


@pytest.mark.parametrize(
    "given",
    [
        "searx",
        "ftp://a.example",
        "http://a.example/search?q=<query>",
        "http://127.1:8888",
        "http://",
    ],
)
def test_what_is_no_address_is_said_at_once(workspace: Path, given: str) -> None:
    """Not at the first search, hours later."""
    with pytest.raises(ConfigError, match=r"^SEARXNG_URL: .* isn't the address of a SearXNG, like"):
        loaded(workspace, SEARXNG_URL=given)


def test_a_password_in_the_address_is_refused_unseen(workspace: Path) -> None:
    """It would stand in journals and in the servers' logs."""
    with pytest.raises(ConfigError, match="SEARXNG_URL") as refused:
        loaded(workspace, SEARXNG_URL="http://me:hush-hush@a.example")

    assert "hush" not in str(refused.value)


def test_nothing_is_imported_that_the_agent_could_have_written(workspace: Path) -> None:
    """The process of ddgs runs outside the cage; a package beside the work is left out."""
    (workspace / "ddgs.py").write_text("class DDGS: pass\n")
    site = [folder for folder in sys.path if "site-packages" not in folder]
    (ddgs,) = engines_of(loaded(workspace), {}, ["", ".", str(workspace), *site])

    with (
        GuardedFetcher(Reach(), "1") as fetcher,
        pytest.raises(EngineFault, match="only where the agent could change it"),
    ):
        ddgs.find("x", fetcher, Cancel())


def test_the_page_names_who_is_asked_how_it_fails_and_the_bounds() -> None:
    """People decide by it what they let the agent do."""
    page = (Path(__file__).parent.parent / "docs" / "search.md").read_text("utf-8")
    words = set(re.findall(r"^\| (\w+) \|", page, re.MULTILINE))

    assert all(str(urlsplit(site).hostname) in page for site in SITES.values())
    assert set(get_args(Why)) <= words
    assert f"up to {MOST} results" in page
    assert f"({TITLE} and {SNIPPET} characters)" in page
    assert f"at most {LONGEST} characters" in page
