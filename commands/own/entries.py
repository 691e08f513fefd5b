"""Commands that installed packages offer, found without importlib.metadata."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

GROUP = "autoagent.commands"
_FOLDERS = (".dist-info", ".egg-info")


@dataclass(frozen=True, slots=True)
class Entry:
    """`name = value` in that group: value is MODULE or MODULE:OBJECT, beneath `folder`."""

    name: str
    value: str
    package: str
    folder: str


def entries(folders: Iterable[str]) -> list[Entry]:
    """Those of all packages installed in these folders, by name; of two the earlier folder's."""
    found: dict[str, Entry] = {}
    for folder in dict.fromkeys(folders):
        for entry in _of_folder(folder):
            found.setdefault(entry.name, entry)
    return sorted(found.values(), key=lambda entry: entry.name)


def _of_folder(folder: str) -> Iterator[Entry]:
    # importlib.metadata takes twenty times as long, its import counted.
    with suppress(OSError), os.scandir(folder or ".") as places:
        for place in places:
            if not place.name.endswith(_FOLDERS):
                continue
            with suppress(OSError), open(f"{place.path}/entry_points.txt", "rb") as file:  # noqa: PTH123
                text = file.read()
                if f"[{GROUP}]".encode() in text:
                    package = place.name.rpartition(".")[0].partition("-")[0]
                    yield from _of_text(text.decode("utf-8", "replace"), package, folder)


def _of_text(text: str, package: str, folder: str) -> Iterator[Entry]:
    within = False
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            within = line == f"[{GROUP}]"
        elif within and "=" in line and not line.startswith(("#", ";")):
            name, _, value = line.partition("=")
            yield Entry(name.strip(), value.partition("[")[0].strip(), package, folder)
