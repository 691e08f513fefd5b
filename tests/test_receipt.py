"""The receipt as somebody reads it who was woken by it, and the object for programs."""

import io
from dataclasses import replace
from pathlib import Path

import pytest

from autoagent.ending import go_on
from autoagent.events import (
    Checkpointed,
    Event,
    Executed,
    Executing,
    Limits,
    Memo,
    Recalled,
    Replied,
    Reported,
    Reserved,
    Spawned,
    Started,
    Status,
    Stopped,
    Undone,
    Verified,
)
from autoagent.model import Price, Usage
from autoagent.state import State, fold
from autoagent.terminal.output import Output
from autoagent.terminal.plain import Plain
from autoagent.terminal.receipt import receipt, result_object, spell_time, typed_name

_JOURNAL = Path("/state/sessions/20261120-231800-5f3a/journal.jsonl")
_STARTED = Started(
    session="20261120-231800-5f3a",
    version="0.1.0",
    goals=("Make the tests of this package pass.", "Write report.md."),
    system="",
    opening="",
    workspace="/home/me/slugs",
    model="gpt-5-mini",
    base_url="",
    window=32_768,
    limits=Limits(steps=100, tokens=2_000_000, cost=3.0),
    price=Price(0.25, 0.025, 2.0),
    interactive=False,
    cage="bubblewrap",
    memory="none",
    verify=("pytest -q",),
)
_USAGE = Usage(prompt=10_000, completion=500, cached=8_000, reasoning=100, cost=0.21)


def _step(step: int, name: str, *changed: str, refused: bool = False) -> list[Event]:
    return [
        Reserved(step, "step", 10_000, 8_192, 0.5, 30.0 * step),
        Replied(step, "", "", "", None, "", name, {"path": "a"}, "strict", _USAGE),
        Executing(step),
        Executed(step, name, "a", not refused, refused, "", "", "workspace", changed),
    ]


def _run(stopped: Stopped, *more: Event) -> State:
    """Two steps, what else happened, and this end with its way to go on."""
    state = fold([_STARTED, *_step(1, "read_file"), *_step(2, "edit_file", "src/slugs.py"), *more])
    state.apply(go_on(stopped, state))
    return state


def _receipt(
    state: State,
    *,
    network: bool = False,
    attended: bool | None = None,
    program: str = "autoagent",
    screen: io.StringIO | None = None,
) -> str:
    screen = screen or io.StringIO()
    out = Output(screen)
    receipt(out, state, _JOURNAL, network=network, attended=attended, program=program)
    return screen.getvalue()


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _undone(step: int, *paths: str, as_before: tuple[str, ...] = ()) -> Undone:
    how = ("removed",) * len(paths)
    return Undone("undo", step, 1, 2, paths, (), (len(paths), 0), how, as_before)


_ROWS = """\
goal     Make the tests of this package pass.
         Write report.md.
verify   pytest -q: {verdict}
files    src/slugs.py
hosts    none but the model's
cost     $0.42; 2 steps, 7 min 48 s; 21,000 tokens (80 % of the prompts from the cache)
journal  /state/sessions/20261120-231800-5f3a/journal.jsonl
"""
_RESUME = "  autoagent --resume 20261120-231800-5f3a"


def test_done_and_verified() -> None:
    """The first words tell whether it can be believed."""
    passes = Verified(2, "pytest -q", 0, "")

    shown = _receipt(_run(Stopped("done", 0, "All pass.", True, elapsed_s=468.0), passes))

    assert shown == (
        "\nDone, and verified.\n\n"
        + _ROWS.format(verdict="passes")
        + f"\nOne goal more, in the same session:\n{_RESUME} --goal '…'\n"
    )


def test_done_by_the_models_word() -> None:
    """Without a proof nothing claims that there was one."""
    state = _run(Stopped("done", 0, "All pass.", elapsed_s=468.0))

    assert _receipt(state).startswith("\nDone by the model's word.\n\ngoal     Make the tests")


@pytest.mark.parametrize(
    ("status", "attended", "started_so", "options"),
    [
        ("done", True, False, ""),
        ("done", None, True, ""),
        ("done", False, True, " --goal '…'"),
        ("gave_up", True, False, " --goal 'another way to try' --interactive"),
        ("gave_up", False, True, " --goal 'another way to try'"),
        ("refused", True, True, " --interactive"),
    ],
)
def test_who_was_asked_before_each_change_is_not_sent_where_nobody_asks(
    status: Status, attended: bool | None, started_so: bool, options: str
) -> None:
    """--goal alone switches asking off, and is pasted without a thought."""
    stopped = Stopped(status, 0, "All pass.")
    state = fold([replace(_STARTED, interactive=started_so), *_step(1, "read_file")])
    state.apply(go_on(stopped, state))

    assert _receipt(state, attended=attended).endswith(f"\n{_RESUME}{options}\n")


