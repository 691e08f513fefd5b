"""Undo and diff where several agents changed the workspace, also at the same time."""

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoagent.checkpoints.keeping import open_keeper
from autoagent.configuration.places import Places
from autoagent.events import Checkpointed, Event, Executed, Noticed, Span, Stopped, Undone
from autoagent.journal import Entry, load
from autoagent.sessions import removal
from autoagent.sessions.spans import spans_of, tree_spans
from autoagent.state import fold
from commands.cancel import Cancel
from tests.past import started, step
from tests.past_teams import Kept, Team, names_in, reported
from tests.program import Program
from tests.runs import DONE, Run, says


class Worked:
    """A program with a session in which its agents change files; `kept` takes checkpoints."""

    def __init__(self, folder: Path) -> None:
        self.program = Program(folder)
        self.places = Places(None, self.program.home, self.program.home)
        self.workspace = self.program.workspace
        self.team = Team(self.program.home, self.workspace)
        self.kept = Kept(self.team, self.places.checkpoints(self.workspace))

    def end(self) -> None:
        self.kept.close()
        self.team.add("", Stopped("done", 0, "The answer."))

    @property
    def names(self) -> list[str]:
        return names_in(self.workspace)


@pytest.fixture
def worked(tmp_path: Path) -> Worked:
    """Step 1 of the session's agent writes a; then `tests` writes b, alone; then `docs` writes c
    while `docs/links` writes d; then step 2 writes e."""
    made = Worked(tmp_path)
    made.kept.change("", 1, "a")
    made.team.begin("tests", "Test.")
    made.team.begin("docs", "Document.")
    made.kept.change("tests", 1, "b")
    made.team.begin("docs/links", "Look.")
    made.kept.before("docs", 1)
    made.kept.before("docs/links", 1)
    made.kept.write("docs", "c")
    made.kept.after("docs", 1)
    made.kept.write("docs/links", "d")
    made.kept.after("docs/links", 1)
    made.team.end("docs", "ok", reported("docs", changed=("c", "d")))
    made.team.end("tests", "ok", reported("tests", changed=("b",)))
    made.kept.change("", 2, "e")
    made.end()
    return made


def test_spans_of_agents_that_worked_at_the_same_time_are_one(worked: Worked) -> None:
    """Nobody can tell whose change it was; what one after the other did stays apart."""
    state = fold([entry.event for entry in load(worked.team.path("")).entries])

    spans = tree_spans(worked.team.folder, state)

    assert [(span.step, span.agents) for span in spans] == [
        (1, ("",)),
        (1, ("tests",)),
        (1, ("docs", "docs/links")),
        (2, ("",)),
    ]
    assert all(one.after <= other.before for one, other in pairwise(spans))


def test_an_undo_takes_back_what_every_agent_changed_and_says_who(worked: Worked) -> None:
    """A night's work of eight agents is one thing to regret; a second undo brings it back."""
    before = worked.names

    done = worked.program.run("undo", "--to", "0")
    left = worked.names
    again = worked.program.run("undo")

    assert (before, left, worked.names) == (["a", "b", "c", "d", "e"], [], before)
    assert "Made by docs, docs/links, tests, the session's own agent.\n" in done.out
    assert (done.code, again.code) == (0, 0)


def test_the_newest_change_may_be_that_of_a_sub_agent(tmp_path: Path) -> None:
    """Of its own alone; what was done before stays."""
    made = Worked(tmp_path)
    made.kept.change("", 1, "a")
    made.team.begin("tests", "Test.")
    made.kept.change("tests", 1, "b")
    made.end()

    done = made.program.run("undo")

    assert (done.code, made.names) == (0, ["a"])
    assert "Made by tests.\n" in done.out


def test_to_a_step_is_as_it_was_when_that_step_of_the_sessions_agent_ended(
    worked: Worked,
) -> None:
    """Sub-agents that worked then have their changes kept."""
    worked.program.run("undo", "--to", "1")

    assert worked.names == ["a", "b", "c", "d"]


def test_a_change_that_reaches_over_the_end_of_a_step_is_cut_there(tmp_path: Path) -> None:
    """A sub-agent's long command; half of what stood there is exact, all or nothing isn't."""
    made = Worked(tmp_path)
    made.team.begin("tests", "Test.")
    made.kept.before("tests", 1)
    made.kept.write("tests", "early")
    made.kept.change("", 1, "a")
    made.kept.write("tests", "late")
    made.kept.change("", 2, "b")
    made.kept.after("tests", 1)
    made.end()

    done = made.program.run("undo", "--to", "1")

    assert (done.code, made.names) == (0, ["a", "early"])


def test_what_somebody_else_changed_since_is_left_with_sub_agents_too(worked: Worked) -> None:
    """The rules of undo are the same for all of them."""
    (worked.workspace / "b").write_text("by hand")

    done = worked.program.run("undo", "--to", "0")

    assert (done.code, worked.names) == (6, ["b"])
    assert "b: it was changed since" in done.out


def test_a_difference_has_the_changes_of_all(worked: Worked) -> None:
    """`autoagent diff` of a session whose own agent changed next to nothing."""
    done = worked.program.run("diff")

    assert re.findall(r"^\+\+\+ b/(.*)$", done.out, re.MULTILINE) == ["a", "b", "c", "d", "e"]


