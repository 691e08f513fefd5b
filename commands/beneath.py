"""Opening files beneath one folder in a way that no path, link or race can leave it."""

import ctypes
import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OPENAT2 = 437  # the same number on every architecture that Python runs on but alpha
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_BENEATH = 0x08
TRIES = 100  # the kernel asks to try again while folders are being renamed
LINKS = 40  # as many as the kernel follows

# Only the place is wanted, nothing is read: works without the right to read, and never blocks.
PLACE: int = getattr(os, "O_PATH", os.O_RDONLY | os.O_NONBLOCK)
FOLDER = PLACE | os.O_DIRECTORY


@dataclass(frozen=True, slots=True)
class Opened:
    """A descriptor and the true path of what it stands for, relative to the root, "" for it."""

    fd: int
    path: str


class Beneath:
    """Opens what lies beneath `root`, an absolute path without links.

    By the kernel (openat2), or folder by folder where it lacks that call or `kernel` is
    False. Either way a path that leads out raises OSError(EXDEV), also through a link;
    links with an absolute target count as leading out.

    With `part`, the true path of a folder beneath it, what lies beneath that: whoever can
    write beneath `root` may put a link there at any time, and none is followed.
    """

    def __init__(self, root: Path, *, part: str = "", kernel: bool = True) -> None:
        self._root = root
        self._part = part
        self._openat2 = _openat2() if kernel else None
        if self._openat2 is not None and not self._kernel_works():
            self._openat2 = None

    @property
    def by_kernel(self) -> bool:
        return self._openat2 is not None

    def part(self, folder: str) -> "Beneath":
        """The same for a folder of it, by its true path."""
        return Beneath(self._root, part=f"{self._part}/{folder}", kernel=self.by_kernel)

    @contextmanager
    def opened(self, path: str, flags: int) -> Iterator[Opened]:
        """What stands at `path`, relative to the root, closed afterwards; OSError otherwise."""
        root = self._opened_root()
        try:
            by = self._by_kernel if self._openat2 is not None else _by_steps
            one = by(root, path or ".", flags)
        finally:
            os.close(root)
        try:
            yield one
        finally:
            os.close(one.fd)

    def _opened_root(self) -> int:
        root = os.open(self._root, FOLDER | os.O_NOFOLLOW)
        for name in reversed(_steps(self._part)):
            try:
                inner = os.open(name, FOLDER | os.O_NOFOLLOW, dir_fd=root)
            finally:
                os.close(root)
            root = inner
        return root

    def _by_kernel(self, root: int, path: str, flags: int) -> Opened:
        assert self._openat2 is not None
        for _ in range(TRIES):
            try:
                fd = self._openat2(root, os.fsencode(path), flags | os.O_CLOEXEC)
            except (BlockingIOError, InterruptedError):
                continue
            try:
                place = _place(root, fd)
            except OSError:
                os.close(fd)
                raise
            if place is not None:
                return Opened(fd, place)
            os.close(fd)
        raise OSError(errno.EAGAIN, "it is being moved about")

    def _kernel_works(self) -> bool:
        # Old kernels say ENOSYS, old containers EPERM; without /proc the true path is unknown.
        try:
            with self.opened(".", FOLDER):
                return True
        except OSError:
            return False


def _openat2() -> Callable[[int, bytes, int], int] | None:
    class OpenHow(ctypes.Structure):
        _fields_ = (
            ("flags", ctypes.c_uint64),
            ("mode", ctypes.c_uint64),
            ("resolve", ctypes.c_uint64),
        )

    libc: Any = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "syscall"):
        return None

    def call(root: int, path: bytes, flags: int) -> int:
        how = OpenHow(flags, 0, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)
        size = ctypes.c_size_t(ctypes.sizeof(how))
        number, start = ctypes.c_long(OPENAT2), ctypes.c_int(root)
        fd: int = libc.syscall(number, start, path, ctypes.byref(how), size)
        if fd < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        return fd

    return call


def _place(root: int, fd: int) -> str | None:
    """Where an opened thing stands now, relative to the root; None when it was removed."""
    # As strings: this runs for every file that is opened, and pathlib triples its cost.
    base = os.readlink(f"/proc/self/fd/{root}").rstrip("/") + "/"  # noqa: PTH115
    place = os.readlink(f"/proc/self/fd/{fd}")  # noqa: PTH115
    if place.endswith(" (deleted)") and os.fstat(fd).st_nlink == 0:
        return None
    if not f"{place}/".startswith(base):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
    return place[len(base) :]


def _by_steps(root: int, path: str, flags: int) -> Opened:
    chain = [(os.dup(root), "")]  # the folders from the root down to where we are
    todo = _steps(path)
    links = 0
    try:
        while todo:
            name = todo.pop()
            if name == "..":
                if len(chain) == 1:
                    raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
                os.close(chain.pop()[0])
                continue
            found = _step(chain[-1][0], name, FOLDER if todo else flags)
            if isinstance(found, int):
                chain.append((found, name))
                continue
            links += 1
            if links > LINKS or (not todo and flags & os.O_NOFOLLOW):
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            if found.startswith("/"):
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
            todo += _steps(found)
        true = "/".join(name for _, name in chain[1:])
        return Opened(_again(chain[-1][0], flags), true)
    finally:
        for fd, _ in chain:
            os.close(fd)


def _steps(path: str) -> list[str]:
    """The parts of a path, the last one first."""
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]


def _step(folder: int, name: str, flags: int) -> int | str:
    """A descriptor of what stands there, or where it leads when it is a link."""
    try:
        fd = os.open(name, flags | os.O_NOFOLLOW, dir_fd=folder)
    except OSError as error:
        # A link that isn't followed: ELOOP, EMLINK on the BSDs, ENOTDIR where a folder was asked.
        if error.errno not in (errno.ELOOP, errno.EMLINK, errno.ENOTDIR):
            raise
        try:
            return os.readlink(name, dir_fd=folder)
        except OSError:
            raise error from None
    if not stat.S_ISLNK(os.fstat(fd).st_mode):
        return fd
    os.close(fd)  # O_PATH opens the link itself
    return os.readlink(name, dir_fd=folder)


def _again(fd: int, flags: int) -> int:
    """The same thing on a descriptor of its own, opened with the flags that were asked."""
    if stat.S_ISDIR(os.fstat(fd).st_mode):
        return os.open(".", flags & ~os.O_NOFOLLOW, dir_fd=fd)
    return os.dup(fd)
