"""The cage there is at the moment: made when it is needed, and made anew when it has to be."""

from collections.abc import Callable, Sequence
from threading import RLock

from commands.sandbox.bounds import CageFault
from commands.sandbox.mounts import Mounts
from commands.sandbox.namespace import Job, Namespace
from commands.sandbox.watch import Watch


class Living:
    """Runs programs in a cage that stays, and keeps what is to be told about it."""

    def __init__(
        self, begun: Callable[[Mounts], Namespace], mounts: Callable[[], Mounts], watch: Watch
    ) -> None:
        self._begun = begun
        self._mounts = mounts
        self._watch = watch
        self._lock = RLock()
        self._namespace: Namespace | None = None
        self._told: list[str] = []
        self._is_closed = False

    def run(self, argv: Sequence[str], stdin: int, stdout: int, stderr: int) -> Job:
        """Start a program in the workspace; CageFault when there can be no cage."""
        with self._lock:
            return self._namespace_now().run(argv, stdin, stdout, stderr)

    def notices(self) -> tuple[str, ...]:
        """Sentences that nobody has been told yet, after a look at the protected paths."""
        with self._lock:
            self._look()
            told, self._told = self._told, []
            return tuple(told)

    def accept(self, paths: Sequence[str]) -> None:
        """Take these paths as they are now; the next program gets a cage that keeps them so."""
        with self._lock:
            if self._namespace:
                self._watch.accept(paths)

    def close(self) -> None:
        """End everything in the cage; there is no other after it."""
        with self._lock:
            self._is_closed = True
            if self._namespace:
                self._namespace.end()
                self._look()

    def _look(self) -> None:
        if self._namespace:
            self._told += self._watch.look()

    def _namespace_now(self) -> Namespace:
        if self._is_closed:
            raise CageFault("The cage was closed with its session.")
        why = ""
        if self._namespace:
            why = "it had ended" if self._namespace.is_over else self._watch.stale()
            if not why:
                return self._namespace
            self._namespace.end()
            self._look()
            self._told.append(
                f"the cage was made anew ({why}): /tmp is empty, started processes have ended"
            )
        mounts = self._mounts()
        self._watch.begin(mounts)
        self._namespace = self._begun(mounts)
        return self._namespace
