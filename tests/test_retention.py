"""How sessions leave: `sessions delete`, `sessions prune`, and once a day by themselves."""

import io
import os
import time
from pathlib import Path

import pytest

from autoagent.configuration import settings as setting
from autoagent.configuration.options import parse
from autoagent.configuration.places import workspace_name
from autoagent.configuration.settings import Settings
from autoagent.errors import AutoAgentError
from autoagent.sessions import Lock
from autoagent.sessions.daily import make_room
from autoagent.sessions.retention import leaving
from autoagent.subcommands.sessions import run
from autoagent.terminal.output import Output
from tests.fake_openai import FakeOpenAI
from tests.past import DONE, kept, started, step
from tests.program import Program, says

NOW = 1_800_000_000.0
DAY = 86_400.0


def settings_of(home: Path, **variables: str) -> Settings:
    environ = {"AUTOAGENT_HOME": str(home), "HOME": "/nowhere", "PATH": os.environ["PATH"]}
    return setting.load(parse(["sessions", "prune"]), environ | variables, cwd=home.parent)


def sessions(home: Path, *argv: str, **variables: str) -> list[str]:
    written = io.StringIO()
    run(parse(["sessions", *argv]), settings_of(home, **variables), {}, Output(written))
    return written.getvalue().splitlines()


def aged(home: Path, name: str, days: float, *, size: int = 0) -> Path:
    """A session whose last word is so many days old, with a result of that size."""
    folder = kept(home, [started(name, "/w"), *step(1), DONE], at=NOW - days * DAY - 5)
    (folder / "results").mkdir()
    (folder / "results/1.txt").write_bytes(b"x" * size)
    return folder


def names(home: Path) -> list[str]:
    return sorted(path.name for path in (home / "sessions").iterdir())


def leave(home: Path, spare: str = "", **variables: str) -> list[str]:
    gone, _, _ = leaving(settings_of(home, **variables), NOW, {spare})
    return [one.folder.name for one in gone]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def test_what_is_older_than_its_days_is_to_leave_oldest_first(home: Path) -> None:
    """Ninety by default, counted from the last word."""
    for name, days in (("new", 1), ("edge", 89), ("old", 91), ("older", 200)):
        aged(home, name, days)

    assert leave(home) == ["older", "old"]
    assert leave(home, AUTOAGENT_KEEP_DAYS="50") == ["older", "old", "edge"]
    assert leave(home, AUTOAGENT_KEEP_DAYS="none") == []


def test_what_is_more_than_the_size_leaves_oldest_first_and_no_further(home: Path) -> None:
    """Three of 1 MB in at most 2.5: the oldest is enough."""
    for name, days in (("a", 3), ("b", 2), ("c", 1.5)):
        aged(home, name, days, size=1_000_000)

    assert leave(home, AUTOAGENT_KEEP_SIZE="2500000") == ["a"]
    assert leave(home, AUTOAGENT_KEEP_SIZE="1") == ["a", "b", "c"]
    assert leave(home, AUTOAGENT_KEEP_SIZE="none") == []


def test_last_nights_run_does_not_leave_for_its_size(home: Path) -> None:
    """Whoever comes in the morning finds it."""
    aged(home, "night", 0.4, size=1_000_000)

    assert leave(home, AUTOAGENT_KEEP_SIZE="1") == []


def test_a_running_session_and_the_one_that_is_resumed_stay(home: Path) -> None:
    """However old they are."""
    aged(home, "resumed", 300)
    lock = Lock(aged(home, "running", 200))

    stay = leave(home, spare="resumed")
    lock.release()

    assert stay == []
    assert leave(home, spare="resumed") == ["running"]


def test_prune_says_what_would_leave_and_then_what_left(home: Path) -> None:
    """The same sessions; a look changes nothing."""
    aged(home, "new", -(time.time() - NOW) / DAY)
    aged(home, "old", 1000, size=200_000)

    foreseen = sessions(home, "prune", "--dry-run")
    before = names(home)
    done = sessions(home, "prune")

    assert foreseen[0] == done[0] == "old  older than 90 days"
    assert foreseen[1].startswith("1 session would leave; ")
    assert done[1].startswith("1 session removed, 2")
    assert "(at most 90 days, 5.0 GB: keep_days, keep_size)" in done[1]
    assert (before, names(home)) == (["new", "old"], ["new"])


def test_room_is_made_once_a_day_with_a_line_only_when_something_went(home: Path) -> None:
    """At the start of a run, which it must not keep waiting."""
    aged(home, "new", 1)
    settings = settings_of(home)
    quiet = make_room(settings, NOW, ())
    aged(home, "old", 100)
    same_day = make_room(settings, NOW + DAY - 60, ())

    next_day = make_room(settings, NOW + DAY + 60, ())

    assert (quiet, same_day) == ("", "")
    assert next_day.startswith("1 old session removed, ")
    assert names(home) == ["new"]


