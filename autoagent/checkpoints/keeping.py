"""The checkpoints around the commands of a run, and what a person must know of them."""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from autoagent.checkpoints.checkpoint import Checkpoints, Taken
from autoagent.checkpoints.manifest import innards
from autoagent.checkpoints.objects import CheckpointFault, Objects
from autoagent.events import Checkpointed, Event, Executing, Noticed, Span
from autoagent.model import Cancelled
from autoagent.state import State
from commands.cancel import Cancel

if TYPE_CHECKING:
    from autoagent.checkpoints.undo import Undoing

SLOW_S = 1.0
MANY_BYTES = 200_000_000
MANY_FILES = 5_000
_GRACE_S = 2.0  # within which a cancelled run still keeps what its last command did
_NAMED = 5


class Keeper:
    """Takes the checkpoints of a run. When disk or store fail it says so, and takes no more:
    the run goes on, and what was kept until then can still be undone.

    As long as something of the agent's goes on beside its commands, `goes_on()`, what
    changes between them counts as its work, too.
    """

    def __init__(
        self,
        objects: Objects,
        checkpoints: Checkpoints,
        cancel: Cancel,
        goes_on: Callable[[], bool] = lambda: False,
    ) -> None:
        self._objects = objects
        self._checkpoints = checkpoints
        self._cancel = cancel
        self._said: set[str] = set()
        self._broken = False
        self._goes_on = goes_on
        self._went_on: int | None = None  # the step after which something did
        self._undone: int | None = None  # since then, up to that checkpoint
        self._seconds = 0.0  # for this step

    def before(self, step: int) -> Iterator[list[Event]]:
        """Keep the workspace before a command; the last events say that it runs now.

        Raises Cancelled when the run is to stop: nothing ran yet.
        """
        events: list[Event] = []
        if not self._broken:
            try:
                began = time.monotonic()
                found = self._checkpoints.look()
                if found.new_bytes > MANY_BYTES or len(found.changed) > MANY_FILES:
                    yield [_copying(len(found.changed), found.new_bytes)]
                taken = self._checkpoints.keep(found, self._stop_before)
                events = self._beside(taken.number)
                events.append(Checkpointed(step, "before", taken.number))
                self._seconds = time.monotonic() - began
                events += self._notices(taken)
            except CheckpointFault as fault:
                events = self._broke(fault)
        yield [*events, Executing(step)]

    def after(self, step: int) -> tuple[list[Event], tuple[str, ...], frozenset[str]]:
        """Keep what a command left; the events, the files it changed that are worth a name,
        and the paths it made.

        A checkpoint that had to be cut off for a cancel is left to be taken later.
        """
        if self._broken:
            return [], (), frozenset()
        try:
            began = time.monotonic()
            taken = self._checkpoints.keep(self._checkpoints.look(), _stop_late(self._cancel))
        except Cancelled:
            return [], (), frozenset()
        except CheckpointFault as fault:
            return self._broke(fault), (), frozenset()
        events: list[Event] = [Checkpointed(step, "after", taken.number)]
        self._went_on = step if self._goes_on() else None
        self._undone = None
        self._seconds += time.monotonic() - began
        return [*events, *self._notices(taken)], _worth_naming(taken), taken.made

    def take_back(
        self, state: State, to: int | None, spans_of: Callable[[], Sequence[Span]] | None = None
    ) -> Iterator[list[Event]]:
        """Take back the newest change, or all after the step `to`, between two commands.

        The last events tell what became of it. One that was cut off before is completed.
        `spans_of` gives what counts when those before are on disk; else it is the state's.
        """
        # Rarely needed, and no small import.
        from autoagent.checkpoints import undo

        assert state.started is not None
        if state.started.dry_run:
            yield [_said("A dry run works on a copy; in the workspace nothing has changed.")]
            return
        session = state.started.session
        try:
            number = self._checkpoints.take().number
            open_one = state.unclosed
            yield (
                [Checkpointed(open_one.step, "after", number)] if open_one else self._beside(number)
            )
            spans, step = undo.meant(spans_of() if spans_of else state.spans, to)
            done = undo.undo(self._checkpoints, self._objects, session, spans, step)
            self._undone = done.after
            nothing = not done.paths and not done.skipped
            yield [_said("There is nothing to take back.") if nothing else undo.event_of(done)]
            made = undo.makers(self._checkpoints.timeline, spans, done)
            yield [*_left(done), *([_said(made)] if made else [])]
            undo.settled(self._objects, session)
        except CheckpointFault as fault:
            yield [_said(str(fault))]

    def _beside(self, number: int) -> list[Event]:
        """What went on since the last command counts as its work up to this checkpoint, and
        an undo in between doesn't."""
        if self._went_on is None:
            return []
        step, undone = self._went_on, self._undone
        since: list[Event] = [] if undone is None else [Checkpointed(step, "before", undone)]
        return [*since, Checkpointed(step, "after", number)]

    def close(self) -> None:
        self._checkpoints.close()
        self._objects.close()

    def _stop_before(self) -> None:
        if self._cancel.reason is not None:
            raise Cancelled("the checkpoint was cut off")

    def _notices(self, taken: Taken) -> Iterator[Event]:
        """What isn't covered, and what takes long; each said once."""
        if taken.left_out:
            text = "Undo leaves out, for their size or because they can't be read: {}."
            yield from self._once("left out", text, taken.left_out)
        if taken.unkept:
            text = "Undo can't bring back, too large or not readable: {}."
            yield from self._once("unkept", text, taken.unkept)
        if self._seconds > SLOW_S and "slow" not in self._said:
            self._said.add("slow")
            text = f"Keeping the workspace for undo took {self._seconds:.1f} s in this step."
            yield Noticed("undo", text)

    def _once(self, key: str, text: str, paths: tuple[str, ...]) -> Iterator[Event]:
        new = [path for path in paths if f"{key} {path}" not in self._said]
        self._said |= {f"{key} {path}" for path in new}
        if new:
            yield Noticed("undo", text.format(_few(new)))

    def _broke(self, fault: CheckpointFault) -> list[Event]:
        self._broken = True
        text = f"From here on nothing can be undone; what was done before still can. {fault}"
        return [Noticed("undo", text, key="no checkpoints")]


