"""`autoagent sessions list`, `show` and `replay`: what a person and a program find of past runs."""

import io
import json
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from autoagent.configuration import settings as setting
from autoagent.configuration.options import parse
from autoagent.configuration.settings import Settings
from autoagent.errors import ConfigError, StateError
from autoagent.events import Event, Executed, Fed, Noticed, Reserved, Stopped
from autoagent.journal import load
from autoagent.sessions import Lock, new_id
from autoagent.sessions.summary import note_end
from autoagent.subcommands import showing
from autoagent.subcommands.sessions import run
from autoagent.terminal.output import Output
from tests.fake_openai import FakeOpenAI
from tests.past import DONE, kept, started, step
from tests.program import Program, says
from tests.test_cli import modules_of


def settings_of(home: Path, *argv: str) -> Settings:
    """Those of a command line typed in the folder above `home`."""
    environ = {"AUTOAGENT_HOME": str(home), "HOME": "/nowhere", "PATH": os.environ["PATH"]}
    return setting.load(parse(["sessions", *argv]), environ, cwd=home.parent)


def sessions(home: Path, *argv: str) -> list[str]:
    """The lines that `autoagent sessions ARGV` writes."""
    written = io.StringIO()
    run(parse(["sessions", *argv]), settings_of(home, *argv), {}, Output(written))
    return written.getvalue().splitlines()


def refusal(home: Path, *argv: str) -> str:
    with pytest.raises((ConfigError, StateError)) as error:
        sessions(home, *argv)
    return str(error.value)


def names(lines: Sequence[str]) -> list[str]:
    return [line.split()[0] for line in lines]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Program, dict[str, object]]:
    """A run of the real program, and the object it printed."""
    with FakeOpenAI([says("write_file", path="a", content="x"), says("finish", answer="ok")]) as s:
        program = Program(tmp_path_factory.mktemp("run"), s.base_url)
        done = program.run("--goal", "write a", "--price", "1,1,1", "--output-format", "json")
    return program, done.object


def test_a_program_gets_the_same_figures_as_from_the_run_itself(
    finished: tuple[Program, dict[str, object]],
) -> None:
    """The run leaves them beside its journal; folded anew they must come out the same."""
    program, result = finished
    noted = json.loads(sessions(program.home, "list", "--output-format", "json")[0])[0]
    (program.sessions[0] / "summary.json").unlink()

    folded = json.loads(sessions(program.home, "list", "--output-format", "json")[0])[0]

    added = {"workspace", "started_at", "last_at", "journal_bytes"}
    assert noted == folded
    assert {k: v for k, v in noted.items() if k not in added} == {**result, "type": "session"}
    assert noted["workspace"] == str(program.workspace)


def test_a_session_is_a_line_and_its_folder_is_named_only_when_it_is_another(home: Path) -> None:
    """Newest first; one cost is the sum of its steps, 0.01 each, and one isn't known."""
    here = str(home.parent)
    kept(home, [started("20260101-a", "/elsewhere"), *step(1), *step(2), DONE])
    kept(home, [started("20260102-b", here, "two\nlines \x1b[2J"), *step(1, cost=None), DONE])

    newer, older = sessions(home, "list")

    assert newer.split()[:5] == ["20260102-b", "done", "1", "step", "$?"]
    assert newer.endswith("  two lines \\x1b[2J")
    assert older.split()[:5] == ["20260101-a", "done", "2", "steps", "$0.02"]
    assert older.endswith("  Reach the goal.  (/elsewhere)")


def test_what_runs_and_what_died_are_told_apart(home: Path) -> None:
    """Nobody holds a session whose process is gone; its open call stays paid for in full."""
    folder = kept(
        home, [started("20260101-a", "/w"), *step(1), Reserved(2, "step", 9, 9, 0.5, 2.0)]
    )
    lock = Lock(folder)
    running = json.loads(sessions(home, "list", "--output-format", "stream-json")[0])
    lock.release()

    died = json.loads(sessions(home, "list", "--output-format", "stream-json")[0])

    assert (running["status"], running["cost_usd"], running["resume"]) == ("running", 0.01, None)
    assert (died["status"], died["cost_usd"], died["exit_code"]) == ("died", 0.51, None)
    assert died["resume"] == "autoagent --resume 20260101-a"


def test_a_noted_death_is_no_death_once_somebody_goes_on(home: Path) -> None:
    """The note was made while nobody held it."""
    folder = kept(home, [started("20260101-a", "/w"), *step(1)])
    assert sessions(home, "list")[0].split()[1] == "died"

    lock = Lock(folder)
    again = sessions(home, "list")[0].split()[1]
    lock.release()

    assert again == "running"


def test_a_note_counts_only_as_long_as_the_journal_is_as_it_was(home: Path) -> None:
    """A resumed session grows; old figures would be wrong ones."""
    folder = kept(home, [started("20260101-a", "/w"), *step(1), DONE])
    sessions(home, "list")
    other = kept(home, [started("20260102-b", "/w"), *step(1), *step(2), *step(3), DONE])
    (folder / "journal.jsonl").write_bytes((other / "journal.jsonl").read_bytes())

    lines = sessions(home, "list")

    assert [line.split()[2] for line in lines] == ["3", "3"]


