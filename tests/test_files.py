"""The file commands as the model uses them: what comes back, what stands on disk afterwards."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Timer
from typing import Any, cast

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from commands import files
from commands.apart import python_apart
from commands.cancel import Cancel
from commands.command import Catalogue, CommandError, Result
from commands.context import Context
from commands.editing import edited
from commands.encoding import encoding_of
from commands.workspace import Workspace

CATALOGUE = Catalogue(files.COMMANDS)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=200)
FEW = st.text("ab\n", max_size=12)


class Desk:
    """A workspace at which commands are called as a reply calls them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.cancel = Cancel()
        unused = cast(Any, None)
        self._context = Context(
            Workspace(root), unused, unused, unused, CATALOGUE, self.cancel, 10.0, None
        )

    def __call__(self, name: str, **args: object) -> Result:
        spec = CATALOGUE.find(name)
        return spec.run(self._context, **spec.checked(args))

    def put(self, path: str, content: bytes) -> None:
        """A file that was there before the agent came."""
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_bytes(content)

    def bytes(self, path: str) -> bytes:
        return (self.root / path).read_bytes()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture(scope="module")
def shared() -> Iterator[Desk]:
    """One desk for all examples of a law; each writes its file anew."""
    with TemporaryDirectory() as place:
        yield Desk(Path(place))


@given(content=TEXTS)
@settings(deadline=None)
def test_what_is_written_is_on_disk_byte_for_byte_and_is_read_again(
    shared: Desk, content: str
) -> None:
    """Law 4 ends here: UTF-8 and nothing else; a reader sees plain line ends and no mark."""
    with suppress(CommandError):
        shared("delete_file", path="f")

    shared("write_file", path="f", content=content)

    assert shared.bytes("f") == content.encode()
    assert shared("read_file", path="f").text == content.removeprefix("\ufeff").replace(
        "\r\n", "\n"
    )


@given(data=st.binary(max_size=300) | TEXTS.map(lambda text: text.encode("utf-16")))
def test_any_bytes_that_are_read_as_text_come_back_as_they_were(data: bytes) -> None:
    """An edit decodes and encodes the whole file; no byte outside its place may change."""
    encoding = encoding_of(data)
    assume(encoding is not None)
    assert encoding is not None

    assert encoding.encode(encoding.decode(data)) == data


@given(before=FEW, old=FEW.filter(bool), new=FEW)
@example(before="aaa", old="aa", new="b")
def test_an_edit_changes_the_only_place_or_nothing(before: str, old: str, new: str) -> None:
    """Overlapping places count: in "aaa" an edit of "aa" would be a guess."""
    count = sum(before.startswith(old, n) for n in range(len(before)))

    try:
        after = edited(before, old, new).text
    except CommandError:
        assert count != 1 or old == new
    else:
        assert count == 1
        assert after == before.replace(old, new, 1)


@given(lines=st.lists(st.sampled_from(["a", "b", "cc", ""]), min_size=2), data=st.data())
def test_an_edit_in_a_crlf_file_is_the_edit_of_the_plain_text(
    lines: list[str], data: st.DataObject
) -> None:
    """The model sees plain line ends; the file keeps its own, and only them."""
    plain = "\n".join(lines)
    start = data.draw(st.integers(0, len(plain) - 1))
    old = plain[start : data.draw(st.integers(start + 1, len(plain)))]
    assume(sum(plain.startswith(old, n) for n in range(len(plain))) == 1)

    after = edited(plain.replace("\n", "\r\n"), old, "x\ny").text

    assert after == plain.replace(old, "x\ny").replace("\n", "\r\n")


def test_an_edit_says_where_and_until_takes_the_rest_of_a_passage(desk: Desk) -> None:
    """The form of the answer stands in conversation.md; until spares repeating long passages."""
    desk.put("a.txt", b"one\ntwo\nthree\nfour\nthree\n")

    short = desk("edit_file", path="a.txt", old="two", new="2")
    long = desk("edit_file", file="a.txt", old_string="2\n", new_string="-\n", until="three\n")

    assert (short.note, long.note) == ("1 place, line 2", "1 place, lines 2-3")
    assert long.changed == ("a.txt",)
    assert desk.bytes("a.txt") == b"one\n-\nfour\nthree\n"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"old": "retrun x", "new": "y"}, r"nowhere.*\n3:     return x$"),
        ({"old": "def", "new": "y"}, r"2 times \(lines 2, 5\)"),
        ({"old": "return x", "new": "y", "until": "import"}, r"before it, in line 1"),
        ({"old": "return x", "new": "return x"}, "same"),
        ({"old": "", "new": "y"}, "empty"),
        ({"old": "zzzzzz", "new": "y"}, "No line is like it"),
    ],
)
def test_an_edit_that_fails_says_what_stands_there_instead(
    desk: Desk, args: dict[str, str], said: str
) -> None:
    """The next try must be able to hit without reading the file again."""
    before = b"import os\ndef f(x):\n    return x\n\ndef g():\n    pass\n"
    desk.put("a.py", before)

    with pytest.raises(CommandError, match=said):
        desk("edit_file", path="a.py", **args)

    assert desk.bytes("a.py") == before


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "cp1252"])
def test_a_file_keeps_its_encoding_under_every_change(desk: Desk, codec: str) -> None:
    """A program that reads the file expects it as it was."""
    desk.put("f", "café\r\nend\r\n".encode(codec))

    read = desk("read_file", path="f")
    desk("edit_file", path="f", old="café\nend", new="thé\nfin")
    desk("append_file", path="f", content="à\n")

    assert read.text == "café\nend\n"
    assert "CRLF" in read.note
    assert desk.bytes("f") == "thé\r\nfin\r\nà\r\n".encode(codec)
    desk("write_file", path="f", content="été\n")
    assert desk.bytes("f") == "été\n".encode(codec)