def _stop_late(cancel: Cancel) -> Callable[[], None]:
    end: list[float] = []

    def stop() -> None:
        if cancel.reason is not None:
            end[:] = end or [time.monotonic() + _GRACE_S]
            if time.monotonic() > end[0]:
                raise Cancelled("the checkpoint was cut off")

    return stop


def _said(text: str) -> Noticed:
    return Noticed("undo", text)


def _left(done: "Undoing") -> list[Event]:
    """What of an undo a person must know besides its event."""
    by_reason: dict[str, list[str]] = {}
    for one in done.skipped:
        by_reason.setdefault(one.why, []).append(one.path)
    return [_said(f"Left as they are, {why}: {_few(paths)}.") for why, paths in by_reason.items()]


def _few(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    return ", ".join(paths[:_NAMED]) + more


def _copying(files: int, size: int) -> Noticed:
    text = (
        f"Copying {files:,} new files, {size / 1e6:,.0f} MB, out of the workspace, so that "
        "changes to them can be undone; later only what changes."
    )
    return Noticed("undo", text)


def _worth_naming(taken: Taken) -> tuple[str, ...]:
    return tuple(path for path in taken.files if not innards(path))


def open_keeper(
    store: Path,
    root: Path,
    cancel: Cancel,
    *,
    tree: str = "",
    goes_on: Callable[[], bool] = lambda: False,
) -> Keeper:
    """The keeper of a workspace, its store in that folder; CheckpointFault when it can't be."""
    objects = Objects(store)
    return Keeper(objects, Checkpoints(root, objects, tree=tree), cancel, goes_on)


def opened_or_said(
    store: Path, root: Path, cancel: Cancel, *, tree: str, goes_on: Callable[[], bool]
) -> tuple[Keeper | None, list[str]]:
    """The keeper of a workspace, or a line that says why nothing can be undone."""
    try:
        return open_keeper(store, root, cancel, tree=tree, goes_on=goes_on), []
    except CheckpointFault as fault:
        return None, [f"Nothing in this run can be undone. {fault}"]
