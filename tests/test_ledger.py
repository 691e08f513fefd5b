"""Several agents in one workspace: what each changed, who must not write over whom."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoagent.checkpoints.checkpoint import Checkpoints
from autoagent.checkpoints.undo import undo
from autoagent.events import Checkpointed, Noticed, Span
from autoagent.team.ledger import Ledger
from tests.agents_at_work import Hand, Team, team
from tests.trees import picture


@pytest.fixture
def at_work(tmp_path: Path) -> Iterator[Team]:
    with team(tmp_path) as made:
        yield made


def test_what_others_write_meanwhile_is_not_among_what_a_program_changed(at_work: Team) -> None:
    """A file command names what it changes, so nobody else is asked about that."""
    one, other = at_work.agent("one"), at_work.agent("other")

    with one.held("echo 1 > mine") as command:
        written = other("write_file", path="theirs", content="x")
        moved = other("move_file", source="theirs", target="there")

    assert command.result().changed == ("mine",)
    assert command.result().note.endswith("changed mine")
    assert (written.changed, written.made) == (("theirs",), ("theirs",))
    assert (moved.changed, moved.made) == (("theirs", "there"), ("there",))


def test_what_a_program_left_before_anothers_checkpoint_is_still_its_own(at_work: Team) -> None:
    """The checkpoints of the other agent take it in; its own last one no longer sees it."""
    one, other = at_work.agent("one"), at_work.agent("other")
    (at_work.root / "old").write_text("old")
    other("write_file", path="w", content="")

    with one.held("echo 1 > new; echo 2 > old", "echo 3 >> new") as command:
        other("write_file", path="w", content="x")
    done = command.result()

    assert (done.changed, done.made) == (("new", "old"), ("new",))


def test_what_a_program_made_and_took_away_again_is_no_change(at_work: Team) -> None:
    """Lock files and the like, seen only because another agent's checkpoint fell in between."""
    one, other = at_work.agent("one"), at_work.agent("other")

    with one.held("echo 1 > lock", "rm lock; echo 1 > kept") as command:
        other("write_file", path="w", content="x")

    assert command.result().changed == ("kept",)


def test_two_programs_at_once_are_told_apart_where_it_can_be_and_named_where_not(
    at_work: Team,
) -> None:
    """The path counts for both: better said twice than not at all."""
    one, other = at_work.agent("one"), at_work.agent("other")

    with one.held("echo 1 > first") as command:
        during = other.shell("echo 2 > second")
    alone = other.shell("echo 3 > third")

    assert command.result().changed == ("first", "second")
    assert during.changed == ("second",)  # the other stood there when it began
    assert during.note.endswith("changed second (agent one worked at the same time)")
    assert command.result().note.endswith("(agent other worked at the same time)")
    assert (alone.changed, "worked" in alone.note) == (("third",), False)


def test_a_process_that_goes_on_beside_its_agents_commands_is_named_as_well(at_work: Team) -> None:
    """It may write at any time."""
    one, other = at_work.agent("one"), at_work.agent("other")
    one("start_process", command_line="exec sleep 1000")

    done = other.shell("echo 2 > second")
    one.context.cage.close()
    other.shell("true")
    later = other.shell("echo 3 > third")

    assert done.note.endswith("changed second (agent one worked at the same time)")
    assert later.note.endswith("changed third")


def test_what_an_agent_did_that_was_ended_is_not_put_down_to_another_alone(
    at_work: Team,
) -> None:
    """No checkpoint was taken after its last command: the next one finds what that did."""
    one, other = at_work.agent("one"), at_work.agent("other")
    spec = one.context.catalogue.find("execute_shell")

    with other.held("echo 2 > second") as command:
        list(one.runner.before(1, spec, proves=False))
        spec.run(one.context, command_line="echo 1 > first")
        one.runner.ended()

    assert command.result().changed == ("first", "second")
    assert command.result().note.endswith("(agent one worked at the same time)")
    assert other.shell("echo 3 > third").note.endswith("changed third")


