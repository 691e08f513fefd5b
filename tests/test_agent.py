"""The loop: what happens in which order, and how each run ends."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from autoagent import history
from autoagent.ending import Proof
from autoagent.events import (
    Changed,
    Checkpointed,
    Cut,
    Event,
    Executed,
    Executing,
    Refused,
    Replied,
    Reserved,
    Retried,
    Started,
    Stopped,
    Verified,
)
from autoagent.model import Cancelled, Completion, FormatRefused, TooLong, Usage
from autoagent.scripted import Scripted
from autoagent.state import fold
from autoagent.tokens import estimate
from commands.cancel import Cancel, Reason
from commands.sandbox.bounds import Bounds
from commands.sandbox.none import NoCage
from tests.runs import DONE, PATH, Mind, Run, prompt_text, says


def _end(events: list[Event]) -> Stopped:
    assert isinstance(events[-1], Stopped)
    return events[-1]


def _executed(events: list[Event]) -> list[Executed]:
    return [event for event in events if isinstance(event, Executed)]


def _last_prompt(model: Mind | Scripted) -> str:
    return prompt_text(model.prompts[-1])


def test_a_step_is_reserved_replied_kept_executing_executed(tmp_path: Path) -> None:
    """Laws 1, 2 and 5 in one order: paid for, read, a way back, announced, then done."""
    events = list(Run(tmp_path, says("write_file", path="a", content="x"), DONE))

    first = [Reserved, Replied, Checkpointed, Executing, Executed, Checkpointed]
    steps = [type(e) for e in events if not isinstance(e, Started | Stopped)]
    assert steps == [*first, Reserved, Replied, Executing, Executed]


def test_each_event_is_on_disk_before_anyone_sees_it(tmp_path: Path) -> None:
    """And the command's effect only after `Executing` is."""
    run = Run(tmp_path, says("write_file", path="a", content="x"), DONE)

    for event in run:
        assert event in run.loaded()
        if isinstance(event, Executing) and event.step == 1:
            assert not (run.workspace / "a").exists()
        if isinstance(event, Executed) and event.step == 1:
            assert (run.workspace / "a").read_text() == "x"


def test_a_path_outside_the_workspace_is_refused_and_the_run_goes_on(tmp_path: Path) -> None:
    """The refusal reaches the model as an observation; nothing is written outside."""
    model = Scripted([says("write_file", path="../x", content="no"), DONE])

    events = list(Run(tmp_path, model=model))

    assert [event.ok for event in _executed(events)] == [False, True]
    assert not (tmp_path / "x").exists()
    assert "[write_file ../x, workspace] " in _last_prompt(model)
    assert _end(events).status == "done"


def test_a_command_that_was_interrupted_is_told_and_never_run_again(tmp_path: Path) -> None:
    """At most once: after a crash nobody knows whether it took effect."""
    append = says("append_file", path="log", content="x\n")
    for event in Run(tmp_path, append):
        if isinstance(event, Executing):
            break
    model = Scripted([says("read_file", path="log"), DONE])

    events = list(Run(tmp_path, model=model))

    assert not (tmp_path / "workspace" / "log").exists()
    assert "may or may not have taken effect" in prompt_text(model.prompts[0])
    assert [e.note for e in _executed(events)][:1] == ["interrupted"]
    assert _end(events).status == "done"


@pytest.mark.parametrize(
    ("completion", "words"),
    [
        (Completion("", "stop", None, "m"), "Your reply was empty"),
        (Completion("", "length", None, "m"), "Your reply was cut by the length limit before any"),
        (Completion(DONE[:40], "length", None, "m"), "The reply was cut by the length limit"),
        (Completion(DONE, "length", None, "m"), "The reply was cut by the length limit"),
        (Completion("", "filter", None, "m"), "The provider's content filter stopped"),
        (Completion("", "refusal", None, "m", refusal="No."), "You declined instead of replying"),
        (Completion("Good morning", "stop", None, "m"), "There is no JSON object in the reply"),
    ],
)
def test_each_kind_of_unusable_reply_has_its_own_message(
    tmp_path: Path, completion: Completion, words: str
) -> None:
    """And it always stands in the next prompt: a byte-identical one would loop for ever."""
    model = Mind([completion, DONE])

    events = list(Run(tmp_path, model=model))

    assert f"[refused, nothing was run] {words}" in _last_prompt(model)
    assert _executed(events)[0].name == "finish"
    assert _end(events).status == "done"


def test_a_refused_reply_stays_as_it_came_but_only_around_its_fault(tmp_path: Path) -> None:
    """400 characters of a long one; the journal keeps all of it."""
    text = "a" * 3000 + "<<<FAULT" + "b" * 3000
    fault = f'{{"thoughts": "{text}", "command": {{"name": oops"x", "args": {{}}}}}}'
    model = Scripted([fault, DONE])

    events = list(Run(tmp_path, model=model))

    refused = next(event for event in events if isinstance(event, Refused))
    shown = next(m.content for m in model.prompts[1] if m.role == "assistant")
    assert refused.raw == fault
    assert shown == refused.excerpt and len(shown) <= 400
    assert shown.strip("…") in fault and 'oops"x"' in shown


