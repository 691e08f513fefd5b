"""Changes that a person takes back while the session goes on, between two of its commands."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from autoagent.approval import Answer, Concern, Undo
from autoagent.checkpoints.objects import Objects
from autoagent.checkpoints.undo import is_cut_off
from autoagent.events import Decided, Event, Executed, Noticed, Span, Undone
from autoagent.reply import Reply
from autoagent.scripted import Scripted
from autoagent.state import fold
from autoagent.team.reports import files_changed, files_undone
from tests.runs import DONE, Run, prompt_text, says
from tests.test_attended import Reader
from tests.trees import picture

_RUN = Answer(Decided(0, "run"))
_NEWEST = Answer(None, undo=Undo(None))


def _write(name: str, content: str = "agent") -> str:
    return says("write_file", path=name, content=content)


def _undone(events: Sequence[Event]) -> list[tuple[str, ...]]:
    return [event.paths for event in events if isinstance(event, Undone)]


def _notices(events: Sequence[Event]) -> list[str]:
    return [e.text for e in events if isinstance(e, Noticed) and e.topic == "undo"]


class Meddler(Reader):
    """Does something to the workspace before they answer, once."""

    def __init__(self, path: Path, content: str, *answers: Answer) -> None:
        super().__init__(*answers)
        self._path = path
        self._content = content

    def decide(self, step: int, reply: Reply, scope: str, concerns: Sequence[Concern]) -> Answer:
        if step == 2 and self._content:
            self._path.write_text(self._content)
            self._content = ""
        return super().decide(step, reply, scope, concerns)


def test_the_newest_change_goes_and_the_same_command_is_asked_about_again(tmp_path: Path) -> None:
    """The model is told in its next prompt, and the journal folds to the live state."""
    person = Reader(_RUN, _RUN, _NEWEST, _RUN)
    model = Scripted([_write("a"), _write("b"), _write("c"), DONE])
    run = Run(tmp_path, model=model, person=person)

    events = list(run)

    assert person.asked[2:] == [(3, "write_file")] * 2
    assert picture(run.workspace).keys() == {"a", "c"}
    assert _undone(events) == [("b",)]
    assert '[the user took back changes, as after step 1 are now: "b"]' in prompt_text(
        model.prompts[-1]
    )
    assert fold(run.loaded()) == run.state
    with closing(Objects(run.store)) as objects:
        assert not is_cut_off(objects, "one")


def test_all_after_a_step_goes_and_a_second_undo_takes_it_back(tmp_path: Path) -> None:
    """An undo is a change like any other."""
    to_first = Answer(None, undo=Undo(1))
    person = Reader(_RUN, _RUN, _RUN, to_first, _NEWEST, to_first, _RUN)
    run = Run(tmp_path, *map(_write, "abcd"), DONE, person=person)

    events = list(run)

    assert _undone(events) == [("b", "c")] * 3
    assert picture(run.workspace).keys() == {"a", "d"}


def test_nothing_to_take_back_is_said_and_no_event_claims_it(tmp_path: Path) -> None:
    """Before the first change, and after the last was taken back for good."""
    run = Run(tmp_path, _write("a"), DONE, person=Reader(_NEWEST, _RUN))

    events = list(run)

    assert (_undone(events), _notices(events)) == ([], ["There is nothing to take back."])
    assert picture(run.workspace).keys() == {"a"}


def test_what_the_person_changed_meanwhile_is_left_and_named(tmp_path: Path) -> None:
    """As `autoagent undo` does."""
    workspace = tmp_path / "workspace"
    person = Meddler(workspace / "a", "by hand", _RUN, _NEWEST, _RUN)
    run = Run(tmp_path, _write("a"), _write("b"), DONE, person=person)

    events = list(run)

    assert _notices(events) == ["Left as they are, it was changed since: a."]
    assert (workspace / "a").read_text() == "by hand"


def test_what_goes_on_beside_the_commands_is_the_agents_and_the_undo_isnt(
    tmp_path: Path,
) -> None:
    """Else the undo itself would count as a change by the process that goes on."""
    lasting = says("start_process", command_line="echo up > log; echo up; exec sleep 1000")
    person = Reader(_RUN, _RUN, _NEWEST, _RUN)
    run = Run(tmp_path, lasting, _write("a"), _write("b"), DONE, person=person)

    list(run)

    undone = next(span for span in run.state.spans if span.undone)
    after = run.state.spans[run.state.spans.index(undone) + 1 :]
    assert picture(run.workspace).keys() == {"log", "b"}
    assert after == [Span(3, undone.after, undone.after + 1)]


def test_a_secret_in_a_files_name_stands_in_no_event(tmp_path: Path) -> None:
    """Names are foreign text: of results, of an undo and of what is said of both."""
    secret = "drawn-by-nobody-4711"
    line = f"echo x > $(echo {secret[:8]}){secret[8:]}"
    person = Reader(_RUN, _NEWEST, _RUN)
    shell = says("execute_shell", command_line=line)
    run = Run(tmp_path, shell, _write("b"), DONE, person=person, secrets={"KEY": secret})

    events = list(run)

    executed = next(event for event in events if isinstance(event, Executed))
    assert executed.changed == ("[secret KEY]",)
    assert _undone(events) == [("[secret KEY]",)]
    assert secret not in run.path.read_text()


def _shell(line: str) -> str:
    return says("execute_shell", command_line=line)


def test_what_an_undo_left_as_it_was_before_the_session_is_told_apart(tmp_path: Path) -> None:
    """A file that an earlier step had made isn't as it was; nor is one that came back."""
    (tmp_path / "workspace").mkdir()
    (tmp_path / "workspace" / "old").write_text("mine")
    undos = [_NEWEST, _NEWEST, Answer(None, undo=Undo(0)), _NEWEST, Answer(None, undo=Undo(1))]
    person = Reader(_RUN, _RUN, _RUN, *undos, _RUN)
    lines = ("echo 1 > a", "echo 2 > old", "echo 3 >> a", "echo 4 > b")
    run = Run(tmp_path, *map(_shell, lines), DONE, person=person)

    undone = [event for event in run if isinstance(event, Undone)]

    back = "changed back"
    assert [(dict(zip(e.paths, e.how, strict=True)), e.as_before) for e in undone] == [
        ({"a": back}, ()),
        ({"a": back}, ()),
        ({"a": "removed", "old": back}, ("a", "old")),
        ({"a": "restored", "old": back}, ()),
        ({"a": back, "old": back}, ("old",)),
    ]
    assert (files_changed(run.state), files_undone(run.state)) == (["a", "b"], ["old"])


def test_what_was_made_again_and_taken_back_again_is_not_among_the_files(tmp_path: Path) -> None:
    person = Reader(_RUN, _NEWEST, _RUN, _NEWEST, _RUN)
    run = Run(tmp_path, _write("a"), _write("a", "other"), _write("b"), DONE, person=person)

    list(run)

    assert (files_changed(run.state), files_undone(run.state)) == (["b"], ["a"])
    assert picture(run.workspace).keys() == {"b"}
