"""What git would run or obey in the repository of a workspace."""

import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from typing import Literal, NamedTuple

from commands.beneath import Beneath

Role = Literal["main", "module", "worktree"]

_LARGEST_BYTES = 64 * 1024  # of a configuration
_MOST_FOLDERS = 200
_DEEPEST = 5  # folders of a submodule's name
_READING = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
_SECTION = r'\[\s*([\w.-]+)(?:\s+"((?:[^"\\\n]|\\.)*)")?\s*\]'
_SETTING = r"([\w-]+)\s*(?:=\s*(.*))?"
# What `git init`, `clone`, `config user.…`, `remote` and `branch` write: nothing that is run.
_PLAIN = {
    "core": {
        *("repositoryformatversion", "filemode", "bare", "logallrefupdates", "ignorecase"),
        *("precomposeunicode", "symlinks", "autocrlf", "safecrlf", "eol", "abbrev", "quotepath"),
    },
    "user": {"name", "email"},
    "init": {"defaultbranch"},
    "branch": {"remote", "merge", "rebase", "pushremote", "description"},
    "remote": {"url", "pushurl", "fetch", "tagopt"},
    "submodule": {"url", "active"},
    "pull": {"rebase", "ff"},
    "push": {"default", "autosetupremote"},
    "merge": {"conflictstyle", "ff"},
    "commit": {"gpgsign"},
    "extensions": {"objectformat", "refstorage"},
    "advice": None,
}
_ADDRESS = r"(https?|ssh|git|file)://|[\w.@-]+:(?!:)|[/.]|$"


class Offence(NamedTuple):
    """A path of the workspace that the user's git would obey, and what it would do."""

    path: str
    why: str


def places(at: Beneath) -> tuple[str, ...]:
    """Paths that nothing may change, as far as they exist: of the repository, its submodules
    and its worktrees. A `.git` that is a file or a link is one itself."""
    kind = _kind(at, ".git")
    if kind is not None and kind != "folder":
        return (".git",)
    names = ("config", "config.worktree", "hooks", "commondir")
    return tuple(f"{folder}/{name}" for folder, _ in _folders(at) for name in names)


def offences(at: Beneath, known: frozenset[str]) -> Iterator[Offence]:
    """What has appeared in it that a user's git would run or obey; `known` is as it always was.

    A new repository is none, as long as its configuration holds plain settings only and its
    hooks are the samples.
    """
    kind = _kind(at, ".git")
    if kind is None:
        yield from _bare(at)
    elif kind != "folder":
        yield from (Offence(".git", "leads git elsewhere") for _ in [0] if ".git" not in known)
    else:
        for name in ("modules", "worktrees"):
            if _kind(at, f".git/{name}") not in (None, "folder"):
                yield Offence(f".git/{name}", "leads git elsewhere")
        for folder, role in _folders(at):
            for offence in _within(at, folder, role):
                if not known.intersection(_upward(offence.path)):
                    yield offence


def unplain(config: str, *, module: bool = False) -> str:
    """The first setting of a git configuration that isn't plain, "" when there is none."""
    section, subsection = "", ""
    for line in config.splitlines():
        text = line.strip()
        if head := re.match(_SECTION, text):
            section, subsection = head[1].lower(), head[2] or ""
            text = text[head.end() :].strip()
        if not text or text[0] in "#;":
            continue
        setting = re.fullmatch(_SETTING, text)
        if not setting or text.endswith("\\"):
            return text[:80]
        key, value = setting[1].lower(), (setting[2] or "").strip(' \t"')
        name = ".".join(filter(None, (section, subsection, key)))
        plain = _PLAIN.get(section, set())
        if plain is not None and key not in plain:
            inside = value.startswith("../") and not value.endswith("/.git")
            if not (module and (section, key) == ("core", "worktree") and inside):
                return name[:80]
        if key in ("url", "pushurl", "remote") and not _address(value):
            return name[:80]
    return ""


