"""Glimpses: what is coming is heard before it is an event, and kept nowhere."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any

import pytest

from autoagent.events import Replied, Stopped
from autoagent.glimpse import Glimpse
from autoagent.model import Message
from autoagent.models.openai_model import OpenAIModel
from autoagent.session import Session
from autoagent.starting import start
from commands.cancel import Cancel
from commands.sandbox.bounds import Bounds
from commands.sandbox.choose import Wanted
from tests.caged import KINDS, cage, needs
from tests.fake_openai import Answer, FakeOpenAI
from tests.runs import DONE, Mind, Run, says
from tests.teams import Troupe

WAIT_S = 30.0
TEXT = '{"thoughts": "Größe: π ≈ 3.14 😀", "command": {"name": "finish", "args": {"answer": "ok"}}}'
LISTS = says("list_files", path=".")


class Ear:
    """Takes what it is given, and lets a test wait for a text."""

    def __init__(self) -> None:
        self.heard: list[Glimpse] = []
        self._new: SimpleQueue[Glimpse] = SimpleQueue()
        self._text = ""

    def __call__(self, glimpse: Glimpse) -> None:
        self.heard.append(glimpse)
        self._new.put(glimpse)

    def waits_for(self, text: str) -> None:
        """Until all that was said holds it; queue.Empty when it never comes."""
        while text not in self._text:
            self._text += self._new.get(timeout=WAIT_S).text

    def said(self, kind: str) -> str:
        return "".join(glimpse.text for glimpse in self.heard if glimpse.kind == kind)


@contextmanager
def beginning(troupe: Troupe, ear: Ear, *goals: str, **given: Any) -> Iterator[Session]:
    """A session that works in a thread while the test looks; ended with the block."""
    inputs = replace(troupe.inputs(goals, {}, **given), glimpsed=ear)
    session = start(inputs, inputs.settings.goals)
    worker = Thread(target=troupe.follow, args=(session,))
    worker.start()
    try:
        yield session
    finally:
        worker.join(WAIT_S)
    assert not worker.is_alive()


def _of_step(heard: Sequence[Glimpse], kind: str) -> set[int]:
    return {glimpse.step for glimpse in heard if glimpse.kind == kind}


@pytest.mark.parametrize("piece", [1, 7, 1000])
@pytest.mark.parametrize("streams", [True, False])
def test_the_pieces_of_an_answer_joined_are_the_answer(piece: int, streams: bool) -> None:
    """Whoever shows them shows what the model said, and no reasoning that isn't shown."""
    heard: list[str] = []
    answer = Answer(TEXT, piece=piece, stream=streams, reasoning="Hidden.")

    with (
        FakeOpenAI([answer]) as server,
        OpenAIModel(name="m", base_url=server.base_url) as model,
    ):
        hello = [Message("user", "Hello")]
        completion = model.complete(hello, cap=50, cancel=Cancel(), hear=heard.append)

    assert "".join(heard) == completion.text == TEXT
    assert all(heard)


def test_an_answer_is_heard_while_it_comes(tmp_path: Path) -> None:
    """The thoughts stand on the screen before the model has ended, and no event tells yet."""
    gate, ear = Event(), Ear()
    answer = Answer(TEXT, piece=1, hold=gate, hold_after=20)

    with Troupe(tmp_path, main=[answer]) as troupe, beginning(troupe, ear, "main"):
        ear.waits_for("thoughts")
        said, told = ear.said("reply"), troupe.events()
        gate.set()

    assert TEXT.startswith(said) and said != TEXT
    assert not [event for event in told if isinstance(event, Replied)]
    assert ear.heard[0] == Glimpse("thinking", 1, "")
    assert ear.said("reply") == TEXT
    assert _of_step(ear.heard, "reply") == {1}


def test_an_attempt_that_broke_off_is_void_and_the_next_one_begins_anew(tmp_path: Path) -> None:
    """Else half an answer would stand before the whole one."""
    ear = Ear()
    broken = Answer("Half an ans", piece=4, cut_after=3)

    with (
        FakeOpenAI([broken, TEXT]) as server,
        OpenAIModel(name="m", base_url=server.base_url) as model,
    ):
        list(Run(tmp_path, model=model, glimpsed=ear))

    begun = [at for at, glimpse in enumerate(ear.heard) if glimpse.kind == "thinking"]
    assert [ear.heard[at] for at in begun] == [Glimpse("thinking", 1, "")] * 2
    assert "Half an ans".startswith("".join(g.text for g in ear.heard[: begun[1]]))
    assert "".join(g.text for g in ear.heard[begun[1] :]) == TEXT


