"""Sub-agents: wall time against one agent, what each costs the process, how soon all end.

python bench/team.py, in about two minutes. The model is a server on this machine that takes a
second for each call, however many come at once. Nothing here fails: a figure is to be looked at.
"""

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yardstick import LIMIT_S, Answer, FakeOpenAI, environ, figure, mark, program, says

CALL_S = 1.0
REPORTS = 8
CALLS = 4  # of one report: list, read, check, answer
MANY = 32

Body = dict[str, Any]


def asker(body: Body) -> tuple[str, int]:
    """Whose call it is, by the first word of the task, and how many replies it had."""
    told = next(m for m in body["messages"] if m["role"] == "user")["content"]
    who = told.split("\n1. ", 1)[1].split()[0]
    return who, sum(m["role"] == "assistant" for m in body["messages"])


def start(name: str) -> dict[str, Any]:
    return {"name": "start_agent", "args": {"name": name, "task": f"{name} is your report."}}


def reading(name: str) -> list[str]:
    """What one report takes."""
    return [
        says("list_files"),
        says("read_file", path=f"{name}.txt"),
        says("search_files", pattern=name),
    ]


@dataclass(slots=True)
class Run:
    """One run of the program: how long it took, and what its process came to."""

    seconds: float
    cpu: float
    peak: float
    code: int


def run(
    scripts: Mapping[str, Sequence[str]],
    *,
    call_s: float = CALL_S,
    ends_after: int | None = None,
    more: Mapping[str, str] | None = None,
) -> Run:
    """Until the program ends; `ends_after` so many calls it is told to (SIGTERM), and the
    time counts from there."""
    process: subprocess.Popen[bytes] | None = None
    seen = 0
    figures = [0.0, 0.0]
    told_at = 0.0

    def answer(body: Body) -> Answer:
        nonlocal seen, told_at
        who, at = asker(body)
        seen += 1
        if process is not None:
            now = mark(process.pid)
            figures[:] = [max(figures[0], now.cpu), max(figures[1], now.peak)]
        if seen == ends_after and process is not None:
            told_at = time.perf_counter()
            process.send_signal(signal.SIGTERM)
        time.sleep(call_s)
        return Answer(scripts[who][at])

    with tempfile.TemporaryDirectory() as folder, FakeOpenAI(check=answer, embeds=False) as server:
        work = Path(folder, "work")
        work.mkdir()
        for number in range(MANY):
            (work / f"r{number}.txt").write_text(f"r{number}: report number {number}.\n" * 40)
        variables = {"AUTOAGENT_HOME": f"{folder}/state", "OPENAI_BASE_URL": server.base_url}
        argv = [*program(), "--goal", "main", "--model", "fake-model", "-l", "1000", "-q"]
        began = time.perf_counter()
        process = subprocess.Popen(
            argv,
            cwd=work,
            env=environ(**variables, **(more or {})),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        said = process.communicate(timeout=LIMIT_S)[1]
        ended = time.perf_counter()
    if process.returncode not in (0, 143):
        sys.exit(f"exit {process.returncode}:\n{said.decode()}")
    return Run(ended - (told_at or began), figures[0], figures[1], process.returncode)


def alone(count: int) -> dict[str, list[str]]:
    """One agent reads all reports, one after the other."""
    each = [reply for n in range(count) for reply in [*reading(f"r{n}"), _noted(n)]]
    return {"main": [*each, _written(), says("finish", answer="done")]}


def together(count: int) -> dict[str, list[str]]:
    """A sub-agent for each."""
    names = [f"r{n}" for n in range(count)]
    batches = [names[at : at + 8] for at in range(0, count, 8)]
    main = [says("batch", commands=[start(n) for n in batch]) for batch in batches]
    main += [says("wait_for_agents"), _written(), says("finish", answer="done")]
    finish = says("finish", answer="The report says what it says; nothing in it is out of order.")
    return {"main": main, **{name: [*reading(name), finish] for name in names}}


def _noted(number: int) -> str:
    return says("remember", text=f"Report {number} says what it says.")


def _written() -> str:
    return says("write_file", path="summary.md", content="All of them say what they say.\n")


def report_wall() -> None:
    """Eight reports of four calls each and a summary, by one agent and by nine."""
    one, nine = run(alone(REPORTS)), run(together(REPORTS))
    calls = REPORTS * CALLS + 2
    figure(f"one agent, {calls} calls of 1 s", f"{one.seconds:.1f} s")
    figure(
        f"with {REPORTS} sub-agents", f"{nine.seconds:.1f} s, {nine.seconds / one.seconds:.2f} x"
    )


def report_many() -> None:
    """What 32 at once cost, above what the agent alone does."""
    none = run({"main": [says("list_files"), _written(), says("finish", answer="x")]})
    all_at_once = {"AUTOAGENT_MAX_AGENTS": str(MANY)}
    many = run(together(MANY), more=all_at_once)
    steps = MANY * CALLS
    memory = (many.peak - none.peak) / MANY
    figure(f"{MANY} sub-agents at once, wall", f"{many.seconds:.1f} s")
    figure("memory of each", f"{memory:.2f} MB ({none.peak:.0f} MB without, {many.peak:.0f} with)")
    figure("CPU of each step", f"{1000 * (many.cpu - none.cpu) / steps:.1f} ms")


def report_end() -> None:
    """From SIGTERM until the program is gone, with eight that run a stubborn command."""
    stubborn = says("execute_shell", command_line="trap '' TERM INT HUP; sleep 600 & wait")
    names = [f"r{n}" for n in range(REPORTS)]
    scripts = {name: [stubborn, stubborn] for name in names}
    scripts["main"] = [
        says("batch", commands=[start(n) for n in names]),
        says("list_files"),
        says("list_agents"),
        says("list_files"),
    ]
    ended = run(scripts, call_s=0.5, ends_after=REPORTS + 4)
    figure(f"{REPORTS} busy ones, SIGTERM until nothing runs", f"{ended.seconds:.2f} s")
    left = subprocess.run(["pgrep", "-fc", "^sleep 600$"], capture_output=True, check=False)
    figure("processes left", left.stdout.decode().strip())


if __name__ == "__main__":
    report_wall()
    report_many()
    report_end()
