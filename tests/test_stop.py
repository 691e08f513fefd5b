"""`autoagent stop`: a running session ends in order, and nobody else gets the signal."""

import os
import select
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event

import pytest

from autoagent.sessions import Lock
from autoagent.sessions.holder import Holder, birth_of, holder_of
from tests.fake_openai import Answer, FakeOpenAI
from tests.program import Done, Program, at_once, processes_with, says
from tests.screens import ASKS, WRITE, at_terminal

GOAL = ("--goal", "go", "--output-format", "stream-json")
FINISH = says("finish", answer="42")
PLAIN = {"AUTOAGENT_MEMORY": "none"}


class Stopped:
    """Two sessions, one in a silent model call and one in a command, that are told to stop."""

    def __init__(self, folder: Path) -> None:
        word = f"asleep-{os.getpid()}-stop"
        line = f"echo > begun; exec -a {word} sleep 300"
        shell = says("execute_shell", command_line=line)
        with FakeOpenAI([Answer(FINISH, hold=Event())]) as silent, FakeOpenAI([shell]) as busy:
            self.calling = Program(_made(folder / "calling"), silent.base_url, PLAIN)
            self.commanding = Program(_made(folder / "commanding"), busy.base_url, PLAIN)
            os.mkfifo(self.commanding.workspace / "begun")
            begun = os.open(self.commanding.workspace / "begun", os.O_RDONLY | os.O_NONBLOCK)
            with self.calling.started(*GOAL) as one, self.commanding.started(*GOAL) as two:
                assert silent.wait_for_chats(1)
                assert select.select([begun], [], [], 30)[0]
                self.names = [p.sessions[0].name for p in (self.calling, self.commanding)]
                self.which = self.calling.run("stop")
                self.stops = at_once(
                    (self.calling, ["stop", self.names[0]]),
                    (self.commanding, ["stop", self.names[1]]),
                )
                self.ended = [one.finish(10), two.finish(10)]
            os.close(begun)
        self.left = processes_with(word)
        self.again, self.none, self.unknown = at_once(
            (self.calling, ["stop", self.names[0]]),
            (self.calling, ["stop"]),
            (self.calling, ["stop", self.names[0][:-1] + "x"]),
        )


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Stopped:
    return Stopped(tmp_path_factory.mktemp("stopped"))


def test_a_session_that_is_stopped_ends_as_by_sigterm_and_can_be_resumed(stopped: Stopped) -> None:
    """In a model call and in a command: exit 143, a Stopped in the journal, nothing left."""
    assert [done.code for done in stopped.ended] == [143, 143]
    assert [done.object["status"] for done in stopped.ended] == ["interrupted"] * 2
    assert stopped.left == []


def test_stop_waits_for_the_end_and_says_how_to_go_on(stopped: Stopped) -> None:
    """A script may resume it on the next line."""
    for done, name in zip(stopped.stops, stopped.names, strict=True):
        assert done.code == 0
        asked, *rest = done.out.splitlines()
        assert asked.startswith(f"Session {name} is asked to end (process ")
        assert rest == ["It has ended: interrupted.", "To go on:", f"  autoagent --resume {name}"]


def test_a_session_that_does_not_run_is_said_to(stopped: Stopped) -> None:
    """That is what was wanted, so it is no error."""
    assert stopped.again.code == 0
    assert stopped.again.out.startswith(f"Session {stopped.names[0]} isn't running.\n")


def test_without_an_id_the_running_ones_are_named(stopped: Stopped) -> None:
    assert stopped.which.code == 2
    assert f"Running: {stopped.names[0]} (go)." in stopped.which.err
    assert (stopped.none.code, stopped.none.out) == (0, "No session is running.\n")


def test_an_unknown_id_is_answered_with_the_nearest(stopped: Stopped) -> None:
    assert stopped.unknown.code == 2
    assert "No session is running. There is no session" in stopped.unknown.err
    assert f"Did you mean {stopped.names[0]}?" in stopped.unknown.err


def test_a_session_that_asks_its_person_is_stopped_too(tmp_path: Path) -> None:
    """Whoever went home without answering can end it from elsewhere."""
    with at_terminal(tmp_path, [WRITE], "Write") as screen:
        screen.shows(ASKS)
        name = screen.program.sessions[0].name
        done = screen.program.run("stop", name)

        assert (done.code, screen.ends()) == (0, 143)
        assert screen.stopped()["status"] == "interrupted"


def test_what_is_told_shows_at_the_terminal_as_words(tmp_path: Path) -> None:
    """Whoever watches must see by what the agent is moved, and no control character of it."""
    with at_terminal(tmp_path, [WRITE, FINISH], "Write") as screen:
        screen.shows(ASKS)
        told = screen.program.run("tell", screen.program.sessions[0].name, "Be \x1b[31mbrief.")
        screen.child.sendline("y")
        screen.shows("The agent is told:", "| Be \\x1b[31mbrief.")

        assert (told.code, screen.ends()) == (0, 0)
        assert "Be \x1b[31mbrief." in screen.prompt(1)


@contextmanager
def _held(program: Program) -> Iterator[Path]:
    """The newest session with its lock in the hands of this process."""
    folder = program.sessions[-1]
    with ExitStack() as stack:
        stack.callback(Lock(folder).release)
        yield folder


def test_a_process_that_only_undoes_is_left_alone(tmp_path: Path) -> None:
    """It holds the session, but there is no run to end."""
    with FakeOpenAI([FINISH]) as server:
        program = Program(tmp_path, server.base_url, PLAIN)
        program.run("--goal", "go")

    with _held(program) as folder:
        done: Done = program.run("stop", folder.name)

    assert (done.code, done.out) == (8, "")
    assert f"process {os.getpid()} is at work on it" in done.err


def test_a_number_that_means_another_process_now_gets_no_signal(tmp_path: Path) -> None:
    """Numbers are given anew, and each container counts its own; this one would be killed."""
    with FakeOpenAI([Answer(FINISH, hold=Event())]) as server:
        program = Program(tmp_path, server.base_url, PLAIN)
        with program.started(*GOAL) as running:
            assert server.wait_for_chats(1)
            running.process.kill()
            running.finish()

    with _held(program) as folder:
        (folder / "lock").write_text(f"{os.getpid()} 1\n")
        stranger = program.run("stop", folder.name)
        (folder / "lock").write_text("")
        nobody = program.run("stop", folder.name)
    after = program.run("stop", folder.name)

    assert (stranger.code, nobody.code, after.code) == (8, 8, 0)
    assert "can't be seen from here" in stranger.err
    assert "try again" in nobody.err
    assert after.out.endswith(f"  autoagent --resume {folder.name}\n")


def test_a_look_at_the_lock_neither_takes_nor_keeps_it(tmp_path: Path) -> None:
    """Whoever lists sessions must not keep one from being resumed."""
    assert holder_of(tmp_path) is None
    me = Holder(os.getpid(), birth_of(os.getpid()))

    with ExitStack() as stack:
        stack.callback(Lock(tmp_path).release)
        assert holder_of(tmp_path) == me
        assert holder_of(tmp_path) == me

    assert me.is_here
    assert holder_of(tmp_path) is None
