"""A branch of a session: the same prompt up to its step, a journal and an ID of its own."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from threading import Event

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autoagent import history
from autoagent.errors import ConfigError
from autoagent.events import Event as Happened
from autoagent.events import Forked, Limits, Recalled, Resumed, Started
from autoagent.forking import begun, upto
from autoagent.journal import load
from autoagent.scripted import Scripted
from autoagent.sessions import Kept
from autoagent.state import State, fold
from tests.fake_openai import Answer, FakeOpenAI
from tests.program import Program, at_once, of_type, says
from tests.runs import AMPLE, DONE, Mind, Run, prompt_text
from tests.test_memory_in_the_loop import Talkative, _of_source, _places
from tests.test_resume import continues

FINISH = says("finish", answer="42")
LIMITED = ("--goal", "go", "--max-steps")


def events_of(folder: Path) -> list[Happened]:
    return [entry.event for entry in load(folder / "journal.jsonl").entries]


_REPLIES = [
    says("write_file", path="a", content="x"),
    says("list_files"),
    says("execute_shell", command_line="echo x >> b"),
    says("read_file", path="none"),
    says("fly", to="moon"),
    "no object",
]


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(_REPLIES), min_size=1, max_size=6), st.lists(st.text(max_size=5)))
def test_at_each_step_a_branch_has_the_prompt_that_came_after_it(
    tmp_path_factory: pytest.TempPathFactory, script: list[str], said: list[str]
) -> None:
    """Law 3 over a branch, whatever happened: the provider's cache and the marks hold."""
    folder = tmp_path_factory.mktemp("fork")
    mind = Mind([*script, DONE])
    run = Run(folder, model=mind, person=Talkative(*said))
    list(run)
    entries = load(run.path).entries

    for step, prompt in enumerate(mind.prompts[1:], 1):
        kept = upto(entries, step, "one")
        branch = history.messages(fold([entry.event for entry in kept]))
        assert prompt_text(prompt).startswith(prompt_text(branch))
        assert fold([entry.event for entry in kept]).pending is None
    assert upto(entries, None, "one") == upto(entries, fold(run.loaded()).step, "one")


class Branched:
    """A session of four steps, stopped by its limit; branches of it; what they sent."""

    def __init__(self, folder: Path) -> None:
        long = "\n".join(f"line {n}" for n in range(9000))
        steps = [
            says("read_file", path="long.txt"),
            says("write_file", path="a.txt", content="second"),
            says("write_file", path="a.txt", content="third"),
            says("list_files"),
        ]
        result = says("read_result", step=1, start_line=5000, lines=1)
        with FakeOpenAI([*steps, result, FINISH, FINISH, FINISH]) as server:
            variables = {"AUTOAGENT_MEMORY": "none", "AUTOAGENT_PRICE": "1,1,1"}
            self.program = Program(folder, server.base_url, variables)
            (self.program.workspace / "long.txt").write_text(long)
            self.program.run(*LIMITED, "4", "--window", "32000")
            (self.one,) = self.program.sessions
            before = (self.one / "journal.jsonl").read_bytes()
            self.early = self.program.run(
                *("--fork", f"{self.one.name}@2", "--goal", "Another way."),
                *("--output-format", "json"),
            )
            self.two = self.program.sessions[1]
            named = {**variables, "AUTOAGENT_FORK": self.one.name, "AUTOAGENT_RESUME": ""}
            self.last = replace(self.program, variables=named).run("--max-steps", "9")
            self.three = self.program.sessions[2]
            self.resumed = self.program.run(
                *("--resume", self.two.name, "--goal", "More.", "--max-steps", "9")
            )
            self.file = (self.program.workspace / "a.txt").read_text()
            self.untouched = (self.one / "journal.jsonl").read_bytes() == before
            self.chats = server.chats


@pytest.fixture(scope="module")
def branched(tmp_path_factory: pytest.TempPathFactory) -> Branched:
    return Branched(tmp_path_factory.mktemp("branched"))


def test_a_branch_begins_as_the_other_did_and_goes_on_alone(branched: Branched) -> None:
    """Its own ID, one goal more; the other session stays as it was."""
    result = branched.early.object

    assert (branched.early.code, result["session"]) == (0, branched.two.name)
    assert result["goals"] == ["go", "Another way."]
    assert (result["steps"], branched.untouched) == (4, True)
    assert branched.resumed.code == 0


