"""autoagent as a library: a goal and commands in, events and an outcome out."""

import doctest
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from autoagent import AutoAgentError, Outcome, open_session, outcome_of, run
from autoagent.events import Executed, Noticed, Stopped
from commands.own import declaring
from commands.own.inline import spec_of
from commands.own.outcome import LONGEST, returned
from tests import api_page
from tests.fake_openai import FakeOpenAI
from tests.program import KEY, ROOT, Program, says

DOCS = ROOT / "docs"


def settings(folder: Path, server: FakeOpenAI, **variables: str) -> dict[str, Any]:
    """Where a run of the library works, and by which environment."""
    program = Program(folder, server.base_url, variables)
    return {"workspace": program.workspace, "environ": program.environment}


def stock(item: str) -> int:
    """how many pieces of an item there are"""
    return {"tea": 12, "coffee": 0}[item]


def test_a_run_calls_a_function_and_says_how_it_ended(tmp_path: Path) -> None:
    """The whole of what most programs need."""
    script = [says("stock", item="tea"), says("finish", answer="There are 12.")]

    with FakeOpenAI(script) as server:
        outcome = run("Is there tea?", commands=[stock], **settings(tmp_path, server))

    assert (outcome.status, outcome.exit_code, outcome.answer) == ("done", 0, "There are 12.")
    assert (outcome.steps, outcome.error, outcome.verified) == (2, None, None)
    assert "stock(item) - how many pieces" in server.chats[0]["messages"][0]["content"]
    last = server.chats[1]["messages"][-1]["content"]
    assert re.fullmatch(r"\[stock, command\] \d+\.\d s\n12\n\[end\]", last)


def test_what_a_function_raises_is_a_failed_result_and_the_run_goes_on(tmp_path: Path) -> None:
    """Also an exit: nothing of a function's may end the program around it."""

    def leave(code: int) -> None:
        """leave with a code"""
        sys.exit(code)

    script = [says("stock", item="milk"), says("leave", code=3), says("finish", answer="ok")]

    with FakeOpenAI(script) as server:
        with open_session("Go", commands=[stock, leave], **settings(tmp_path, server)) as session:
            done = [event for event in session if isinstance(event, Executed)]
        results = session.folder / "results"

    line = stock.__code__.co_firstlineno + 2
    assert [each.ok for each in done] == [False, False, True]
    assert done[0].text == f"KeyError: 'milk' (test_library.py, line {line})"
    assert done[1].text.startswith("SystemExit: 3 (test_library.py")
    assert "in stock\n" in (results / "1.txt").read_text()


def test_a_function_that_never_ends_is_not_waited_for(tmp_path: Path) -> None:
    """A thread can't be stopped; the run must not hang on it."""
    over = Event()

    def hang() -> None:
        """never ends"""
        over.wait(60)

    script = [says("hang"), says("finish", answer="ok")]

    try:
        with FakeOpenAI(script) as server:
            given = settings(tmp_path, server, AUTOAGENT_COMMAND_TIMEOUT="1")
            with open_session("Go", commands=[hang], **given) as session:
                done = [event for event in session if isinstance(event, Executed)]
    finally:
        over.set()

    assert (done[0].ok, done[0].text) == (
        False,
        "[it was not waited for any longer and may still take effect]",
    )
    assert outcome_of(session).status == "done"


def test_leaving_early_ends_the_run_in_order(tmp_path: Path) -> None:
    """Nothing of it runs on, and its journal says how it ended."""
    script = [says("list_files"), says("list_files"), says("list_files")]
    before = set(threading.enumerate())

    with FakeOpenAI(script) as server:
        with open_session("Go", **settings(tmp_path, server)) as session:
            next(iter(session))
        stopped = session.state.stopped

    assert stopped is not None
    assert stopped.status == "interrupted"
    assert {thread.name for thread in set(threading.enumerate()) - before} == set()


