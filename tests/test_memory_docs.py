"""What docs/memory.md and the store's own docstrings show is what happens."""

import doctest
from pathlib import Path

import memory_store

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
