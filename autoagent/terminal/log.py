"""Lines with the time before them, added to a file."""

import datetime
from collections.abc import Callable

from autoagent.terminal.output import Output


class Log(Output):
    """What is shown on a screen without one. `tell` is told, once, when a line can't be added."""

    def __init__(self, descriptor: int) -> None:
        self._file = open(descriptor, "a", encoding="utf-8", errors="replace")  # noqa: SIM115
        super().__init__(self._file)
        self.tell: Callable[[OSError], None] = lambda _: None

    def close(self) -> None:
        self._file.close()

    def write(self, text: str) -> None:
        if self.lost is not None:
            return
        now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        lines = (line for line in text.split("\n") if line.strip())
        super().write("".join(f"{now} {line}\n" for line in lines))
        if self.lost is not None:
            self.tell(self.lost)