def test_two_runs_at_once_in_threads_touch_neither_each_other_nor_the_process(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A server of somebody's: its signals, its output and its folder are its own."""
    outcomes: dict[str, Outcome] = {}
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    cwd, variables = Path.cwd(), dict(os.environ)

    def work(name: str) -> None:
        script = [
            says("write_file", path="name.txt", content=name),
            says("execute_shell", command_line="cat name.txt; echo warning >&2"),
            says("finish", answer=name),
        ]
        (tmp_path / name).mkdir()
        with FakeOpenAI(script) as server:
            outcomes[name] = run("Go", **settings(tmp_path / name, server))

    threads = [Thread(target=work, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert {name: each.answer for name, each in outcomes.items()} == {"one": "one", "two": "two"}
    assert (tmp_path / "one" / "work" / "name.txt").read_text() == "one"
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert (Path.cwd(), dict(os.environ)) == (cwd, variables)
    assert capfd.readouterr() == ("", "")


def test_a_model_that_refuses_is_an_outcome_not_an_error(tmp_path: Path) -> None:
    """It has a session that can be resumed; only what has none is raised."""
    with FakeOpenAI(check=lambda _: refused()) as server:
        outcome = run("Go", **settings(tmp_path, server))

    assert (outcome.status, outcome.exit_code, outcome.answer) == ("unreachable", 5, None)
    assert outcome.error
    assert outcome.resume == f"autoagent --resume {outcome.session}"


def refused() -> Any:
    from tests.fake_openai import Answer

    return Answer(status=401, body={"error": {"message": "no such key"}})


def bare() -> None:
    pass


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"max_stepz": 5}, "There is no setting 'max_stepz' here; did you mean 'max_steps'?"),
        ({"max_steps": True}, "--max-steps: 'True' isn't a whole number above 0, like 100."),
        ({"resume": "x"}, "There is no setting 'resume' here; there are allow_host, "),
        ({"commands": [bare]}, "bare can't be a command: it has no docstring"),
        ({"commands": ["/nowhere/x.py"]}, "--commands '/nowhere/x.py': there is no such file"),
        ({"disable": "nothing"}, "--disable: There is no command 'nothing' that can be left out."),
    ],
)
def test_wrong_settings_are_raised_in_a_sentence(
    tmp_path: Path, given: dict[str, Any], said: str
) -> None:
    """Before anything is asked of a model, and without a session left behind."""
    with FakeOpenAI() as server, pytest.raises(AutoAgentError) as raised:
        run("Go", **settings(tmp_path, server), **given)

    assert str(raised.value).startswith(said)
    assert raised.value.exit_code == 2
    assert Program(tmp_path).sessions == []


def test_settings_count_as_on_the_command_line(tmp_path: Path) -> None:
    """Single values, lists, numbers and flags; False is said, too."""
    script = [says("execute_shell", command_line="echo hi > hi"), says("finish", answer="ok")]

    with FakeOpenAI(script) as server:
        given = settings(tmp_path, server, AUTOAGENT_DRY_RUN="true")
        outcome = run(
            "Go",
            **given,
            verify="test -e hi",
            price=(1, 0.5, 2),
            dry_run=False,
            api_key="sk-" + KEY,
        )

    assert (outcome.status, outcome.verified) == ("done", True)
    assert outcome.cost_usd is not None
    assert outcome.files_changed == ("hi",)
    assert server.requests[-1].headers["authorization"] == f"Bearer sk-{KEY}"
    assert (tmp_path / "work" / "hi").read_text() == "hi\n"


def test_without_a_goal_nothing_starts(tmp_path: Path) -> None:
    """An empty list of goals is easily made by a program."""
    with FakeOpenAI() as server, pytest.raises(AutoAgentError) as raised:
        run(**settings(tmp_path, server))

    assert "There is no goal" in str(raised.value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it\x1b is\n", "as it\x1b is\n"),
        (None, ""),
        (0.5, "0.5"),
        ({"ä": [1, None, True]}, '{"ä": [1, null, true]}'),
        ("x" * (LONGEST + 7), "x" * LONGEST + "\n[7 characters more, cut]"),
    ],
)
def test_what_a_function_returns_reaches_the_model_as_a_text(value: object, text: str) -> None:
    """A text is never quoted; all else is JSON."""
    assert returned(value).text == text


def test_what_is_not_json_is_said_with_its_kind() -> None:
    """A repr would carry addresses, and nobody could read it back."""
    with pytest.raises(TypeError, match="it returned a set; return a text or what JSON can say"):
        returned({1, 2})


