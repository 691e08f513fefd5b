"""Which paths of a workspace are masked or protected: the one list, for commands and cage."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from commands.command import Refusal

# What programs of the user run or obey by themselves, later and outside the cage.
PROTECTED = (
    ".git/hooks",
    ".git/config",
    *(".bashrc", ".bash_profile", ".bash_login", ".bash_logout", ".bash_aliases", ".profile"),
    *(".zshrc", ".zshenv", ".zprofile", ".zlogin", ".zlogout", ".kshrc", ".cshrc", ".tcshrc"),
    ".config/fish",
    ".vscode",
    ".idea",
    ".zed",
    *(".exrc", ".nvimrc", ".nvim.lua"),
    *(".mcp.json", ".claude", ".codex", ".cursor", ".gemini"),
    "autoagent.toml",
)
SHOWN_ENV = (".env.template", ".env.example", ".env.sample")


class ForbiddenPath(Refusal):
    """A masked or protected path was touched. `place` is the spelling that told, and `said`
    is what a person is asked about it."""

    def __init__(self, path: str, place: str, why: str, *, masked: bool = False) -> None:
        super().__init__(f"{shown(path)} is {why}. This refusal is final; take another way.")
        self.is_masked = masked
        self.place = place
        self.said = f"{shown(place)} is {why}"


class Guard:
    """Refuses what is masked or protected beneath `root`; `own` are the user's protected paths.

    The paths it judges are true ones, relative to the root; `path` is as the model wrote it.
    Letter case counts for nothing: some file systems don't tell `.GIT` from `.git`.
    """

    def __init__(self, root: Path, own: Sequence[str], masked: Sequence[str] = ()) -> None:
        self._root = root
        self._protected = (*PROTECTED, *own)
        self._masked = tuple(masked)  # whatever their names
        self._permitted: frozenset[str] = frozenset()

    def part(self, folder: str) -> "Guard":
        """Of a folder of it alone, "" for all: there nothing is open that isn't so from here."""
        own = list(_within(folder, self.protected_paths()))
        if ".git" in folder.casefold().split("/"):
            own.append(".")
        masked = _within(folder, self.masked_paths()) if folder else self._masked
        return Guard(self._root / folder, own, [p for p in masked if not is_masked(p)])

    @contextmanager
    def permitting(self, places: Iterable[str]) -> Iterator[None]:
        """Meanwhile these places, and no other spelling of them, aren't refused."""
        before, self._permitted = self._permitted, self._permitted.union(places)
        try:
            yield
        finally:
            self._permitted = before

    def protected_paths(self) -> tuple[str, ...]:
        """Paths that nothing may change, and what they lead to inside where they pass a link."""
        led = [self._led(path) for path in self._protected]
        return tuple(dict.fromkeys([*self._protected, *filter(None, led)]))

    def masked_paths(self) -> tuple[str, ...]:
        """Paths of the files there are now that nothing may read or write, links' targets too."""
        found: list[str] = []
        for folder, _, files in os.walk(self._root):
            inside = os.path.relpath(folder, self._root)
            found += [os.path.normpath(f"{inside}/{name}") for name in files if is_masked(name)]
        led = filter(None, map(self._led, found))
        return tuple(sorted({*found, *led, *self._masked}))

    def refuse_reading(self, path: str, *spellings: str) -> None:
        """ForbiddenPath when one of the spellings ends in a masked name, or `.env` leads there."""
        led = self._led(".env")
        for spelling in spellings:
            if is_masked(spelling) or spelling in self._masked or (led and spelling == led):
                why = "masked: it holds secrets, so nothing reads or writes it"
                self._refuse(path, spelling, why, masked=True)

    def refuse_change(self, path: str, *spellings: str) -> None:
        """ForbiddenPath when one of the spellings is masked, protected or beneath protection."""
        self.refuse_reading(path, *spellings)
        protected = [guarded.casefold() for guarded in self.protected_paths()]
        for spelling in spellings:
            folded = spelling.casefold()
            if ".git" in folded.split("/"):
                self._refuse(path, spelling, "protected: only git changes git's own files")
            elif any(g == "." or f"{folded}/".startswith(f"{g}/") for g in protected):
                self._refuse(path, spelling, "protected from change")

    def refuse_parent(self, path: str, true: str) -> None:
        """ForbiddenPath when something protected lies, or would lie, beneath that path."""
        for guarded in self.protected_paths():
            if guarded.casefold().startswith(f"{true.casefold()}/"):
                why = f"the way to {guarded}, which is protected from change"
                self._refuse(path, true, why)

    def _refuse(self, path: str, place: str, why: str, *, masked: bool = False) -> None:
        if place not in self._permitted:
            raise ForbiddenPath(path, place, why, masked=masked)

    def _led(self, path: str) -> str:
        root = f"{self._root}/"
        true = os.path.realpath(root + path)
        return true.removeprefix(root) if true.startswith(root) else ""


def _within(folder: str, paths: Iterable[str]) -> Iterator[str]:
    """Those of the paths that hold in a folder, as it calls them; "." is all of it."""
    outer = PurePosixPath(folder).parts
    for path in paths:
        parts = PurePosixPath(path).parts
        if all(a.casefold() == b.casefold() for a, b in zip(parts, outer, strict=False)):
            yield "/".join(parts[len(outer) :]) or "."


def is_masked(path: str) -> bool:
    """Does the last name of that path say that it holds secrets?"""
    name = path.rpartition("/")[2].casefold()
    return name == ".env" or (fnmatch(name, ".env.*") and name not in SHOWN_ENV)


def shown(path: str) -> str:
    """A path in quotes, cut when long, nothing in it that could break out of its line."""
    return repr(path if len(path) <= 200 else f"{path[:120]}…{path[-60:]}")
