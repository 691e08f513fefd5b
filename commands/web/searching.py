"""The engines of a run in their order, each left alone for a while after it failed."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock

from commands.cancel import Cancel
from commands.command import CommandError, Refusal
from commands.web.contract import Web
from commands.web.engines.engine import Engine, EngineFault, Hit, Why
from commands.web.recent import Recent

LONGEST_S = 3600.0
# How long it isn't asked after the first failure; after each further one twice as long.
_PAUSES: Mapping[Why, float] = {
    "blocked": 120.0,
    "limited": 60.0,
    "key": 1800.0,
    "setup": 300.0,
    "down": 20.0,
    "unfit": 0.0,
    "refused": 0.0,
}


@dataclass(frozen=True, slots=True)
class Failed:
    """An engine that gave nothing. `wait_s`: it isn't asked again before; `fresh`: it was
    asked just now."""

    engine: str
    fault: EngineFault
    wait_s: float
    fresh: bool


@dataclass(frozen=True, slots=True)
class Found:
    """What the first engine that answered found; `engine` is "" when none did.

    `age_s` says how long ago it was found, None that it was just now.
    """

    engine: str
    hits: Sequence[Hit]
    failed: tuple[Failed, ...]
    age_s: float | None = None


@dataclass(frozen=True, slots=True)
class _Pause:
    until: float
    length_s: float
    fault: EngineFault


class Search:
    """Asks engines until one answers. `clock` gives seconds that only grow."""

    def __init__(
        self, engines: Sequence[Engine], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.engines = tuple(engines)
        self._clock = clock
        self._pauses: dict[str, _Pause] = {}
        self._lock = Lock()

    def find(self, query: str, web: Web, cancel: Cancel) -> Found:
        """What there is for `query`; CommandError when it is stopped by `cancel`."""
        recent = Recent(web.cache / "searches")
        failed: list[Failed] = []
        for engine in self.engines:
            kept = recent.read(engine.name, query)
            if kept is not None:
                return Found(engine.name, kept[0], tuple(failed), kept[1])
            resting = self._resting(engine.name)
            if resting is not None:
                failed.append(resting)
                continue
            try:
                hits = _asked(engine, query, web, cancel)
            except EngineFault as fault:
                if cancel.reason:
                    raise CommandError("The search was stopped.") from fault
                failed.append(self._failed(engine.name, fault))
                continue
            self._answered(engine.name)
            if hits:
                recent.keep(engine.name, query, hits)
            return Found(engine.name, hits, tuple(failed))
        return Found("", (), tuple(failed))

    def _resting(self, engine: str) -> Failed | None:
        with self._lock:
            pause = self._pauses.get(engine)
            left = pause.until - self._clock() if pause else 0.0
            return Failed(engine, pause.fault, left, fresh=False) if pause and left > 0 else None

    def _failed(self, engine: str, fault: EngineFault) -> Failed:
        with self._lock:
            before = self._pauses.get(engine)
            length = max(_PAUSES[fault.why], 2 * before.length_s if before else 0.0)
            length = min(length, LONGEST_S) if _PAUSES[fault.why] else 0.0
            if length:
                self._pauses[engine] = _Pause(self._clock() + length, length, fault)
            return Failed(engine, fault, length, fresh=True)

    def _answered(self, engine: str) -> None:
        with self._lock:
            self._pauses.pop(engine, None)


def _asked(engine: Engine, query: str, web: Web, cancel: Cancel) -> list[Hit]:
    try:
        for address in engine.addresses:
            web.permit(address)
    except Refusal as error:
        raise EngineFault("refused", str(error).rstrip(".")) from error
    return engine.find(query, web.fetcher, cancel)