def test_a_session_of_a_version_that_noted_a_goal_to_be_filled_in_is_told_the_same_way() -> None:
    state = _run(Stopped("interrupted", 130, "x"))
    state.apply(Stopped("done", 0, "ok", go_on=f"{_RESUME.strip()} --goal '…'"))

    assert result_object(state, "")["resume"] == _RESUME.strip()
    assert _receipt(state).endswith(f"\n{_RESUME} --goal '…'\n")


def test_lines_to_paste_at_a_terminal_call_the_program_as_it_was_called() -> None:
    """`autoagent` isn't found where it was started by its path; what a file holds may be
    pasted anywhere."""
    spans = [Checkpointed(2, "before", 1), Checkpointed(2, "after", 2)]
    state = _run(Stopped("interrupted", 130, "Interrupted."), *spans)

    typed = _receipt(state, program=".venv/bin/autoagent", screen=_Terminal()).splitlines()
    kept = _receipt(state, program=".venv/bin/autoagent").splitlines()

    assert "undo     .venv/bin/autoagent undo 20261120-231800-5f3a --to 0" in typed
    assert typed[-1].strip() == ".venv/bin/autoagent --resume 20261120-231800-5f3a"
    assert "undo     autoagent undo 20261120-231800-5f3a --to 0" in kept
    assert kept[-1] == _RESUME
    assert result_object(state, "")["resume"] == _RESUME.strip()


def test_the_program_is_called_by_its_name_wherever_that_is_found(tmp_path: Path) -> None:
    """Else as it was typed, quoted for a shell; a module's file is nothing to call."""
    program = tmp_path / "autoagent"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o700)

    assert typed_name(".venv/bin/autoagent", str(tmp_path)) == "autoagent"
    assert typed_name(".venv/bin/autoagent", "/nowhere") == ".venv/bin/autoagent"
    assert typed_name("my env/bin/autoagent", "/nowhere") == "'my env/bin/autoagent'"
    assert typed_name("/x/autoagent/__main__.py", "/nowhere") == "autoagent"
    assert typed_name("autoagent", "/nowhere") == "autoagent"


_FAILED = "failed   execute_shell a: exit 2, the last command\n"


@pytest.mark.parametrize(
    ("stopped", "ran", "is_said"),
    [
        (Stopped("done", 0, "ok"), [("execute_shell", "exit 2"), ("finish", "")], True),
        (Stopped("done", 0, "ok"), [("execute_shell", "exit 2"), ("rm", "refused")], True),
        (Stopped("done", 0, "ok"), [("execute_shell", "exit 2"), ("read_file", "")], False),
        (Stopped("done", 0, "ok"), [("execute_shell", ""), ("finish", "")], False),
        (Stopped("done", 0, "ok", True), [("execute_shell", "exit 2"), ("finish", "")], False),
        (Stopped("gave_up", 3, "no"), [("execute_shell", "exit 2"), ("give_up", "")], False),
    ],
)
def test_the_models_word_does_not_hide_that_the_last_command_failed(
    stopped: Stopped, ran: list[tuple[str, str]], is_said: bool
) -> None:
    """Nothing else says it; where the proof passed, that counts."""
    more: list[Event] = []
    for step, (name, note) in enumerate(ran, 3):
        *before, executed = _step(step, name, refused=note == "refused")
        assert isinstance(executed, Executed)
        more += [*before, replace(executed, ok=not note, note=note)]

    shown = _receipt(_run(stopped, *more))

    assert (_FAILED in shown) is is_said
    assert ("\nfailed " in shown) is is_said


def test_a_file_that_was_taken_back_is_not_among_those_that_changed() -> None:
    """It is as it was; changed again, it counts again."""
    taken = [*_step(3, "write_file", "b.txt"), _undone(2, "b.txt", as_before=("b.txt",))]
    end = Stopped("done", 0, "ok")

    undone = _run(end, *taken)
    again = _run(end, *taken, *_step(4, "write_file", "b.txt"))
    redone = _run(end, *taken, _undone(3, "b.txt"))
    partly = _run(end, *_step(3, "write_file", "src/slugs.py"), _undone(2, "src/slugs.py"))

    assert "files    src/slugs.py\nundone   b.txt\n" in _receipt(undone)
    assert result_object(undone, "")["files_changed"] == ["src/slugs.py"]
    for state in (again, redone):
        assert "files    src/slugs.py, b.txt\nhosts " in _receipt(state)
        assert result_object(state, "")["files_changed"] == ["src/slugs.py", "b.txt"]
    assert "files    src/slugs.py\nhosts " in _receipt(partly)


