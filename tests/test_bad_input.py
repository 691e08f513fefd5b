"""Input that can't be meant and places that can't be used: a sentence, an exit code, no trace."""

import os
import re
import select
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fake_openai import FakeOpenAI
from tests.program import Done, Program, at_once, of_type, says

SETPRIV = ["setpriv"] if os.getuid() == 0 else []


def refusals(*runs: tuple[Program, list[str]]) -> list[str]:
    """What the programs say, each of which must say one line and exit with 2."""
    done = at_once(*runs)
    for each in done:
        assert (each.code, each.out) == (2, ""), each.err
        assert each.err.startswith("autoagent: ")
        assert each.err.count("\n") == 1
    return [each.err.removeprefix("autoagent: ").strip() for each in done]


def test_wrong_usage_is_one_line_that_says_what_would_be_right(tmp_path: Path) -> None:
    """Never a traceback, and no session is begun (issue 2, bad input)."""
    program = Program(tmp_path, "http://127.0.0.1:9/v1")
    (program.workspace / "file").write_text("")
    (program.workspace / "empty.txt").write_text(" \n")
    (program.workspace / "dots.txt").write_text("…\n")
    goal = ["--goal", "go"]

    said = refusals(
        (program, ["--goals", "go"]),
        (program, ["--goal", ""]),
        (program, ["--goal-file", "nowhere.txt"]),
        (program, ["--goal-file", "empty.txt"]),
        (program, ["--goal", "go", "--goal", "…"]),
        (program, [" ... "]),
        (program, ["--goal-file", "dots.txt"]),
        (program, []),
        (program, [*goal, "--workspace", "file"]),
        (program, [*goal, "--workspace", "nowhere"]),
        (program, [*goal, "--workspace", "/"]),
        (program, [*goal, "--workspace", str(tmp_path / "home")]),
        (program, [*goal, "--interactive"]),
        (program, [*goal, "--base-url", "localhost:11434"]),
        (program, [*goal, "--base-url", "http://me:password@host/v1"]),
        (replace(program, variables={"OPENAI_API_KEY": "", "OPENAI_BASE_URL": ""}), goal),
    )

    expected = [
        "There is no option '--goals'; did you mean --goal?",
        "--goal: '' isn't ",
        "--goal-file '.*nowhere.txt' can't be read: No such file or directory.",
        "--goal-file '.*empty.txt' is empty; say what is to be reached.",
        "The goal is '…', which only holds its place: put there what is to be reached, as in ",
        "The goal is '...', which only holds its place: ",
        "The goal is '…', which only holds its place: ",
        "There is no goal. Say what is to be reached: --goal",
        "The workspace '.*file' is a file; --workspace takes a folder.",
        "The workspace '.*nowhere' can't be opened: No such file or directory.",
        "The workspace '/' is the root of this machine: commands could change everything",
        "The workspace '.*home' is your home folder: commands could change everything",
        "--interactive needs a terminal",
        "--base-url: 'localhost:11434' isn't ",
        "--base-url: 'http://…@host/v1' isn't ",
        "There is no model to ask: OPENAI_API_KEY isn't set, OPENAI_BASE_URL isn't set",
    ]
    for sentence, line in zip(expected, said, strict=True):
        assert re.match(sentence, line), line
    assert program.sessions == []


def test_programs_get_an_object_for_what_could_not_begin(tmp_path: Path) -> None:
    """Whoever reads standard output as JSON finds JSON there, whatever went wrong."""
    program = Program(tmp_path, "http://127.0.0.1:9/v1")

    late, early = at_once(
        (program, ["--goal", "go", "--max-cost", "1", "--output-format", "json"]),
        (program, ["--goal", "go", "--workspace", "nowhere", "--output-format", "stream-json"]),
    )

    assert (late.code, early.code) == (2, 2)
    for done in (late, early):
        assert (done.object["status"], done.object["exit_code"]) == ("error", 2)
        assert done.object["error"] in done.err
        assert (done.object["session"], done.object["goals"]) == (None, ["go"])


def test_a_workspace_that_is_not_writable_is_refused(tmp_path: Path) -> None:
    """Root gives up its privilege to write everywhere first."""
    front = [*SETPRIV, "--bounding-set=-dac_override"] if SETPRIV else []
    program = Program(tmp_path, "http://127.0.0.1:9/v1", front=front)
    program.workspace.chmod(0o555)

    said = refusals((program, ["--goal", "go"]))

    assert "isn't writable" in said[0]


