"""What is freed in a store of checkpoints is what nobody can go back to."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoagent.checkpoints.checkpoint import Checkpoints
from autoagent.checkpoints.freeing import InUse, Needed, free, freeable
from autoagent.checkpoints.objects import LARGE_BYTES, MissingContent, Objects
from autoagent.checkpoints.timeline import Timeline
from autoagent.sizes import taken
from tests.test_checkpoint_laws import SLOW, History, history
from tests.trees import Change, changes, steps


def reopened(tree: History, needed: Needed) -> int:
    """Free in its store, which nobody may have open meanwhile; bytes."""
    tree.checkpoints.close()
    tree.objects.close()
    store = tree.objects.folder
    size = free(store, needed)
    tree.objects = Objects(store)
    tree.checkpoints = Checkpoints(tree.root, tree.objects)
    return size


@settings(max_examples=30, deadline=None, suppress_health_check=SLOW)
@given(first=st.lists(changes, max_size=12), run=steps, since=st.integers(0, 100))
def test_every_step_of_a_session_that_is_kept_can_still_be_gone_back_to(
    first: list[Change], run: list[list[Change]], since: int
) -> None:
    """Whatever older sessions did before: only what they alone needed goes."""
    with history(first) as tree:
        for some in run:
            tree.step(some)
        oldest = since % len(run) if run else 0
        floor = tree.spans[oldest].before if run else None

        reopened(tree, Needed(floor, frozenset({"one"})))

        for target in range(len(run), oldest - 1, -1):
            back = tree.back_to(target)
            assert (tree.pictures[-1], back.skipped) == (tree.pictures[target], ())


def contents(store: Path, *digests: bytes) -> list[bytes | None]:
    """Each of these contents; None: it is gone."""
    objects = Objects(store)
    found: list[bytes | None] = []
    for digest in digests:
        try:
            found.append(b"".join(objects.pieces(digest)))
        except MissingContent:
            found.append(None)
    objects.close()
    return found


def three_versions(folder: Path, size: int) -> tuple[Path, list[int], list[bytes]]:
    """A store that saw a file in three versions: the numbers and digests of them."""
    root, store = folder / "tree", folder / "store"
    root.mkdir()
    objects = Objects(store)
    checkpoints = Checkpoints(root, objects)
    numbers, digests = [], []
    for sign in b"abc":
        (root / "file").write_bytes(bytes([sign]) * size)
        numbers.append(checkpoints.take().number)
        node = Timeline(objects, "").at("file", numbers[-1])
        assert node is not None and node.digest is not None
        digests.append(node.digest)
    checkpoints.close()
    objects.close()
    return store, numbers, digests


@pytest.mark.parametrize("size", [1000, 2 * LARGE_BYTES])
def test_versions_before_the_floor_go_and_what_stood_at_it_stays(tmp_path: Path, size: int) -> None:
    """Small contents lie in the database, large ones in files of their own."""
    store, numbers, digests = three_versions(tmp_path, size)
    before = taken(store)
    foreseen = freeable(store, Needed(numbers[1], frozenset({"one"})))

    freed = free(store, Needed(numbers[1], frozenset({"one"})))

    assert [found and found[:1] for found in contents(store, *digests)] == [None, b"b", b"c"]
    assert foreseen >= size
    assert freed >= (size if size > LARGE_BYTES else 0)
    assert taken(store) <= before


def test_a_store_that_no_session_needs_goes_as_a_whole_and_is_made_anew(tmp_path: Path) -> None:
    """And a file that a killed process left in it, too."""
    store, _, digests = three_versions(tmp_path, 1000)
    (store / "large" / "new-left").write_bytes(b"x")

    free(store, Needed(None, frozenset()))

    assert not store.exists()
    assert contents(store, *digests) == [None, None, None]


def test_nothing_is_freed_while_somebody_has_the_store_open(tmp_path: Path) -> None:
    """They may be about to name what nobody names yet."""
    store, numbers, digests = three_versions(tmp_path, 1000)
    objects = Objects(store)

    with pytest.raises(InUse):
        free(store, Needed(numbers[2], frozenset({"one"})))
    foreseen = freeable(store, Needed(numbers[2], frozenset({"one"})))
    objects.close()

    assert foreseen == 0
    assert None not in contents(store, *digests)


def test_the_copies_of_dry_runs_that_are_gone_go_and_the_others_stay(tmp_path: Path) -> None:
    """Each is a tree by the name of its session."""
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "file").write_bytes(b"x" * 1000)
    objects = Objects(tmp_path / "store")
    for session in ("kept", "gone"):
        (copy / "file").write_text(session)
        Checkpoints(copy, objects, tree=session).take()
    objects.close()

    free(tmp_path / "store", Needed(None, frozenset({"kept"})))

    objects = Objects(tmp_path / "store")
    heads = [Timeline(objects, session).head for session in ("kept", "gone")]
    objects.close()
    assert (heads[0] > 0, heads[1]) == (True, 0)


def test_a_stray_file_of_a_killed_process_goes(tmp_path: Path) -> None:
    """Cut off between the file and its row, or between a row's end and its file's."""
    store, numbers, _ = three_versions(tmp_path, 2 * LARGE_BYTES)
    (store / "large" / "new-0123").write_bytes(b"x" * 10)

    free(store, Needed(numbers[0], frozenset({"one"})))

    assert len(os.listdir(store / "large")) == 3  # noqa: PTH208
