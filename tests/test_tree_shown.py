"""A session with sub-agents as people see it, and as programs and lists get it."""

import io
import json
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from autoagent.events import Event, Inherited, Messaged, Reserved, Told
from autoagent.sessions import Lock
from autoagent.sessions.summary import summary
from autoagent.sessions.tree import entries_of
from autoagent.state import State, fold
from autoagent.terminal.log import Log
from autoagent.terminal.output import Output
from autoagent.terminal.plain import voices
from autoagent.terminal.receipt import receipt, result_object
from autoagent.terminal.slash import Slash
from tests.past import DONE, started, step
from tests.past_teams import Team, reported, spawned, worked
from tests.program import Program, says
from tests.teams import Troupe

FINISH = says("finish", answer="ok")
LONG = "\n".join(f"line {number} " + "word " * 60 for number in range(12))


class Screen(io.StringIO):
    """A terminal that keeps what is written to it."""

    def isatty(self) -> bool:
        return True


def shown(
    entries: Sequence[tuple[str, Event]],
    *,
    watched: bool = False,
    quiet: bool = False,
    stream: io.StringIO | None = None,
) -> str:
    """What a live run writes of these."""
    written = stream or io.StringIO()
    view = voices(Output(written), watched=watched, quiet=quiet)
    for agent, event in entries:
        view.of(agent).show(event)
    return written.getvalue()


def of_both() -> list[tuple[str, Event]]:
    """Two agents in between one another, long texts among it."""
    first = replace(started("S/tests", "/w", "Test."), sub_agent="tests")
    mine, its = step(1, text=LONG), step(1, text=LONG)
    between: list[tuple[str, Event]] = [("tests", first), ("tests", Inherited(web=False))]
    for one, other in zip(mine, its, strict=True):
        between += [("", one), ("tests", other)]
    return [("", started("S", "/w")), ("", spawned("tests", "Test.", role="tester")), *between]


def test_a_line_a_step_says_whose_it_is() -> None:
    """The log of an unattended run is searched for a name."""
    lines = shown(of_both()).splitlines()

    assert lines[2:] == [
        "tests starts (tester): Test.",
        "step 1: read_file a.txt: 1 line",
        "tests: step 1: read_file a.txt: 1 line",
    ]


def test_every_line_of_a_sub_agent_carries_its_name_wrapped_and_fenced_ones_too() -> None:
    """What has no name before it is the session's own agent's, without exception."""
    entries = of_both()

    whole = shown(entries, watched=True).splitlines()

    alone = shown([entry for entry in entries if not entry[0]], watched=True).splitlines()
    named = [line for line in whole if line.startswith("tests: ")]
    assert [line for line in whole if not line.startswith("tests: ")] == alone
    assert "tests:   Thought 1." in named
    assert "tests:   | line 0 word" in named[-1 - 8][:30]
    assert len(named) > 10


def test_no_line_is_wider_than_the_terminal_for_the_name_before_it() -> None:
    """A line that the terminal breaks would go on at the margin."""
    lines = shown(of_both(), watched=True, stream=Screen()).splitlines()

    assert max(map(len, lines)) <= 80


def test_a_quiet_run_shows_nothing_of_them() -> None:
    """-q: only what ends the run."""
    assert shown(of_both(), quiet=True) == ""


def test_the_passing_line_stays_that_of_the_session_and_below_what_others_write() -> None:
    """Eight agents that think would overwrite one another's."""
    entries: list[tuple[str, Event]] = [
        ("", started("S", "/w")),
        ("", Reserved(1, "step", 10, 10, None, 0.0)),
        ("tests", replace(started("S/tests", "/w"), sub_agent="tests")),
    ]
    its = step(1)

    before = shown(entries, stream=Screen())
    after = shown([*entries, *(("tests", event) for event in its)], stream=Screen())

    assert before.endswith("step 1: thinking…")
    assert after.endswith("step 1: thinking…")
    assert "\r\x1b[2Ktests: step 1: read_file a.txt: 1 line\n" in after
    assert "tests: step 1: thinking" not in after