def test_a_receipt_after_all_was_taken_back_does_not_say_that_nothing_was_changed() -> None:
    state = _run(Stopped("done", 0, "ok"), _undone(0, "src/slugs.py", as_before=("src/slugs.py",)))

    assert "files    none, all was taken back\nundone   src/slugs.py\n" in _receipt(state)


def test_an_undo_says_what_became_of_each_file() -> None:
    """Away or there again: the same words would stand for opposite things."""
    undone = Undone("undo", 2, 1, 2, ("a", "b"), (), (2, 0), ("removed", "restored"))
    seen = []
    for attended, event in ((True, undone), (False, replace(undone, how=()))):
        written = io.StringIO()
        view = Plain(Output(written), watched=True, attended=attended)
        view.state.apply(_STARTED)
        view.show(event)
        seen.append(written.getvalue())

    assert seen == [
        "2 changes were taken back: a (removed), b (restored). /undo again takes this back.\n",
        "2 changes were taken back: a, b.\n",
    ]


_ENDS = [
    (
        Stopped("gave_up", 3, "There is no file slugs.py."),
        "The agent gave up:\n  There is no file slugs.py.",
        "To go on, say what it shall try:",
        " --goal 'another way to try'",
    ),
    (
        Stopped(
            "limit",
            4,
            "A limit is reached: $2.95 of $3.00 are used and the next call may cost $0.08.",
            go_on="--max-cost 6",
        ),
        "Stopped at a limit:\n"
        "  A limit is reached: $2.95 of $3.00 are used and the next call may cost $0.08.",
        "All is kept. To go on where it stopped, with more room:",
        " --max-cost 6",
    ),
    (
        Stopped("unreachable", 5, "401 from api.openai.com: Incorrect API key provided."),
        "Stopped, because the model can't be reached or refuses:\n"
        "  401 from api.openai.com: Incorrect API key provided.",
        "All is kept. Once the model answers again:",
        "",
    ),
    (
        Stopped("refused", 6, "I may not write .env."),
        "The agent gave up, and something had been refused:\n  I may not write .env.",
        "To go on and be asked instead:",
        " --interactive",
    ),
    (
        Stopped("stuck", 7, "The agent was stuck: the same 5 times, read_file last."),
        "Stopped, because the agent went in circles:\n"
        "  The agent was stuck: the same 5 times, read_file last.",
        "To go on, say what it shall try:",
        " --goal 'another way to try'",
    ),
    (
        Stopped("interrupted", 130, "Interrupted."),
        "Stopped before the end:\n  Interrupted.",
        "All is kept. To go on where it stopped:",
        "",
    ),
    (
        Stopped("error", 1, "An internal error: KeyError: 'x'. The traceback is in error.log."),
        "Stopped by an error:\n  An internal error: KeyError: 'x'. The traceback is in error.log.",
        "All up to the error is kept. Once its cause is mended:",
        "",
    ),
]


@pytest.mark.parametrize(("stopped", "head", "what_next", "options"), _ENDS)
def test_an_end_that_is_not_done_says_why_and_what_to_do(
    stopped: Stopped, head: str, what_next: str, options: str
) -> None:
    """Every ending but 0 says how to go on, alone on its line, ready to paste."""
    state = _run(
        Stopped(stopped.status, stopped.exit_code, stopped.answer, None, stopped.go_on, 468.0)
    )

    assert _receipt(state) == (
        f"\n{head}\n\n{_ROWS.format(verdict='not run')}\n{what_next}\n{_RESUME}{options}\n"
    )


@pytest.mark.parametrize(
    ("check", "verdict"),
    [
        (Verified(0, "pytest -q", 1, ""), "failed at the start, not run since"),
        (Verified(1, "pytest -q", 0, ""), "passed at step 1, not run since"),
        (Verified(2, "pytest -q", 1, ""), "fails"),
    ],
)
def test_a_proof_that_was_run_before_the_last_step_is_told_as_past(
    check: Verified, verdict: str
) -> None:
    """What was changed since may have mended it, or broken it."""
    state = _run(Stopped("interrupted", 130, "Interrupted."), check)

    assert f"verify   pytest -q: {verdict}\n" in _receipt(state)