def test_what_an_encoding_cannot_hold_is_refused_or_said(desk: Desk) -> None:
    """A question mark in place of a character would be a silent loss."""
    desk.put("f", b"caf\xe9\n")

    with pytest.raises(CommandError, match=r"Windows-1252, which has no '\\u4e2d'"):
        desk("append_file", path="f", content="中")
    with pytest.raises(CommandError, match="UTF-8, which has no"):
        desk("write_file", path="new", content="\ud800")
    replaced = desk("write_file", path="f", content="中\n")

    assert "was Windows-1252, is UTF-8 now" in replaced.note
    assert desk.bytes("f") == "中\n".encode()


def test_reading_gives_ranges_and_says_how_much_there_is(desk: Desk) -> None:
    """The model plans its next read by the note."""
    desk.put("f", b"1\n2\n3\n4\n5")

    whole = desk("read_file", path="f")
    middle = desk("read_file", path="f", start_line=2, lines="2")
    rest = desk("read_file", filename="f", offset=4)

    assert (whole.text, whole.note, whole.read) == ("1\n2\n3\n4\n5", "5 lines", ("f",))
    assert (middle.text, middle.note) == ("2\n3\n", "lines 2-3 of 5")
    assert (rest.text, rest.note) == ("4\n5", "lines 4-5 of 5")
    for args in ({"start_line": 6}, {"start_line": 0}, {"lines": -1}):
        with pytest.raises(CommandError):
            desk("read_file", path="f", **args)


def test_a_huge_file_is_read_in_ranges_only(desk: Desk) -> None:
    """A log of a gigabyte must cost neither memory nor the window."""
    count = files.WHOLE // 10 + 1000
    desk.put("log", b"".join(b"%09d\n" % n for n in range(1, count + 1)))

    first = desk("read_file", path="log")
    far = desk("read_file", path="log", start_line=count - 1)

    assert first.text.count("\n") == files.RANGE_LINES
    assert far.text == f"{count - 1:09d}\n{count:09d}\n"
    assert "too large to read whole" in far.note
    with pytest.raises(CommandError, match="beyond its end"):
        desk("read_file", path="log", start_line=count + 1)


def test_a_binary_file_is_named_not_shown(desk: Desk) -> None:
    """A dump of an image tells nothing and fills the window."""
    desk.put("x.png", b"\x89PNG\r\n\x1a\n\0\0" + bytes(range(256)))

    result = desk("read_file", path="x.png")

    assert (result.ok, result.note) == (False, "a PNG image, 266 bytes")
    assert "execute_shell" in result.text
    with pytest.raises(CommandError, match="PNG"):
        desk("edit_file", path="x.png", old="a", new="b")


def test_a_write_says_what_it_did_and_whether_it_parses(desk: Desk) -> None:
    """A slip in the syntax is known a step earlier; nothing written is ever run."""
    new = desk("write_to_file", filename="a.py", text="open('ran', 'w')\nprint('a'\n")
    again = desk("write_file", path="a.py", content="x = '\\d'\n")
    data = desk("write_file", path="a.json", content='{"a": 1,}')

    assert new.note.startswith("new, 2 lines, 27 bytes; does not parse: line 2: ")
    assert again.note == "replaced, 1 line, 9 bytes"
    assert "does not parse: line 1" in data.note
    assert sorted(path.name for path in desk.root.iterdir()) == ["a.json", "a.py"]


def test_appending_makes_a_file_and_says_when_a_line_goes_on(desk: Desk) -> None:
    """A file without a last line break joins lines that were meant apart."""
    desk("append_file", path="new/f", content="a")

    joined = desk("append_file", path="new/f", content="b\n")

    assert joined.note == "1 line added; line 1 had no line break at its end and goes on"
    assert desk.bytes("new/f") == b"ab\n"