def test_the_prompt_continues_the_others_byte_for_byte(branched: Branched) -> None:
    """After the second step of two branches of one session stand different words."""
    chats = branched.chats

    assert continues(chats[1], chats[4])
    assert not continues(chats[2], chats[4])
    assert continues(chats[3], chats[6])
    assert all(continues(*pair) for pair in pairwise([*chats[4:6], chats[7]]))
    assert len({chat["prompt_cache_key"] for chat in chats}) == 1


def test_the_model_is_told_that_the_files_may_differ(branched: Branched) -> None:
    """The history shows what a.txt was after the second step, and it isn't that any more."""
    first = branched.chats[4]["messages"][-1]["content"]

    assert "files were not taken back: they may have changed since" in first
    assert "2. Another way." in first
    assert branched.file == "third"


def test_the_person_is_told_how_the_files_come_back(branched: Branched) -> None:
    """Only where something was changed after that step. AUTOAGENT_FORK named the session."""
    undo = f"autoagent undo {branched.one.name} --to 2"

    assert f"A branch of session {branched.one.name} after step 2;" in branched.early.err
    assert undo in branched.early.err
    assert "after step 4; the files stay as they are now." in branched.last.err
    assert "As they were then" not in branched.last.err


def test_the_journal_is_whole_and_says_where_it_comes_from(branched: Branched) -> None:
    """Each line vouches for the one before it, in the branch as in the other."""
    one, two = events_of(branched.one), events_of(branched.two)
    at = two.index(Forked(branched.one.name, 2))

    assert isinstance(one[0], Started)
    assert two[0] == replace(one[0], session=branched.two.name)
    assert two[1:at] == one[1:at]
    assert isinstance(two[at + 1], Resumed)
    assert fold(two[:at]).step == 2
    times = [
        [e.at for e in load(f / "journal.jsonl").entries] for f in (branched.one, branched.two)
    ]
    assert times[0][:at] == times[1][:at]


def test_whole_results_come_along(branched: Branched) -> None:
    """The model reads on in a result that its own process never saw."""
    asked = branched.chats[5]["messages"][-1]["content"]

    assert "line 4999" in asked
    assert (branched.two / "results" / "1.txt").stat().st_mode & 0o777 == 0o600


def test_what_was_spent_up_to_the_step_counts(branched: Branched) -> None:
    """Limits are of the whole conversation, as for a resume."""
    (*before, third, fourth) = of_type(branched.program.journal(branched.two.name), "Replied")[:4]
    theirs = of_type(branched.program.journal(branched.one.name), "Replied")[:2]

    used = sum(reply["usage"]["prompt"] for reply in (*theirs, third, fourth))
    assert [reply["raw"] for reply in before] == [reply["raw"] for reply in theirs]
    assert branched.early.object["usage"]["prompt_tokens"] == used


def test_a_running_session_can_be_branched(tmp_path: Path) -> None:
    """Its journal only grows, and the branch takes what is whole."""
    hold = Event()
    with FakeOpenAI(
        [says("list_files"), Answer(FINISH, hold=hold), says("finish", answer="branch")]
    ) as server:
        program = Program(tmp_path, server.base_url, {"AUTOAGENT_MEMORY": "none"})
        with program.started("--goal", "go") as running:
            assert server.wait_for_chats(2)
            name = program.sessions[0].name
            branch = program.run("--fork", name)
            again = program.run("--fork", name, "--goal", "x", "--max-steps", "1")
            hold.set()
            done = running.finish()

    assert (branch.code, branch.out) == (0, "branch\n")
    assert again.code == 4
    assert (done.code, done.out) == (0, "42\n")


