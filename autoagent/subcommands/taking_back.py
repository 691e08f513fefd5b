"""The subcommands undo, diff and apply: a session's changes to its workspace, on their own."""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from autoagent import sessions
from autoagent.checkpoints import undo
from autoagent.checkpoints.checkpoint import Checkpoints
from autoagent.checkpoints.difference import Tally, difference
from autoagent.checkpoints.manifest import innards
from autoagent.checkpoints.objects import Objects, told
from autoagent.checkpoints.restoring import Skipped
from autoagent.checkpoints.timeline import Timeline
from autoagent.checkpoints.undo import Undoing, Wish
from autoagent.configuration.places import Places
from autoagent.configuration.secrets import Redactor
from autoagent.configuration.settings import Settings
from autoagent.errors import ConfigError
from autoagent.events import Checkpointed, Event, Span
from autoagent.journal import Journal, load
from autoagent.running import cleaned
from autoagent.sessions.spans import step_spans, tree_spans, unclosed
from autoagent.sessions.tree import Tree, entries_of, folder_of
from autoagent.state import State, fold
from autoagent.terminal.escape import escaped, one_line
from autoagent.terminal.output import Output, Style

_LISTED = 20
_LEFT = 6
"""Exit code when something was left as it is: a person has to look."""


def take_back(settings: Settings, wanted: str, to: str | None, out: Output, *, force: bool) -> int:
    """`autoagent undo [ID] [--to STEP] [--force]`."""
    with _opened(settings, wanted) as held:
        if undo.is_cut_off(held.objects, held.name):
            out.line("An undo of this session was cut off; it is completed now.")
            spans, step = list[Span](), 0
        else:
            up_to = _step(held.state, to)
            spans, step = undo.meant(held.spans(up_to), up_to)
            if not spans:
                out.line("There is nothing to take back.")
                return 0
        done = undo.undo(held.checkpoints, held.objects, held.name, spans, step, force=force)
        made = held.clean(undo.makers(held.checkpoints.timeline, spans, done))
        done = held.journaled(done)
    _tell(out, done, "taken back", made)
    _tell_damage(out, held.damage)
    if done.paths:
        out.line(f"To take this back: autoagent undo {held.name}")
    return _LEFT if done.skipped else 0


def bring_in(settings: Settings, wanted: str, out: Output, *, force: bool) -> int:
    """`autoagent apply ID [--force]`."""
    with _opened(settings, wanted) as held:
        if not held.is_dry_run:
            raise ConfigError(
                f"Session {held.name} worked in {str(held.workspace)!r} itself: there is nothing "
                "to bring in. --dry-run makes a session work on a copy."
            )
        if undo.is_cut_off(held.objects, held.name):
            out.line("The last time was cut off; it is completed now.")
        changes, unknown = held.changes_of_copy()
        done = undo.bring_in(
            held.checkpoints, held.objects, held.name, changes, held.state.step, force=force
        )
        done = held.journaled(done)
    _tell(out, done, "brought in")
    _tell_damage(out, held.damage)
    _name(out, unknown)
    if done.paths:
        out.line(f"To take this back: autoagent undo {held.name}")
    return _LEFT if done.skipped or unknown else 0


def show(settings: Settings, wanted: str, step: str | None, out: Output) -> int:
    """`autoagent diff [ID] [--step N]`: what the session changed, between its first step and its
    last, or in one of them."""
    found = sessions.find(settings.places.sessions, wanted, settings.workspace)
    tree = Tree(found.folder)
    state = fold([entry.event for entry in tree.more() if not entry.agent])
    show_line = _coloured(out) if out.is_terminal else _write_raw
    print_difference(settings.places, state, out, show_line, _one_step(state, step))
    _tell_damage(out, tree.damage)
    return 0


def tell_dry_run(places: Places, state: State, out: Output, *, program: str = "autoagent") -> None:
    """What a dry run came to, and how to bring it in, by the `program` that can be pasted."""
    assert state.started is not None
    out.line()
    print_difference(places, state, out, _coloured(out))
    if _spans(places, state):
        out.line("To bring this into the workspace:")
        out.line(f"  {escaped(program)} apply {state.started.session}", "bold")