def test_two_misread_replies_bring_a_stricter_format_and_three_end_the_run(tmp_path: Path) -> None:
    """Exit 7; the model is told that blocks are gone with the plain format."""
    model = Mind(["one", "two", "three", DONE])

    events = list(Run(tmp_path, model=model))

    assert [e.format for e in events if isinstance(e, Changed)] == ["json_object"]
    assert model.formats == ["text", "text", "json_object"]
    assert "no blocks" in _last_prompt(model)
    assert (_end(events).status, _end(events).exit_code) == ("stuck", 7)


def test_a_good_reply_between_two_bad_ones_starts_the_count_anew(tmp_path: Path) -> None:
    """Three in a row means in a row."""
    good = [says("read_file", path=f"{n}") for n in range(3)]
    replies = [text for each in good for text in ("bad", each)]

    events = list(Run(tmp_path, *replies, DONE))

    assert _end(events).status == "done"
    assert not any(isinstance(event, Changed) for event in events)


def test_a_format_that_the_server_refuses_is_left_for_a_plainer_one(tmp_path: Path) -> None:
    """The call goes on as text, and the model is told that blocks are back."""
    model = Mind(["one", "two", FormatRefused("response_format is unknown"), DONE])

    events = list(Run(tmp_path, model=model))

    assert model.formats == ["text", "text", "json_object", "text"]
    assert "[blocks after the object are possible again]" in _last_prompt(model)
    assert _end(events).status == "done"


def test_a_secret_in_a_reply_is_refused_and_stands_nowhere(tmp_path: Path) -> None:
    """Neither in the journal nor in the next prompt; the model is told by the secret's name."""
    leak = says("write_file", path="a", content="sk-0123456789abcdef")
    model = Scripted([leak, DONE])
    run = Run(tmp_path, model=model, secrets={"OPENAI_API_KEY": "sk-0123456789abcdef"})

    events = list(run)

    assert "the secret value of OPENAI_API_KEY" in _last_prompt(model)
    assert b"sk-0123456789abcdef" not in run.path.read_bytes()
    assert not (run.workspace / "a").exists()
    assert _end(events).status == "done"


def test_a_secret_in_a_result_is_taken_out_where_it_enters(tmp_path: Path) -> None:
    """Also from the file that keeps the whole result."""
    secret = "sk-0123456789abcdef"
    run = Run(tmp_path, says("read_file", path="a"), DONE, secrets={"KEY": secret}, window=8000)
    (run.workspace / "a").write_text(f"key = {secret}\n" * 500)

    list(run)

    kept = (run.folder / "results" / "1.txt").read_text()
    assert secret not in kept and "[secret KEY]" in kept
    assert secret.encode() not in run.path.read_bytes()


# Endings.


def test_without_a_proof_done_is_the_models_word(tmp_path: Path) -> None:
    """`verified` is null, not false: nothing was tried."""
    end = _end(list(Run(tmp_path, DONE)))

    assert (end.status, end.exit_code, end.answer, end.verified) == ("done", 0, "ok", None)
    assert end.go_on == "autoagent --resume one"


def test_a_failing_proof_goes_back_and_only_a_pass_is_done(tmp_path: Path) -> None:
    """The model sees what the proof printed; the run ends verified."""
    write = says("write_file", path="proof", content="x")
    model = Scripted([DONE, write, DONE])
    verify = ["true", "test -e proof || { echo 'there is no proof'; exit 5; }"]

    events = list(Run(tmp_path, model=model, verify=verify))

    checks = [(e.step, e.exit) for e in events if isinstance(e, Verified)]
    assert checks == [(1, 0), (1, 5), (3, 0), (3, 0)]
    assert "there is no proof" in prompt_text(model.prompts[1])
    assert f"not accepted: {verify[1]} exits with 5" in prompt_text(model.prompts[1])
    assert (_end(events).status, _end(events).verified) == ("done", True)


def test_the_first_failing_proof_ends_the_proving(tmp_path: Path) -> None:
    """One failure at a time is what a model can mend."""
    events = list(Run(tmp_path, DONE, verify=["exit 1", "touch second"]))

    assert [e.command_line for e in events if isinstance(e, Verified)] == ["exit 1"]
    assert not (tmp_path / "workspace" / "second").exists()


def test_a_proof_that_the_cage_cannot_run_proves_nothing(tmp_path: Path) -> None:
    """126, as a shell says of what can't be run; not an error of ours, and never a pass."""
    cage = NoCage(Bounds(tmp_path / "gone"), {"PATH": PATH})

    (check,) = Proof(["true"], cage, Cancel(), 5.0, str).checks(1)

    assert isinstance(check, Verified)
    assert (check.exit, check.command_line) == (126, "true")
    assert "could not be started" in check.text