def _wrong() -> Iterator[tuple[Callable[..., object], str]]:
    async def later() -> None:
        """later"""

    def untyped(x) -> None:  # type: ignore[no-untyped-def]
        """x"""

    def pile(*xs: str) -> None:
        """xs"""

    def either(x: int | str) -> None:
        """x"""

    def pairs(x: dict[str, int]) -> None:
        """x"""

    def calls(x: list[dict[str, Any]]) -> None:
        """x"""

    yield later, "it is async or a generator; make it a plain function"
    yield untyped, "x has no type hint; use str, int, float, bool or list[str]"
    yield pile, "*xs: str: every argument needs a name of its own"
    yield either, "x: int | str is not a type that a command can take"
    yield pairs, "x: dict[str, int] is not a type that a command can take"
    yield calls, "x: a list of dicts can't be taken; use str, int, float, bool or list[str]"
    yield bare, "it has no docstring; its first line tells the agent what it is for"


@pytest.mark.parametrize(("function", "why"), list(_wrong()))
def test_a_function_that_cannot_be_a_command_says_why(
    function: Callable[..., object], why: str
) -> None:
    """Its author reads it, without a stack."""
    with pytest.raises(TypeError) as raised:
        spec_of(function)

    assert str(raised.value) == why


def test_importing_autoagent_imports_nothing_more() -> None:
    """The program's own --version pays for it."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); before = set(sys.modules); import autoagent;"
        "print(sorted(set(sys.modules) - before))"
    )
    argv = [sys.executable, "-I", "-S", "-c", code, str(ROOT)]

    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout == "['autoagent']\n"


def test_the_api_page_says_what_the_docstrings_say() -> None:
    """A page that was typed by hand rots; `python -m tests.api_page` writes it anew."""
    assert api_page.PAGE.read_text("utf-8") == api_page.page()


def test_the_examples_of_docstrings_hold() -> None:
    """Those of memory_store are run with docs/memory.md."""
    result = doctest.testmod(declaring)

    assert (result.failed, result.attempted) == (0, 2)


_REPLIES: tuple[list[str], ...] = (
    [says("stock", item="tea"), says("finish", answer="There are 12 pieces of tea.")],
    [
        json.dumps(
            {
                "thoughts": "I write it.",
                "command": {
                    "name": "write_file",
                    "args": {"path": "hello.txt", "content": "hello\n"},
                },
            }
        ),
        '{"thoughts": "It is there.", "command": {"name": "finish", "args": {"answer": "ok"}}}',
    ],
    [],
)


def test_every_example_of_the_page_prints_what_it_says(tmp_path: Path) -> None:
    """Each is a program of its own; standard error stays empty, and the first is short."""
    text = (DOCS / "library.md").read_text("utf-8")
    examples = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", text, re.DOTALL)

    assert len(examples) == text.count("```python") == len(_REPLIES)
    assert len([line for line in examples[0][0].splitlines() if line]) <= 10
    for number, (code, output) in enumerate(examples):
        with FakeOpenAI(_REPLIES[number]) as server:
            (tmp_path / str(number)).mkdir()
            program = Program(tmp_path / str(number), server.base_url)
            done = subprocess.run(
                [sys.executable, "-W", "error", "-c", code],
                cwd=program.workspace,
                env=program.environment,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
        assert (done.stderr, done.returncode, done.stdout) == ("", 0, output)


def test_a_session_gives_its_events_in_the_order_of_the_journal(tmp_path: Path) -> None:
    """A view of somebody's shows the same as the program's own."""
    with FakeOpenAI([says("finish", answer="ok")]) as server:
        with open_session("Go", commands=[stock], **settings(tmp_path, server)) as session:
            seen = list(session)
        journal = Program(tmp_path).journal()

    assert [type(event).__name__ for event in seen] == [each["type"] for each in journal]
    said = [event.text for event in seen if isinstance(event, Noticed)]
    assert "Commands of your own, run as you and in no cage: stock." in said
    assert isinstance(seen[-1], Stopped)


def test_an_answer_that_must_fit_a_schema_comes_as_its_value(tmp_path: Path) -> None:
    """As in the result object; one that doesn't fit goes back to the model."""
    schema = tmp_path / "schema.json"
    schema.write_text('{"type": "object", "required": ["count"]}')
    script = [says("finish", answer="seven"), says("finish", answer='{"count": 7}')]

    with FakeOpenAI(script) as server:
        outcome = run("Count", **settings(tmp_path, server), answer_schema=schema)

    assert (outcome.status, outcome.answer, outcome.steps) == ("done", {"count": 7}, 2)
