"""`/goal`: a running session gets one goal more, or another text for one that it has."""

import io
import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from threading import Event as Flag

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autoagent import history
from autoagent.errors import ConfigError
from autoagent.events import Aimed, Cut, Executed, Stopped
from autoagent.forking import upto
from autoagent.journal import load
from autoagent.state import State, fold
from autoagent.terminal.aiming import wished_goal
from autoagent.terminal.output import Output
from autoagent.terminal.slash import Slash
from autoagent.wishes import NewGoal, Wish
from tests.fake_openai import Answer, Body
from tests.past import started
from tests.program import says as replies
from tests.runs import DONE, Mind, Run, prompt_text, says
from tests.screens import ASKS, LIMIT_S, WRITE, at_terminal
from tests.screens import DONE as ENDS
from tests.teams import Troupe
from tests.test_attended import Reader

_NOT_YET = "not accepted: the user has said something since"


class Aiming(Reader):
    """A person with a wish for each turn, or none; afterwards none."""

    def __init__(self, *turns: NewGoal | None) -> None:
        super().__init__()
        self._turns = list(turns)

    def wishes(self) -> list[Wish]:
        wish = self._turns.pop(0) if self._turns else None
        return [wish] if wish else []


class AtProof(Reader):
    """Wishes for one goal more once, as soon as that file is there."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = file

    def wishes(self) -> list[Wish]:
        if self.wanted or not self._file.exists():
            return []
        self.wanted.append(NewGoal("More."))
        return self.wanted


def _slash(out: io.StringIO) -> Slash:
    state = fold([started("S", "/w", "Mend it")])
    return Slash(Output(out), state, lambda *_: [], lambda *_: "", lambda *_: None)


def test_a_goal_that_is_added_or_changed_at_the_question_is_one_of_the_sessions(
    tmp_path: Path,
) -> None:
    """The model, /status, the receipt, the list of sessions, a page of it and a resume know it."""
    with at_terminal(tmp_path, [WRITE, ENDS], "Mend it") as screen:
        screen.answers(ASKS, "/goal Write a test too")
        screen.shows("Goal 2 from now on: Write a test too", "a.txt  new, 1 line")
        screen.answers(ASKS, "/goal 1 Mend it well")
        screen.shows("Goal 1 from now on: Mend it well", "a.txt  new, 1 line")
        screen.answers(ASKS, "/goal")
        screen.shows("  1. Mend it well\r\n  2. Write a test too\r\n", "/goal 1 TEXT")
        screen.answers(ASKS, "/status")
        screen.shows("  1. Mend it well\r\n  2. Write a test too\r\n")
        screen.answers(ASKS, "y")
        screen.shows("Mend it well", "Write a test too")  # on the receipt

        assert screen.ends() == 0
        added = "[the user added a goal]\n2. Write a test too\n[end]"
        changed = "[the user changed goal 1]\n1. Mend it well\n[end]"
        assert added not in screen.prompt(0)
        assert f"{added}\n{changed}\n" in f"{screen.prompt(1)}\n"
        listed = screen.program.run("sessions", "list", "--output-format", "json").out
        assert json.loads(listed)[0]["goals"] == ["Mend it well", "Write a test too"]
        page = screen.program.run("sessions", "export").out
        assert "from here on:\n\n> 1. Mend it well\n\n> 2. Write a test too\n" in page
    with at_terminal(tmp_path, [ENDS], "--resume", "--goal", "Go on") as again:
        again.shows("Resumed after step 2: Mend it well; Write a test too; Go on")
        assert again.ends() == 0
        assert "3. Go on\n[end]" in again.prompt(0)


def test_a_goal_that_is_typed_while_the_model_thinks_comes_before_the_end(tmp_path: Path) -> None:
    """The finish that was on its way is none: the goal isn't reached by it."""
    asked, goes = Flag(), Flag()

    def slow(_: Body) -> Answer:
        asked.set()
        return Answer(ENDS, hold=goes)

    with at_terminal(tmp_path, [slow, ENDS], "Mend it") as screen:
        assert asked.wait(LIMIT_S)
        screen.child.sendline("/goal Write a test too")
        screen.shows("/goal Write a test too\r\n")
        goes.set()
        screen.shows("The agent gets it with its next prompt.")
        screen.shows("Goal 2 from now on: Write a test too", _NOT_YET)

        assert screen.ends() == 0
        assert "[the user added a goal]\n2. Write a test too\n[end]" in screen.prompt(1)