def test_giving_up_is_exit_3(tmp_path: Path) -> None:
    """The reason is what the user reads, with a line that goes on."""
    end = _end(list(Run(tmp_path, says("give_up", reason="no such data"))))

    assert (end.status, end.exit_code, end.answer) == ("gave_up", 3, "no such data")
    assert end.go_on == "autoagent --resume one --goal 'another way to try'"


def test_giving_up_after_a_refusal_is_exit_6(tmp_path: Path) -> None:
    """A script must see that a person could have helped."""
    protected = says("write_file", path=".git/hooks/pre-commit", content="x")
    run = Run(tmp_path, protected, says("give_up", reason="not allowed"))

    end = _end(list(run))

    assert (end.status, end.exit_code) == ("refused", 6)
    assert run.state.refused == ["write_file .git/hooks/pre-commit"]


@pytest.mark.parametrize(
    ("reason", "exit_code", "status"),
    [
        ("interrupt", 130, "interrupted"),
        ("terminate", 143, "interrupted"),
        ("hangup", 129, "interrupted"),
        ("time", 4, "limit"),
    ],
)
def test_a_cancel_ends_a_command_and_the_run(
    tmp_path: Path, reason: Reason, exit_code: int, status: str
) -> None:
    """Law 9: a command that would take a minute, ended in the middle; nothing else runs."""
    sleep = says("execute_shell", command_line="touch begun; sleep 60")
    run = Run(tmp_path, sleep, DONE)
    watch = threading.Thread(target=_when_there, args=(run, lambda: run.cancel.set(reason)))
    watch.start()

    events = list(run)
    watch.join()

    assert [e.step for e in _executed(events)] == [1]
    assert (_end(events).exit_code, _end(events).status) == (exit_code, status)
    assert _end(events).go_on.startswith("autoagent --resume one")


def _when_there(run: Run, then: Callable[[], None]) -> None:
    """Do it as soon as the command has begun; wait no longer than 10 seconds for that."""
    for _ in range(1000):
        if (run.workspace / "begun").exists():
            break
        threading.Event().wait(0.01)
    then()


def test_a_model_that_says_cancelled_is_asked_again_when_nothing_was(tmp_path: Path) -> None:
    """And what it was reserved for stays paid."""
    model = Mind([Cancelled("cut"), DONE])

    events = list(Run(tmp_path, model=model))

    assert _end(events).status == "done"
    assert len(model.prompts) == 2


def test_a_prompt_that_is_too_long_is_cut_and_sent_again(tmp_path: Path) -> None:
    """The server's own window is believed; older steps leave."""
    write = [says("write_file", path=f"{n}", content="word " * 700) for n in range(8)]
    model = Mind([*write, TooLong("8192 tokens at most", window=8192), DONE])

    events = list(Run(tmp_path, model=model))

    assert [e.window for e in events if isinstance(e, Changed)] == [8192]
    assert any(isinstance(event, Cut) for event in events)
    assert _end(events).status == "done"
    assert len(_last_prompt(model)) < len(prompt_text(model.prompts[-2])) / 2


def test_a_server_that_finds_every_prompt_too_long_is_an_honest_end(tmp_path: Path) -> None:
    """Cut until nothing is left to cut, then exit 2: never a loop."""
    write = [says("write_file", path=f"{n}", content="word " * 100) for n in range(8)]
    model = Mind([*write, *[TooLong("no")] * 50])

    events = list(Run(tmp_path, model=model))

    assert (_end(events).status, _end(events).exit_code) == ("error", 2)
    assert sum(isinstance(event, Retried) for event in events) <= 5


def test_the_servers_own_count_calibrates_ours(tmp_path: Path) -> None:
    """A server that counts half as much again is believed from the second call on."""
    first = Completion(says("list_files"), "stop", Usage(39, 9), "m")
    last = Completion(DONE, "stop", Usage(0, 9), "m")
    run = Run(tmp_path, model=Mind([first, last]))

    events = list(run)

    ours, calibrated = (event.prompt for event in events if isinstance(event, Reserved))
    raw = history.size(fold(events[: events.index(_executed(events)[0]) + 1]), estimate)
    assert run.state.calibration == pytest.approx(39 / ours)
    assert calibrated == raw > ours * 39 / ours


def test_a_count_that_is_far_below_ours_is_not_believed(tmp_path: Path) -> None:
    """Ollama cuts the front of a long prompt silently, and counts what is left."""
    cut = Completion(DONE, "stop", Usage(5, 9), "m")
    run = Run(tmp_path, model=Mind([cut]))

    list(run)

    assert run.state.calibration == 1.0