def test_of_many_that_read_a_file_and_then_write_it_at_once_one_does(at_work: Team) -> None:
    """The look whether it was changed and the write are one; the others see what is there."""
    (at_work.root / "a").write_text("old\n")
    hands = [at_work.agent(f"agent{n}") for n in range(6)]
    for hand in hands:
        hand("read_file", path="a")
    barrier = Barrier(len(hands))

    def write(hand: Hand) -> bool:
        barrier.wait(30)
        return hand("write_file", path="a", content=f"{hand.name}\n").ok

    with ThreadPoolExecutor(len(hands)) as pool:
        wrote = list(pool.map(write, hands))

    assert sum(wrote) == 1
    winner = hands[wrote.index(True)]
    assert (at_work.root / "a").read_text() == f"{winner.name}\n"
    for hand in hands:
        if hand is not winner:
            (refused,) = (e for e in hand.events if getattr(e, "name", "") == "write_file")
            text = getattr(refused, "text", "")
            assert f"'a' was changed by agent {winner.name} since step 1" in text
            assert f"-old\n+{winner.name}" in text


def test_a_change_is_told_with_the_name_of_its_maker(at_work: Team) -> None:
    """By a file command or by a program; how it is called depends on who is told."""
    main, child = at_work.main, at_work.agent("docs")
    grandchild = at_work.agent("docs/part")
    hands = (main, child, grandchild)
    (at_work.root / "a").write_text("1")
    (at_work.root / "b").write_text("1")

    def told(maker: Hand, path: str, change: str) -> list[str]:
        for hand in hands:
            hand("read_file", path=path)
        maker.shell(f"echo {change} > {path}")
        said = [event for hand in hands for event in hand.runner.others(())]
        return [e.text.partition("changed ")[2] for e in said if isinstance(e, Noticed)]

    assert told(main, "a", "2") == ["by the agent that started you", "by the main agent"]
    assert told(child, "a", "3") == ["by agent docs", "by the agent that started you"]
    assert told(grandchild, "a", "4") == ["by agent docs/part", "by agent part"]
    child("read_file", path="a")
    assert child("write_file", path="a", content="5").ok
    assert [main.page.whose("a"), grandchild.page.whose("a")] == [
        "agent docs",
        "the agent that started you",
    ]


def test_what_a_person_changed_after_an_agent_is_not_put_down_to_it(at_work: Team) -> None:
    """What is known of a file holds for the content it was known of."""
    one, other = at_work.agent("one"), at_work.agent("other")
    one("write_file", path="a", content="1")
    other("read_file", path="a")
    (at_work.root / "a").write_text("by hand")

    refused = other("write_file", path="a", content="2")

    assert "'a' was changed by somebody else since step 1" in refused.text
    assert not refused.ok


def test_a_file_that_another_may_have_changed_is_read_again_before_it_is_written(
    at_work: Team,
) -> None:
    """A program of the agent ran, so did the other's: its own knowledge of the file is old."""
    one, other = at_work.agent("one"), at_work.agent("other")
    (at_work.root / "a").write_text("old\n")
    one("read_file", path="a")

    with one.held("true") as command:
        other.shell("echo theirs > a")
    refused = one("write_file", path="a", content="mine\n")

    assert command.result().changed == ("a",)
    assert "'a' was changed by agent other or a program of your own since" in refused.text
    assert (at_work.root / "a").read_text() == "theirs\n"


def test_an_agent_of_a_part_of_the_workspace_has_paths_of_that_part(at_work: Team) -> None:
    """What lies outside of it isn't its own, and isn't told to it."""
    (at_work.root / "part").mkdir()
    inner = at_work.agent("inner", "part")

    with inner.held("echo 1 > mine") as command:
        at_work.main.shell("echo 2 > outer; echo 3 > part/theirs")
    alone = inner.shell("echo 4 > more")

    assert command.result().changed == ("mine", "theirs")
    assert command.result().note.endswith("(the agent that started you worked at the same time)")
    assert (alone.changed, alone.made) == (("more",), ("more",))
    inner("write_file", path="mine", content="x")
    assert at_work.main.page.whose("part/mine") == "agent inner"


def test_a_cancel_ends_the_wait_for_an_agent_that_writes(at_work: Team) -> None:
    """Within moments, whatever the other does; nothing was written then."""
    one = at_work.agent("one")
    with at_work.main.page.turn(at_work.cancel), ThreadPoolExecutor() as pool:
        spec = one.context.catalogue.find("write_file")
        args = {"path": "a", "content": "x"}
        runner = replace(one.runner, keeper=None)  # its last checkpoint has two seconds
        waiting = pool.submit(runner.run, 1, spec, args, 32_000)
        one.cancel.set("terminate")
        events = waiting.result(30)

    assert "not run: other agents had the workspace" in getattr(events[0], "note", "")
    assert not (at_work.root / "a").exists()


