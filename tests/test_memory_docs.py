"""What docs/memory.md and the store's own docstrings show is what happens."""

import doctest
import re
from pathlib import Path

import memory_store
from autoagent.configuration.options import parse
from autoagent.configuration.usage import SUBCOMMANDS

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "memory.md"


def test_the_librarys_examples_do_what_they_show(tmp_path: Path) -> None:
    """Whoever uses it as a library copies them."""
    results = [
        doctest.testmod(memory_store),
        doctest.testfile(
            str(PAGE), module_relative=False, globs={"path": tmp_path / "notes.sqlite"}
        ),
        doctest.testfile(
            str(ROOT / "README.md"),
            module_relative=False,
            globs={"path": tmp_path / "readme.sqlite"},
        ),
    ]

    assert [result.failed for result in results] == [0, 0, 0]
    assert all(result.attempted >= 2 for result in results)


def test_every_command_on_the_page_is_understood() -> None:
    """A page that names what isn't there is worse than none."""
    lines = re.findall(r"^autoagent (memory .*?)(?:   .*)?$", PAGE.read_text("utf-8"), re.MULTILINE)

    assert len(lines) >= 7
    for line in lines:
        assert parse(line.split()).command in SUBCOMMANDS
