"""What holds for every tree and every run of changes."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from autoagent.checkpoints.checkpoint import Checkpoints
from autoagent.checkpoints.objects import Objects
from autoagent.checkpoints.undo import Undoing, settled, undo
from autoagent.events import Span
from tests.trees import Change, Picture, changes, make, picture, steps

SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large)


@dataclass
class History:
    """A tree, what it was after each step, and the spans of its steps and undos."""

    root: Path
    objects: Objects
    checkpoints: Checkpoints
    pictures: list[Picture]
    spans: list[Span]

    def step(self, some: list[Change]) -> None:
        before = self.checkpoints.take().number
        make(self.root, some)
        after = self.checkpoints.take().number
        self.spans.append(Span(len(self.pictures), before, after))
        self.pictures.append(picture(self.root))

    def back_to(self, step: int, *, force: bool = False) -> Undoing:
        later = [span for span in self.spans if span.step > step]
        done = undo(self.checkpoints, self.objects, "one", later, step, force=force)
        settled(self.objects, "one")
        self.spans.append(Span(len(self.pictures), done.before, done.after))
        self.pictures.append(picture(self.root))
        return done


@contextmanager
def history(first: list[Change]) -> Iterator[History]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "tree")
        root.mkdir()
        make(root, first)
        objects = Objects(Path(folder, "store"))
        checkpoints = Checkpoints(root, objects)
        yield History(root, objects, checkpoints, [picture(root)], [])
        checkpoints.close()
        objects.close()


@settings(max_examples=40, deadline=None, suppress_health_check=SLOW)
@given(first=st.lists(changes, max_size=12), run=steps, to=st.integers(0, 100))
def test_an_undo_brings_back_every_byte_mode_link_and_folder_of_any_step(
    first: list[Change], run: list[list[Change]], to: int
) -> None:
    """The promise of issue 3, point 7; and an undo is a change like any other."""
    with history(first) as tree:
        for some in run:
            tree.step(some)
        last = tree.pictures[-1]
        target = to % (len(run) + 1)

        back = tree.back_to(target)
        taken_back = picture(tree.root)
        again = tree.back_to(len(run))

        assert (taken_back, back.skipped) == (tree.pictures[target], ())
        assert (picture(tree.root), again.skipped) == (last, ())


@settings(max_examples=15, deadline=None, suppress_health_check=SLOW)
@given(run=steps, mine=st.lists(changes, min_size=1, max_size=5), to=st.integers(0, 100))
@example(  # another name for a file whose mode is to be what it was
    run=[[("write", "b", "c", b"same")], [("mode", "b", "c", b"same")]],
    mine=[("pair", "a", "b", b"same")],
    to=1,
)
def test_what_a_person_changed_afterwards_is_left_alone_and_named(
    run: list[list[Change]], mine: list[Change], to: int
) -> None:
    """Nobody's own work may be lost to an undo."""
    with history([]) as tree:
        for some in run:
            tree.step(some)
        left = picture(tree.root)
        make(tree.root, mine)
        before = picture(tree.root)

        done = tree.back_to(to % (len(run) + 1))

        after = picture(tree.root)
        touched = {path for path in before | left if before.get(path) != left.get(path)}
        assert {path: after.get(path) for path in touched} == {
            path: before.get(path) for path in touched
        }
        assert not touched & set(done.paths)


@settings(max_examples=15, deadline=None, suppress_health_check=SLOW)
@given(run=steps, mine=st.lists(changes, max_size=5), to=st.integers(0, 100))
def test_an_undo_by_force_can_be_taken_back_as_well(
    run: list[list[Change]], mine: list[Change], to: int
) -> None:
    """Its own checkpoint before it holds what a person had changed."""
    with history([]) as tree:
        for some in run:
            tree.step(some)
        make(tree.root, mine)
        before = picture(tree.root)
        steps_before = len(tree.pictures) - 1

        tree.back_to(to % (len(run) + 1), force=True)
        tree.back_to(steps_before)

        assert picture(tree.root) == before


@settings(max_examples=15, deadline=None, suppress_health_check=SLOW)
@given(first=st.lists(changes, max_size=12), run=steps)
def test_a_new_process_finds_the_tree_as_it_was_left(
    first: list[Change], run: list[list[Change]]
) -> None:
    """What is read of the store again says that nothing has changed."""
    with history(first) as tree:
        for some in run:
            tree.step(some)

        again = Checkpoints(tree.root, tree.objects).take()

        assert (again.number, again.changed) == (tree.spans[-1].after, ())