def print_difference(
    places: Places,
    state: State,
    out: Output,
    show_line: Callable[[str], None],
    step: int | None = None,
) -> None:
    """The difference that a session made, or a step of it; of a dry run what it would make if
    it was brought in."""
    with _changes(places, state, step) as (changes, skipped, objects):
        tally = Tally()
        for line in difference(changes, objects, tally):
            show_line(line)
        _name(out, skipped)
        out.line(str(tally), "bold")


def difference_of(places: Places, state: State, step: int | None = None) -> Iterator[str]:
    """The lines of that difference, or of what one step changed, and as the last one what they
    come to. Nothing is escaped."""
    with _changes(places, state, step) as (changes, skipped, objects):
        tally = Tally()
        yield from difference(changes, objects, tally)
        yield from (f"unknown {one.path}: {one.why}" for one in skipped)
        yield str(tally)


@contextmanager
def _changes(
    places: Places, state: State, step: int | None = None
) -> Iterator[tuple[list[Wish], list[Skipped], Objects]]:
    started = state.started
    assert started is not None
    objects = Objects(places.checkpoints(Path(started.workspace)))
    with closing(objects), told("The checkpoints can't be read"):
        tree = started.session if started.dry_run else ""
        spans = [s for s in _spans(places, state, step) if not (started.dry_run and s.undone)]
        changes, skipped = undo.wishes(Timeline(objects, tree), spans)
        yield changes, skipped, objects


def _spans(places: Places, state: State, step: int | None = None) -> list[Span]:
    """Of all agents of the session."""
    assert state.started is not None
    folder = places.sessions / state.started.session
    return tree_spans(folder, state) if step is None else step_spans(folder, state, step)


@dataclass(slots=True)
class _Held:
    """A session that no process works on, its journals and its checkpoints."""

    name: str
    folder: Path
    state: State  # of its own agent
    damage: Mapping[str, str]  # what is wrong with journals of its sub-agents
    workspace: Path
    copy: Path
    objects: Objects
    checkpoints: Checkpoints  # of the workspace
    clean: Callable[[str], str]

    @property
    def is_dry_run(self) -> bool:
        return self.state.started is not None and self.state.started.dry_run

    def spans(self, to: int | None) -> list[Span]:
        """What was changed in the workspace itself, up to the end of that step and after it; a
        command that was cut off ends now."""
        if self.is_dry_run:
            return [span for span in self.state.spans if span.undone]
        self._close(self.checkpoints)
        return tree_spans(self.folder, self.state, to)

    def changes_of_copy(self) -> tuple[list[Wish], list[Skipped]]:
        copy = Checkpoints(self.copy, self.objects, tree=self.name)
        self._close(copy)
        spans = [span for span in tree_spans(self.folder, self.state) if not span.undone]
        return undo.wishes(copy.timeline, spans)

    def _close(self, checkpoints: Checkpoints) -> None:
        """End what agents were at when they were killed, with what stands there now."""
        open_ones = unclosed(entries_of(self.folder))
        ended = {name: one for name, one in open_ones.items() if name not in self.damage}
        if ended:
            number = checkpoints.take().number
            for agent, one in ended.items():
                self._append(Checkpointed(one.step, "after", number), agent)

    def journaled(self, done: Undoing) -> Undoing:
        """Write it down, unless it was already before this process came; as it can be told."""
        known = any(s.undone and s.before == done.before for s in self.state.spans)
        if not known and (done.paths or done.skipped):
            # The changes of a dry run stay in its copy, whatever becomes of those brought in.
            every = [] if self.is_dry_run else tree_spans(self.folder, self.state)
            event = undo.event_of(done, self.checkpoints.timeline, every)
            self._append(cleaned(event, self.clean))
        undo.settled(self.objects, self.name)
        skipped = tuple(replace(one, path=self.clean(one.path)) for one in done.skipped)
        return replace(done, paths=tuple(map(self.clean, done.paths)), skipped=skipped)

    def _append(self, event: Event, agent: str = "") -> None:
        path = folder_of(self.folder, agent) / sessions.JOURNAL
        with closing(Journal(path, load(path), agent=agent)) as journal:
            journal.append([event])
        if not agent:
            self.state.apply(event)