@KINDS
def test_what_a_command_prints_is_heard_before_it_has_ended(kind: Wanted, tmp_path: Path) -> None:
    """It waits for a file that is made only when its words were heard."""
    needs(kind, tmp_path)
    ear = Ear()
    waits = "echo ready; echo wrong >&2; until [ -e go ]; do sleep 0.01; done; echo went"
    runs = says("execute_shell", command_line=waits)

    with Troupe(tmp_path, main=[LISTS, runs, DONE]) as troupe:
        with beginning(troupe, ear, "main", sandbox=kind, unsafe=True):
            ear.waits_for("wrong\n")
            (troupe.workspace / "go").touch()
        journal = (troupe.found.folder / "journal.jsonl").read_text()

    assert ear.said("output").replace("wrong\n", "") == "ready\nwent\n"
    assert _of_step(ear.heard, "output") == {2}
    assert "glimpse" not in journal


def test_python_and_proofs_are_heard_with_the_step_that_runs(tmp_path: Path) -> None:
    """The proof of an end may take the longest of all."""
    ear = Ear()
    runs = says("execute_python", code="print('from python')")

    run = Run(tmp_path, runs, LISTS, DONE, verify=["echo proven"], glimpsed=ear)
    list(run)

    output = [(glimpse.step, glimpse.text) for glimpse in ear.heard if glimpse.kind == "output"]
    assert "".join(text for step, text in output if step == 1) == "from python\n"
    assert "".join(text for step, text in output if step == 3) == "proven\n"
    assert {step for step, _ in output} == {1, 3}


@KINDS
def test_a_character_that_comes_in_two_pieces_is_heard_whole(kind: Wanted, tmp_path: Path) -> None:
    """A read ends anywhere, even with something of the other output in between."""
    made = cage(kind, Bounds(tmp_path), tmp_path)
    pieces: list[str] = []
    passed = tmp_path / "passed"
    script = r"""printf 'gr\303'; printf '!' >&2; until [ -e passed ]; do sleep 0.01; done
        printf '\274n\377'; printf '\360\237' >&2"""

    def hear(text: str) -> None:
        pieces.append(text)
        if {*"gr!"} <= {*"".join(pieces)}:  # both outputs were read up to there
            passed.touch()

    done = made.run(["bash", "-c", script], timeout_s=WAIT_S, cancel=Cancel(), hear=hear)
    made.close()

    assert "ün\ufffd" in pieces  # what is no UTF-8 is marked, as in the result
    assert sorted("".join(pieces)) == sorted("grün!\ufffd\ufffd")
    assert done.stdout == "grün".encode() + b"\xff"
    assert done.stderr == b"!\xf0\x9f"


def test_a_sub_agent_gives_no_glimpses(tmp_path: Path) -> None:
    """Its words would mix with those of the agent that the screen is about."""
    ear = Ear()
    main = [
        says("start_agent", name="helper", task="helper", role=""),
        says("wait_for_agents", names=["helper"]),
        DONE,
    ]
    helper = [says("execute_shell", command_line="echo from the helper"), DONE]

    with Troupe(tmp_path, main=main, helper=helper) as troupe:
        with beginning(troupe, ear, "main"):
            pass
        asked = len(troupe.requests_of("helper"))

    assert asked == 2
    assert ear.said("reply") == "".join(main)
    assert ear.said("output") == ""


def test_a_glimpse_is_in_no_file_of_the_session(tmp_path: Path) -> None:
    """Law 1: it is a preview; an attempt that came to nothing leaves no word of it."""
    ear = Ear()

    with (
        FakeOpenAI([Answer("Vanished words", piece=4, cut_after=4), TEXT]) as server,
        OpenAIModel(name="m", base_url=server.base_url) as model,
    ):
        run = Run(tmp_path, model=model, glimpsed=ear)
        list(run)

    assert "Vani" in ear.said("reply")
    files = [path for path in run.folder.rglob("*") if path.is_file()]
    assert run.path in files
    assert not [path for path in files if b"Vani" in path.read_bytes()]


def test_where_nobody_looks_the_model_is_given_nobody_to_speak_to(tmp_path: Path) -> None:
    """A preview must cost nothing in a run without a screen."""
    model = Mind([LISTS, DONE])

    run = Run(tmp_path, model=model)
    events = list(run)

    assert model.is_heard == [False, False]
    assert isinstance(events[-1], Stopped)
