"""Which folder the workspace is, so that none that is put in its place is taken for it."""

import os
from pathlib import Path

from commands.sandbox.bounds import CageFault


class Anchor:
    """The folder at this path as it is now; the path is a real one."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._identity = _identity(self._root)

    def check(self) -> None:
        """CageFault when another folder, or a link, stands at its path."""
        if _identity(self._root) != self._identity:
            raise CageFault(
                f"{str(self._root)!r} is another folder than when the session began, so no command "
                "runs there. Only the user can put it back."
            )


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
