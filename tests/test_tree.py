"""The journals of a session's agents as one: whose entries come when, live and afterwards."""

from pathlib import Path
from threading import Event as Flag
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoagent.errors import StateError
from autoagent.events import Event, Executed, Noticed, Spawned, Stopped
from autoagent.journal import Entry, hash_of, line_of, load
from autoagent.sessions import Lock
from autoagent.sessions.following import followed
from autoagent.sessions.tree import Tree, entries_of, folder_of
from tests.past import DONE, started, step
from tests.past_teams import Team, reported, spawned, texts, worked

LIMIT_S = 30.0
AGENTS = ("", "tests", "docs", "docs/links")


def written(folder: Path, agent: str, timed: list[tuple[float, Event]]) -> None:
    """A journal whose times a test chooses, as a clock that is set back makes them."""
    path = folder_of(folder, agent) / "journal.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines: list[bytes] = []
    for number, (at, event) in enumerate(timed):
        previous = hash_of(lines[-1]) if lines else ""
        lines.append(line_of(Entry(number, previous, at, event, agent)))
    path.write_bytes(b"".join(lines))


def own(entries: list[Entry], agent: str) -> list[Entry]:
    return [entry for entry in entries if entry.agent == agent]


def test_all_entries_come_in_the_order_of_time_and_say_whose_they_are(tmp_path: Path) -> None:
    """As they were appended, by whomever; nothing is left out."""
    team = worked(tmp_path, tmp_path / "work")

    entries = entries_of(team.folder)

    done = [
        (entry.agent, entry.event.text) for entry in entries if isinstance(entry.event, Executed)
    ]
    assert done == [
        ("", "root 1"),
        ("docs", "docs 1"),
        ("tests", "tests 1"),
        ("docs/links", "links 1"),
        ("", "root 2"),
    ]
    for agent in AGENTS:
        assert tuple(own(entries, agent)) == load(team.path(agent)).entries


clock = st.lists(st.floats(0, 5), min_size=1, max_size=6)


@given(times=st.tuples(clock, clock, clock), spawn=st.integers(0, 5))
def test_whatever_the_clock_did_each_keeps_its_order_and_none_comes_before_it_is_named(
    tmp_path_factory: pytest.TempPathFactory,
    times: tuple[list[float], list[float], list[float]],
    spawn: int,
) -> None:
    """A clock may be set back in the middle of a night's run."""
    folder = tmp_path_factory.mktemp("S")
    names = ("", "a", "a/b")
    for agent, ticks, child in zip(names, times, ("a", "b", ""), strict=True):
        events: list[Event] = [started(agent, "/w"), *(Noticed("place", str(n)) for n in range(5))]
        events = events[: len(ticks)]
        if child:
            events.insert(min(spawn, len(events)), spawned(child, "task"))
            ticks = [*ticks, ticks[-1]]
        written(folder, agent, list(zip(ticks, events, strict=True)))

    entries = entries_of(folder)

    for agent in names:
        assert (
            tuple(own(entries, agent)) == load(folder_of(folder, agent) / "journal.jsonl").entries
        )
    for agent, name in (("a", "a"), ("a/b", "b")):
        named = [n for n, e in enumerate(entries) if e.event == spawned(name, "task")]
        assert named[0] < min(n for n, entry in enumerate(entries) if entry.agent == agent)


def test_one_that_has_not_begun_is_absent_and_half_a_line_is_left_out(tmp_path: Path) -> None:
    """It waits for its turn, or the machine went down in the middle of a line."""
    team = Team(tmp_path, tmp_path)
    team.begin("tests", "Test.")
    team.add("", spawned("docs", "Document."))
    team.add("tests", *step(1))
    whole = entries_of(team.folder)
    with team.path("tests").open("ab") as journal:
        journal.write(b'{"n":9,"prev')

    entries = entries_of(team.folder)

    assert entries == whole
    assert {entry.agent for entry in entries} == {"", "tests"}