def test_what_agents_say_to_each_other_is_shown_once(tmp_path: Path) -> None:
    """The words where they are said, the report where it is read; a pause isn't an end."""
    told = Told(step=1, number=1, text="Hurry.", web=False)
    entries: list[tuple[str, Event]] = [
        ("", started("S", "/w")),
        ("", spawned("docs", "Document.", folder="docs")),
        ("docs", replace(started("S/docs", "/w/docs"), sub_agent="docs")),
        ("", Messaged(1, "docs", 1, "Hurry.", web=False)),
        ("docs", told),
        ("", reported("docs", "Half of it.", status="limit", steps=20, cost=0.5, changed=("a",))),
        ("", reported("docs", paused=True)),
    ]

    lines = shown(entries, watched=True).splitlines()

    assert "docs starts in docs/: Document." in lines
    assert [line for line in lines if "Hurry." in line] == ["docs is told: Hurry."]
    assert "docs reached a limit: 20 steps, $0.50, changed a" in lines
    assert "  | Half of it." in lines
    assert "docs pauses, and goes on with this session: 1 step, $0.01" in lines


def test_a_name_from_a_journal_can_not_forge_a_line() -> None:
    """It may have been written by somebody else."""
    evil = "x\n\x1b[2Jstep 9: all done"

    out = shown([(evil, event) for event in step(1)])

    assert "\x1b" not in out
    assert out == "x \\x1b[2Jstep 9: all done: step 1: read_file a.txt: 1 line\n"


