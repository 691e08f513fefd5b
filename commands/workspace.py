"""The folder an agent works in: paths that cannot leave it, files that change as a whole."""

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from copy import copy
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Literal

from commands.atomic import rename_new, replace, sync
from commands.beneath import FOLDER, PLACE, Beneath, Opened
from commands.command import CommandError
from commands.guard import ForbiddenPath, Guard, shown
from commands.standing import (
    Entry,
    Kind,
    entry_of,
    joined,
    kind_of,
    move_failed,
    refuse_read_only,
    refuse_special,
    remove_folder,
    split,
    status_of,
)

Touch = Literal["read", "write", "move", "delete"]

READING = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY
LISTING = os.O_RDONLY | os.O_DIRECTORY
MOST_ENTRIES = 100_000
LONGEST = 4095  # bytes of a path, as the kernel counts

_SENTENCES = {
    errno.EXDEV: "{path} leads outside the workspace (links with an absolute target count as "
    "that); use a path of the workspace itself.",
    errno.ENOTDIR: "{path} takes a file for a folder.",
    errno.EISDIR: "{path} is a folder, not a file.",
    errno.ELOOP: "{path} is a link that leads in a circle.",
    errno.ENAMETOOLONG: "{path} is too long; take a shorter name.",
    errno.EACCES: "{path}: permission denied.",
    errno.EPERM: "{path}: not permitted.",
    errno.EROFS: "{path} lies on a read-only file system.",
    errno.ENOSPC: "{path} was not changed: the disk is full. Delete what isn't needed.",
    errno.EDQUOT: "{path} was not changed: the disk quota is used up.",
    errno.EFBIG: "{path} was not changed: that is more than a file may hold here.",
    errno.ENXIO: "{path} is not a regular file.",
    errno.EAGAIN: "{path} is being moved about; try again.",
    errno.EEXIST: "{path} exists already.",
    errno.EINVAL: "{path} is not possible here.",
}


class MissingPath(CommandError):
    """There is nothing at that path. `hint` is asked when somebody reads the sentence: who
    only makes a new file shall not compare its name with those of all others."""

    def __init__(self, sentence: str, hint: Callable[[], str] = str) -> None:
        super().__init__(sentence)
        self._hint = hint

    def __str__(self) -> str:
        return f"{super().__str__()}{self._hint()}"


@dataclass(frozen=True, slots=True)
class Content:
    """The first bytes of a file, up to the limit asked for; `size` is the whole, in bytes."""

    path: str
    data: bytes
    size: int


