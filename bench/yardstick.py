"""The program driven by a scripted server, and what its figures are measured against."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from fake_openai import Answer as Answer  # noqa: E402
from fake_openai import FakeOpenAI as FakeOpenAI  # noqa: E402

# Until the client stands; what the process takes to end isn't part of it.
CLIENT = """
import openai
openai.OpenAI(api_key="sk-nobody", max_retries=0)
print("ready", flush=True)
print(open("/proc/self/status").read())
"""
LIMIT_S = 120.0

T = TypeVar("T")


def program() -> list[str]:
    """The console script of this Python's environment, or the checkout when there is none."""
    script = Path(sys.executable).parent / "autoagent"
    return [str(script)] if script.exists() else [sys.executable, "-m", "autoagent"]


def says(name: str, /, **args: Any) -> str:
    """A reply of ordinary length with this command."""
    return json.dumps(
        {
            "thoughts": "The last result is as it was expected; nothing speaks against going on.",
            "reasoning": f"The next thing to do is {name}, since all that it needs is there.",
            "criticism": "",
            "command": {"name": name, "args": args},
        }
    )


def until_exit(*argv: str) -> float:
    """Seconds from the start of a program to its end."""
    start = time.perf_counter()
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, env=environ(), timeout=LIMIT_S)
    return time.perf_counter() - start


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment of a process: wall clock (s), its own CPU time (s), its peak memory (MB).

    `threads` is the CPU time of each thread by its number (s).
    """

    wall: float
    cpu: float
    peak: float
    threads: Mapping[int, float]


def mark(pid: int) -> Mark:
    """Of a running process, all its threads included and its children left out."""
    wall = time.perf_counter()
    # The number of a process's CPU clock, as clock_getcpuclockid(3) makes it.
    cpu = time.clock_gettime((~pid << 3) | 2)
    peak = peak_of(Path(f"/proc/{pid}/status").read_text())
    folders = list(Path(f"/proc/{pid}/task").iterdir())
    threads = {int(f.name): int((f / "schedstat").read_text().split()[0]) / 1e9 for f in folders}
    return Mark(wall, cpu, peak, threads)


def peak_of(status: str) -> float:
    """MB. Not ru_maxrss: that begins with what the process was forked from."""
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def client() -> Mark:
    """From the start of Python until a client of the openai package stands."""
    start = time.perf_counter()
    argv = [sys.executable, "-c", CLIENT]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        now = mark(process.pid)
        peak = peak_of(process.stdout.read())
    return Mark(now.wall - start, now.cpu, peak, now.threads)


@dataclass(slots=True)
class Driven:
    """One run: marks at its start and at the arrival of each chat request, what was sent."""

    began: float
    marks: list[Mark] = field(default_factory=list)
    prompts: list[list[dict[str, str]]] = field(default_factory=list)
    journal: list[dict[str, Any]] = field(default_factory=list)


def drive(folder: Path, replies: Sequence[str], *options: str, piece: int = 8) -> Driven:
    """Run the program in folder/work until the replies are spoken; state in folder/state."""
    run = Driven(0.0)
    process: subprocess.Popen[str] | None = None

    def answering(text: str) -> Callable[[dict[str, Any]], Answer]:
        def answer(body: dict[str, Any]) -> Answer:
            assert process is not None
            run.marks.append(mark(process.pid))
            run.prompts.append(body["messages"])
            return Answer(text, piece=piece)

        return answer

    workspace = folder / "work"
    workspace.mkdir(parents=True, exist_ok=True)
    with FakeOpenAI([answering(reply) for reply in replies], usage=False) as server:
        argv = [*program(), "--goal", "Say hello in a file.", "--model", "fake-model", *options]
        run.began = time.perf_counter()
        process = subprocess.Popen(
            argv,
            cwd=workspace,
            env=environ(AUTOAGENT_HOME=str(folder / "state"), OPENAI_BASE_URL=server.base_url),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            said = process.communicate(timeout=LIMIT_S)[1]
        finally:
            process.kill()
    if process.returncode or len(run.marks) != len(replies):
        sys.exit(f"{len(run.marks)} of {len(replies)} requests came; autoagent said:\n{said}")
    newest = max((folder / "state/sessions").iterdir())
    lines = (newest / "journal.jsonl").read_text("utf-8", "surrogatepass").splitlines()
    run.journal = [json.loads(line) for line in lines]
    return run


def environ(**more: str) -> dict[str, str]:
    """Little, so that no setting of whoever measures has a say."""
    found = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "LANG": "C.UTF-8"}
    return {**found, "PYTHONPATH": str(ROOT), "OPENAI_API_KEY": "sk-nobody", **more}


def in_turns(rounds: int, *ways: Callable[[], T]) -> list[list[T]]:
    """What each way gave in each round but the first, which warms the disk; taken in turns,
    so that what else the machine does falls on all alike."""
    taken = [[way() for way in ways] for _ in range(rounds + 1)][1:]
    return [list(column) for column in zip(*taken, strict=True)]


def figure(what: str, value: str, target: str = "") -> None:
    """One line: the figure, what it has to be, what it is made of."""
    print(f"{what:58} {value:>34}  {target}".rstrip(), flush=True)
