"""Commands as a person reads them who is to decide about them."""

from pathlib import Path

import pytest

from autoagent.reply import Command
from autoagent.terminal.proposal import propose
from tests.paper import paper, printed

_TEN = "".join(f"line {n}\n" for n in range(10))


def _proposed(root: Path, name: str, width: int = 80, **args: object) -> str:
    with paper(width) as screen:
        propose(printed(screen, colour=False), root, Command(name, args), 12)
        return screen.getvalue()


def test_a_new_file_is_shown_with_how_much_it_holds(tmp_path: Path) -> None:
    shown = _proposed(tmp_path, "write_file", path="src/a.txt", content="one\ntwo\n")

    assert shown == "write_file\n  src/a.txt  new, 2 lines, 8 bytes\n  | one\n  | two\n"


def test_a_large_file_is_measured_in_larger_units(tmp_path: Path) -> None:
    shown = _proposed(tmp_path, "write_to_file", filename="a", text="x" * 1_233 + "\n")

    assert "  a  new, 1 line, 1.2 kB\n  | xxx" in shown


def test_a_file_that_is_there_is_shown_with_what_becomes_of_it(tmp_path: Path) -> None:
    """The difference alone doesn't tell whether it is the whole file."""
    (tmp_path / "a.txt").write_text(_TEN)

    whole = _proposed(tmp_path, "write_file", path="a.txt", content="line 0\n")
    edit = _proposed(tmp_path, "edit_file", path="a.txt", old="line 3\nline 4", new="3")
    more = _proposed(tmp_path, "append_file", path="a.txt", content="one\ntwo")
    same = _proposed(tmp_path, "write_file", path="a.txt", content=_TEN)

    assert whole.startswith("write_file\n  a.txt  replaces 10 lines by 1\n  | @@ -1,11 +1,2 @@\n")
    assert edit.startswith("edit_file\n  a.txt  +1 -2 lines\n  | @@ -1,8 +1,7 @@\n")
    assert more == "append_file\n  a.txt  adds 2 lines to 10\n  | one\n  | two\n"
    assert same.endswith("  a.txt  replaces 10 lines by 10\nNothing in its text would change.\n")


def test_a_file_that_is_no_text_is_told_by_its_size(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(bytes(range(256)) * 10)

    over = _proposed(tmp_path, "write_file", path="a.bin", content="text\n")
    behind = _proposed(tmp_path, "append_file", path="a.bin", content="text\n")

    assert "  a.bin  replaces 2.6 kB by 1 line, 5 bytes\n  | text\n" in over
    assert "  a.bin  adds 1 line to 2.6 kB\n  | text\n" in behind


@pytest.mark.parametrize("path", ["a.py  new, 1 line, 2 bytes", "a\nb", "x" * 70])
def test_a_path_that_could_hide_its_end_has_a_line_of_its_own(tmp_path: Path, path: str) -> None:
    shown = _proposed(tmp_path, "write_file", path=path, content="text\n")

    assert shown.startswith("write_file\n  path:")
    assert "\nNew, 1 line, 5 bytes.\n  | text\n" in shown


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_line_of_a_proposal_is_wider_than_the_screen(tmp_path: Path, width: int) -> None:
    """What wraps by itself stands at the margin, and passes for ours."""
    content = "漢字" * 150 + "\n" + "word " * 100 + "\n"
    with paper(width) as screen:
        for path in ("漢" * 18, "漢" * 19 + ".py", "b/" * 60 + "c.py"):
            command = Command("write_file", {"path": path, "content": content})
            propose(printed(screen, colour=True), tmp_path, command, None)

        lines = screen.seen(width)

    foreign = [line for line in lines if "漢" in line or "word" in line or "b/" in line]
    assert foreign and all(line.startswith("  ") for line in foreign)