def test_a_goal_that_comes_while_the_proof_runs_is_not_lost(tmp_path: Path) -> None:
    """A proof may take minutes; the session would end as done without it."""
    model = Mind([DONE, DONE])
    person = AtProof(tmp_path / "workspace" / "proving")
    run = Run(tmp_path, model=model, person=person, verify=["touch proving"])

    events = list(run)

    notes = [event.note for event in events if isinstance(event, Executed)]
    assert notes == [_NOT_YET, "done"]
    assert "[the user added a goal]\n2. More.\n[end]" in prompt_text(model.prompts[1])
    assert run.state.goals == ("Reach the goal.", "More.")


def test_at_the_question_of_a_sub_agent_it_is_a_goal_of_the_session(tmp_path: Path) -> None:
    """Not of that agent, whose task is its own."""
    troupe = Troupe(
        tmp_path / "unused",
        main=[
            replies("start_agent", name="a", task="a"),
            replies("wait_for_agents"),
            replies("finish", answer="all is done"),
        ],
        a=[WRITE, replies("finish", answer="one")],
    )
    with at_terminal(tmp_path, [troupe.answer] * 5, "main") as screen:
        screen.answers(f"a: {ASKS}", "/goal Write a test too")
        screen.shows("The agent gets it with its next prompt.", "(The session's own agent")
        screen.answers(f"a: {ASKS}", "y")
        screen.shows("Goal 2 from now on: Write a test too")

        assert screen.ends() == 0
        with_it = [chat for chat in screen.server.chats if "2. Write a test too" in str(chat)]
        assert [str(chat["messages"][1]["content"])[:13] for chat in with_it] == ["Goals\n1. main"]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("3", "/goal 3: there are 2 goals. To add one whose text begins with a number, put a "),
        ("3 tests must pass", "/goal 3: there are 2 goals."),
        ("0 Nothing", "/goal 0: there are 2 goals."),
        (f"{10**30} Too many", "/goal 10000000000000000000: there are 2 goals."),
        ("2", "Write the new text behind it: /goal 2 TEXT"),
        ("2 Test it", "Goal 2 says that already."),
    ],
)
def test_what_can_be_no_goal_is_said(typed: str, said: str) -> None:
    """A number is a goal's, never a text's: a slip must not add or change another one."""
    with pytest.raises(ConfigError) as refused:
        wished_goal(typed, ("Mend it", "Test it"))

    assert str(refused.value).startswith(said)


@pytest.mark.parametrize(
    ("typed", "wish"),
    [
        ("Pass 3 tests", NewGoal("Pass 3 tests")),
        ("3.5 % is enough", NewGoal("3.5 % is enough")),
        ("2 Test it twice", NewGoal("Test it twice", 2)),
        ("2. Test it twice", NewGoal("Test it twice", 2)),
        ("1 Mend it:\n  - a.py\n  - b.py", NewGoal("Mend it:\n  - a.py\n  - b.py", 1)),
    ],
)
def test_a_goals_number_in_front_changes_that_goal_and_other_texts_are_new_ones(
    typed: str, wish: NewGoal
) -> None:
    assert wished_goal(typed, ("Mend it", "Test it")) == wish


def test_a_goal_may_have_several_lines_and_a_path_in_front_of_words_stays_words() -> None:
    """Both are pasted."""
    out = io.StringIO()
    slash = _slash(out)

    assert slash.obeys("/goal\nSort:\n  a\n  b\n")
    assert not slash.obeys("/tmp\nis full")

    assert slash.wishes == [NewGoal("Sort:\n  a\n  b")]


def test_goals_that_wait_for_the_agent_are_listed_and_have_numbers() -> None:
    """Two in a row, while a long command runs."""
    out = io.StringIO()
    slash = _slash(out)

    for typed in ("/goal Test it", "/goal 2 Test it twice", "/goal"):
        assert slash.obeys(typed)

    assert "  1. Mend it\n  2. Test it twice\n" in out.getvalue()
    assert slash.wishes == [NewGoal("Test it"), NewGoal("Test it twice", 2)]


