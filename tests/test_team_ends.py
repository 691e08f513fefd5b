"""Whatever ends an agent ends all that work for it, with everything that they run."""

import os
import signal
import time
from pathlib import Path
from threading import Event

import pytest

from autoagent.events import Executed, Fed, Reported, Stopped
from tests.fake_openai import Answer, Body
from tests.program import Program
from tests.teams import Troupe, says

_END_S = 3.0


def _alive(marker: str) -> list[str]:
    """Processes of this machine that have the marker on their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and entry.name != str(os.getpid()):
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            found += [line] if marker in line else []
    return found


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_eight_busy_ones_within_three_seconds(
    tmp_path: Path, sign: signal.Signals
) -> None:
    """Four run a command that ignores signals, four wait for their model."""
    marker = f"7{os.getpid()}{int(sign)}"
    stubborn = says(
        "execute_shell", command_line=f"trap '' TERM INT HUP; sleep {marker} & sleep {marker}; wait"
    )
    never = Event()
    names = "abcdefgh"
    scripts = {name: [stubborn] if name < "e" else [Answer("x", hold=never)] for name in names}
    main = [*(says("start_agent", name=n, task=n) for n in names), says("wait_for_agents")]
    with Troupe(tmp_path, main=main, **scripts) as troupe:
        program = Program(tmp_path, troupe.server.base_url)
        with program.started("--goal", "main", "--output-format", "stream-json") as running:
            busy = 0
            while busy < 9:  # eight and the agent itself
                event = running.until()
                busy += event["type"] == "Executing" and event.get("agent", "") in (*"abcd",)
                busy += event["type"] == "Reserved" and event.get("agent", "") in (*"efgh",)
                busy += event["type"] == "Executing" and event["step"] == 9
            began = time.monotonic()
            running.process.send_signal(sign)
            done = running.finish(limit_s=20.0)
            took_s = time.monotonic() - began

    assert done.code == 128 + sign
    assert _alive(marker) == []
    assert done.object["status"] == "interrupted"
    # Measured by bench/team.py; here only that nobody waits for what never ends.
    assert took_s < 20 * _END_S
    paused = [e for e in program.journal() if e["type"] == "Reported"]
    assert sorted(e["name"] for e in paused) == list(names)
    assert all(e["paused"] for e in paused)


def test_a_limit_of_the_agent_ends_its_sub_agents_and_counts_what_they_used(
    tmp_path: Path,
) -> None:
    """They go on with the next run, so the last line says how."""
    never, asked = Event(), Event()

    def waits(_: Body) -> Answer:
        asked.set()
        return Answer("x", hold=never)

    with Troupe(
        tmp_path,
        main=[
            says("start_agent", name="a", task="a"),
            Answer(says("execute_shell", command_line="echo first"), hold=asked),
            *(says("execute_shell", command_line=f"echo {n}") for n in range(9)),
        ],
        a=[says("list_files"), waits],
    ) as troupe:
        session = troupe.run("main", max_steps="8")

    stopped = session.state.stopped
    assert stopped is not None
    assert (stopped.status, stopped.exit_code) == ("limit", 4)
    assert "--max-steps" in stopped.go_on
    (report,) = session.state.team.reports
    assert report.paused
    assert session.state.overall.tokens > session.state.spent.tokens


def test_waiting_ends_when_the_user_says_something(tmp_path: Path) -> None:
    """Else a word by `autoagent tell` would be heard only when all have ended."""
    never, waiting = Event(), Event()
    with Troupe(
        tmp_path,
        main=[
            says("start_agent", name="a", task="a"),
            says("wait_for_agents"),
            says("finish", answer="stopped waiting"),
        ],
        a=[Answer("x", hold=never)],
    ) as troupe:
        program = Program(tmp_path, troupe.server.base_url)
        with program.started("--goal", "main", "--output-format", "stream-json") as running:
            while not waiting.is_set():
                event = running.until("Executing")
                if event["step"] == 2 and "agent" not in event:
                    waiting.set()
            program.run("tell", program.sessions[-1].name, "that is enough")
            done = running.finish()

        prompt = troupe.prompt_of("main", 2)
    assert done.code == 0
    assert "at work: a; you were told something" in prompt
    assert "that is enough" in prompt


def test_what_ends_the_thread_of_a_sub_agent_is_a_result(tmp_path: Path) -> None:
    """Here its folder can't be made; the agent goes on, and the sentence says what was wrong."""
    with Troupe(
        tmp_path,
        main=[
            says("list_files"),
            says("start_agent", name="a", task="a"),
            says("wait_for_agents"),
            says("finish", answer="without it"),
        ],
        a=[says("finish", answer="never")],
    ) as troupe:

        def put_a_file_there(entry: object) -> None:
            event = getattr(entry, "event", None)
            if isinstance(event, Executed) and event.name == "list_files":
                (troupe.found.folder / "agents").write_text("in the way")

        troupe.on_entry = put_a_file_there
        session = troupe.run("main")

        told = troupe.requests_of("main")[-1]["messages"]
    (report,) = (m["content"] for m in told if "[agent a] failed, 0 steps" in m["content"])
    assert f"{troupe.found.folder}/agents" in report
    assert session.state.stopped is not None and session.state.stopped.answer == "without it"