def _address(value: str) -> bool:
    return bool(re.match(_ADDRESS, value)) or ":" not in value


def _bare(at: Beneath) -> Iterator[Offence]:
    """Without a .git, git takes the workspace itself for a repository if it looks like one."""
    looks = {"HEAD": "file", "objects": "folder", "refs": "folder"}
    if all(_kind(at, name) == kind for name, kind in looks.items()):
        yield Offence("HEAD", "makes the workspace itself a repository")


def _within(at: Beneath, folder: str, role: Role) -> Iterator[Offence]:
    for name in ("config", "config.worktree"):
        if _kind(at, f"{folder}/{name}") is not None:
            text = _text(at, f"{folder}/{name}")
            bad = "no plain file" if text is None else unplain(text, module=role == "module")
            if bad:
                yield Offence(f"{folder}/{name}", f"sets {bad}" if text is not None else bad)
    common = f"{folder}/commondir"
    if _kind(at, common) is not None:
        text = _text(at, common)
        if role != "worktree" or text is None or text.strip() != "../..":
            yield Offence(common, "leads git elsewhere")
    hooks = f"{folder}/hooks"
    match _kind(at, hooks):
        case "folder":
            for name, kind in _entries(at, hooks):
                if kind != "file" or not name.endswith(".sample"):
                    yield Offence(f"{hooks}/{name}", "a hook")
        case "file" | "other":
            yield Offence(hooks, "leads git elsewhere")


def _folders(at: Beneath) -> list[tuple[str, Role]]:
    """The repository's folder and those of its submodules and worktrees."""
    found: list[tuple[str, Role]] = [(".git", "main")] if _kind(at, ".git") == "folder" else []
    todo = [(path, 0) for path, _ in found]
    for _ in range(_MOST_FOLDERS):
        if not todo:
            break
        path, depth = todo.pop()
        for name, kind in _entries(at, f"{path}/modules" if depth == 0 else path):
            inner = f"{path}/modules/{name}" if depth == 0 else f"{path}/{name}"
            if kind == "folder" and _kind(at, f"{inner}/HEAD") is not None:
                found.append((inner, "module"))
                todo.append((inner, 0))
            elif kind == "folder" and depth < _DEEPEST:
                todo.append((inner, depth + 1))
    trees = [path for path, _ in found]
    for path in trees:
        for name, kind in _entries(at, f"{path}/worktrees"):
            if kind == "folder" and len(found) < 2 * _MOST_FOLDERS:
                found.append((f"{path}/worktrees/{name}", "worktree"))
    return found


def _upward(path: str) -> Iterator[str]:
    """A path and the folders that hold it."""
    while path:
        yield path
        path = path.rpartition("/")[0]


def _kind(at: Beneath, path: str) -> str | None:
    """file, folder or other (a link, too); None when nothing is there."""
    parent, _, name = path.rpartition("/")
    with suppress(OSError), at.opened(parent, os.O_RDONLY | os.O_DIRECTORY) as folder:
        return _named(os.stat(name, dir_fd=folder.fd, follow_symlinks=False).st_mode)
    return None


def _named(mode: int) -> str:
    return "file" if stat.S_ISREG(mode) else "folder" if stat.S_ISDIR(mode) else "other"


def _entries(at: Beneath, path: str) -> list[tuple[str, str]]:
    """Names and kinds in a folder; none when there is no such folder."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    with suppress(OSError), at.opened(path, flags) as folder, os.scandir(folder.fd) as scan:
        return sorted(
            (entry.name, _named(entry.stat(follow_symlinks=False).st_mode)) for entry in scan
        )
    return []


def _text(at: Beneath, path: str) -> str | None:
    """A small plain file; None for anything else."""
    with suppress(OSError, UnicodeDecodeError), at.opened(path, _READING) as file:
        if stat.S_ISREG(os.fstat(file.fd).st_mode):
            data = os.read(file.fd, _LARGEST_BYTES)
            return data.decode() if len(data) < _LARGEST_BYTES else None
    return None