def test_a_start_that_was_killed_leaves_nothing_for_good(home: Path) -> None:
    """A folder without a journal, a day later; one that begins now stays."""
    for name, days in (("killed", 2), ("begins", 0)):
        folder = home / "sessions" / name
        folder.mkdir(parents=True)
        os.utime(folder, (NOW - days * DAY, NOW - days * DAY))

    assert leave(home) == ["killed"]


def test_a_removal_that_was_cut_off_is_completed(home: Path) -> None:
    """The folder was renamed already, so nobody saw it any more."""
    aged(home, "new", -(time.time() - NOW) / DAY)
    left = aged(home, "old", 5)
    left.rename(left.with_name(".old"))

    listed = sessions(home, "list")
    sessions(home, "prune")

    assert [line.split()[0] for line in listed] == ["new"]
    assert names(home) == ["new"]


def test_how_long_is_a_setting_like_any_other(home: Path) -> None:
    """In config.toml too; nonsense is refused by name."""
    home.mkdir()
    (home / "config.toml").write_text('keep_days = 7\nkeep_size = "2G"\n')

    settings = settings_of(home)

    assert (settings.keep_days, settings.keep_size) == (7, 2 << 30)
    with pytest.raises(AutoAgentError, match="AUTOAGENT_KEEP_DAYS: 'soon' isn't a whole number"):
        settings_of(home, AUTOAGENT_KEEP_DAYS="soon")


def test_delete_takes_a_session_away_and_a_running_one_is_refused(home: Path) -> None:
    """With who holds it, and then nothing of the others is deleted."""
    lock = Lock(aged(home, "running", 1))
    aged(home, "done", 1)

    with pytest.raises(AutoAgentError) as refused:
        sessions(home, "delete", "done", "running")
    lock.release()
    lines = sessions(home, "delete", "done", "done")

    assert str(refused.value) == (
        f"Session running runs, as process {os.getpid()}: end it first "
        "(autoagent stop running). Nothing was deleted."
    )
    assert lines[0].startswith("Deleted done: ")
    assert names(home) == ["running"]


def test_folders_that_cannot_be_written_are_deleted_too(home: Path) -> None:
    """A dry run's copy has the modes of the workspace."""
    folder = aged(home, "dry", 1)
    copy = folder / "copy" / "w" / "shut"
    copy.mkdir(parents=True)
    (copy / "file").touch()
    copy.chmod(0o500)

    sessions(home, "delete", "dry")

    assert names(home) == []


def test_a_session_that_cannot_be_read_keeps_the_checkpoints_and_is_named(home: Path) -> None:
    """Nobody knows what it still goes back to."""
    aged(home, "done", 1)
    (aged(home, "broken", 1) / "journal.jsonl").write_bytes(b"{}\n")

    lines = sessions(home, "delete", "done")
    after = sessions(home, "delete", "broken")

    assert "They stay, for broken can't be read" in lines[1]
    assert "autoagent sessions delete broken" in lines[1]
    assert after[0].startswith("Deleted broken: ")
    assert after[1].startswith("Checkpoints: ")


def test_what_another_session_can_undo_is_not_freed_with_a_deleted_one(tmp_path: Path) -> None:
    """Two sessions in one folder; the first goes, the second is still taken back."""
    script = [
        says("write_file", path="a", content="one"),
        says("finish", answer="1"),
        says("write_file", path="a", content="two"),
        says("finish", answer="2"),
    ]
    with FakeOpenAI(script) as server:
        program = Program(tmp_path, server.base_url)
        program.run("--goal", "first")
        program.run("--goal", "second")
    first, second = (folder.name for folder in program.sessions)

    deleted = program.run("sessions", "delete", first)
    undone = program.run("undo", second, "--to", "0")

    assert (deleted.code, undone.code) == (0, 0)
    assert (program.workspace / "a").read_text() == "one"
    assert f"--memory {workspace_name(program.workspace)} --session {first}" in deleted.out

    last = program.run("sessions", "delete", second)

    assert "freed that no other session needs" in last.out
    assert list((program.home / "checkpoints").iterdir()) == []
    assert program.sessions == []


def test_a_run_makes_room_as_it_starts_and_says_so(tmp_path: Path) -> None:
    """One line, on standard error."""
    with FakeOpenAI([says("finish", answer="ok")]) as server:
        program = Program(tmp_path, server.base_url)
        aged(program.home, "20250101-old", 900)
        done = program.run("--goal", "go")

    assert "1 old session removed, " in done.err
    assert done.out == "ok\n"
    assert len(program.sessions) == 1