def test_a_sub_agent_killed_in_a_command_has_it_taken_back_too(tmp_path: Path) -> None:
    """kill -9: no checkpoint after it was taken, so its end is now, in its own journal."""
    made = Worked(tmp_path)
    made.team.begin("tests", "Test.")
    made.kept.before("tests", 1)
    made.kept.write("tests", "half")
    made.kept.close()

    done = made.program.run("undo", "--to", "0")

    last = load(made.team.path("tests")).entries[-1]
    assert (done.code, made.names) == (0, [])
    assert isinstance(last.event, Checkpointed)
    assert (last.event.when, last.agent) == ("after", "tests")


def test_what_a_damaged_journal_hides_is_said(worked: Worked) -> None:
    """The rest is taken back; a person must know that it isn't all."""
    path = worked.team.path("tests")
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0] + b"rubbish\n")

    done = worked.program.run("undo", "--to", "0")

    assert "What the agent tests did later isn't known:" in done.out
    assert f"{path}, line 2 is damaged" in done.out
    assert worked.names == ["b"]


def test_the_checkpoints_of_sub_agents_are_kept_as_long_as_the_session(tmp_path: Path) -> None:
    """The session's own agent took none: pruning must not free what an undo needs."""
    made = Worked(tmp_path)
    made.team.begin("docs", "Document.")
    made.team.begin("docs/links", "Look.")
    made.kept.change("docs/links", 1, "a")
    made.end()

    claims, _ = removal.claims(made.places)

    assert claims["S"].first == min(
        entry.event.number
        for entry in load(made.team.path("docs/links")).entries
        if isinstance(entry.event, Checkpointed)
    )


def test_a_session_goes_with_all_its_agents(worked: Worked) -> None:
    """`sessions delete`: nothing of them is left."""
    done = worked.program.run("sessions", "delete", "S")

    assert done.code == 0
    assert not worked.team.folder.exists()


def test_at_the_prompt_the_changes_of_sub_agents_go_too(tmp_path: Path) -> None:
    """/undo between two commands; the model is told of the paths, the person who made them."""
    made = Worked(tmp_path)
    made.kept.change("", 1, "a")
    made.team.begin("tests", "Test.")
    made.kept.change("tests", 1, "b")
    made.kept.close()
    state = fold([entry.event for entry in load(made.team.path("")).entries])
    keeper = open_keeper(made.places.checkpoints(made.workspace), made.workspace, Cancel())

    taken = keeper.take_back(state, 0, lambda: tree_spans(made.team.folder, state))
    events = [event for batch in taken for event in batch]
    keeper.close()

    assert made.names == []
    assert [event.paths for event in events if isinstance(event, Undone)] == [("a", "b")]
    assert Noticed("undo", "Made by tests, the session's own agent.") in events


def test_without_sub_agents_the_spans_are_those_of_the_session(tmp_path: Path) -> None:
    """One code path, one meaning; a real run with an undo behind it."""
    run = Run(tmp_path, *(says("write_file", path=name, content="x") for name in "abc"), DONE)
    list(run)
    entries = load(run.path).entries

    for ends in ((), (0,), (1,), (2,), (3,), (1, 2)):
        assert spans_of(entries, *ends) == run.state.spans


taken = st.lists(st.tuples(st.sampled_from(("", "a", "b")), st.booleans()), min_size=1, max_size=14)


@given(taken=taken, to=st.integers(0, 6))
def test_merged_spans_cover_what_each_agents_do_and_never_lie_over_one_another(
    taken: list[tuple[str, bool]], to: int
) -> None:
    """Whatever order agents take their checkpoints in; a cut loses nothing."""
    entries, own = _entries(taken)
    numbers = {n for s in own for n in range(s.before + 1, s.after + 1)}

    for spans in (spans_of(entries), spans_of(entries, to), spans_of(entries, to, to + 1)):
        assert {n for s in spans for n in range(s.before + 1, s.after + 1)} == numbers
        assert all(a.after <= b.before for a, b in pairwise(spans))
        assert all(a.step <= b.step for a, b in pairwise(spans))
        for one in own:
            assert any(
                s.before <= one.before < s.after and set(one.agents) <= set(s.agents) for s in spans
            )


def _entries(taken: list[tuple[str, bool]]) -> tuple[list[Entry], list[Span]]:
    """Each agent opens a command or closes its own at each checkpoint; those of the session's
    own are steps, one each."""
    entries = [Entry(0, "", 0.0, started("S", "/w"))]
    own: list[Span] = []
    opened: dict[str, int] = {}
    steps = 0
    for number, (agent, _) in enumerate(taken, 1):
        events: list[Event] = []
        if agent in opened:
            before = opened.pop(agent)
            events.append(Checkpointed(steps if not agent else 1, "after", number))
            own.append(Span(steps, before, number, agents=(agent,)))
        else:
            if not agent:
                steps += 1
                events += [replace(e) for e in step(steps) if not isinstance(e, Executed)]
            events.append(Checkpointed(steps if not agent else 1, "before", number))
            opened[agent] = number
        entries += [Entry(0, "", 0.0, event, agent) for event in events]
    return entries, own