def test_the_filters_pick_by_status_time_and_folder(home: Path) -> None:
    """A status is typed as it is shown, or in words."""
    now = 4_000_000_000.0  # in the future, so within any time
    limit = Stopped("gave_up", 3, "No.")
    kept(home, [started("20260101-a", "/w"), *step(1), DONE])
    kept(home, [started("20260102-b", "/w"), *step(1), limit])
    kept(home, [started("20260103-c", str(home.parent)), *step(1), limit], at=now)

    assert names(sessions(home, "list", "--status", "gave up")) == ["20260103-c", "20260102-b"]
    assert names(sessions(home, "list", "--since", "7d")) == ["20260103-c"]
    assert names(sessions(home, "list", "-w", str(home.parent))) == ["20260103-c"]
    assert sessions(home, "list", "--status", "stuck") == [
        "No session fits; all of them: autoagent sessions list"
    ]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["list", "--status", "dne"], "Did you mean done?"),
        (["list", "--since", "7"], "--since: '7' isn't a time like 90m, 12h, 7d or 4w."),
        (["list", "--speed", "2"], "--speed goes with `sessions replay`, not with list."),
        (["replay", "x", "--speed", "fast"], "--speed: 'fast' isn't a number above 0"),
        (["export", "x", "--format", "pdf"], "'pdf' isn't one of markdown, json, chat"),
        (["show", "2026-101-a"], "Did you mean 20260101-a?"),
        (["delete", "20260101-a", "../x"], "There is no session '../x'"),
        (["show", "x" * 500], "There is no session 'xxx"),
    ],
)
def test_what_cannot_be_meant_is_a_sentence_that_names_what_is_near(
    home: Path, argv: list[str], said: str
) -> None:
    """And nothing is done."""
    kept(home, [started("20260101-a", "/w"), *step(1), DONE])

    assert said in refusal(home, *argv)
    assert names(sessions(home, "list")) == ["20260101-a"]


def test_a_damaged_and_a_newer_session_are_named_beside_the_others(home: Path) -> None:
    """One broken file must not hide the rest."""
    kept(home, [started("20260101-a", "/w"), *step(1), DONE])
    damaged = kept(home, [started("20260102-b", "/w"), *step(1), DONE]) / "journal.jsonl"
    damaged.write_bytes(damaged.read_bytes().replace(b"Thought 1", b"Thought 2"))
    newer = kept(home, [replace(started("20260103-c", "/w"), schema_version=99), *step(1)])
    kept(home, [started("20260104-d", "/w"), *step(1)])
    empty = home / "sessions" / "20260105-e"
    empty.mkdir()
    (empty / "journal.jsonl").touch()

    lines = sessions(home, "list")

    assert [line.split()[1] for line in lines] == ["damaged", "died", "newer", "damaged", "done"]
    assert "its journal has no readable beginning" in lines[0]
    assert "line 4 is damaged" in lines[3]
    assert "update autoagent" in refusal(home, "show", newer.name)
    assert "line 4 is damaged" in refusal(home, "show", "20260102-b")
    assert "autoagent sessions delete 20260105-e" in refusal(home, "show", "20260105-e")
    assert names(sessions(home, "list", "--status", "damaged")) == ["20260105-e", "20260102-b"]


def test_a_torn_last_line_hides_nothing_of_what_stands_before_it(home: Path) -> None:
    """Killed in the middle of a write, and looked at before it is resumed."""
    folder = kept(home, [started("20260101-a", "/w"), *step(1)])
    with (folder / "journal.jsonl").open("ab") as journal:
        journal.write(b'{"n":5,"prev')

    assert sessions(home, "list")[0].split()[1:3] == ["died", "1"]
    assert "  Thought 1." in sessions(home, "show", folder.name)


def test_a_past_session_reads_from_top_to_end(home: Path) -> None:
    """What the person typed and what the model did, in order; foreign signs are harmless."""
    events = [started("20260101-a", "/w"), *step(1), Fed("be\x1b[2J quick"), *step(2), DONE]
    kept(home, events)

    page = "\n".join(sessions(home, "show", "20260101-a"))

    parts = ("Reach the goal.", "Thought 1.", "> be\\x1b[2J quick", "Thought 2.", "The answer.")
    places = [page.index(part) for part in (*parts, "Done by the model's word.")]
    assert places == sorted(places)
    assert page.endswith("It ended with exit code 0.")


def test_a_result_is_shown_whole_on_request(home: Path) -> None:
    """In short its two ends; whole from its file, where the model saw a part."""
    done = step(1, text="head\n…\ntail", name="execute_shell", args={"command_line": "a\nb"})
    events = [replace(e, whole="1.txt") if isinstance(e, Executed) else e for e in done]
    folder = kept(home, [started("20260101-a", "/w"), *events, DONE])
    (folder / "results").mkdir()
    (folder / "results/1.txt").write_text("".join(f"line {n}\n" for n in range(40)))

    short = sessions(home, "show", folder.name)
    whole = sessions(home, "show", folder.name, "-v")

    assert [line for line in whole if line.startswith("  | line")] == [
        f"  | line {n}" for n in range(40)
    ]
    assert "  | b" in whole
    assert "  | line 20" not in short


