"""What comes, in a few lines: clean of secrets at every moment, as wide as it may be."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wcwidth import wcwidth

from autoagent.configuration.secrets import Redactor
from autoagent.glimpse import Glimpse
from autoagent.terminal.columns import columns
from autoagent.terminal.live.coming import Activity, Coming

_SECRET = "sk-Abcdefgh1234"  # pieces of 4 and more may not be seen


def _coming(shows: str) -> Coming:
    coming = Coming(Redactor({"KEY": _SECRET}).clean_so_far)
    coming.activity = Activity("running", "reply" if shows == "reply" else "output")
    return coming


def _shows_of(secret: str, lines: list[str]) -> bool:
    """Whether any five characters of the secret can be read there."""
    return any(secret[at : at + 5] in "".join(lines) for at in range(len(secret) - 4))


@given(st.text("ab \n", max_size=20), st.text("ab \n", max_size=20), st.integers(1, 7))
def test_a_secret_is_never_seen_while_it_comes(before: str, after: str, size: int) -> None:
    """In output or in thoughts, however the pieces fall."""
    thoughts = json.dumps({"thoughts": f"{before}{_SECRET}{after}"})
    for kind, text in (("output", f"{before}{_SECRET}{after}"), ("reply", thoughts)):
        coming = _coming(kind)
        for at in range(0, len(text), size):
            piece = text[at : at + size]
            coming.take(
                Glimpse("output", 1, piece) if kind == "output" else Glimpse("reply", 1, piece)
            )

            assert not _shows_of(_SECRET, coming.lines(80, 8))


def test_a_line_too_long_to_be_kept_whole_shows_no_end_of_a_secret() -> None:
    coming = _coming("output")

    coming.take(Glimpse("output", 1, _SECRET[:6]))
    for _ in range(3):
        coming.take(Glimpse("output", 1, _SECRET[6:] + "x" * (8_000 - len(_SECRET) + 6)))
        assert not _shows_of(_SECRET, coming.lines(80, 8))


@given(
    st.text("aé漢字한글 ️́👩‍👧🇩🇪שלום\t\n", max_size=200),
    st.integers(40, 200),
)
def test_no_line_of_what_comes_is_wider_than_the_screen(text: str, width: int) -> None:
    reply = json.dumps({"thoughts": text})
    for shows, glimpse in (
        ("output", Glimpse("output", 1, text)),
        ("", Glimpse("reply", 1, reply)),
    ):
        coming = _coming(shows or "reply")
        coming.take(glimpse)

        assert all(columns(line) <= width for line in coming.lines(width, 8))


def test_the_same_pieces_are_read_once_for_several_looks() -> None:
    """A drawing asks for the lines several times; a long reply takes a while to read."""
    read = []
    coming = Coming(lambda text: read.append(text) or text)  # type: ignore[func-returns-value]
    coming.activity = Activity("thinking", "reply")
    coming.take(Glimpse("reply", 1, '{"thoughts": "one'))

    assert coming.lines(80, 8) == coming.lines(80, 8) == ["  one", "thinking"]
    assert len(read) == 1
    coming.take(Glimpse("reply", 1, " two"))
    assert coming.lines(80, 8) == ["  one two", "thinking"]


@pytest.mark.parametrize("text", ["漢字", "한글", "ｱ", "👍", "🇩🇪", "e\u0301", "ש"])
def test_no_text_is_taken_for_narrower_than_terminals_show_it(text: str) -> None:
    """Else a line that is cut to fit would not."""
    assert columns(text) >= sum(map(wcwidth, text))
