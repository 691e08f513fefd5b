"""The cage there is at the moment: made when it is needed, and made anew when it has to be."""

from collections.abc import Callable, Sequence
from threading import RLock

from commands.sandbox.bounds import CageFault
from commands.sandbox.mounts import Mounts
from commands.sandbox.namespace import Job, Namespace
from commands.sandbox.neighbours import Share
from commands.sandbox.watch import Watch

_TRIES = 3


class Living:
    """Runs programs in a cage that stays, and keeps what is to be told about it."""

    def __init__(
        self,
        begun: Callable[[Mounts], Namespace],
        mounts: Callable[[], Mounts],
        watch: Watch,
        share: Share,
    ) -> None:
        self._begun = begun
        self._mounts = mounts
        self._watch = watch
        self._share = share
        self._lock = RLock()
        self._namespace: Namespace | None = None
        self._is_closed = False

    def run(self, argv: Sequence[str], stdin: int, stdout: int, stderr: int) -> Job:
        """Start a program in the workspace; CageFault when there can be no cage."""
        with self._lock:
            namespace = self._namespace_now()
            self._share.works()
            return namespace.run(argv, stdin, stdout, stderr)

    def notices(self, *, goes_on: bool) -> tuple[str, ...]:
        """Sentences that this cage hasn't been told yet, after a look at the protected paths;
        `goes_on`: a program runs in it still."""
        with self._lock:
            self._look()
            if not goes_on:
                self._share.rests()
            return self._share.told()

    def accept(self, paths: Sequence[str]) -> None:
        """Take these paths as they are now; the next program gets a cage that keeps them so."""
        with self._share.ground.lock:
            self._watch.accept(paths)

    def close(self) -> None:
        """End everything in the cage; there is no other after it."""
        with self._lock:
            self._is_closed = True
            if self._namespace:
                self._namespace.end()
                self._look()
            self._share.rests()

    def _look(self) -> None:
        if self._namespace:
            with self._share.ground.lock:
                self._share.found(self._watch.look())

    def _stale(self) -> str:
        with self._share.ground.lock:
            return self._watch.stale()

    def _namespace_now(self) -> Namespace:
        if self._is_closed:
            raise CageFault("The cage was closed with its session.")
        why = ""
        if self._namespace:
            why = "it had ended" if self._namespace.is_over else self._stale()
            if not why:
                return self._namespace
            self._namespace.end()
            self._look()
            self._share.tell(
                f"the cage was made anew ({why}): /tmp is empty, started processes have ended"
            )
        self._namespace = self._made()
        return self._namespace

    def _made(self, tries: int = _TRIES) -> Namespace:
        mounts = self._mounts()
        with self._share.ground.lock:
            self._watch.begin(mounts)
        try:
            return self._begun(mounts)
        except CageFault:
            # What was to be mounted may be gone: others are at work in the workspace.
            if tries == 1 or self._mounts() == mounts:
                raise
        return self._made(tries - 1)
