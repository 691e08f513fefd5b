"""Source text as it is proposed: in our few styles, and never another text for them."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoagent.reply import Command
from autoagent.terminal.columns import columns
from autoagent.terminal.layout import barred, shown_lines
from autoagent.terminal.live.highlighting import highlighted, language_of
from autoagent.terminal.output import Line, Style
from autoagent.terminal.proposal import propose
from tests.paper import paper, printed
from tests.program import ROOT

_PYTHON = 'def area(r):  # of a circle\n    return 3.14 * r ** 2 if r else "none"\n'


def _styles(line: Line) -> dict[str, Style | None]:
    return {text.strip(): style for text, style in line}


def test_words_strings_comments_and_numbers_are_told_apart() -> None:
    lines = highlighted(_PYTHON, "python")

    assert lines is not None
    assert _styles(lines[0])["def"] == "bold" and _styles(lines[0])["# of a circle"] == "dim"
    second = _styles(lines[1])
    assert (second["return"], second["3.14"], second['"none"']) == ("bold", "magenta", "green")
    assert [*lines[2]] == []


_SOURCES = st.one_of(
    st.text("abc defif\"'#/*-<>{}()=\\\n\t1.:;`$ \x1b\r\u202e漢字é́", max_size=200),
    st.text(max_size=100),
    st.sampled_from([_PYTHON, "a: [1, 'b'] # c\n", "<a b='c'>&amp;</a>\n", 'echo "$A" | cat\n']),
)
_LANGUAGES = ["python", "bash", "json", "yaml", "html", "c", "js", "markdown", "make", "diff"]


@given(_SOURCES, st.sampled_from(_LANGUAGES), st.integers(40, 200))
def test_what_is_read_is_the_same_with_colour_and_without(
    text: str, language: str, width: int
) -> None:
    """Whoever decides by what they read must not decide about something else."""
    plain = [[(line, None)] for line in shown_lines(text)]
    styled = highlighted("\n".join(shown_lines(text)), language) or plain
    with paper(width) as one, paper(width) as other:
        barred(printed(one, colour=True), styled)
        barred(printed(other, colour=False), plain)

        assert one.text == other.getvalue()
        assert all(columns(line) < width for line in one.text.split("\n"))


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("write_file", {"path": "a.py", "content": _PYTHON}),
        ("append_file", {"path": "new/ab.yaml", "content": "a: 1\n"}),
        ("execute_python_code", {"code": _PYTHON}),
        ("execute_shell", {"command_line": "ls -l | grep 'a b'"}),
        ("own_command", {"path": "x.json", "text": '{"a": [1, true]}\n', "n": 3}),
        ("write_file", {"path": "old.py", "content": "x = 1\n"}),
        ("edit_file", {"path": "old.py", "old": "y", "new": "z"}),
    ],
)
def test_a_proposal_reads_the_same_with_colour_and_without(
    tmp_path: Path, name: str, args: dict[str, object]
) -> None:
    (tmp_path / "old.py").write_text("x = 2\ny = 3\n")
    with paper(80) as one, paper(80) as other:
        propose(printed(one, colour=True), tmp_path, Command(name, args), 12)
        propose(printed(other, colour=False), tmp_path, Command(name, args), 12)

        assert one.text == other.getvalue()
        assert one.getvalue().count("\x1b[") > 2  # of the name, and of more


@pytest.mark.parametrize(
    ("path", "language"),
    [
        ("a.py", "python"),
        ("x/Makefile", "make"),
        ("x/B.TS", "ts"),
        ("notes", ""),
        ("py", ""),
        ("a.unknown", ""),
        ("", ""),
    ],
)
def test_a_language_goes_by_the_name_of_the_file(path: str, language: str) -> None:
    assert language_of(path) == language


@pytest.mark.parametrize(
    ("text", "language", "limit_s"),
    [
        ("x = 1", "", 1.0),
        ("x = 1", "no such language", 1.0),
        ("x = 1\n" * 40_000, "python", 60.0),  # 240 kB
        ("x = " + "1" * 3_000, "python", 60.0),
        ("x = 1", "python", 0.0),
    ],
)
def test_what_is_unknown_huge_or_slow_stays_plain(text: str, language: str, limit_s: float) -> None:
    """Colour is worth no waiting."""
    assert highlighted(text, language, limit_s=limit_s) is None


_SHOWS = """
import sys
from pathlib import Path
from autoagent.reply import Command
from autoagent.terminal.output import Output
from autoagent.terminal.proposal import propose
propose(Output(sys.stdout, colour={colour}), Path({root!r}),
        Command("write_file", {{"path": "a.py", "content": "x = 1\\n"}}), 12)
heavy = sorted({{"rich", "pygments", "markdown_it", "prompt_toolkit"}} & set(sys.modules))
print(f"loaded: {{heavy}}")
"""


@pytest.mark.parametrize("colour", [True, False])
def test_nothing_heavy_is_loaded_where_there_is_no_terminal(tmp_path: Path, colour: bool) -> None:
    program = _SHOWS.format(root=str(tmp_path), colour=colour)

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert "x = 1\n" in done.stdout and done.stdout.endswith("loaded: []\n")
