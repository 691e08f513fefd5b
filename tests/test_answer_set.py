"""The answer at a terminal: Markdown set in our few styles, and elsewhere byte for byte."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoagent.terminal.columns import columns
from autoagent.terminal.escape import escaped
from autoagent.terminal.live.markdown import set_lines
from autoagent.terminal.output import Line
from tests.paper import paper, printed
from tests.program import ROOT, says
from tests.screens import at_terminal

_TABLE = """\
| Name | 値 | Size |
|:-----|:--:|-----:|
| a.py | 漢字漢字 | 12 |
| a file with a longer name | عربي | 1,234 |
| e\u0301 | `x` | **9** |
"""


def _texts(lines: list[Line] | None) -> list[str]:
    assert lines is not None
    return ["".join(text for text, _ in line) for line in lines]


def _set(text: str, width: int = 80) -> list[str]:
    return _texts(set_lines(text, width))


def test_headings_lists_quotes_and_links_are_set() -> None:
    """No sign beyond ASCII is ours, and an address can be read."""
    shown = _set(
        "# A *report*\nSee [the page](https://a.example/b) or <https://c.example>.\n\n"
        "- one\n- two\n  1) in it\n\n> said\n\n---\n"
    )

    assert shown == [
        *("A report", "", "See the page (https://a.example/b) or https://c.example.", ""),
        *("- one", "- two", "  1) in it", "", "| said", "", "-" * 80),
    ]


def test_code_stands_between_its_marks_as_it_was_written() -> None:
    """Whoever copies it gets what the model wrote, however narrow the screen is."""
    code = f'if True:\n\treturn "{"x" * 60}"  # why'
    lines = set_lines(f"Run:\n```py\n{code}\n```\n", 40)

    assert _texts(lines) == ["Run:", "", "```py", *code.split("\n"), "```"]
    assert lines is not None and ("if", "bold") in lines[3] and ("  # why"[2:], "dim") in lines[4]


def test_what_is_hardly_meant_as_markup_stays_as_it_is_written() -> None:
    text = "__init__ and _x_, <T> of ~~old~~ things\nand a second line; 2 * 3 * 4, a_b_c"

    assert _set(text) == text.split("\n")


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_bars_of_a_table_stand_in_one_column(width: int) -> None:
    """With cells of CJK and right-to-left text, and folded ones."""
    lines = set_lines(_TABLE, width - 1)
    assert lines is not None
    with paper(width) as screen:
        out = printed(screen, colour=True)
        for line in lines:
            out.line(out.set_line(line))
        shown = screen.seen(width)
        bars = screen.places("|", width)[: len(shown)]

    assert len(bars[0]) == 4 and bars == [bars[0]] * len(lines)
    assert "漢字漢字" in "".join(shown) and (len(lines) == 5) == (width > 40)


def test_a_table_without_room_for_its_columns_is_told_row_by_row() -> None:
    names = [f"c{n}" for n in range(8)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in (names, ["---"] * 8, list("12345678")))

    assert _set(table, 40) == [f"c{n}: {n + 1}" for n in range(8)]
    assert len(_set(table, 100)) == 3


_SOURCES = st.lists(
    st.one_of(
        st.sampled_from(
            [
                *("# ", "- ", "1. ", "> ", "```\n", "**", "*", "`", "[a](b)", "![", "\n", "\n\n"),
                *("| a | b |\n|-|-|\n", "| 1 | 漢字 |\n", "&#x202e;", "&#27;", "\x1b[2J", "\u202e"),
                *(
                    "<b>",
                    "\t",
                    "    ",
                    "---\n",
                    "word ",
                    "漢字",
                    "https://a.example/",
                    "\\",
                    "e\u0301",
                ),
            ]
        ),
        st.text(max_size=5),
    ),
    max_size=30,
).map("".join)


@given(_SOURCES, st.integers(40, 200))
def test_nothing_that_a_terminal_obeys_comes_out_and_no_line_is_too_wide(
    text: str, width: int
) -> None:
    """An entity is another way to write a control character."""
    for line in _set(text, width):
        assert line == escaped(line).rstrip(" ")
        is_code = "```" in text or line.startswith("    ") or "\t" in text
        assert columns(line) <= width or is_code or "://" in line


@pytest.mark.parametrize("text", ["", "42", "a\nb", "two  blanks", "漢字。"])
def test_a_plain_answer_stays_plain(text: str) -> None:
    assert _set(text) == text.split("\n") if text else _set(text) == []


def test_a_very_long_answer_is_not_set() -> None:
    """Reading it would take longer than anybody waits."""
    assert set_lines("- a\n" * 10_000, 80) is None


_ANSWER = "# Found\n\n**Two** files:\n\n- `a.txt`\n- b\u202e.txt"
_FINISH = says("finish", answer=_ANSWER)


def test_a_terminal_with_colour_gets_it_set(tmp_path: Path) -> None:
    with at_terminal(tmp_path, [_FINISH], "--goal", "Look", TERM="xterm", NO_COLOR="") as screen:
        screen.shows("\x1b[1mFound\x1b[0m\r\n\r\n\x1b[1mTwo\x1b[0m files:\r\n\r\n")
        screen.shows("- \x1b[35ma.txt\x1b[0m\r\n- b\\u{202e}.txt\r\n")

        assert screen.ends() == 0


@pytest.mark.parametrize("args", [("--plain",), ("--color", "never")])
def test_a_terminal_without_colour_gets_it_as_it_was_written(
    tmp_path: Path, args: tuple[str, ...]
) -> None:
    with at_terminal(
        tmp_path, [_FINISH], "--goal", "Look", *args, TERM="xterm", NO_COLOR=""
    ) as screen:
        screen.shows("# Found\r\n\r\n**Two** files:\r\n\r\n- `a.txt`\r\n- b\\u{202e}.txt\r\n")

        assert screen.ends() == 0


def test_an_answer_by_a_schema_is_never_set(tmp_path: Path) -> None:
    """It is JSON, in which every sign counts."""
    schema = tmp_path / "schema.json"
    schema.write_text('{"type": "object"}')
    answer = '{"a": "**b** `c`"}'
    args = ("--goal", "Look", "--answer-schema", str(schema))
    with at_terminal(
        tmp_path, [says("finish", answer=answer)], *args, TERM="xterm", NO_COLOR=""
    ) as screen:
        screen.shows("**b** `c`")

        assert screen.ends() == 0


def test_setting_type_loads_nothing_before_it_is_needed() -> None:
    program = (
        "import sys, autoagent.console, autoagent.terminal.proposal, autoagent.terminal.plain\n"
        "print({'rich', 'pygments', 'markdown_it', 'prompt_toolkit'} & set(sys.modules))"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert done.stdout == "set()\n"
