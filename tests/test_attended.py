"""The loop with a person who watches: what they are asked, and what becomes of their words."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from autoagent.approval import Answer, Concern
from autoagent.events import Decided, Event, Executed, Fed, Stopped
from autoagent.reply import Reply
from autoagent.scripted import Scripted
from autoagent.wishes import Wish
from tests.runs import DONE, Run, prompt_text, says


def _end(events: list[Event]) -> Stopped:
    assert isinstance(events[-1], Stopped)
    return events[-1]


def _executed(events: list[Event]) -> list[Executed]:
    return [event for event in events if isinstance(event, Executed)]


def _last_prompt(model: Scripted) -> str:
    return prompt_text(model.prompts[-1])


def _when_there(run: Run, then: Callable[[], None]) -> None:
    """Do it as soon as the command has begun; wait no longer than 10 seconds for that."""
    for _ in range(1000):
        if (run.workspace / "begun").exists():
            break
        threading.Event().wait(0.01)
    then()


class Reader:
    """A person with an answer for each question, in order; then they leave."""

    def __init__(self, *answers: Answer, after_interrupt: str | None = None) -> None:
        self._answers = list(answers)
        self._after_interrupt = after_interrupt
        self.asked: list[tuple[int, str]] = []
        self.said: list[str] = []
        self.wanted: list[Wish] = []
        self.warned: list[str] = []
        self.scopes: list[str] = []

    def decide(self, step: int, reply: Reply, scope: str, concerns: Sequence[Concern]) -> Answer:
        self.warned += [concern.said for concern in concerns]
        self.scopes.append(scope)
        self.asked.append((step, reply.command.name))
        return self._answers.pop(0) if self._answers else Answer(None)

    def ask(self, question: str) -> str:
        return f"an answer to {question}"

    def heard(self) -> list[str]:
        said, self.said = self.said, []
        return said

    def wishes(self) -> list[Wish]:
        return [self.wanted.pop(0)] if self.wanted else []

    def wants_room(self) -> bool:
        return False

    def interrupted(self, heeded: Callable[[], None]) -> str | None:
        heeded()
        return self._after_interrupt


_WRITE = says("write_file", path="a", content="x")


def test_a_refusal_of_a_person_reaches_the_model_with_its_reason(tmp_path: Path) -> None:
    """And the command does not run."""
    person = Reader(Answer(Decided(1, "refuse", "not that file"), "not that file"))
    model = Scripted([_WRITE, DONE])
    run = Run(tmp_path, model=model, person=person)

    events = list(run)

    assert not (run.workspace / "a").exists()
    assert [e.refused for e in _executed(events)] == [True, False]
    assert "[the user says]\nnot that file\n[end]" in _last_prompt(model)


def test_an_edited_command_is_the_one_that_runs(tmp_path: Path) -> None:
    """The model is told what ran in the place of its own."""
    edited = Decided(1, "edit", "edited", "write_file", {"path": "b", "content": "y"})
    model = Scripted([_WRITE, DONE])
    run = Run(tmp_path, model=model, person=Reader(Answer(edited)))

    list(run)

    assert (run.workspace / "b").read_text() == "y"
    assert not (run.workspace / "a").exists()
    assert '"path": "b"' in _last_prompt(model)


def test_reading_and_finishing_ask_nobody(tmp_path: Path) -> None:
    """Only what changes something is a question."""
    person = Reader(Answer(Decided(3, "run")))

    list(Run(tmp_path, says("list_files"), says("recall", query="x"), _WRITE, DONE, person=person))

    assert person.asked == [(3, "write_file")]


def test_so_many_steps_run_without_a_question_and_not_one_more(tmp_path: Path) -> None:
    """`y -2` must not be a yes for ever."""
    person = Reader(*[Answer(Decided(0, "run", count=count)) for count in (2, 0, 0)])
    writes = [says("write_file", path=f"{n}", content="x") for n in range(4)]

    list(Run(tmp_path, *writes, DONE, person=person))

    assert [step for step, _ in person.asked] == [1, 3, 4]


def test_a_person_who_leaves_ends_the_run_and_the_step_waits(tmp_path: Path) -> None:
    """Resumed, the same command is asked about again, without a new call."""
    left = list(Run(tmp_path, _WRITE, person=Reader()))
    person = Reader(Answer(Decided(1, "run")))
    resumed = Run(tmp_path, DONE, person=person)

    events = list(resumed)

    assert _end(left).exit_code == 130
    assert person.asked == [(1, "write_file")]
    assert (resumed.workspace / "a").read_text() == "x"
    assert _end(events).status == "done"


def test_words_after_an_interruption_reach_the_model_and_the_run_goes_on(tmp_path: Path) -> None:
    """Ctrl-C stops what is running, not the session."""
    person = Reader(Answer(Decided(1, "run")), after_interrupt="Leave it.")
    model = Scripted([says("execute_shell", command_line="touch begun; sleep 60"), DONE])
    run = Run(tmp_path, model=model, person=person)
    watch = threading.Thread(target=_when_there, args=(run, lambda: run.cancel.set("interrupt")))
    watch.start()

    events = list(run)
    watch.join()

    assert Fed("Leave it.", stops=True) in events
    assert "[the user says]\nLeave it.\n[end]" in _last_prompt(model)
    assert _end(events).status == "done"


def test_after_an_interruption_nothing_runs_any_more_that_was_let_run_unasked(
    tmp_path: Path,
) -> None:
    """Who stops something wants to look, also without a word; the model reads nothing of it."""
    answers = [Answer(Decided(1, "run", count=9)), Answer(Decided(2, "run"))]
    person = Reader(*answers, after_interrupt="")
    slow = says("execute_shell", command_line="touch begun; sleep 60")
    model = Scripted([slow, says("write_file", path="a", content="x"), DONE])
    run = Run(tmp_path, model=model, person=person)
    watch = threading.Thread(target=_when_there, args=(run, lambda: run.cancel.set("interrupt")))
    watch.start()

    events = list(run)
    watch.join()

    assert [step for step, _ in person.asked] == [1, 2]
    assert "[the user says]" not in _last_prompt(model)
    assert _end(events).status == "done"


def test_what_a_person_typed_meanwhile_is_fed_before_the_next_call(tmp_path: Path) -> None:
    """As feedback, never as an answer."""
    person = Reader()
    person.said = ["Also look at b."]
    model = Scripted([DONE])

    list(Run(tmp_path, model=model, person=person))

    assert "[the user says]\nAlso look at b.\n[end]" in _last_prompt(model)


def test_a_question_of_the_agents_is_answered_by_the_person(tmp_path: Path) -> None:
    """Labelled as theirs."""
    model = Scripted([says("ask_user", question="why?"), DONE])

    list(Run(tmp_path, model=model, person=Reader()))

    assert "[ask_user, person]\nan answer to why?\n[end]" in _last_prompt(model)
