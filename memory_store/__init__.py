"""Long-term memory in one file: texts, found again by meaning and by words."""

from pathlib import Path
from typing import TYPE_CHECKING

from memory_store.records import Hit, Memory, StoreError

if TYPE_CHECKING:
    from memory_store.sqlite import Store

__all__ = ["Hit", "Memory", "StoreError", "open_store"]


def open_store(path: Path | str) -> "Store":
    """Open a store, made if it isn't there (mode 0600; its folder must be there).

    Threads may share the store, and processes the file. A damaged file is set aside as
    NAME.damaged-N and what can be read of it is kept: `notices` then holds a sentence for
    the person. StoreError: a file of a newer version or of another program, or one that
    can't be opened.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder, open_store(f"{folder}/notes.sqlite") as store:
    ...     store.add("The staging database listens on port 5433.", source="note")
    ...     store.add("Lunch is at noon.", source="person")
    ...     [hit.memory.text for hit in store.nearest("Which port has the staging database?")]
    1
    2
    ['The staging database listens on port 5433.']

    With an embedding beside each text and each query, meaning counts as well. Vectors are
    plain sequences of numbers, (dim,), from a model that you name:

    >>> with TemporaryDirectory() as folder, open_store(f"{folder}/notes.sqlite") as store:
    ...     store.add("Lunch is at noon.", vector=[0.1, 0.9], model="two-numbers")
    ...     hits = store.nearest("When do we eat?", vector=[0.2, 0.9], model="two-numbers")
    ...     [(hit.memory.id, hit.score, round(hit.dense, 3)) for hit in hits]
    1
    [(1, 0.5, 0.994)]
    """
    from memory_store.schema import has_full_text
    from memory_store.sqlite import Store

    return Store(Path(path), full_text=has_full_text())
