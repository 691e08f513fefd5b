"""Long texts in pieces: nothing lost, none too long, cut where a reader would."""

from hypothesis import given
from hypothesis import strategies as st

from autoagent.longterm.pieces import pieces

_TEXTS = st.text(alphabet=st.sampled_from("ab. \n`#。A)\t"), max_size=400) | st.text(max_size=200)


@given(_TEXTS, st.integers(1, 60))
def test_the_pieces_joined_are_the_text_and_none_is_too_long(text: str, most: int) -> None:
    """What is remembered is what was said."""
    found = pieces(text, most)

    assert "".join(found) == text
    assert all(len(piece) <= most for piece in found)
    assert all(found) or not text


def test_a_short_text_is_one_piece() -> None:
    """Nearly all notes are."""
    assert pieces("Lunch is at noon. Dinner is late.") == ["Lunch is at noon. Dinner is late."]


def test_prose_is_cut_between_paragraphs_else_between_sentences() -> None:
    """Half a sentence is found by half of its words, and says half of it."""
    first, second = "One is here. Two is there.\n\n", "Three is e.g. far. Four is gone."

    assert pieces(first + second, 40) == [first, second]
    assert pieces(second, 20) == ["Three is e.g. far. ", "Four is gone."]
    assert pieces("数据库在这里。端口是五四三三。", 10) == ["数据库在这里。", "端口是五四三三。"]


def test_code_is_cut_between_definitions_and_never_in_a_line_that_has_room() -> None:
    """The beginning of a function without its name is no use to anybody."""
    one = "def one(x):\n    y = x + 1\n    return y\n\n\n"
    two = "def two(x):\n    return one(x)\n"

    assert pieces(one + two, 60) == [one, two]
    assert pieces("a = 1\nif a:\n    b = 2\nc = 3\n", 20) == [
        "a = 1\nif a:\n",
        "    b = 2\nc = 3\n",
    ]


def test_a_fenced_block_stays_whole_where_it_has_room() -> None:
    """A blank line in it is no end of anything."""
    text = "Run this:\n"
    block = "```\nmake a\n\nmake b\n```\n"

    assert pieces(text + "x" * 20 + "\n" + block, 40) == [text + "x" * 20 + "\n", block]