def test_a_listing_shows_what_matters_and_counts_the_rest(desk: Desk) -> None:
    """Thousands of files of an environment would bury the five of the project."""
    for path in ("b.py", "a/z.py", ".venv/lib/x.py", ".venv/y.py", ".env", "odd\nname"):
        desk.put(path, b"")
    (desk.root / "empty").mkdir()
    (desk.root / "link").symlink_to("../..")

    result = desk("list_files")

    assert result.note == "5 files"
    assert result.text.split("\n") == [
        ".env (masked)",
        "a/z.py",
        "b.py",
        "empty/ (empty)",
        "link -> ../..",
        r"'odd\nname'",
        ".venv/ (left out: 2 files)",
    ]
    assert desk("list_files", directory="a").text == "a/z.py"


def test_a_long_listing_is_cut_and_counted(desk: Desk) -> None:
    """The note is true even where the listing isn't whole."""
    for n in range(2100):
        desk.put(f"d/{n:04}", b"")

    result = desk("list_files")

    assert result.note == "2,100 files"
    assert result.text.endswith("d/1999\n(100 more; list a folder to see what it holds)")


def test_a_search_finds_lines_in_texts_of_the_workspace_only(desk: Desk) -> None:
    """No secret, no binary, nothing behind a link, no installed package."""
    desk.put("a.txt", b"x\r\nneedle 1\r\n")
    desk.put("sub/b.txt", "\nneedle 2".encode("utf-16"))
    desk.put("long.txt", b"l" * 1000 + b"needle" + b"r" * 1000)
    for path in (".env", ".venv/c.txt", "node_modules/d.txt"):
        desk.put(path, b"needle")
    desk.put("e.bin", b"\0needle")
    (desk.root / "link.txt").symlink_to("a.txt")

    result = desk("search_files", pattern=r"needle( \d)?")

    lines = result.text.split("\n")
    assert [lines[0], lines[2]] == ["a.txt:2: needle 1", "sub/b.txt:2: needle 2"]
    assert lines[1].startswith("long.txt:1: …l")
    assert "needle" in lines[1]
    assert len(lines[1]) < 400
    assert len(lines) == 3
    assert result.note == "3 matches in 3 files; 1 binary file skipped"
    assert desk("search_files", pattern="needle", path="sub/b.txt").text == lines[2]
    assert desk("search_files", pattern="nowhere", path="sub").note == "no match"


def test_a_search_stops_at_so_many_matches_and_says_so(desk: Desk) -> None:
    """The pattern "e" must not bring the whole workspace back."""
    desk.put("a.txt", b"e\n" * 500)

    result = desk("grep", pattern="e")

    assert result.text.count("\n") == 199
    assert result.note == "200 matches in 1 file; there may be more"


def test_a_wrong_pattern_is_explained(desk: Desk) -> None:
    """re's own words and the place; a sign that was meant as itself is the usual slip."""
    with pytest.raises(CommandError, match=r"unterminated subpattern at character 6 of 'print\('"):
        desk("search_files", pattern="print(")


def test_a_pattern_that_never_ends_is_stopped_by_cancel(desk: Desk) -> None:
    """Law 9: a regular expression can't be stopped in a thread, so it runs apart."""
    desk.put("a.txt", b"a" * 60 + b"b")
    timer = Timer(0.3, desk.cancel.set, ["interrupt"])
    timer.start()

    result = desk("search_files", pattern="(a+)+$")

    timer.join()
    assert not result.ok
    assert "stopped, at a.txt" in result.note


def test_python_apart_ends_by_itself_and_sees_no_secret(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The limit holds without anyone's help, and the environment holds the user's keys."""
    program = "import os, sys; print(sorted(os.environ), flush=True)\nwhile True: pass"

    with python_apart("-c", program, timeout_s=0.5, cancel=Cancel()) as process:
        assert process.stdout is not None
        seen, rest = process.stdout.readline(), process.stdout.read()

    assert set(eval(seen)) <= {"LD_LIBRARY_PATH", "LC_CTYPE"}
    assert (rest, process.returncode) == (b"", -9)
    assert capfd.readouterr() == ("", "")


def test_moving_and_deleting_name_what_was_changed(desk: Desk) -> None:
    """Undo and the receipt go by these paths."""
    desk.put("a", b"1")

    moved = desk("rename_file", source="a", destination="b/c")
    deleted = desk("delete_file", path="b/c")

    assert (moved.note, moved.changed) == ("moved to 'b/c'", ("a", "b/c"))
    assert (deleted.note, deleted.changed) == ("file deleted", ("b/c",))
    assert list((desk.root / "b").iterdir()) == []


def test_the_catalogue_says_little(desk: Desk) -> None:
    """All commands and rules fit in 800 tokens; these are read with every request."""
    said = [f"{spec.signature} - {spec.summary}".removesuffix(" - ") for spec in CATALOGUE]

    assert said == [
        "read_file(path, start_line?, lines?) - text as it is, without line numbers",
        "write_file(path, content) - new or whole file",
        "append_file(path, content)",
        "edit_file(path, old, new, until?) - old must stand exactly once; "
        "with until, all from old to the end of until is replaced",
        "list_files(path?)",
        "search_files(pattern, path?) - regular expression; path:line: text",
        "move_file(source, target)",
        "delete_file(path)",
    ]