class Workspace:
    """A folder and what a command may do in it. Paths are the model's; answers are true ones.

    `protected` are the user's own: relative to the workspace or absolute, existing or not;
    ValueError when one lies outside. Every method raises CommandError with a sentence.
    """

    def __init__(self, root: Path, *, protected: Sequence[str] = (), kernel: bool = True) -> None:
        self.root = root.resolve(strict=True)
        self._spellings = (self.root, Path(os.path.abspath(root)))  # noqa: PTH100 (links stay)
        self._beneath = Beneath(self.root, kernel=kernel)
        self._guard = Guard(self.root, [self._own(path) for path in protected])

    def part(self, folder: str) -> "Workspace":
        """A folder of it as a workspace of its own, in which nobody may do what nobody may do
        to it from here. `folder` is a true path; CommandError when a link stands there now."""
        kind, true = self.kind(folder or ".")
        if kind != "folder" or true != folder:
            raise CommandError(f"{shown(folder)} is no folder any more.")
        part = copy(self)
        part.root = self.root / folder
        first, second = self._spellings
        part._spellings = (first / folder, second / folder)
        part._beneath = self._beneath.part(folder)
        part._guard = self._guard.part(folder)
        return part

    @property
    def is_protected(self) -> bool:
        """Whether nothing in it may be changed."""
        return "." in self._guard.protected_paths()

    def protected_paths(self) -> tuple[str, ...]:
        """Relative paths that no command may change, also those that don't exist yet."""
        return self._guard.protected_paths()

    def masked_paths(self) -> tuple[str, ...]:
        """Relative paths of files there are now that no command may read or write."""
        return self._guard.masked_paths()

    def forbidden(self, touch: Touch, *paths: str) -> list[ForbiddenPath]:
        """Each refusal that this would meet, and nothing is done; what fails otherwise has none.

        `paths` is the file's, of a move source and target.
        """
        found: list[ForbiddenPath] = []
        with suppress(CommandError):
            while True:
                try:
                    with self.permitting(refusal.place for refusal in found):
                        self._try(touch, *paths)
                        return found
                except ForbiddenPath as refusal:
                    found.append(refusal)
        return found

    def permitting(self, places: Iterable[str]) -> AbstractContextManager[None]:
        """Meanwhile these places of refusals are open to every method."""
        return self._guard.permitting(places)

    def _try(self, touch: Touch, path: str, target: str = "") -> None:
        match touch:
            case "read":
                with self._telling(path), self._opened(path, PLACE):
                    pass
            case "write":
                with self._telling(path):
                    self._to_write(path)
            case "delete":
                with self._telling(path), self._to_delete(path):
                    pass
            case "move":
                with self._to_move(path, target):
                    pass

    # Reading.

    @contextmanager
    def reading(self, path: str) -> Iterator[tuple[BinaryIO, str]]:
        """A regular file open for reading, and its true path."""
        with self._telling(path), self._opened(path, READING) as opened:
            refuse_special(path, os.fstat(opened.fd).st_mode)
            with open(opened.fd, "rb", closefd=False) as file:
                yield file, opened.path

    @contextmanager
    def _opened(self, path: str, flags: int) -> Iterator[Opened]:
        inside = self._relative(path)
        self._guard.refuse_reading(path, inside)
        with self._beneath.opened(inside, flags) as opened:
            self._guard.refuse_reading(path, opened.path)
            yield opened

    def read(self, path: str, limit_bytes: int) -> Content:
        """The start of a file, at most so many bytes."""
        with self.reading(path) as (file, true):
            data = file.read(limit_bytes)
            size = max(os.fstat(file.fileno()).st_size, len(data))
            return Content(true, data, size)

    def kind(self, path: str) -> tuple[Kind, str]:
        """What stands there, links followed, and its true path ("" is the workspace itself)."""
        with self._telling(path), self._beneath.opened(self._relative(path), PLACE) as opened:
            return kind_of(os.fstat(opened.fd).st_mode), opened.path

    def entries(self, path: str) -> list[Entry]:
        """What a folder holds, sorted by name; "" is the workspace. Links aren't followed.

        Of a folder with more than MOST_ENTRIES only so many.
        """
        inside = self._relative(path or ".")
        with self._telling(path), self._beneath.opened(inside, LISTING) as opened:
            with os.scandir(opened.fd) as scan:
                entries = [entry_of(opened, item) for item in islice(scan, MOST_ENTRIES)]
            return sorted(entries, key=lambda entry: entry.path)

    # Changing.

    def write(self, path: str, data: bytes) -> str:
        """Make `data` the whole content of a file, parents made, all at once; its true path.

        Through a link the file it leads to is written. The mode of a file that is replaced
        is kept, and whoever reads meanwhile sees the old content or the new, never a part.
        """
        with self._telling(path):
            parent, name = split(self._to_write(path))
            self._make_folders(path, parent)
            with self._beneath.opened(parent, LISTING) as folder:
                # Once more by what was opened: a link may have been swapped since.
                true = joined(folder.path, name)
                self._guard.refuse_change(path, true)
                before = status_of(folder, name)
                if before is not None:
                    refuse_special(path, before.st_mode)
                    refuse_read_only(path, before.st_mode)
                replace(folder.fd, name, data, before)
                return true

    def _to_write(self, path: str) -> str:
        inside = self._relative(path)
        self._guard.refuse_reading(path, inside)
        true = self._destination(path, inside)
        self._guard.refuse_change(path, true)
        return true

    def move(self, source: str, target: str) -> tuple[str, str]:
        """Give a file, folder or link a new path; nothing is overwritten. Both true paths."""
        with ExitStack() as stack:
            folder, name, old, new = stack.enter_context(self._to_move(source, target))
            stack.enter_context(self._telling(target))
            parent, to_name = split(new)
            self._make_folders(target, parent)
            to_folder = stack.enter_context(self._beneath.opened(parent, LISTING))
            new = joined(to_folder.path, to_name)
            self._guard.refuse_change(target, new)
            try:
                rename_new(folder.fd, name, to_folder.fd, to_name)
            except OSError as error:
                raise move_failed(error, target) from error
            sync(folder.fd)
            sync(to_folder.fd)
            return old, new

    @contextmanager
    def _to_move(self, source: str, target: str) -> Iterator[tuple[Opened, str, str, str]]:
        """The folder that holds the source, its last name there, both true paths."""
        into = self._relative(target)
        with self._telling(source), self._named(source) as (folder, name, old, before):
            with self._telling(target):
                new = self._future(target, into)
                self._guard.refuse_change(target, new)
            if f"{new}/".startswith(f"{old}/"):
                raise CommandError(f"{shown(source)} can't be moved into or onto itself.")
            if not stat.S_ISREG(before.st_mode):
                self._guard.refuse_parent(source, old)
                self._guard.refuse_parent(target, new)
            yield folder, name, old, new

    def delete(self, path: str) -> tuple[Kind, str]:
        """Remove a file, a link itself, or an empty folder; what it was and its true path."""
        with self._telling(path), self._to_delete(path) as (folder, name, true, before):
            kind = kind_of(before.st_mode)
            if kind == "folder":
                remove_folder(path, folder, name)
            else:
                os.unlink(name, dir_fd=folder.fd)
            sync(folder.fd)
            return kind, true

    @contextmanager
    def _to_delete(self, path: str) -> Iterator[tuple[Opened, str, str, os.stat_result]]:
        with self._named(path) as (folder, name, true, before):
            if stat.S_ISLNK(before.st_mode):
                self._guard.refuse_parent(path, true)
            yield folder, name, true, before

    # Paths.

    def _relative(self, path: str) -> str:
        """A path as the model gave it, relative to the root; what can be no path is refused."""
        if not path.strip():
            raise CommandError('The path is empty; "." is the workspace.')
        if "\0" in path:
            raise CommandError(f"{shown(path)} holds a NUL character, which no path can.")
        if path == "~" or path.startswith("~/"):
            raise CommandError(f"{shown(path)}: ~ isn't read; give the path in the workspace.")
        try:
            size = len(os.fsencode(path))
        except UnicodeEncodeError as error:
            raise CommandError(f"{shown(path)} can't be a file name here.") from error
        if size > LONGEST:
            raise CommandError(f"{shown(path)} is too long: {size:,} bytes; take a shorter name.")
        if path.startswith("/"):
            return self._beneath_root(path)
        return "/".join(p for p in path.split("/") if p not in ("", ".")) or "."

    def _beneath_root(self, path: str) -> str:
        pure = PurePosixPath("/", *path.split("/"))
        for base in self._spellings:
            if pure.is_relative_to(base):
                return str(pure.relative_to(base))
        raise CommandError(f"{shown(path)} lies outside the workspace; use a path relative to it.")

    def _destination(self, path: str, inside: str) -> str:
        """The true path that writing to `inside` writes to, whether or not it exists."""
        try:
            with self._beneath.opened(inside, PLACE) as opened:
                refuse_special(path, os.fstat(opened.fd).st_mode)
                return opened.path
        except FileNotFoundError:
            return self._future(path, inside)

    def _future(self, path: str, inside: str) -> str:
        """The true path of a name that may not exist yet: its nearest folder, and the rest."""
        parts = inside.split("/")
        for kept in reversed(range(len(parts))):
            rest = parts[kept:]
            with (
                suppress(FileNotFoundError),
                self._beneath.opened("/".join(parts[:kept]), FOLDER) as folder,
            ):
                if rest[-1] in ("..", "."):
                    raise CommandError(f"{shown(path)} has no name at its end.")
                if ".." in rest:
                    raise CommandError(f"{shown(path)} passes a folder that doesn't exist.")
                return joined(folder.path, *rest)
        raise MissingPath(f"The workspace {self.root} is gone.")

    @contextmanager
    def _named(self, path: str) -> Iterator[tuple[Opened, str, str, os.stat_result]]:
        """The folder that holds a path's last name, that name, its true path, what stands there.

        For changes of the name itself: a link isn't followed; masked and protected is refused.
        """
        parent, name = split(self._relative(path))
        if name in ("..", "."):
            raise CommandError(f"{shown(path)} has no name at its end; give the path itself.")
        with self._beneath.opened(parent, LISTING) as folder:
            true = joined(folder.path, name)
            self._guard.refuse_change(path, true)
            before = status_of(folder, name)
            if before is None:
                raise FileNotFoundError(errno.ENOENT, path)
            yield folder, name, true, before

    def _make_folders(self, path: str, parent: str) -> None:
        parts = parent.split("/") if parent else []
        for n, name in enumerate(parts):
            with self._beneath.opened("/".join(parts[:n]), LISTING) as folder:
                there = status_of(folder, name)
                if there is None:
                    with suppress(FileExistsError):
                        os.mkdir(name, dir_fd=folder.fd)
                        sync(folder.fd)
                elif stat.S_ISLNK(there.st_mode):
                    raise CommandError(f"{shown(path)} passes a link that leads nowhere.")

    def _own(self, path: str) -> str:
        try:
            inside = os.path.normpath(self._relative(path))
        except CommandError as error:
            raise ValueError(str(error)) from error
        if inside == ".." or inside.startswith("../"):
            raise ValueError(f"{path!r} lies outside the workspace.")
        return inside

    # Errors.

    @contextmanager
    def _telling(self, path: str) -> Iterator[None]:
        """What the system says about a path, as a sentence to the model."""
        try:
            yield
        except FileNotFoundError as error:
            hint = partial(self._nearest, path)
            raise MissingPath(f"There is no {shown(path)}.", hint) from error
        except OSError as error:
            sentence = _SENTENCES.get(error.errno or 0, "{path}: {reason}.")
            reason = error.strerror or type(error).__name__
            raise CommandError(sentence.format(path=shown(path), reason=reason)) from error

    def _nearest(self, path: str) -> str:
        """What stands there under a similar name."""
        parent, name = split(self._relative(path))
        near: list[str] = []
        with suppress(CommandError, OSError), self._beneath.opened(parent, LISTING) as folder:
            near = get_close_matches(name, os.listdir(folder.fd), 1)  # noqa: PTH208
            near = [joined(folder.path, found) for found in near if found != name]
        return f" Did you mean {shown(near[0])}?" if near else " list_files shows what there is."
