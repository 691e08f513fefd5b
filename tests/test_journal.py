"""The journal: all of an event or nothing, and any damage is seen and said."""

import errno
import json
import os
import re
import stat
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoagent.errors import StateError
from autoagent.events import Event, Executing, Fed, Noticed, Replied, Stopped
from autoagent.journal import Entry, Journal, hash_of, line_of, load
from tests.runs import DONE, Run, says
from tests.test_events import EVENTS

_WORDS = [Fed(text) for text in ("one", "two\n\u2028", "\ud83d\ude00 \ud800", "four", "five")]


def _written(path: Path, events: Sequence[Event]) -> bytes:
    journal = Journal(path)
    for event in events:
        journal.append([event])
    journal.close()
    return path.read_bytes()


def _real(tmp_path: Path) -> bytes:
    """The journal of a small run, as it stands on disk."""
    run = Run(tmp_path, DONE)
    list(run)
    return run.path.read_bytes()


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(EVENTS, max_size=3), max_size=4), st.integers(0, 4))
def test_what_was_appended_is_loaded_in_order(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[Event]], reopened: int
) -> None:
    """Also when the file is closed and opened again between two appends."""
    path = tmp_path_factory.mktemp("journal") / "j"
    journal = Journal(path)
    for number, batch in enumerate(batches):
        if number == reopened:
            journal.close()
            journal = Journal(path, load(path))
        journal.append(batch)
    journal.close()

    loaded = load(path)

    assert [entry.event for entry in loaded.entries] == [e for batch in batches for e in batch]
    assert [entry.number for entry in loaded.entries] == list(range(len(loaded.entries)))
    assert (loaded.size_bytes, loaded.torn_bytes) == (path.stat().st_size, 0)
    assert loaded.hash == journal.hash


def test_each_line_carries_the_hash_of_the_line_before(tmp_path: Path) -> None:
    """SHA-256 of the line as it stands in the file, its line break included, 16 digits."""
    data = _written(tmp_path / "j", _WORDS)

    lines = data.splitlines(keepends=True)

    previous = [json.loads(line.decode("utf-8", "surrogatepass"))["previous"] for line in lines]
    assert previous == ["", *map(hash_of, lines[:-1])]
    assert hash_of(b"") == "e3b0c44298fc1c14"  # SHA-256 of nothing, as published


def test_a_journal_is_nobody_elses_to_read(tmp_path: Path) -> None:
    """It holds all that the agent read."""
    _written(tmp_path / "j", _WORDS)

    assert stat.S_IMODE((tmp_path / "j").stat().st_mode) == 0o600


def test_a_new_journal_never_takes_the_place_of_another(tmp_path: Path) -> None:
    """Two sessions of one name would eat each other."""
    before = _written(tmp_path / "j", _WORDS)

    with pytest.raises(StateError, match="can't be written"):
        Journal(tmp_path / "j")

    assert (tmp_path / "j").read_bytes() == before


def test_cut_at_any_byte_it_loads_what_is_whole_and_counts_the_rest(tmp_path: Path) -> None:
    """Power may fail in the middle of any write."""
    whole = _real(tmp_path)
    path = tmp_path / "cut"
    path.write_bytes(whole)
    entries = load(path).entries

    for size in range(len(whole), -1, -1):
        os.truncate(path, size)
        loaded = load(path)
        ends = whole[:size].rfind(b"\n") + 1
        assert loaded.entries == entries[: whole[:size].count(b"\n")]
        assert (loaded.size_bytes, loaded.torn_bytes) == (ends, size - ends)


def test_a_torn_end_is_cut_off_and_the_journal_goes_on(tmp_path: Path) -> None:
    """What follows must not be glued to half a line."""
    path = tmp_path / "j"
    data = _written(path, _WORDS)
    path.write_bytes(data[:-7])

    journal = Journal(path, load(path))
    journal.append([Executing(9)])
    journal.close()

    loaded = load(path)
    assert [entry.event for entry in loaded.entries] == [*_WORDS[:-1], Executing(9)]
    assert loaded.torn_bytes == 0


def test_a_changed_byte_in_any_line_but_the_last_is_seen(tmp_path: Path) -> None:
    """Each byte of a real journal in turn; the line or the one after it is named."""
    whole = _real(tmp_path)
    path = tmp_path / "changed"
    path.write_bytes(whole)
    last = whole.rstrip(b"\n").rfind(b"\n") + 1

    with path.open("r+b", buffering=0) as file:
        for place in range(last):
            os.pwrite(file.fileno(), bytes([whole[place] ^ 1]), place)
            with pytest.raises(StateError) as caught:
                load(path)
            line = whole[:place].count(b"\n") + 1
            says_where = re.match(rf"{path}, line (\d+) is damaged", str(caught.value))
            assert says_where and int(says_where[1]) in (line, line + 1)
            os.pwrite(file.fileno(), whole[place : place + 1], place)


