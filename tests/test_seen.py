"""Files that somebody else changes while an agent works: it is told, and writes over none."""

from collections.abc import Callable
from pathlib import Path

import pytest

from autoagent.events import Event, Executed, Noticed
from autoagent.state import fold
from tests.fake_openai import Body, FakeOpenAI
from tests.program import Program
from tests.runs import DONE, Mind, Run, prompt_text, says

READ = says("read_file", path="a.txt")
WRITE = says("write_file", path="a.txt", content="mine\n")


def _meanwhile(run: Run, step: int, change: Callable[[Path], object]) -> list[Event]:
    """The run; after that step somebody else changes something in the workspace."""
    events: list[Event] = []
    for event in run:
        events.append(event)
        if isinstance(event, Executed) and event.step == step:
            change(run.workspace)
    return events


def _put(folder: Path, text: str = "one\ntwo\n") -> None:
    (folder / "workspace").mkdir(exist_ok=True)
    (folder / "workspace" / "a.txt").write_text(text)


def _theirs(workspace: Path) -> None:
    (workspace / "a.txt").write_text("one\ntheirs\n")


def _results(events: list[Event]) -> list[Executed]:
    return [event for event in events if isinstance(event, Executed)]


@pytest.mark.parametrize(
    "change",
    [
        WRITE,
        says("edit_file", path="a.txt", old="one", new="two"),
        says("append_file", path="./a.txt", content="more\n"),
        says("delete_file", path="a.txt"),
    ],
)
def test_a_file_that_was_changed_since_it_was_read_is_not_written_over(
    tmp_path: Path, change: str
) -> None:
    """What somebody else did in between would be lost; the difference shows what that was."""
    _put(tmp_path)
    run = Run(tmp_path, READ, change, DONE)

    events = _meanwhile(run, 1, _theirs)

    refused = _results(events)[1]
    assert not refused.ok and "'a.txt' was changed by somebody else since step 1" in refused.text
    assert "-two\n+theirs" in refused.text
    assert (run.workspace / "a.txt").read_text() == "one\ntheirs\n"
    assert fold(run.loaded()) == run.state


def test_having_seen_the_difference_it_may_write(tmp_path: Path) -> None:
    """A refusal for ever would be a dead end."""
    _put(tmp_path)
    run = Run(tmp_path, READ, WRITE, WRITE, DONE)

    events = _meanwhile(run, 1, _theirs)

    assert [each.ok for each in _results(events)] == [True, False, True, True]
    assert (run.workspace / "a.txt").read_text() == "mine\n"


def test_a_difference_too_long_to_show_asks_for_another_look(tmp_path: Path) -> None:
    """Only what was seen whole may be written over."""
    _put(tmp_path)
    run = Run(tmp_path, READ, WRITE, WRITE, READ, WRITE, DONE)

    events = _meanwhile(
        run, 1, lambda root: (root / "a.txt").write_text("\n".join(map(str, range(500))))
    )

    assert [each.ok for each in _results(events)] == [True, False, False, True, True, True]
    assert "Read it again first." in _results(events)[1].text


def test_the_model_is_told_once_before_its_next_reply(tmp_path: Path) -> None:
    """Also of a file that it doesn't mean to write; what it knew is wrong."""
    _put(tmp_path)
    model = Mind([READ, says("list_files"), says("list_files", path="."), DONE])
    run = Run(tmp_path, model=model)

    events = _meanwhile(run, 1, _theirs)

    told = "['a.txt', as you know it from step 1, was changed by somebody else]"
    assert [e.text for e in events if isinstance(e, Noticed) and e.topic == "files"] == [
        told.strip("[]")
    ]
    assert told in prompt_text(model.prompts[1])
    assert prompt_text(model.prompts[3]).count(told) == 1


def test_what_the_agent_changed_itself_is_nobody_elses(tmp_path: Path) -> None:
    """By a file command, by a program, by taking it away and making it anew."""
    _put(tmp_path)
    program = says("execute_shell", command_line="echo more >> a.txt")
    gone = says("execute_shell", command_line="rm a.txt")
    run = Run(tmp_path, READ, program, WRITE, gone, WRITE, WRITE, DONE)

    events = list(run)

    assert all(each.ok for each in _results(events))
    assert not [e for e in events if isinstance(e, Noticed) and e.topic == "files"]


def test_a_touched_file_with_the_same_content_is_no_change(tmp_path: Path) -> None:
    """Times say little: git and editors touch files."""
    _put(tmp_path)
    run = Run(tmp_path, READ, WRITE, DONE)

    events = _meanwhile(run, 1, _put_again)

    assert all(each.ok for each in _results(events))


def _put_again(workspace: Path) -> None:
    (workspace / "a.txt").unlink()
    (workspace / "a.txt").write_text("one\ntwo\n")


def test_a_resumed_run_still_knows_what_it_read(tmp_path: Path) -> None:
    """What a person changed in between is the most usual case of all."""
    _put(tmp_path)
    model = Mind([READ])
    list(Run(tmp_path, model=model))
    _theirs(tmp_path / "workspace")
    again = Mind([WRITE, DONE])
    run = Run(tmp_path, model=again)

    events = list(run)

    assert "was changed by somebody else]" in prompt_text(again.prompts[0])
    assert "-two\n+theirs" in _results(events)[0].text


def test_a_file_that_was_never_read_is_the_models_to_replace(tmp_path: Path) -> None:
    """Nothing that it knew has changed."""
    _put(tmp_path)
    run = Run(tmp_path, WRITE, DONE)

    assert all(each.ok for each in _results(list(run)))


def test_two_sessions_at_once_in_one_workspace_keep_each_others_work(tmp_path: Path) -> None:
    """The second runs from its start to its end while the first waits for the model."""
    with FakeOpenAI([WRITE, DONE]) as others:
        other = Program(tmp_path, others.base_url)
        (other.workspace / "a.txt").write_text("one\ntwo\n")

        def meanwhile(_: Body) -> str:
            assert other.run("--goal", "Write a.txt").code == 0
            return says("write_file", path="a.txt", content="first\n")

        with FakeOpenAI([READ, meanwhile, DONE]) as server:
            done = Program(tmp_path, server.base_url).run("--goal", "Read, then write")

        assert done.code == 0, done.err
        assert (other.workspace / "a.txt").read_text() == "mine\n"
        told = server.chats[2]["messages"][-1]["content"]
        assert "'a.txt' was changed by somebody else since step 1" in told
        assert "-one\n-two\n+mine" in told