@contextmanager
def _opened(settings: Settings, wanted: str) -> Iterator[_Held]:
    places = settings.places
    found = sessions.find(places.sessions, wanted, settings.workspace)
    workspace = Path(found.started.workspace)
    with ExitStack() as stack:
        stack.callback(sessions.Lock(found.folder).release)
        stack.enter_context(told("The checkpoints can't be read"))
        tree = Tree(found.folder)
        state = fold([entry.event for entry in tree.more() if not entry.agent])
        objects = Objects(places.checkpoints(workspace))
        stack.callback(objects.close)
        checkpoints = Checkpoints(workspace, objects)
        stack.callback(checkpoints.close)
        name, folder = found.folder.name, found.folder
        copy = places.copy(name, workspace)
        clean = Redactor(settings.secrets).clean
        yield _Held(name, folder, state, tree.damage, workspace, copy, objects, checkpoints, clean)


def _step(state: State, to: str | None) -> int | None:
    """The step of --to; ConfigError when it is none of this session."""
    if to is None:
        return None
    if not to.isdecimal() or int(to) > state.step:
        raise ConfigError(
            f"--to {to!r:.40} isn't a step of this session: it made {state.step}; 0 is before "
            "the first."
        )
    return int(to)


def _one_step(state: State, step: str | None) -> int | None:
    """The step of --step; ConfigError when it is none of this session."""
    if step is None:
        return None
    if step not in map(str, range(1, state.step + 1)):
        raise ConfigError(
            f"--step {step!r:.40} isn't a step of this session: it made {state.step}."
        )
    return int(step)


def _tell_damage(out: Output, damage: Mapping[str, str]) -> None:
    """Whose later changes nobody knows."""
    for agent, fault in damage.items():
        out.line(f"What the agent {one_line(agent, 80)} did later isn't known:", "magenta")
        out.line(f"  {escaped(fault)}")


def _tell(out: Output, done: Undoing, verb: str, made: str = "") -> None:
    moved = zip(done.paths, done.how, strict=True)
    named = [(path, how) for path, how in moved if not innards(path)]
    for path, how in named[:_LISTED]:
        out.line(f"  {one_line(path, 200)}{f' ({how})' if done.what == 'undo' else ''}")
    if len(named) > _LISTED:
        out.line(f"  and {len(named) - _LISTED} more")
    for folder, count in Counter(filter(None, map(innards, done.paths))).items():
        out.line(f"  {count} in {one_line(folder, 200)}/")
    changes = f"{len(done.paths)} change{'s' if len(done.paths) != 1 else ''}"
    out.line(f"{changes} {verb}.", "bold")
    if made:
        out.line(escaped(made))
    _name(out, done.skipped)


def _name(out: Output, skipped: Iterable[Skipped]) -> None:
    """The paths that were left as they are, each with its reason."""
    skipped = list(skipped)
    if not skipped:
        return
    out.line("Left as they are:", "magenta")
    for one in skipped[:_LISTED]:
        out.line(f"  {one_line(one.path, 200)}: {one.why}")
    if len(skipped) > _LISTED:
        out.line(f"  and {len(skipped) - _LISTED} more")
    whys = {one.why for one in skipped}
    if not whys.isdisjoint({undo.CHANGED_SINCE, undo.BETWEEN}):
        out.line("--force takes also what somebody else changed; that can be taken back, too.")
    if undo.NOT_KEPT_NOW in whys:
        out.line("--force takes also what is not kept; that can't be taken back.")


def _write_raw(line: str) -> None:
    """As it is, for programs."""
    sys.stdout.buffer.write(line.encode("utf-8", "surrogateescape") + b"\n")
    sys.stdout.buffer.flush()


def _coloured(out: Output) -> Callable[[str], None]:
    """Harmless for a terminal."""
    styles: dict[str, Style] = {"+": "green", "-": "red", "@": "dim"}
    return lambda line: out.line(escaped(line), styles.get(line[:1]))