def test_refusals_are_named() -> None:
    """A receipt that left them out would say that nothing else happened."""
    more = [*_step(3, "execute_shell"), *_step(4, "delete_file", refused=True)]

    lines = _receipt(_run(Stopped("interrupted", 130, "Interrupted."), *more)).splitlines()

    assert "files    src/slugs.py" in lines
    assert "refused  delete_file a" in lines


def test_a_network_that_was_open_is_said() -> None:
    state = _run(Stopped("interrupted", 130, "Interrupted."))

    lines = _receipt(state, network=True).splitlines()

    assert "hosts    not recorded: commands could reach any" in lines


def test_a_reason_cannot_forge_a_line_of_the_receipt() -> None:
    """The model writes the reason; only what begins at the margin is ours."""
    reason = "no\nverify   pytest -q: passes\n\x1b[2J"

    shown = _receipt(_run(Stopped("gave_up", 3, reason)))

    assert shown.startswith(
        "\nThe agent gave up:\n  no\n  verify   pytest -q: passes\n  \\x1b[2J\n\ngoal "
    )


def test_the_object_for_programs_has_the_fields_of_the_surface() -> None:
    """Scripts read these names; unknown is null, never 0."""
    fails = Verified(2, "pytest -q", 1, "")
    limit = Stopped("limit", 4, "100 steps are done.", go_on="--max-steps 200", elapsed_s=468.0)

    state = _run(limit, fails, *_step(3, "delete_file", refused=True))

    assert result_object(state, "5ea1") == {
        "type": "result",
        "schema_version": 1,
        "session": "20261120-231800-5f3a",
        "status": "limit",
        "exit_code": 4,
        "goals": ["Make the tests of this package pass.", "Write report.md."],
        "answer": None,
        "verified": False,
        "steps": 3,
        "duration_s": 468.0,
        "usage": {
            "prompt_tokens": 30_000,
            "cached_tokens": 24_000,
            "completion_tokens": 1_500,
            "reasoning_tokens": 300,
        },
        "cost_usd": 0.63,
        "model": "gpt-5-mini",
        "files_changed": ["src/slugs.py"],
        "hosts": [],
        "sources": [],
        "refused": ["delete_file a"],
        "agents": [],
        "error": "100 steps are done.",
        "resume": "autoagent --resume 20261120-231800-5f3a --max-steps 200",
        "journal_hash": "5ea1",
    }


def test_a_cost_that_nobody_knows_is_null_and_said_so() -> None:
    call = Reserved(3, "step", 10, 10, None, 60.0)
    unpriced = Replied(3, "", "", "", None, "", "finish", {}, "strict", Usage(10, 10))

    state = _run(Stopped("interrupted", 130, "Interrupted."), call, unpriced)

    assert result_object(state, "")["cost_usd"] is None
    assert "\ncost     price unknown; 3 steps, " in _receipt(state)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0 s"), (59.6, "1 min 0 s"), (468.0, "7 min 48 s"), (7_500.0, "2 h 5 min")],
)
def test_times_are_spelled_as_people_say_them(seconds: float, said: str) -> None:
    assert spell_time(seconds) == said


def test_who_watches_sees_cost_and_cached_share_at_each_step() -> None:
    """The bill of a long run hangs on it (80 of 100 tokens here)."""
    written = io.StringIO()
    view = Plain(Output(written), watched=True)

    for event in (_STARTED, *_step(1, "read_file")):
        view.show(event)

    assert "step 1, $0.21 so far, 80 % cached\n" in written.getvalue()


def test_who_watches_sees_at_each_step_what_sub_agents_have_cost_too() -> None:
    """As at its end: it is one purse."""
    written = io.StringIO()
    view = Plain(Output(written), watched=True)
    limits = Limits(steps=20, tokens=400_000, cost=0.5)
    came_to = ("", None, 4, _USAGE, 0, 9.0, (), (), (), False, (), (), "")

    for event in (
        _STARTED,
        *_step(1, "start_agent"),
        Spawned(1, "r1", "Sum up.", "", "", limits),
        Reported(2, "r1", "done", *came_to),
        *_step(2, "read_file"),
    ):
        view.show(event)

    assert "step 1, $0.21 so far" in written.getvalue()
    assert "step 2, $0.63 so far, 80 % cached\n" in written.getvalue()


def test_what_a_sub_agent_recalled_is_not_offered_at_the_prompt() -> None:
    """/memory shows what the session's own agent has in mind."""
    written = io.StringIO()
    view = Plain(Output(written), watched=True)
    memo = Memo(1, "x", 1.0)

    view.show(replace(_STARTED, sub_agent="r1"))
    view.show(Recalled(1, (memo,), None))

    assert written.getvalue() == "1 memory recalled.\n"
