"""`autoagent sessions follow`: a run watched from another terminal, to its end."""

import signal
from pathlib import Path
from threading import Event, Thread

from autoagent.events import Stopped
from autoagent.journal import Entry, Journal, load
from autoagent.sessions import Lock
from autoagent.sessions.following import followed
from autoagent.sessions.watch import Watch
from tests.fake_openai import Answer, FakeOpenAI, Scripted
from tests.past import DONE, kept, started, step
from tests.program import Program, says

FORM = ("--output-format", "stream-json")
LIMIT_S = 30.0


def test_a_run_is_followed_live_to_its_end_with_its_exit_code(tmp_path: Path) -> None:
    """What is shown is what the run shows itself; a script may wait for it."""
    hold = Event()
    script: list[Scripted] = [
        says("list_files"),
        Answer(says("give_up", reason="no way"), hold=hold),
    ]
    with FakeOpenAI(script) as server:
        program = Program(tmp_path, server.base_url)
        with program.started("--goal", "go", *FORM) as run:
            run.until("Executed")
            with program.started("sessions", "follow", *FORM) as follower:
                follower.until("Executed")
                hold.set()
                ended, own = follower.finish(), run.finish()

    assert (ended.code, own.code) == (3, 3)
    assert ended.lines[:-1] == own.lines[:-1]
    assert ended.object["status"] == "gave_up"


def test_a_killed_run_ends_its_following_which_says_how_to_go_on(tmp_path: Path) -> None:
    """It wrote no last word; its lock goes with its process."""
    with FakeOpenAI([says("list_files"), Answer(says("finish", answer="x"), hold=Event())]) as s:
        program = Program(tmp_path, s.base_url)
        with program.started("--goal", "go", *FORM) as run:
            run.until("Executed")
            assert s.wait_for_chats(2)
            with program.started("sessions", "follow", "--tail", *FORM) as follower:
                follower.until("Executed")
                run.process.kill()
                done = follower.finish()

    assert (done.code, done.object["status"]) == (8, "died")
    assert done.object["resume"] == f"autoagent --resume {program.sessions[0].name}"


def test_ctrl_c_ends_the_following_and_not_the_run(tmp_path: Path) -> None:
    """The watcher leaves, the work goes on."""
    hold = Event()
    with FakeOpenAI([says("list_files"), Answer(says("finish", answer="42"), hold=hold)]) as server:
        program = Program(tmp_path, server.base_url)
        with program.started("--goal", "go", *FORM) as run:
            run.until("Executed")
            with program.started("sessions", "follow", *FORM) as follower:
                follower.until("Executed")
                follower.process.send_signal(signal.SIGINT)
                left = follower.finish()
            hold.set()
            done = run.finish()

    assert (left.code, done.code) == (130, 0)
    assert left.err == "autoagent: No longer followed; the run goes on.\n"


def test_tail_begins_with_the_last_step(tmp_path: Path) -> None:
    """Of a night's run only what happens now."""
    program = Program(tmp_path)
    kept(program.home, [started("a", str(program.workspace)), *step(1), *step(2), DONE])

    done = program.run("sessions", "follow", "--tail")

    assert "Thought 2." in done.out
    assert "Thought 1." not in done.out
    assert done.code == 0


def gathered(folder: Path, first: Event) -> tuple[Thread, list[Entry]]:
    """A thread that follows, and what it has seen so far; `first` is set at the first batch."""
    seen: list[Entry] = []

    def follow() -> None:
        for entries in followed(folder):
            seen.extend(entries)
            first.set()

    thread = Thread(target=follow, daemon=True)
    thread.start()
    return thread, seen


def test_the_end_of_an_earlier_run_is_none_while_another_begins(tmp_path: Path) -> None:
    """Who resumes a session holds it before they write the first word."""
    folder = kept(tmp_path, [started("a", "/w"), *step(1), DONE])
    lock = Lock(folder)
    first = Event()
    thread, seen = gathered(folder, first)
    assert first.wait(LIMIT_S)

    journal = Journal(folder / "journal.jsonl", load(folder / "journal.jsonl"))
    journal.append(step(2))
    journal.append([Stopped("limit", 4, "Enough.")])
    thread.join(LIMIT_S)
    lock.release()
    journal.close()

    assert not thread.is_alive()
    assert tuple(seen) == load(folder / "journal.jsonl").entries


def test_half_a_line_is_awaited_and_not_taken_for_damage(tmp_path: Path) -> None:
    """A reader may come in the middle of a write."""
    folder = kept(tmp_path, [started("a", "/w"), *step(1), DONE])
    journal = folder / "journal.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-20])
    lock = Lock(folder)
    first = Event()
    thread, seen = gathered(folder, first)
    assert first.wait(LIMIT_S)

    with journal.open("ab") as rest:
        rest.write(whole[-20:])
    thread.join(LIMIT_S)
    lock.release()

    assert tuple(seen) == load(journal).entries


def test_a_write_wakes_whoever_waits(tmp_path: Path) -> None:
    """Not a look now and then: the wait would last a minute."""
    (tmp_path / "journal").touch()
    with Watch(tmp_path) as watch:
        with (tmp_path / "journal").open("ab") as journal:
            journal.write(b"x")

        assert watch.wait(60.0)