def test_only_whom_a_journal_names_is_read_and_no_name_leads_out(tmp_path: Path) -> None:
    """A folder that somebody put there is no agent's; a journal may have been changed."""
    team = Team(tmp_path, tmp_path)
    team.begin("tests", "Test.")
    team.add("", spawned("../../other", "Get out."))
    stray = team.folder / "agents" / "stray"
    stray.mkdir()
    (stray / "journal.jsonl").write_bytes(team.path("tests").read_bytes())

    entries = entries_of(team.folder)

    assert {entry.agent for entry in entries} == {"", "tests"}


def test_a_damaged_journal_is_told_in_its_agents_name_and_hides_nothing_else(
    tmp_path: Path,
) -> None:
    """What stands before the damage is given, too; the session's own is no session without."""
    team = worked(tmp_path, tmp_path)
    path = team.path("docs")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], b"rubbish\n", *lines[4:]]))

    tree = Tree(team.folder)
    entries = tree.more()

    docs = own(entries, "docs")
    assert len(docs) == 4
    assert isinstance(docs[-1].event, Noticed)
    assert f"{path}, line 4 is damaged" in docs[-1].event.text
    assert tree.damage == {"docs": docs[-1].event.text}
    assert len(own(entries, "tests")) == len(load(team.path("tests")).entries)
    assert entries[-1].event == Stopped("done", 0, "The answer.", elapsed_s=7.0)
    team.path("").write_bytes(b"rubbish\n")
    with pytest.raises(StateError, match="line 1 is damaged"):
        entries_of(team.folder)


def test_a_tree_that_grows_gives_each_entry_once(tmp_path: Path) -> None:
    """And does not look again at those that have reported."""
    team = Team(tmp_path, tmp_path)
    tree = Tree(team.folder)
    first = tree.more()
    team.begin("docs", "Document.")
    team.begin("docs/links", "Look.")
    team.add("docs/links", *step(1, text="links 1"))
    second = tree.more()
    open_ones = set(tree.folders)
    team.end("docs/links", "ok", reported("links"))
    team.end("docs", "ok", reported("docs"))

    third = tree.more()

    assert len(first) == 1
    assert texts([entry.event for entry in second]) == ["links 1"]
    assert [*first, *second, *third] == entries_of(team.folder)
    assert open_ones == {folder_of(team.folder, agent) for agent in ("", "docs", "docs/links")}
    assert tree.folders == [team.folder]


def test_one_that_only_pauses_may_still_grow(tmp_path: Path) -> None:
    """It goes on with the session."""
    team = Team(tmp_path, tmp_path)
    team.begin("docs", "Document.")
    team.add("", reported("docs", paused=True))
    tree = Tree(team.folder)
    tree.more()

    team.add("docs", *step(1, text="docs 1"))

    assert texts([entry.event for entry in tree.more()]) == ["docs 1"]


def test_new_sub_agents_are_followed_as_they_appear(tmp_path: Path) -> None:
    """Whoever watches need not know their names beforehand."""
    team = Team(tmp_path, tmp_path)
    lock = Lock(team.folder)
    seen: list[Entry] = []
    came = Flag()

    def follow() -> None:
        for entries in followed(team.folder):
            seen.extend(entries)
            if any(entry.agent == "docs/links" for entry in seen):
                came.set()

    thread = Thread(target=follow, daemon=True)
    thread.start()
    team.begin("docs", "Document.")
    team.begin("docs/links", "Look.")
    assert came.wait(LIMIT_S)
    team.add("docs/links", *step(1))
    team.end("docs/links", "ok", reported("links"))
    team.end("docs", "ok", reported("docs"))
    team.add("", DONE)
    thread.join(LIMIT_S)
    lock.release()

    assert not thread.is_alive()
    for agent in ("", "docs", "docs/links"):
        assert tuple(own(seen, agent)) == load(team.path(agent)).entries
    named = next(n for n, e in enumerate(seen) if isinstance(e.event, Spawned))
    assert named < min(n for n, entry in enumerate(seen) if entry.agent)
