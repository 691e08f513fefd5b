"""Signals in each state of a run: it ends soon and in order, leaves nothing, and can go on."""

import os
import select
import signal
import time
from contextlib import ExitStack
from pathlib import Path
from threading import Event

import pytest

from tests.fake_openai import Answer, FakeOpenAI, Scripted
from tests.program import Done, Program, Running, at_once, of_type, processes_with, says, served

GOAL = ("--goal", "go", "--output-format", "stream-json")
FINISH = says("finish", answer="42")
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
STATES = ("silent model call", "long command", "pause before another attempt")


def scripts(state: str, word: str) -> list[Scripted]:
    """What the server says so that the run comes into this state."""
    match state:
        case "silent model call":
            return [says("list_files"), Answer(FINISH, hold=Event())]
        case "long command":
            # Its child ignores what a kind program would send, and leaves its session.
            hard = f"setsid bash -c 'trap \"\" INT TERM HUP; exec -a {word} sleep 300' &"
            line = f"{hard} echo > begun; exec -a {word} sleep 300"
            return [says("list_files"), says("execute_shell", command_line=line)]
        case _:
            busy = {"error": {"message": "busy"}}
            return [
                says("list_files"),
                Answer(status=503, headers={"Retry-After": "250"}, body=busy),
            ]


def come_into(state: str, running: Running, program: Program, server: FakeOpenAI) -> None:
    """Wait until the run is in this state."""
    running.until("Executed")
    match state:
        case "silent model call":
            assert server.wait_for_chats(2)
        case "long command":
            running.until("Executing")
            pipe = os.open(program.workspace / "begun", os.O_RDONLY | os.O_NONBLOCK)
            assert select.select([pipe], [], [], 30)[0]
            os.close(pipe)
        case _:
            running.until("Retried")


class Ended:
    """Each state ended by SIGTERM, two of them by the others, all at the same time."""

    def __init__(self, folder: Path) -> None:
        self.cases = [(state, signal.SIGTERM) for state in STATES]
        self.cases += [(STATES[0], signal.SIGINT), (STATES[1], signal.SIGHUP)]
        self.words = [f"asleep-{os.getpid()}-{index}" for index in range(len(self.cases))]
        answers = [
            scripts(state, word) for (state, _), word in zip(self.cases, self.words, strict=True)
        ]
        with served(folder, *answers) as pairs, ExitStack() as stack:
            self.programs = [program for program, _ in pairs]
            for program in self.programs:
                os.mkfifo(program.workspace / "begun")
            started = [stack.enter_context(program.started(*GOAL)) for program in self.programs]
            for (state, _), running, pair in zip(self.cases, started, pairs, strict=True):
                come_into(state, running, *pair)
            self.before = [line for word in self.words for line in processes_with(word)]
            # A process that begins another program has no command line for a moment.
            limit = time.monotonic() + 10
            while len(self.before) < 2 * 2 and time.monotonic() < limit:
                time.sleep(0.05)
                self.before = [line for word in self.words for line in processes_with(word)]
            for (_, number), running in zip(self.cases, started, strict=True):
                running.process.send_signal(number)
            # Five programs end at once; each alone has three seconds.
            self.done = [running.finish(20) for running in started]
            self.left = [line for word in self.words for line in processes_with(word)]


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    return Ended(tmp_path_factory.mktemp("ended"))


def test_each_state_is_ended_by_signals_with_codes_of_their_own(ended: Ended) -> None:
    """129 hung up, 130 interrupted, 143 terminated (surface.md, exit codes)."""
    assert [done.code for done in ended.done] == [CODES[number] for _, number in ended.cases]
    for done in ended.done:
        assert done.object["status"] == "interrupted"
        assert f"autoagent --resume {done.object['session']}\n" in done.err


def test_nothing_of_a_command_is_left_running(ended: Ended) -> None:
    """Neither what ignores signals nor what has left its session (issue 2, point 10)."""
    assert len(ended.before) >= 2 * 2
    assert ended.left == []


def test_the_journal_ends_with_how_it_stopped(ended: Ended) -> None:
    for program, done in zip(ended.programs, ended.done, strict=True):
        journal = program.journal()

        assert done.lines[:-1] == journal
        assert (journal[-1]["type"], journal[-1]["exit_code"]) == ("Stopped", done.code)


def test_a_command_that_was_stopped_is_told_to_the_model_when_it_goes_on(ended: Ended) -> None:
    """The rest of each run is as if nothing had been."""
    states = [ended.cases.index((state, signal.SIGTERM)) for state in STATES]
    with FakeOpenAI([FINISH] * len(states)) as server:
        again = at_once(
            *[
                (ended.programs[index], ["--resume", "--base-url", server.base_url])
                for index in states
            ]
        )
        told = [chat["messages"][-1]["content"] for chat in server.chats]

    assert [(done.code, done.out) for done in again] == [(0, "42\n")] * 3
    assert sum("stopped by the user" in text for text in told) == 1


def test_a_proof_that_runs_before_the_first_call_can_be_interrupted(tmp_path: Path) -> None:
    """Then there is a session that can go on, or none: never an empty folder."""
    with FakeOpenAI([FINISH]) as server:
        program = Program(tmp_path, server.base_url)
        os.mkfifo(program.workspace / "begun")
        pipe = os.open(program.workspace / "begun", os.O_RDONLY | os.O_NONBLOCK)
        verify = "test -e go || { echo > begun; sleep 300; }"
        with program.started(*GOAL, "--verify", verify) as running:
            assert select.select([pipe], [], [], 30)[0]
            running.process.terminate()
            done = running.finish(10)
        os.close(pipe)
        (program.workspace / "go").write_text("")
        again = program.run("--resume")

    assert (done.code, program.journal()[-1]["status"]) == (143, "done")
    assert (again.code, again.out) == (0, "42\n")


def test_a_reader_that_stops_reading_does_not_keep_the_run_from_its_end(tmp_path: Path) -> None:
    """A pipe that is full blocks whoever writes; SIGTERM must end the program all the same."""
    with FakeOpenAI([says("read_file", path="long.txt")] * 4) as server:
        program = Program(tmp_path, server.base_url)
        (program.workspace / "long.txt").write_text("0123456789 abcdef\n" * 9000)
        with program.started(*GOAL, "--window", "1000000") as running:
            assert server.wait_for_chats(3)
            running.process.terminate()
            code = running.process.wait(20)

    assert code == 143
    assert "nobody reads it" in running.errors
    assert program.journal()[-1]["type"] == "Stopped"


def test_a_session_that_runs_is_held_and_whoever_comes_second_is_told_by_whom(
    tmp_path: Path,
) -> None:
    """Exit 8 (issue 2, point 7)."""
    with FakeOpenAI([Answer(FINISH, hold=Event())]) as server:
        program = Program(tmp_path, server.base_url)
        with program.started(*GOAL) as running:
            session = running.until("Started")["session"]
            assert server.wait_for_chats(1)
            second = program.run("--resume", session)
            running.process.terminate()
            first: Done = running.finish(10)

    assert (second.code, first.code) == (8, 143)
    holder = f"Session {session} is held by process {running.process.pid}"
    assert second.err.startswith(f"autoagent: {holder}")
    assert len(of_type(program.journal(), "Resumed")) == 0
