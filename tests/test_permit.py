"""Which addresses the agent may reach by itself, before and after web text came in."""

from pathlib import Path

import pytest

from autoagent.events import Executed
from autoagent.reaching import LiveWeb
from autoagent.state import State
from commands.command import Refusal
from commands.fetch import Reach
from commands.web.fetcher import GuardedFetcher

PAGE = Executed(1, "read_webpage", "", True, False, "", "text", "web")
PLAIN = "https://docs.example.org/3/library/json.html"
FULL = ("https://example.org/?data=x", f"https://example.org/{'x' * 121}")


def _web(folder: Path, state: State) -> LiveWeb:
    web = LiveWeb(
        (),
        folder,
        (),
        lambda _: None,
        lambda permit: GuardedFetcher(Reach(), version="0", permit_redirect=permit),
    )
    web.attend(state)
    return web


def test_a_plain_address_that_the_model_knows_is_reached_before_web_text(tmp_path: Path) -> None:
    """Nobody has told it anything yet; law 7 begins with the first text of the web."""
    _web(tmp_path, State()).permit(PLAIN)


@pytest.mark.parametrize("url", FULL)
def test_one_with_room_for_what_was_read_is_not(tmp_path: Path, url: str) -> None:
    """A file of the workspace may hold orders, too."""
    with pytest.raises(Refusal, match="stands in no goal"):
        _web(tmp_path, State()).permit(url)


@pytest.mark.parametrize("url", [PLAIN, *FULL])
def test_after_web_text_no_address_of_its_own_making_is(tmp_path: Path, url: str) -> None:
    """Where it leads may be a page's wish."""
    state = State()
    state.apply(PAGE)

    with pytest.raises(Refusal, match="stands in no goal"):
        _web(tmp_path, state).permit(url)