def _without(number: int) -> Callable[[list[bytes]], list[bytes]]:
    return lambda lines: lines[:number] + lines[number + 1 :]


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (_without(0), 1),
        (_without(2), 3),
        (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], 2),
        (lambda lines: [*lines[:3], lines[2], *lines[3:]], 4),
        (lambda lines: [*lines[:2], b"\n", *lines[2:]], 3),
        (lambda lines: [*lines[:2], b"[]\n", *lines[2:]], 3),
        (lambda lines: [*lines[:2], b"\xff\xfe\n", *lines[2:]], 3),
        (lambda lines: [*lines[:2], b"[" * 100_000 + b"\n", *lines[2:]], 3),
        (lambda lines: [*lines[:2], lines[2].replace(b'"n":2', b'"m":2'), *lines[3:]], 3),
        (lambda lines: [*lines[:2], re.sub(rb'(?<="at":)[\d.]+', b"9" * 400, lines[2])], 3),
    ],
)
def test_a_missing_swapped_or_foreign_line_is_named(
    tmp_path: Path, damage: Callable[[list[bytes]], list[bytes]], line: int
) -> None:
    """One sentence with file and line, exit 8, and the file untouched for whoever mends it."""
    path = tmp_path / "j"
    lines = _written(path, _WORDS).splitlines(keepends=True)
    path.write_bytes(b"".join(damage(lines)))
    before = path.read_bytes()

    with pytest.raises(StateError, match=f"/j, line {line} is damaged") as caught:
        load(path)

    assert caught.value.exit_code == 8
    assert path.read_bytes() == before


@pytest.mark.parametrize("line", [1, 3])
def test_the_command_in_the_sentence_keeps_a_copy_and_mends_the_journal(
    tmp_path: Path, line: int
) -> None:
    """It is pasted as printed, also for a folder with blanks; before line 1 nothing stands."""
    folder = tmp_path / "a user's state"
    folder.mkdir()
    path = folder / "journal.jsonl"
    lines = _written(path, _WORDS).splitlines(keepends=True)
    lines[line - 1] = b"{}\n"
    path.write_bytes(b"".join(lines))
    damaged = path.read_bytes()

    with pytest.raises(StateError) as caught:
        load(path)

    if line == 1:
        assert "Nothing stands before that line" in str(caught.value)
        return
    subprocess.run(["sh", "-c", str(caught.value).split("before that line: ")[1]], check=True)
    assert (folder / "journal.jsonl.damaged").read_bytes() == damaged
    assert [entry.event for entry in load(path).entries] == _WORDS[: line - 1]


def test_a_journal_of_a_newer_version_is_refused_in_a_sentence(tmp_path: Path) -> None:
    """An older program must not guess what a newer one wrote."""
    run = Run(tmp_path, DONE)
    list(run)
    newer = run.path.read_bytes().replace(b'"schema_version":1', b'"schema_version":2')
    run.path.write_bytes(newer)

    with pytest.raises(
        StateError, match=r"newer autoagent \(journal version 2, this one reads 1\)"
    ):
        load(run.path)

    assert run.path.read_bytes() == newer


def test_a_journal_that_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    """Missing, or a folder: never a traceback."""
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(StateError, match="can't be read"):
            load(path)


class SmallDisk:
    """A disk with room for so many bytes, that takes at most `piece` of them in one write."""

    def __init__(self, room: int, piece: int = 1 << 20) -> None:
        self.room = room
        self._piece = piece

    def write(self, descriptor: int, data: bytes) -> int:
        if self.room == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = os.write(descriptor, data[: min(self.room, self._piece)])
        self.room -= written
        return written

    def fsync(self, descriptor: int) -> None:
        os.fsync(descriptor)


class LyingDisk(SmallDisk):
    """A disk that takes everything and fails only when it shall be certain."""

    def fsync(self, descriptor: int) -> None:
        if self.room:
            raise OSError(errno.EIO, os.strerror(errno.EIO))


_BATCH: list[Event] = [Fed("x" * 20), Noticed("limit", "y")]


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    """All or none of a batch, at every ninth byte; with room again the session goes on."""
    first = _written(tmp_path / "j", _WORDS)
    size = len(b"".join(line_of(Entry(5, "0" * 16, 1234567890.123456, e)) for e in _BATCH))

    for room in range(0, size - 10, 9):
        path = tmp_path / f"{room}"
        path.write_bytes(first)
        disk = SmallDisk(room, piece=7)
        journal = Journal(path, load(path), disk)
        with pytest.raises(StateError, match="disk is full") as caught:
            journal.append(_BATCH)
        assert caught.value.exit_code == 8
        assert path.read_bytes() == first
        disk.room = 10_000
        journal.append(_BATCH)
        journal.close()
        assert [entry.event for entry in load(path).entries] == [*_WORDS, *_BATCH]
        path.unlink()


def test_an_event_that_is_not_certain_on_disk_is_not_kept(tmp_path: Path) -> None:
    """A failed fsync may have lost anything: nobody acts on such an event."""
    first = _written(tmp_path / "j", _WORDS)
    disk = LyingDisk(10_000)
    journal = Journal(tmp_path / "j", load(tmp_path / "j"), disk)

    with pytest.raises(StateError, match="can't be written: Input/output error"):
        journal.append(_BATCH)

    assert (tmp_path / "j").read_bytes() == first
    journal.close()


def test_a_run_on_a_full_disk_ends_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    """Nothing runs that isn't on disk first, and nothing that ran is lost."""
    steps = [says("append_file", path="log", content="x\n"), DONE]
    disk = SmallDisk(1500)
    full = Run(tmp_path, *steps, disk=disk)
    shown: list[Event] = []

    with pytest.raises(StateError, match="disk is full"):
        shown.extend(full)
    assert full.loaded() == shown[: len(full.loaded())]
    replies = sum(isinstance(event, Replied) for event in full.loaded())
    resumed = list(Run(tmp_path, *steps[replies:]))

    assert (full.workspace / "log").read_text() == "x\n"
    assert isinstance(resumed[-1], Stopped) and resumed[-1].status == "done"
    assert full.loaded()[-1] == resumed[-1]
