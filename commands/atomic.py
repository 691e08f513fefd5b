"""Changes in an opened folder that happen as a whole or not at all, and last."""

import ctypes
import errno
import os
from contextlib import suppress
from secrets import token_hex

RENAME_NOREPLACE = 1

UNSUPPORTED = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK})
"""What a file system says that doesn't know a call at all, of fsync(2) and flock(2)."""


def replace(
    folder: int,
    name: str,
    content: bytes,
    before: os.stat_result | None,
    *,
    mode: int | None = None,
) -> None:
    """Put a file with that content in place of `name`; mode and owner stay as `before`.

    Without `before` the mode is that of any new file; `mode` is another one, for either.
    The folder is an open descriptor.
    """
    if mode is None:
        # Never more open than the file it replaces, not even for a moment.
        mode = 0o666 if before is None else before.st_mode & 0o777
    temporary = f".autoagent-{token_hex(8)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    fd = os.open(temporary, flags, mode, dir_fd=folder)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            file.flush()
            if before is not None:
                _keep_owner(fd, before)
                os.fchmod(fd, mode)
            synced(fd)
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise
    sync(folder)


def rename_new(folder: int, name: str, to_folder: int, to_name: str) -> None:
    """Rename between open folders; FileExistsError when the new name is taken."""
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "renameat2"):
        source, target = os.fsencode(name), os.fsencode(to_name)
        if libc.renameat2(folder, source, to_folder, target, RENAME_NOREPLACE) == 0:
            return
        code = ctypes.get_errno()
        # EINVAL is also what a file system says that doesn't know the flag.
        if code not in (errno.ENOSYS, errno.EINVAL):
            raise OSError(code, os.strerror(code))
    try:
        os.stat(to_name, dir_fd=to_folder, follow_symlinks=False)
    except FileNotFoundError:
        os.rename(name, to_name, src_dir_fd=folder, dst_dir_fd=to_folder)
    else:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))


def synced(descriptor: int) -> bool:
    """Wait until a file is on disk; False where its file system can't tell (fsync)."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        return False
    return True


def sync(folder: int) -> None:
    """Make the names in an open folder last; some file systems can't, which is no fault."""
    with suppress(OSError):
        os.fsync(folder)


def _keep_owner(fd: int, before: os.stat_result) -> None:
    now = os.fstat(fd)
    if (now.st_uid, now.st_gid) != (before.st_uid, before.st_gid):
        with suppress(PermissionError):
            os.fchown(fd, before.st_uid, before.st_gid)
