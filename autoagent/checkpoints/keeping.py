"""The checkpoints around the commands of a run, and what a person must know of them."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from autoagent.checkpoints.checkpoint import Checkpoints, Taken
from autoagent.checkpoints.manifest import Look, innards
from autoagent.checkpoints.objects import CheckpointFault, Objects
from autoagent.events import Checkpointed, Event, Executing, Noticed, Span
from autoagent.model import Cancelled
from autoagent.state import State
from autoagent.team.ledger import Ledger, Page, Stamp
from commands.cancel import Cancel

if TYPE_CHECKING:
    from autoagent.checkpoints.undo import Undoing

SLOW_S = 1.0
MANY_BYTES = 200_000_000
MANY_FILES = 5_000
_GRACE_S = 2.0  # within which a cancelled run still keeps what its last command did
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Kept:
    """What was kept after a command: the events; the files it changed that are worth a name
    and those it made, relative to the agent's workspace. `shared` are those of the files that
    another agent may have changed instead, `others` all who may have done so."""

    events: list[Event] = field(default_factory=list)
    paths: tuple[str, ...] = ()
    made: frozenset[str] = frozenset()
    shared: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Common:
    """What the keepers of a session share. Store and tree are used in the turn only."""

    objects: Objects
    checkpoints: Checkpoints
    newest: int = 0  # checkpoint
    is_broken: bool = False
    said: set[str] = field(default_factory=set)


class Keeper:
    """Takes the checkpoints of an agent. When disk or store fail it says so, and takes no
    more: the run goes on, and what was kept until then can still be undone.

    As long as a program goes on beside the agent's commands, what changes between them counts
    as its work, too. What each of several agents changed stands on its `page`.
    """

    def __init__(self, common: _Common, page: Page, cancel: Cancel) -> None:
        self._common = common
        self.objects = common.objects
        self._checkpoints = common.checkpoints
        self._page = page
        self._cancel = cancel
        self._went_on: int | None = None  # the step after which something did
        self._undone: int | None = None  # since then, up to that checkpoint
        self._before = 0  # the number of the checkpoint before the command,
        self._last = 0  # and of the last one before that after it
        self._seconds = 0.0  # for this step

    def beside(self, page: Page, cancel: Cancel) -> "Keeper":
        """The keeper of another agent at the same tree, for as long as this one is open."""
        return Keeper(self._common, page, cancel)

    def before(self, step: int, *, exact: bool = False) -> Iterator[list[Event]]:
        """Keep the workspace before a command; the last events say that it runs now.

        `exact`: it will claim what it changes. Raises Cancelled when the run is to stop:
        nothing ran yet.
        """
        events: list[Event] = []
        if not self._common.is_broken:
            try:
                self._seconds = 0.0
                taken = self._kept_before(exact=exact)
                if isinstance(taken, Look):
                    # Not said in the turn, which nobody shall hold while events are written.
                    yield [_copying(len(taken.changed), taken.new_bytes)]
                    taken = self._kept_before(exact=exact, large=True)
                assert isinstance(taken, Taken)
                events = self._beside(taken.number)
                events.append(Checkpointed(step, "before", taken.number))
                events += self._notices(taken)
            except CheckpointFault as fault:
                events = self._broke(fault)
        yield [*events, Executing(step)]

    def _kept_before(self, *, exact: bool, large: bool = False) -> Taken | Look:
        """The checkpoint; what is to be kept instead, when it is so much that a person must
        be told of it before."""
        with self._page.turn(self._cancel):
            began = time.monotonic()
            found = self._checkpoints.look()
            if not large and (found.new_bytes > MANY_BYTES or len(found.changed) > MANY_FILES):
                return found
            taken = self._kept(found, self._stop_before)
            self._before = taken.number
            self._page.begin(exact=exact)
            self._seconds += time.monotonic() - began
            return taken

    def after(self, step: int) -> Kept:
        """Keep what a command left.

        A checkpoint that had to be cut off for a cancel is left to be taken later.
        """
        try:
            with self._page.turn(self._cancel, _GRACE_S):
                if self._common.is_broken:
                    self._page.give_up()
                    return Kept()
                began = time.monotonic()
                taken = self._kept(self._checkpoints.look(), _stop_late(self._cancel))
                kept = self._own(taken)
                self._seconds += time.monotonic() - began
        except Cancelled:
            self._page.give_up()
            return Kept()
        except CheckpointFault as fault:
            self._page.give_up()
            return Kept(self._broke(fault))
        events: list[Event] = [Checkpointed(step, "after", taken.number)]
        self._went_on = step if self._page.goes_on else None
        self._undone = None
        return replace(kept, events=[*events, *self._notices(taken)])

    def _kept(self, found: Look, stop: Callable[[], None]) -> Taken:
        taken = self._checkpoints.keep(found, stop)
        self._last, self._common.newest = self._common.newest, taken.number
        self._page.ledger.checkpointed(taken.changed, self._stamp)
        return taken

    def _stamp(self, path: str) -> Stamp | None:
        known = self._checkpoints.known.get(path)
        if known is None:
            return None
        stamp = known.stamp
        return (stamp.mtime_ns, stamp.ctime_ns, stamp.size, stamp.inode)

    def _own(self, taken: Taken) -> Kept:
        """What the command changed itself, or may have: all, when nobody knows when it began."""
        mine = self._page.end()
        files, made = set(taken.files), taken.made
        if mine is None:
            mine = dict.fromkeys(taken.changed, frozenset[str]())
        elif self._last != self._before:  # others took some in between
            files, made = self._compared(mine, taken.number)
        own = {
            inside: others
            for path, others in sorted(mine.items())
            if path in files and not innards(path) and (inside := self._page.own(path))
        }
        shared = frozenset(path for path, others in own.items() if others)
        others = frozenset(agent for each in own.values() for agent in each)
        new = frozenset(inside for path in made if (inside := self._page.own(path)))
        return Kept([], tuple(own), new, shared, others)

    def _compared(self, paths: Mapping[str, object], after: int) -> tuple[set[str], frozenset[str]]:
        """Which of these paths are files that are not as they were before the command, and
        which of them weren't there."""
        timeline = self._checkpoints.timeline
        files: set[str] = set()
        made: set[str] = set()
        for path in paths:
            then, now = timeline.at(path, self._before), timeline.at(path, after)
            if then != now and any(node and node.kind != "folder" for node in (then, now)):
                files.add(path)
            if then is None and now is not None:
                made.add(path)
        return files, frozenset(made)

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
            number = self._number()
            open_one = state.unclosed
            yield (
                [Checkpointed(open_one.step, "after", number)] if open_one else self._beside(number)
            )
            every = list(spans_of() if spans_of else state.spans)
            spans, step = undo.meant(every, to)
            with self._page.turn(self._cancel):
                done = undo.undo(self._checkpoints, self.objects, session, spans, step)
            self._undone = done.after
            nothing = not done.paths and not done.skipped
            timeline = self._checkpoints.timeline
            undone = undo.event_of(done, timeline, every)
            yield [_said("There is nothing to take back.") if nothing else undone]
            made = undo.makers(timeline, spans, done)
            yield [*_left(done), *([_said(made)] if made else [])]
            with self._page.turn(self._cancel, _GRACE_S):
                undo.settled(self.objects, session)
        except CheckpointFault as fault:
            yield [_said(str(fault))]

    def _number(self) -> int:
        """Of a checkpoint taken now."""
        with self._page.turn(self._cancel):
            return self._kept(self._checkpoints.look(), self._stop_before).number

    def _beside(self, number: int) -> list[Event]:
        """What went on since the last command counts as its work up to this checkpoint, and
        an undo in between doesn't."""
        if self._went_on is None:
            return []
        step, undone = self._went_on, self._undone
        since: list[Event] = [] if undone is None else [Checkpointed(step, "before", undone)]
        return [*since, Checkpointed(step, "after", number)]

    def close(self) -> None:
        """Close the store, for all agents at it."""
        self._checkpoints.close()
        self.objects.close()

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
        if self._seconds > SLOW_S and "slow" not in self._common.said:
            self._common.said.add("slow")
            text = f"Keeping the workspace for undo took {self._seconds:.1f} s in this step."
            yield Noticed("undo", text)

    def _once(self, key: str, text: str, paths: tuple[str, ...]) -> Iterator[Event]:
        said = self._common.said
        new = [path for path in paths if f"{key} {path}" not in said]
        said |= {f"{key} {path}" for path in new}
        if new:
            yield Noticed("undo", text.format(_few(new)))

    def _broke(self, fault: CheckpointFault) -> list[Event]:
        if self._common.is_broken:
            return []
        self._common.is_broken = True
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


def open_keeper(
    store: Path,
    root: Path,
    cancel: Cancel,
    *,
    tree: str = "",
    page: Page | None = None,
) -> Keeper:
    """The keeper of a workspace, its store in that folder; CheckpointFault when it can't be.

    `page` is its agent's; without one nobody else works there.
    """
    objects = Objects(store)
    common = _Common(objects, Checkpoints(root, objects, tree=tree))
    return Keeper(common, page or Ledger(root).page("", root), cancel)


def opened_or_said(
    store: Path,
    root: Path,
    cancel: Cancel,
    *,
    tree: str,
    page: Page,
) -> tuple[Keeper | None, list[str]]:
    """The keeper of a workspace, or a line that says why nothing can be undone."""
    try:
        return open_keeper(store, root, cancel, tree=tree, page=page), []
    except CheckpointFault as fault:
        return None, [f"Nothing in this run can be undone. {fault}"]