class Wrong:
    """What can't be branched, all tried at once."""

    def __init__(self, folder: Path) -> None:
        with FakeOpenAI([says("list_files"), FINISH, FINISH, FINISH]) as server:
            self.program = program = Program(folder, server.base_url, {"AUTOAGENT_MEMORY": "none"})
            program.run("--goal", "go")
            program.run("--goal", "try", "--dry-run")
            self.one, self.dry = one, dry = [each.name for each in program.sessions]
            damaged = program.home / "sessions" / "20260101-000000-0000"
            damaged.mkdir()
            lines = (program.sessions[1] / "journal.jsonl").read_bytes().splitlines(True)
            (damaged / "journal.jsonl").write_bytes(b"".join([*lines[:2], *lines[3:]]))
            fresh = program.home / "sessions" / "20260101-000001-0000"
            fresh.mkdir()
            (fresh / "journal.jsonl").write_bytes(lines[0])
            self.before = program.sessions
            self.done = dict(
                zip(
                    words := (
                        (f"{one}@3",),
                        (f"{one}@0",),
                        (f"{one}@two",),
                        (f"{one}@",),
                        ("@1",),
                        (f"{one[:-1]}x@1",),
                        (one,),
                        (dry, "--goal", "more"),
                        (damaged.name,),
                        (fresh.name,),
                        (one, "--resume"),
                        (f"{one}@1", "--dry-run"),
                        (f"{one}@1", "-"),
                    ),
                    at_once(*((program, ["--fork", *each]) for each in words)),
                    strict=True,
                )
            )
            self.chats = len(server.chats)


@pytest.fixture(scope="module")
def wrong(tmp_path_factory: pytest.TempPathFactory) -> Wrong:
    return Wrong(tmp_path_factory.mktemp("wrong"))


def test_what_cannot_be_branched_is_said_in_a_line_and_leaves_nothing(wrong: Wrong) -> None:
    """No session half made, and no call."""
    one, dry = wrong.one, wrong.dry
    said = {
        (f"{one}@3",): (2, "has no step 3 that is complete; the last is 2"),
        (f"{one}@0",): (2, "isn't a session's ID, or ID@STEP with a step's number from 1 on"),
        (f"{one}@two",): (2, "isn't a session's ID, or ID@STEP"),
        (f"{one}@",): (2, "isn't a session's ID, or ID@STEP"),
        ("@1",): (2, "isn't a session's ID, or ID@STEP"),
        (f"{one[:-1]}x@1",): (2, "Did you mean"),
        (one,): (2, f"ended it as done. Give the branch one goal more (--fork {one} --goal '…')"),
        (dry, "--goal", "more"): (2, "is a dry run"),
        ("20260101-000000-0000",): (8, "line 3 is damaged"),
        ("20260101-000001-0000",): (2, "has made no step yet"),
        (one, "--resume"): (2, "give one"),
        (f"{one}@1", "--dry-run"): (2, "--dry-run is for a new one"),
        (f"{one}@1", "-"): (2, "leave it out"),
    }

    assert said.keys() == wrong.done.keys()
    for words, (code, part) in said.items():
        assert (wrong.done[words].code, wrong.done[words].out) == (code, ""), words
        assert part in wrong.done[words].err
        assert wrong.done[words].err.count("\n") == 1
    assert wrong.program.sessions == wrong.before
    assert wrong.chats == 3


def test_a_branch_of_a_branch_knows_who_made_each_step() -> None:
    """Memories of a step belong to the session that made it."""
    state = State(started=_started("three"))
    for event in (Forked("one", 4), Forked("two", 7)):
        state.apply(event)

    made = [state.maker(step) for step in (1, 4, 5, 7, 8)]

    assert made == ["one", "one", "two", "two", "three"]


def _started(session: str) -> Started:
    return Started(
        session=session,
        version="0",
        goals=("Reach the goal.",),
        system="",
        opening="",
        workspace="/w",
        model="m",
        base_url="",
        window=32_000,
        limits=AMPLE,
        interactive=False,
        price=None,
        cage="none",
        memory="m",
    )


PORT = "The staging database listens on port 5433."


def _branch(folder: Path, step: int) -> str:
    """A branch of the session "one", not yet run; its ID."""
    entries = load(folder / "one" / "journal.jsonl").entries
    started = entries[0].event
    assert isinstance(started, Started)
    return begun(Kept(folder / "one", started), upto(entries, step, "one")).folder.name


def test_memories_of_the_steps_that_a_branch_has_stand_once_and_under_their_maker(
    tmp_path: Path,
) -> None:
    """Kept by both they would come back twice, and half of the ten would be copies."""
    steps = [says("write_file", path=f"{n}", content="x") for n in range(4)]
    list(Run(tmp_path, *steps, DONE, memory=True, person=Talkative("Use tabs.")))
    two = _branch(tmp_path, 2)

    list(Run(tmp_path, says("list_files"), DONE, session=two, memory=True))

    assert _places(tmp_path) == [
        *(("one", step, 0) for step in range(1, 6)),
        (two, 3, 0),
        (two, 4, 0),
    ]


