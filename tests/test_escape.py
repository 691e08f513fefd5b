"""Foreign text on a terminal: nothing in it is obeyed, hidden or reordered."""

import io
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from autoagent.terminal.columns import chunks, clipped, columns, wrapped
from autoagent.terminal.escape import escaped, one_line
from autoagent.terminal.layout import fenced, paragraph, told
from autoagent.terminal.output import Output

_INVISIBLE = "\u00ad\u034f\u061c\u115f\u1160\u17b4\u180b\u180e\u200b\u200d\u200e\u202e\u2060\u2066"
_INVISIBLE += "\u2800\u3164\ufe0f\ufeff\uffa0\U000e0041\U000e0100"

# Every character, and more often those that do harm.
_hostile = st.characters() | st.sampled_from(
    "\x00\x07\x08\x1b\r\x7f\x85\x9b\u2028\ud800" + _INVISIBLE
)
_law = settings(deadline=None)
_any_text = st.text(_hostile | st.sampled_from("a \n\té漢\u0301"), max_size=80)


@_law
@given(_any_text)
@example("\x1b]0;title\x07\x1b[2J\x9b31m")
@example("".join(map(chr, range(0x300))) + _INVISIBLE)
def test_no_character_passes_that_a_terminal_obeys_hides_or_reorders(text: str) -> None:
    """Surface, Output: no control character, escape sequence, bidirectional or invisible one."""
    left = set(escaped(text)) - {"\n", "\t"}

    categories = {unicodedata.category(character) for character in left}

    assert categories.isdisjoint({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
    assert left.isdisjoint(_INVISIBLE)


@_law
@given(_any_text)
def test_escaped_text_stays_as_it_is(text: str) -> None:
    """Text may pass two doors; the second must not spoil what the first wrote."""
    once = escaped(text)

    assert escaped(once) == once


@pytest.mark.parametrize(
    "text",
    [
        "plain ASCII, \\x1b written by hand\n\ttabs",
        "Grüße, ñandú, e\u0301 with a mark, Việt Nam",
        "比较三个向量索引　报告",
        "العربية בעברית فارسی",
        "हिन्दी ไทย ພາສາ བོད་ཡིག",
        "✅ 👍🏽 🇩🇪 ⚠ ∑ € │",
    ],
)
def test_what_can_be_seen_stays_as_it_is(text: str) -> None:
    """Who works in another script reads it, not its numbers."""
    assert escaped(text) == text


def test_an_emoji_put_together_by_joiners_falls_into_its_parts() -> None:
    """A joiner and a selector can't be seen, and texts can be hidden in them."""
    assert escaped("👩\u200d💻 ⚠\ufe0f") == "👩\\u{200d}💻 ⚠\\u{fe0f}"


def test_hidden_characters_are_written_out_so_that_they_are_seen() -> None:
    """The reader sees what is there and where; nothing is silently taken away."""
    assert escaped("a\x1b[31mb\u202ec\r\ud800") == "a\\x1b[31mb\\u{202e}c\\x0d\\u{d800}"


def test_a_heap_of_marks_on_one_character_is_cut_off_at_eight() -> None:
    """Hundreds of marks on one letter cover the lines above, and ours may be among them."""
    heap = escaped("a" + "\u0301" * 10 + "b")

    assert heap == "a" + "\u0301" * 8 + "\\u{301}" * 2 + "b"


@pytest.mark.parametrize("unit", ["\x1b[31m", "漢字", "e\u0301", "\u200b", "a\n"])
def test_a_megabyte_reads_as_its_parts_do(unit: str) -> None:
    """Results can be that long; with a quadratic reader this test would not end."""
    times = 1_000_000 // len(unit)

    assert escaped(unit * times) == escaped(unit) * times


@_law
@given(_any_text, st.integers(3, 60))
def test_a_text_on_one_line_is_one_line_and_fits(text: str, room: int) -> None:
    """A passing line that were wider than the screen couldn't be replaced."""
    line = one_line(text, room)

    assert "\n" not in line
    assert "\t" not in line
    assert columns(line) <= room


@_law
@given(_any_text, st.integers(2, 60))
def test_pieces_of_a_line_fit_and_make_the_line_again(text: str, room: int) -> None:
    line = escaped(text).replace("\n", "").expandtabs()
    pieces = chunks(line, room)

    assert "".join(pieces) == line
    assert all(columns(piece) <= room for piece in pieces)


@_law
@given(_any_text, st.integers(2, 60))
def test_wrapped_lines_fit_and_keep_every_word(text: str, room: int) -> None:
    line = escaped(text).replace("\n", " ").expandtabs()
    lines = wrapped(line, room)

    assert all(columns(each) <= room for each in lines)
    assert "".join(lines).replace(" ", "") == line.replace(" ", "")


def test_wide_characters_take_two_columns_and_marks_none() -> None:
    """By Unicode's East Asian Width: W and F are two cells."""
    assert (columns("ab"), columns("漢字"), columns("ｶﾞ"), columns("e\u0301")) == (2, 4, 2, 1)
    assert clipped("漢字漢字", 5) == "漢字…"


@_law
@given(_any_text)
def test_no_foreign_line_begins_at_the_margin(text: str) -> None:
    """What is ours begins there; so no line of a model, a file or a page passes for ours."""
    screen = io.StringIO()
    out = Output(screen)

    paragraph(out, text)
    fenced(out, text)

    lines = screen.getvalue().splitlines()
    assert all(line.startswith("  ") or not line for line in lines)


@_law
@given(_any_text)
def test_a_sentence_of_ours_with_foreign_words_in_it_stays_one_sentence(text: str) -> None:
    screen = io.StringIO()

    told(Output(screen), f"note: {text}")

    assert len(screen.getvalue().split("\n")) == 2


def test_a_stream_without_unicode_gets_ascii_for_our_signs_and_escapes_for_the_rest() -> None:
    """In a C locale, or a log in Latin-1, nothing raises and nothing is lost."""
    raw = io.BytesIO()
    out = Output(io.TextIOWrapper(raw, "ascii", write_through=True))

    out.line("thinking… 漢")

    assert raw.getvalue() == b"thinking... \\u6f22\n"