def test_no_home_is_said(tmp_path: Path) -> None:
    """Neither HOME nor an entry in the password database, as in many containers."""
    if not SETPRIV:
        pytest.skip("only root can become a user that isn't known")
    caps = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    front = [*SETPRIV, "--reuid=12345", "--regid=12345", "--clear-groups", *caps]
    program = Program(tmp_path, variables={"HOME": "", "AUTOAGENT_HOME": ""}, front=front)
    (tmp_path / "work").mkdir(mode=0o777)

    said = refusals((program, ["--goal", "go"]))

    assert "There is no home folder: HOME isn't set" in said[0]
    assert "Set AUTOAGENT_HOME" in said[0]


def test_a_home_that_is_not_writable_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    variables = {"AUTOAGENT_HOME": str(tmp_path / "file" / "state")}
    done = Program(tmp_path, "http://127.0.0.1:9/v1", variables).run("--goal", "go")

    assert done.code == 8
    assert "can't be made: Not a directory. Set AUTOAGENT_HOME" in done.err


def test_the_c_locale_takes_and_gives_every_letter(tmp_path: Path) -> None:
    """cron has no locale; goals and answers are UTF-8 all the same. Where even Python's own
    remedies are off, a name that the system can't write is a result for the model."""
    plain = {"LANG": "", "LC_ALL": "C"}
    without = {**plain, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    answers = [
        says("write_file", path="größe.txt", content="日本語\n"),
        says("finish", answer="schön 日本"),
    ]
    with FakeOpenAI(answers) as one, FakeOpenAI(answers) as two:
        programs = (
            Program(_made(tmp_path / "plain"), one.base_url, plain),
            Program(_made(tmp_path / "without"), two.base_url, without),
        )
        runs = at_once(*[(program, ["--goal", "prüfe 日本"]) for program in programs])
        openings = [server.chats[0]["messages"][1]["content"] for server in (one, two)]
        told = two.chats[1]["messages"][-1]["content"]

    assert [(done.code, done.out) for done in runs] == [(0, "schön 日本\n")] * 2
    assert all("1. prüfe 日本\n" in opening for opening in openings)
    assert (programs[0].workspace / "größe.txt").read_text("utf-8") == "日本語\n"
    assert "step 1: write_file gr\\xf6\\xdfe.txt: failed" in runs[1].err
    assert "größe.txt" in told


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def by_shell(program: Program, line: str) -> Done:
    """Run a line of shell in which "$@" is the program with a goal."""
    argv = ["bash", "-c", line, "bash", sys.executable, "-m", "autoagent", "--goal", "go"]
    done = subprocess.run(
        argv,
        cwd=program.workspace,
        env=program.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


def test_a_closed_standard_output_is_said_before_anything_is_done(tmp_path: Path) -> None:
    """The answer would be lost."""
    program = Program(tmp_path, "http://127.0.0.1:9/v1")

    done = by_shell(program, '"$@" >&-')

    assert (done.code, program.sessions) == (2, [])
    assert done.err.startswith("autoagent: Standard output is closed, so the answer")


def test_closed_input_and_closed_errors_hurt_nothing(tmp_path: Path) -> None:
    """The journal must not become standard error, where whatever complains would write."""
    with FakeOpenAI([says("finish", answer="42")]) as server:
        program = Program(tmp_path, server.base_url)
        done = by_shell(program, '"$@" <&- 2>&-')

    assert (done.code, done.out, done.err) == (0, "42\n", "")
    assert program.journal()[-1]["type"] == "Stopped"


def test_a_full_disk_behind_standard_output_is_said(tmp_path: Path) -> None:
    """Exit 8, where the answer stands, and no complaint of Python's own."""
    with FakeOpenAI([says("finish", answer="42")]) as server:
        program = Program(tmp_path, server.base_url)
        done = by_shell(program, '"$@" >/dev/full')

    assert done.code == 8
    assert done.err.endswith("Standard output can't be written: No space left on device.\n")
    assert str(program.sessions[0] / "journal.jsonl") in done.err
    assert "Exception" not in done.err


def test_a_full_disk_behind_the_state_is_said_with_all_that_is_known(tmp_path: Path) -> None:
    """Exit 8; the object for programs and the receipt have the session and how to go on."""
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        pytest.skip("a small file system is made by bubblewrap")
    reads = [says("read_file", path="long.txt", start_line=1 + n, lines=400) for n in range(40)]
    with FakeOpenAI(reads) as server:
        small = [bwrap, "--dev-bind", "/", "/", "--size", "262144", "--tmpfs"]
        program = Program(tmp_path, server.base_url)
        program.home.mkdir()
        (program.workspace / "long.txt").write_text("0123456789 abcdef\n" * 16_000)
        program = replace(program, front=[*small, str(program.home)])
        done = program.run("--goal", "go", "--output-format", "json", "--memory", "none")

    assert (done.code, done.object["status"], done.object["exit_code"]) == (8, "error", 8)
    assert done.object["steps"] >= 2
    assert done.object["resume"] == f"autoagent --resume {done.object['session']}"
    assert done.object["error"] in done.err
    assert f"{done.object['resume']}\n" in done.err


def test_help_into_a_full_disk_or_a_closed_pipe_ends_quietly_and_not_with_0(tmp_path: Path) -> None:
    program = Program(tmp_path)

    full = by_shell(program, '"$1" -m autoagent --help >/dev/full')
    listed = by_shell(program, '"$1" -m autoagent commands >/dev/full')
    gone = by_shell(program, '"$1" -m autoagent --help | true; exit "${PIPESTATUS[0]}"')

    for done in (full, listed):
        assert (done.code, done.err.count("\n")) == (8, 1)
        assert "No space left on device" in done.err
    assert (gone.code, gone.err) in ((141, ""), (0, ""))


def test_a_reader_that_goes_away_ends_the_run_and_it_can_go_on(tmp_path: Path) -> None:
    """`autoagent --output-format stream-json | head -1`: nobody would see the rest."""
    looks = [says("list_files")] * 3
    with FakeOpenAI([*looks, says("finish", answer="42")] * 2) as server:
        program = Program(tmp_path, server.base_url)
        line = '"$@" --output-format stream-json | head -1; exit "${PIPESTATUS[0]}"'
        done = by_shell(program, line)
        again = program.run("--resume")

    assert done.code == 129
    assert "Standard output can't be written: Broken pipe." in done.err
    assert f"autoagent --resume {program.sessions[0].name}\n" in done.err
    assert again.out == "42\n"


def test_a_pipe_that_never_closes_is_not_read_unless_asked_for(tmp_path: Path) -> None:
    """cron and `docker run -i` leave one open; only `-` reads it (surface.md)."""
    reader, writer = os.pipe()
    try:
        with FakeOpenAI([says("finish", answer="42")]) as server:
            program = Program(tmp_path, server.base_url)
            with program.started("--goal", "go", stdin=reader) as running:
                done = running.finish()
    finally:
        os.close(reader)
        os.close(writer)

    assert (done.code, done.out) == (0, "42\n")


def test_waiting_for_standard_input_is_said_and_can_be_interrupted(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    said, says_so = os.pipe()
    try:
        program = Program(tmp_path, "http://127.0.0.1:9/v1")
        argv = [sys.executable, "-m", "autoagent", "--goal", "go", "-"]
        with subprocess.Popen(
            argv, cwd=program.workspace, env=program.environment, stdin=reader, stderr=says_so
        ) as process:
            assert select.select([said], [], [], 60)[0]
            line = os.read(said, 1000).decode()
            process.send_signal(signal.SIGINT)
            code = process.wait(60)
    finally:
        for descriptor in (reader, writer, said, says_so):
            os.close(descriptor)

    assert line == "  waiting for the end of standard input (-)\n"
    assert (code, program.sessions) == (130, [])


def test_a_folder_or_a_file_in_the_place_of_the_other_is_said(tmp_path: Path) -> None:
    """It isn't a fault of ours, and no traceback tells what to do about it."""
    program = Program(tmp_path, "http://127.0.0.1:9/v1")
    (program.workspace / "own").mkdir()
    own, state = at_once(
        (program, ["commands", "--commands", "own"]),
        (
            replace(program, variables={"AUTOAGENT_HOME": __file__}),
            ["sessions", "list"],
        ),
    )
    (program.workspace / "autoagent.toml").mkdir()
    toml = program.run("config")

    assert (own.code, toml.code, state.code) == (2, 2, 8)
    assert "own' is a folder; name a file of Python in it." in own.err
    assert "autoagent.toml' isn't a regular file; remove it or rename it." in toml.err
    assert "sessions' can't be read: Not a directory." in state.err


def test_what_a_run_was_told_to_read_but_cannot_is_said(tmp_path: Path) -> None:
    """`-` with a closed standard input, and beside --resume, where it would be ignored."""
    with FakeOpenAI([says("finish", answer="42")]) as server:
        program = Program(tmp_path, server.base_url)
        program.run("--goal", "go")
        closed = by_shell(program, '"$@" - <&-')
        resumed = program.run("--resume", "--goal", "more", "-", stdin=b"more input")

    assert (closed.code, resumed.code) == (2, 2)
    assert "Standard input is closed" in closed.err
    assert "`-` goes with a new session" in resumed.err
    assert len(of_type(program.journal(), "Resumed")) == 0