def test_what_died_ends_with_how_to_go_on_and_what_runs_with_how_to_follow(home: Path) -> None:
    """The person at 2 a.m. pastes that line."""
    folder = kept(home, [started("20260101-a", "/w"), *step(1)])
    died = sessions(home, "show", folder.name)
    lock = Lock(folder)

    runs = sessions(home, "show", folder.name)
    lock.release()

    assert died[-1] == "  autoagent --resume 20260101-a"
    assert runs[-2:] == [
        f"It runs, as process {os.getpid()}. To follow it:",
        "  autoagent sessions follow 20260101-a",
    ]


def test_hosts_are_not_said_to_be_none_where_commands_had_the_network(home: Path) -> None:
    """The journal has no list then, which isn't the same as an empty one."""
    shut = Noticed("place", "Cage: bubblewrap. Commands write here only, have no network.")
    open_ = Noticed("place", "Cage: bubblewrap. Commands write here only, have the whole network.")
    kept(home, [started("20260101-a", "/w"), shut, *step(1), DONE])
    kept(home, [started("20260102-b", "/w"), open_, *step(1), DONE])

    assert "hosts    none but the model's" in sessions(home, "show", "20260101-a")
    assert "hosts    not recorded: commands could reach any" in sessions(home, "show", "20260102-b")


def test_the_newest_of_this_folder_is_meant_without_an_id(home: Path) -> None:
    """As with --resume and undo."""
    kept(home, [started("20260101-a", str(home.parent), "mine"), DONE])
    kept(home, [started("20260102-b", "/elsewhere", "theirs"), DONE])

    assert "  mine" in sessions(home, "show")


def pauses_of(home: Path, *argv: str) -> list[float]:
    """How long a replay of the session `a` waits, in order."""
    waited: list[float] = []
    out = Output(io.StringIO())
    showing.replay(settings_of(home, "replay", *argv), "a", out, float(argv[1]), waited.append)
    return waited


def test_a_replay_keeps_the_pauses_but_none_over_three_seconds(home: Path) -> None:
    """A night's run is watched in minutes; 2 s, an hour, 1 s, at double speed 1, 3, 0.5."""
    events: list[Event] = [started("a", "/w"), *step(1)[:3]]
    kept(home, events, pauses=[2.0, 3600.0, 1.0])

    assert pauses_of(home, "--speed", "1") == [2.0, 3.0, 1.0]
    assert pauses_of(home, "--speed", "2") == [1.0, 3.0, 0.5]
    assert pauses_of(home, "--speed", "inf") == []


def test_a_replay_at_once_shows_what_show_shows(home: Path) -> None:
    """One code path for both."""
    kept(home, [started("a", "/w"), *step(1), *step(2), DONE], pauses=[1000.0])

    assert sessions(home, "replay", "a", "--at-once") == sessions(home, "show", "a")


def test_a_program_replays_the_events_as_they_stand_on_disk(home: Path) -> None:
    """The same stream as that of the run; last one object."""
    folder = kept(home, [started("a", "/w"), *step(1), DONE])
    form = ("--output-format", "stream-json")

    lines = [json.loads(line) for line in sessions(home, "show", "a", *form)]

    journal = (folder / "journal.jsonl").read_text().splitlines()
    assert lines[:-1] == [json.loads(line) for line in journal]
    assert (lines[-1]["type"], lines[-1]["status"]) == ("session", "done")
    assert json.loads(sessions(home, "show", "a", "--output-format", "json")[0]) == lines[-1]


def test_a_note_is_not_made_for_a_journal_that_somebody_went_on_with(home: Path) -> None:
    """Its figures would be taken for those of the longer one."""
    from autoagent.journal import Journal
    from autoagent.state import fold

    folder = kept(home, [started("a", "/w"), *step(1), DONE])
    loaded = load(folder / "journal.jsonl")
    journal = Journal(folder / "journal.jsonl", loaded)
    journal.close()
    with (folder / "journal.jsonl").open("ab") as more:
        more.write(b"more")

    note_end(fold([entry.event for entry in loaded.entries]), journal)

    assert not (folder / "summary.json").exists()


def test_looking_at_sessions_imports_nothing_heavy() -> None:
    """They are looked at often, and by programs."""
    heavy = {"openai", "numpy", "tiktoken", "genai_prices", "json_repair", "asyncio"}

    assert modules_of("sessions", "list") & heavy == set()


def test_the_session_that_began_last_is_the_newest_also_within_a_second() -> None:
    """`--resume` without an ID goes by the order of the IDs."""
    made = [new_id()]
    while len(made) < 20:
        begun = time.time_ns()
        while time.time_ns() - begun < 1_000_000:  # a session takes much longer to begin
            pass
        made.append(new_id())

    assert made == sorted(made)