def test_agents_that_change_things_at_once_leave_checkpoints_that_lead_back(
    at_work: Team,
) -> None:
    """One store, one view of the tree, eight threads: nothing is lost or mixed up."""
    (at_work.root / "seed").write_text("seed")
    before = picture(at_work.root)
    main = at_work.main
    main.shell("true")
    hands = [at_work.agent(f"a{n}") for n in range(8)]
    barrier = Barrier(len(hands))

    def work(hand: Hand) -> None:
        barrier.wait(30)
        for n in range(3):
            hand("write_file", path=f"{hand.name}/{n}", content=f"{hand.name} {n}")
            hand.shell(f"echo {n} >> {hand.name}/log; echo {hand.name} >> seed")

    with ThreadPoolExecutor(len(hands)) as pool:
        list(pool.map(work, hands))
    main.shell("true")

    for hand in hands:
        done = [e for e in hand.events if getattr(e, "name", "") == "write_file"]
        assert [getattr(e, "made", ()) for e in done] == [(f"{hand.name}/{n}",) for n in range(3)]
    numbers = [e.number for e in main.events if isinstance(e, Checkpointed)]
    span = Span(1, numbers[0], numbers[-1])
    assert picture(at_work.root) != before
    objects = at_work.keeper.objects
    undo(Checkpoints(at_work.root, objects), objects, "one", [span], 0)
    assert picture(at_work.root) == before


def test_a_store_that_fails_is_said_once_for_all_agents(at_work: Team) -> None:
    """Eight times the same line would hide what matters."""
    hands = [at_work.main, at_work.agent("one"), at_work.agent("two")]
    at_work.keeper.objects.connection.execute("PRAGMA max_page_count = 1")
    for n, hand in enumerate(hands):
        (at_work.root / f"big{n}").write_bytes(b"x" * 100_000)
        assert hand.shell("true").ok

    said = [e.text for hand in hands for e in hand.events if isinstance(e, Noticed)]
    assert len(said) == 1 and "nothing can be undone" in said[0]


AGENTS = ("", "a", "a/b")
ACTS = st.lists(
    st.tuples(
        st.sampled_from(("program", "file command", "touch", "write", "user", "look", "end")),
        st.sampled_from(AGENTS),
        st.sampled_from(("p", "q", "r")),
    ),
    max_size=40,
)


@given(ACTS)
def test_no_change_of_a_program_is_lost_and_none_is_put_down_to_one_alone_wrongly(
    acts: list[tuple[str, str, str]],
) -> None:
    """For every order of things: what a program changed is on its agent's page, unless a file
    command says that it did; and what stands there for one agent alone no other one's did."""
    ledger = Ledger(Path("/nowhere"))
    pages = {agent: ledger.page(agent, Path("/nowhere")) for agent in AGENTS}
    running: dict[str, bool] = {}  # whether exact
    new: set[str] = set()
    touched: dict[str, list[tuple[str, str]]] = {agent: [] for agent in AGENTS}
    claimed: set[str] = set()  # in any window

    def look() -> None:
        ledger.checkpointed(sorted(new), lambda path: None)
        new.clear()

    for act, agent, path in acts:
        match act:
            case "program" | "file command" if agent not in running:
                look()
                running[agent] = act == "file command"
                touched[agent] = []
                pages[agent].begin(exact=running[agent])
            case "touch" if running.get(agent) is False:
                new.add(path)
                for each in running:
                    touched[each].append((agent, path))
            case "write" if running.get(agent) is True:
                new.add(path)
                claimed.add(path)
                pages[agent].claim([path])
            case "user":
                new.add(path)
            case "look":
                look()
            case "end" if agent in running:
                look()
                found = pages[agent].end()
                assert found is not None
                exact = running.pop(agent)
                mine = {path for by, path in touched[agent] if by == agent}
                assert mine - claimed <= found.keys()
                for path, others in found.items():
                    if not exact and path not in claimed:
                        doers = {by for by, each in touched[agent] if each == path}
                        assert doers - {agent} <= others
