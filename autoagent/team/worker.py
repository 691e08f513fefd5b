"""One sub-agent in its thread, from its turn to its end."""

import time
import traceback
from collections.abc import Callable
from pathlib import Path
from threading import Thread

from autoagent.errors import AutoAgentError
from autoagent.model import Cancelled
from autoagent.state import State
from autoagent.team.events import Spawned
from autoagent.team.link import Link
from autoagent.team.purse import Purse
from autoagent.team.slots import Slots
from commands.cancel import Cancel
from commands.command import CommandError

END_S = 5.0
"""For all that are cancelled together; everything hears it within three."""


class Worker:
    """A sub-agent at work, or waiting for its turn. `name` is its whole one, "a/b" beneath "a".

    `fault` says why its thread broke off; "" where its journal says how it ended. `hash` is
    that of its journal, once it ended.
    """

    def __init__(
        self,
        spawned: Spawned,
        name: str,
        folder: Path,
        state: State,
        purse: Purse,
        link: Link,
        slots: Slots,
        clean: Callable[[str], str],
    ) -> None:
        self.spawned = spawned
        self.name = name
        self.folder = folder
        self.state = state
        self.purse = purse
        self.link = link
        self.slots = slots
        self.cancel = Cancel()
        self.fault = ""
        self.hash = ""
        self.works = False  # it had its turn
        self.ended = False
        self._clean = clean
        self._thread: Thread | None = None

    def start(self, run: "Callable[[Worker], None]", ring: Callable[[], None]) -> None:
        """Let `run` carry it out, once a slot is free; `ring` when it is over."""
        thread = Thread(target=self._work, args=(run, ring), name=self.name, daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the limit of a user, or of a container, is reached
            self.fault = f"No thread can be had for it: {error}."
            self._over(ring)
        else:
            self._thread = thread

    def has_ended(self, journal_hash: str) -> None:
        """It did so in an earlier run."""
        self.hash = journal_hash
        self.link.end()
        self.ended = True

    def end(self) -> None:
        """Ask it to stop; `join` waits for that."""
        self.link.end()
        self.cancel.set("parent")

    def join(self, end_by: float) -> bool:
        """Wait until it is over, to that moment of the monotonic clock; False when it isn't."""
        if self._thread is not None:
            self._thread.join(max(0.0, end_by - time.monotonic()))
            return not self._thread.is_alive()
        return True

    def _work(self, run: "Callable[[Worker], None]", ring: Callable[[], None]) -> None:
        try:
            with self.slots.taken(self.cancel):
                self.works = True
                run(self)
        except Cancelled:
            pass  # before its turn
        except (AutoAgentError, CommandError) as error:
            self.fault = self._clean(str(error))
        except Exception as error:
            self.fault = self._internal(error)
        finally:
            self._over(ring)

    def _over(self, ring: Callable[[], None]) -> None:
        self.link.end()
        self.purse.ended()
        self.ended = True
        ring()

    def _internal(self, error: Exception) -> str:
        """A bug of ours ends this agent alone; the traceback is kept beside its journal."""
        text = self._clean(f"An internal error: {type(error).__name__}: {error}")
        log = self.folder / "error.log"
        try:
            log.touch(0o600)
            told = self._clean("".join(traceback.format_exception(error)))
            log.write_text(told, "utf-8", "replace")
        except OSError:
            return text
        return f"{text}. The traceback is in {log}."