def test_known_secrets_are_taken_out_of_goals(tmp_path: Path) -> None:
    """As out of all that is typed: the journal is kept, the prompt is sent."""
    model = Mind([says("list_files"), DONE])
    person = Aiming(NewGoal("Log in with hunter2hunter2."))
    run = Run(tmp_path, model=model, person=person, secrets={"PASSWORD": "hunter2hunter2"})

    list(run)

    assert "hunter2" not in run.path.read_text()
    assert "hunter2" not in prompt_text(model.prompts[-1])
    assert run.state.goals[1].startswith("Log in with ")


def test_the_same_text_again_is_no_event(tmp_path: Path) -> None:
    """The model would be told of a change that is none."""
    run = Run(tmp_path, DONE, person=Aiming(NewGoal("Reach the goal.", 1)))

    events = list(run)

    assert not [event for event in events if isinstance(event, Aimed)]
    assert isinstance(events[-1], Stopped) and events[-1].status == "done"


def test_an_address_in_a_new_goal_may_be_read() -> None:
    """Like one in the first goals: it is the user's word."""
    state = fold([started("S", "/w")])

    state.apply(Aimed((*state.goals, "Read https://goal.example/a")))

    assert state.taint.stands("https://goal.example/a")
    assert state.taint.names("goal.example", 443)


def test_a_new_goal_stays_when_the_steps_around_it_leave_the_prompt(tmp_path: Path) -> None:
    """The user's words never leave the window."""
    steps = [says("write_file", path=f"{n}", content="word " * 900) for n in range(12)]
    model = Mind([*steps, DONE])
    run = Run(tmp_path, model=model, window=8000, person=Aiming(None, None, NewGoal("More.")))
    run.state.always.add("write_file")

    events = list(run)

    assert any(isinstance(event, Cut) for event in events)
    assert prompt_text(model.prompts[-1]).count("[the user added a goal]\n2. More.\n[end]") == 1


_TEXTS = st.text(st.characters(), min_size=1, max_size=8).map(str.strip).filter(bool)
_TURNS = st.lists(st.none() | st.builds(NewGoal, _TEXTS, st.none() | st.integers(1, 3)), max_size=8)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(_TURNS, st.integers(0, 40))
def test_goals_fold_from_the_journal_whatever_is_wished_and_wherever_it_is_cut_off(
    tmp_path_factory: pytest.TempPathFactory, turns: Sequence[NewGoal | None], stop: int
) -> None:
    """Laws 1 and 3: live, resumed and replayed are one; what was sent is never taken back."""
    folder = tmp_path_factory.mktemp("run")
    person = Aiming(*turns)
    mind = Mind([*(says("list_files", path=f"{n}") for n in range(4)), *[DONE] * 10])

    for end in (stop, None):
        run = Run(folder, model=mind, person=person, more_goals=["More."])
        for number, _ in enumerate(run):
            assert fold(run.loaded()) == run.state
            if number == end:
                break

    state, prompts = State(), []
    for event in run.loaded():
        state.apply(event)
        prompts.append(prompt_text(history.messages(state)))
    assert all(after.startswith(before) for before, after in pairwise(prompts))
    aimed = [event.goals for event in run.loaded() if isinstance(event, Aimed)]
    assert all(text in prompts[-1] for goals in aimed for text in goals)


def test_a_branch_has_the_goals_as_they_were_after_its_step(tmp_path: Path) -> None:
    """With what was wished right after that step, as with words and limits."""
    person = Aiming(None, None, NewGoal("Second."), None, NewGoal("Third."))
    looks = [says("list_files", path=f"{n}") for n in range(3)]
    run = Run(tmp_path, *looks, DONE, DONE, person=person)
    list(run)
    entries = load(run.path).entries

    goals = [fold([e.event for e in upto(entries, n, "one")]).goals[1:] for n in (1, 2, 3)]

    assert goals == [("Second.",), ("Second.", "Third."), ("Second.", "Third.")]
