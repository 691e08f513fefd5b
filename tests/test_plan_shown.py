"""A plan on the screen: whole at first, then what became of it."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoagent.terminal.plain import Plain
from autoagent.terminal.planning import plan_lines
from tests.paper import paper, printed
from tests.program import says
from tests.runs import Run

_WHOLE = [("- ", "look"), ("- ", "mend"), ("- ", "test")]


@pytest.mark.parametrize(
    ("before", "now", "shown"),
    [
        ("", "look mend test", _WHOLE),
        ("look mend test", "look mend test", []),
        ("look mend test", "mend test", [("x ", "look")]),
        ("look mend", "look mend test", [("+ ", "test")]),
        ("look mend test", "mend test tell", [("x ", "look"), ("+ ", "tell")]),
        ("write it", "look mend test", _WHOLE),
        ("mend look test", "look mend test", _WHOLE),
        ("look", "", [("x ", "look")]),
        ("look look", "look", []),
    ],
)
def test_what_came_and_what_left_is_told(
    before: str, now: str, shown: list[tuple[str, str]]
) -> None:
    assert plan_lines(before.split(), now.split()) == shown


_PLANS = st.lists(st.sampled_from("abcdef"), max_size=6, unique=True)


@given(_PLANS, _PLANS)
def test_whoever_saw_the_plan_before_knows_it_now(before: list[str], now: list[str]) -> None:
    """Nothing that was told leaves them with another set of items."""
    known = set(before)
    lines = plan_lines(before, now)

    if any(mark == "- " for mark, _ in lines):
        assert [item for _, item in lines] == now
        return
    known -= {item for mark, item in lines if mark == "x "}
    known |= {item for mark, item in lines if mark == "+ "}
    assert known == set(now)


def _look(*plan: str) -> str:
    return json.dumps({**json.loads(says("list_files")), "plan": plan})


def test_a_run_shows_only_what_changed_in_its_plan(tmp_path: Path) -> None:
    """What is done is dimmed, and an unchanged plan isn't said again."""
    replies = [
        _look("look", "mend", "test"),
        says("list_files"),
        _look("look", "mend", "test"),
        _look("mend", "test", "漢字"),
        says("finish", answer="ok"),
    ]
    with paper(80) as screen:
        view = Plain(printed(screen, colour=True), watched=True)
        for event in Run(tmp_path, *replies):
            view.show(event)
        shown = screen.getvalue()

    assert shown.count("  - look\n  - mend\n  - test\n") == 1
    assert shown.count("mend") == 1
    assert "\x1b[2m  x look\x1b[0m\n  + 漢字\n" in shown
