"""Open folders along a true path, one below the other, without following any link."""

import os
from types import TracebackType
from typing import Self

from commands.beneath import FOLDER


class Descent:
    """The way from a root down to one folder after another; what two share is opened once.

    Give it paths in sorted order. No name on the way may be a link: OSError otherwise.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self._names: list[str] = []
        self._opened = [os.open(root, FOLDER | os.O_CLOEXEC)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        while self._opened:
            os.close(self._opened.pop())

    def parent(self, path: str) -> tuple[int, str]:
        """The open folder that holds the path's last name, and that name."""
        *folders, name = path.split("/")
        return self.folder(folders), name

    def folder(self, names: list[str]) -> int:
        """The folder with these names from the root, open as a place only."""
        shared = 0
        for mine, wanted in zip(self._names, names, strict=False):
            if mine != wanted:
                break
            shared += 1
        self._up_to(shared)
        for name in names[shared:]:
            flags = FOLDER | os.O_NOFOLLOW | os.O_CLOEXEC
            self._opened.append(os.open(name, flags, dir_fd=self._opened[-1]))
            self._names.append(name)
        return self._opened[-1]

    def forget(self) -> None:
        """Open everything anew: folders were removed or replaced."""
        self._up_to(0)

    def _up_to(self, depth: int) -> None:
        del self._names[depth:]
        while len(self._opened) > depth + 1:
            os.close(self._opened.pop())