def test_what_a_killed_session_did_not_store_is_stored_by_its_branch_for_both(
    tmp_path: Path,
) -> None:
    """Whichever of the two comes first keeps it; the other finds it standing."""
    run = Run(tmp_path, says("list_files"), says("read_file", path="a"), DONE, memory=True)
    for _ in zip(range(9), run, strict=False):
        pass
    kept = _places(tmp_path)
    step = fold(run.loaded()).past[-1].step
    two = _branch(tmp_path, step)

    list(Run(tmp_path, DONE, session=two, memory=True))
    list(Run(tmp_path, DONE, session="one", memory=True))

    places = _places(tmp_path)
    assert ("one", step, 0) not in kept
    assert places.count(("one", step, 0)) == 1
    assert len(places) == len(set(places))


def test_what_stands_in_the_prompt_of_a_branch_is_not_recalled_into_it(tmp_path: Path) -> None:
    """The note of the other's first step is in the history; that of its third is news."""
    first = says("remember", text=PORT)
    third = says("remember", text="The staging database wants TLS.")
    run = Run(tmp_path, first, says("list_files"), third, DONE, memory=True)
    list(run)
    two = _branch(tmp_path, 2)

    again = Run(tmp_path, DONE, session=two, memory=True)
    again.inbox.put("What do you know of the staging database?", 1000)
    recalled = [m.text for e in again if isinstance(e, Recalled) for m in e.memos]

    assert not any(PORT in text for text in recalled)
    assert any("wants TLS" in text for text in recalled)


def test_words_that_both_heard_after_one_step_are_kept_for_each(tmp_path: Path) -> None:
    """They stand at the same place of two conversations."""
    list(Run(tmp_path, says("list_files"), memory=True, limits=Limits(1, 10**6)))
    name = _branch(tmp_path, 1)
    one = Run(tmp_path, DONE, memory=True)
    one.inbox.put("Use the first port of the staging database.", 1000)
    list(one)
    two = Run(tmp_path, DONE, session=name, memory=True)
    two.inbox.put("Use the second port of the staging database.", 1000)

    recalled = [m.text for e in two if isinstance(e, Recalled) for m in e.memos]

    assert any("first port" in text for text in recalled)
    assert not any("second port" in text for text in recalled)
    kept = [text for _, _, text in _of_source(tmp_path, "person")]
    assert [text.split()[2] for text in kept] == ["first", "second"]


def test_what_a_branch_had_and_what_left_its_prompt_is_called_by_its_step(tmp_path: Path) -> None:
    """It is the branch's own past, not another session's of some day."""
    steps = [says("remember", text=PORT)]
    steps += [says("write_file", path=f"{n}", content="word " * 900) for n in range(12)]
    list(Run(tmp_path, *steps, DONE, memory=True, window=8000))
    two = _branch(tmp_path, 13)
    model = Scripted([says("recall", query="Which port has the staging database?"), DONE])

    run = Run(tmp_path, model=model, session=two, memory=True, window=8000)
    events = list(run)

    assert any(type(event).__name__ == "Cut" for event in events_of(tmp_path / two))
    texts = [m.text for e in events if isinstance(e, Recalled) for m in e.memos]
    texts.append(prompt_text(model.prompts[1]))
    assert any(f"step 1, note: {PORT}" in text for text in texts)


def test_what_a_person_allowed_for_always_is_asked_again_in_a_branch() -> None:
    """They said it of the session that they watched."""
    state = State(started=_started("two"), always={"write_file"}, free_steps=3)

    state.apply(Forked("one", 2))

    assert (state.always, state.free_steps) == (set(), 0)


def test_a_step_that_was_cut_off_is_not_the_last_of_a_branch(tmp_path: Path) -> None:
    """A command whose result isn't known would have to be run again, or be lost."""
    run = Run(tmp_path, says("list_files"), says("list_files"), DONE)
    for event in run:
        if type(event).__name__ == "Executing" and run.state.step == 2:
            break
    entries = load(run.path).entries

    assert fold([entry.event for entry in upto(entries, None, "one")]).step == 1
    with pytest.raises(ConfigError, match="no step 2 that is complete; the last is 1"):
        upto(entries, 2, "one")