def test_an_agent_that_ends_leaves_its_words_and_figures(tmp_path: Path) -> None:
    """Its whole tree is in the report: steps, tokens, files, refusals."""
    with Troupe(
        tmp_path,
        main=[
            says("start_agent", name="a", task="a", folder="part"),
            says("wait_for_agents"),
            says("finish", answer="ok"),
        ],
        a=[
            says("write_file", path="x.txt", content="1"),
            says("start_agent", name="b", task="b"),
            says("wait_for_agents"),
            says("finish", answer="both"),
        ],
        b=[
            says("write_file", path="y.txt", content="1"),
            says("write_file", path="../z.txt", content="1"),
            says("finish", answer="two"),
        ],
    ) as troupe:
        (troupe.workspace / "part").mkdir()
        session = troupe.run("main")

    report = next(e for e in troupe.events() if isinstance(e, Reported))
    assert sorted(report.changed) == ["part/x.txt", "part/y.txt"]
    assert report.steps == 7
    assert (troupe.workspace / "part" / "y.txt").exists()
    assert not (troupe.workspace / "z.txt").exists()
    assert session.state.steps == 10
    ends = [entry.agent for entry in troupe.entries if isinstance(entry.event, Stopped)]
    assert ends == ["a/b", "a", ""]
    assert not any(isinstance(entry.event, Fed) for entry in troupe.entries)


def test_a_branch_begins_without_those_that_were_at_work(tmp_path: Path) -> None:
    """They work for the other session; what one that had ended said is there, whole."""
    never, long = Event(), "\n".join(f"line {n}" for n in range(3000))
    with Troupe(
        tmp_path,
        main=[
            says("start_agent", name="a", task="a"),
            says("wait_for_agents"),
            says("start_agent", name="b", task="b"),
            says("read_result", agent="a", start_line=1500, lines=1),
            says("wait_for_agents"),
            says("finish", answer="branched"),
        ],
        a=[says("finish", answer=long)],
        b=[Answer("x", hold=never)],
    ) as troupe:
        program = Program(tmp_path, troupe.server.base_url)
        with program.started("--goal", "main", "--output-format", "stream-json") as running:
            while running.until("Executed")["step"] < 4:
                pass
            running.process.kill()
            running.finish()

        branch = program.run("--fork", f"{program.sessions[0].name}@3", "--output-format", "json")
        first = [m["content"] for m in troupe.requests_of("main")[-1]["messages"]]
    assert branch.code == 0, branch.err
    assert "Sub-agents at work then don't go on in it: b." in branch.err
    assert branch.object["answer"] == "branched"
    assert any("agents that were at work are not here: b" in text for text in first)
    assert any("line 1499\n[end]" in text for text in first)
    assert any("[wait_for_agents, agents] no agent works" in text for text in first)


def test_one_whose_time_is_over_is_reported_to_whoever_awaits_it(tmp_path: Path) -> None:
    """What it did until then is told like any other end, while there is time to use it; the
    share of a sub-agent is nine tenths of the time."""
    with Troupe(
        tmp_path,
        main=[
            says("start_agent", name="a", task="a"),
            says("wait_for_agents"),
            says("finish", answer="done without it"),
        ],
        a=[Answer(hold=Event())],
    ) as troupe:
        troupe.run("main", max_time="5s")
        told = [event for event in troupe.events() if isinstance(event, Reported | Executed)]
        told = told[1:3]  # after the start

        assert isinstance(told[0], Reported) and told[0].status == "limit"
        assert isinstance(told[1], Executed) and told[1].note == "a ended"