def test_a_log_has_the_time_and_the_name_before_each_line(tmp_path: Path) -> None:
    """--log-file of an unattended run."""
    path = tmp_path / "log"
    log = Log(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
    view = voices(log, watched=True, verbose=True)
    for agent, event in of_both():
        view.of(agent).show(event)
    log.close()

    lines = path.read_text().splitlines()

    assert all(re.match(r"\d{4}-\d\d-\d\dT\S+ ", line) for line in lines)
    assert any(line.partition(" ")[2] == "tests:   Thought 1." for line in lines)


# The whole session again, by the program.


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> tuple[Program, Team]:
    folder = tmp_path_factory.mktemp("shown")
    program = Program(folder)
    return program, worked(program.home, program.workspace)


def test_show_and_replay_tell_all_of_it_in_order(team: tuple[Program, Team]) -> None:
    """And the same, but for the pauses."""
    program, _ = team

    done = program.run("sessions", "show")
    again = program.run("sessions", "replay", "--at-once")

    places = [
        done.out.index(text)
        for text in (
            "tests starts (tester): Write the tests.",
            "\ndocs:   | docs 1\n",
            "\ntests:   | tests 1\n",
            "\ndocs/links:   | links 1\n",
            "\ndocs: links is done: 1 step, $0.01\n",
            "\n  | root 2\n",
            "\ndocs is done: 2 steps, $0.02\n",
            "\n  | All pass.\n",
        )
    ]
    assert places == sorted(places)
    assert "cost     $0.05; 5 steps, " in done.out
    assert "agents   tests (tester): done, 1 step, $0.01; Write the tests.\n" in done.out
    assert again.out == done.out
    assert done.code == again.code == 0


def test_programs_get_every_event_with_its_agent_and_one_object(team: tuple[Program, Team]) -> None:
    """The lines as they stand on disk; the same events in an export."""
    program, tree = team
    on_disk = [
        json.loads(line)
        for agent in ("", "tests", "docs", "docs/links")
        for line in tree.path(agent).read_text().splitlines()
    ]

    lines = program.run("sessions", "show", "--output-format", "stream-json").lines
    followed = program.run("sessions", "follow", "--output-format", "stream-json").lines
    exported = program.run("sessions", "export", "--format", "json").object

    assert sorted(map(json.dumps, lines[:-1])) == sorted(map(json.dumps, on_disk))
    assert {line.get("agent") for line in lines[:-1]} == {None, "tests", "docs", "docs/links"}
    assert followed == lines
    assert exported == {**lines[-1], "events": lines[:-1]}
    assert lines[-1]["agents"] == [
        {"name": "tests", "role": "tester", "status": "done", "steps": 1, "cost_usd": 0.01,
         "task": "Write the tests."},
        {"name": "docs", "role": "", "status": "done", "steps": 2, "cost_usd": 0.02,
         "task": "Write the docs."},
    ]  # fmt: skip


def test_an_export_to_read_has_each_agents_steps_and_one_to_learn_from_its_conversation(
    team: tuple[Program, Team],
) -> None:
    program, _ = team

    page = program.run("sessions", "export").out
    chats = program.run("sessions", "export", "--format", "chat").lines

    first, second = page.index("# Agent tests\n"), page.index("# Agent docs\n")
    assert first < second < page.index("docs 1") < page.index("tests 1")
    assert "The agent tests is done:\n\n> All pass.\n" in page
    goals = [chat["messages"][1]["content"].partition("1. ")[2] for chat in chats]
    assert [goal.partition("\n")[0] for goal in goals] == [
        *("Reach the goal.", "Write the tests.", "Write the docs.", "Look for dead links."),
    ]


def test_a_list_counts_what_all_of_them_used(team: tuple[Program, Team]) -> None:
    program, _ = team

    line = program.run("sessions", "list").out

    assert re.search(r"^S  done +5 steps +\$0\.05 ", line)
    assert "(2 agents)" in line


def test_a_damaged_journal_of_one_is_named_and_the_rest_is_shown(tmp_path: Path) -> None:
    """A person must not lose the whole night for a bad sector."""
    program = Program(tmp_path)
    tree = worked(program.home, program.workspace)
    tree.path("tests").write_bytes(b"rubbish\n")

    done = program.run("sessions", "show")

    assert done.code == 0
    assert f"tests: {tree.path('tests')}, line 1 is damaged" in done.out
    assert "docs/links:   | links 1" in done.out
    assert "  The answer." in done.out


# What it came to.


def test_the_result_counts_the_sub_agents_in() -> None:
    """Money is money, whoever spent it; null stays unknown."""
    reports: list[Event] = [
        spawned("tests", "Test.", role="tester"),
        spawned("docs", "Document."),
        reported("tests", steps=3, cost=0.3, changed=("t.py", "a.py"), hosts=("a.org:443",)),
        reported("docs", status="limit", cost=0.1, refused=("delete_file x",), paused=True),
    ]
    state = fold([started("S", "/w"), *step(1), *reports, DONE])

    result = result_object(state, "")

    assert result["steps"] == 1 + 3 + 1
    assert result["usage"]["prompt_tokens"] == 100 + 300 + 100
    assert result["cost_usd"] == 0.41
    assert result["files_changed"] == ["t.py", "a.py"]
    assert result["hosts"] == ["a.org:443"]
    assert result["refused"] == ["delete_file x"]
    assert [(row["name"], row["status"]) for row in result["agents"]] == [
        ("tests", "done"),
        ("docs", "paused"),
    ]
    unknown = fold([started("S", "/w"), *reports, reported("docs", cost=None), DONE])
    assert result_object(unknown, "")["cost_usd"] is None


def test_the_receipt_names_them_and_the_way_back_where_only_they_changed_files() -> None:
    """The session's own agent made no checkpoint."""
    state = fold(
        [started("S", "/w"), spawned("tests", "Test."), reported("tests", changed=("t",)), DONE]
    )
    written = io.StringIO()

    receipt(Output(written), state, Path("/journal"))

    lines = written.getvalue().splitlines()
    assert "files    t" in lines
    assert "agents   tests: done, 1 step, $0.01; Test." in lines
    assert "undo     autoagent undo S --to 0" in lines


def killed(tmp_path: Path) -> Team:
    """A session that died while `docs` and `docs/links` worked; `tests` had reported."""
    team = Team(tmp_path, tmp_path)
    team.begin("tests", "Test.")
    team.add("tests", *step(1))
    team.end("tests", "ok", reported("tests"))
    team.begin("docs", "Document.")
    team.add("docs", *step(1), *step(2))
    team.begin("docs/links", "Look.")
    team.add("docs/links", *step(1), Reserved(2, "step", 1000, 500, 0.05, 1.0))
    team.add("", spawned("late", "Wait."))
    return team


def test_a_session_that_died_counts_what_its_sub_agents_had_used(tmp_path: Path) -> None:
    """Nobody reported it; a call whose end nobody knows stays paid."""
    team = killed(tmp_path)

    facts = summary(team.folder).facts

    assert facts["status"] == "died"
    assert facts["steps"] == 4
    assert facts["cost_usd"] == pytest.approx(4 * 0.01 + 0.05)
    assert facts["usage"]["prompt_tokens"] == 4 * 100 + 1000
    assert [(row["name"], row["status"], row["steps"]) for row in facts["agents"]] == [
        ("tests", "done", 1),
        ("docs", "paused", 3),
        ("late", "paused", 0),
    ]


def test_of_a_running_session_a_list_says_who_works_and_who_waits(tmp_path: Path) -> None:
    """With what each used up to now; an open call isn't lost yet."""
    team = killed(tmp_path)
    lock = Lock(team.folder)

    facts = summary(team.folder).facts
    lock.release()

    assert (facts["status"], facts["cost_usd"]) == ("running", 0.04)
    assert [(row["name"], row["status"], row["cost_usd"]) for row in facts["agents"]] == [
        ("tests", "done", 0.01),
        ("docs", "working", 0.03),
        ("late", "waiting", 0.0),
    ]


def test_at_the_prompt_a_line_each_tells_of_them_and_the_cost_is_that_of_all(
    tmp_path: Path,
) -> None:
    """/agents, /cost, /status, while they work."""
    team = killed(tmp_path)
    states: dict[str, State] = {}
    for entry in entries_of(team.folder):
        states.setdefault(entry.agent, State()).apply(entry.event)
    written = io.StringIO()
    slash = Slash(
        Output(written), states[""], lambda *_: [], lambda *_: "", lambda *_: None, lambda: states
    )

    for word in ("/agents", "/cost", "/status"):
        assert slash.obeys(word)

    lines = written.getvalue().splitlines()
    assert lines[:3] == [
        "tests: done, 1 step, $0.01; Test.",
        "docs: working, 3 steps, $0.03; Document.",
        "late: waiting, 0 steps, $0.00; Wait.",
    ]
    assert lines[3].startswith("$0.04 of $3.00; 440 of ")
    assert any(line.startswith("Step 4 of 100") for line in lines)


def test_without_any_the_prompt_says_so(tmp_path: Path) -> None:
    written = io.StringIO()

    state = fold([started("S", "/w")])
    Slash(Output(written), state, lambda *_: [], lambda *_: "", lambda *_: None).obeys("/agents")

    assert written.getvalue() == "There are no sub-agents.\n"


def test_a_run_shows_its_sub_agents_live_and_its_result_counts_them(tmp_path: Path) -> None:
    """By the program itself: a line a step on standard error, each with its agent."""
    scripts = {
        "main": [says("start_agent", name="a", task="a writes"), says("wait_for_agents"), FINISH],
        "a": [says("write_file", path="a.txt", content="a"), FINISH],
    }
    with Troupe(tmp_path, **scripts) as troupe:
        program = Program(tmp_path, troupe.server.base_url)
        done = program.run("--goal", "main", "--output-format", "json")
        quiet = program.run("--goal", "main", "-q")
    shown = program.run("sessions", "show", program.sessions[0].name, "--output-format", "json")

    lines = done.err.splitlines()
    steps = [line for line in lines if "step " in line and ": " in line]
    assert "a starts: a writes" in lines
    assert any(line.startswith("a: step 1: write_file a.txt: new") for line in steps)
    assert any(line.startswith("a is done: 2 steps, ") for line in lines)
    assert (done.object["steps"], done.object["files_changed"]) == (5, ["a.txt"])
    assert [(row["name"], row["status"]) for row in done.object["agents"]] == [("a", "done")]
    assert {name: shown.object[name] for name in ("steps", "usage", "agents")} == {
        name: done.object[name] for name in ("steps", "usage", "agents")
    }
    assert "a: " not in quiet.err.partition("goal ")[0]
