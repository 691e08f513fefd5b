"""How long it takes until something happens: ratios in one run, medians of interleaved rounds.

python bench/startup.py [ROUNDS], with the Python that autoagent is installed for.
Targets (docs/architecture.md): --version ≤ 3, start to first request ≤ 1.25.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from queue import Queue
from statistics import median
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from fake_openai import FakeOpenAI  # noqa: E402

AUTOAGENT = Path(sys.executable).parent / "autoagent"
DONE = {
    "thoughts": "Nothing to do.",
    "reasoning": "It is a measurement.",
    "plan": [],
    "criticism": "",
    "command": {"name": "finish", "args": {"answer": "done"}},
}
# Until the client stands; the process's end isn't part of it.
CLIENT = "import openai; openai.OpenAI(api_key='x', max_retries=0); print(flush=True)"


def until_exit(*argv: str) -> float:
    """Seconds from the start of a program to its end."""
    start = time.perf_counter()
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, timeout=60)
    return time.perf_counter() - start


def until_client() -> float:
    """Seconds from the start of Python to a client of the openai package."""
    start = time.perf_counter()
    argv = [sys.executable, "-c", CLIENT]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        return time.perf_counter() - start


def until_request(folder: Path) -> float:
    """Seconds from the start of autoagent to the arrival of its first chat request."""
    arrived: Queue[float] = Queue()

    def answer(_: dict[str, Any]) -> str:
        arrived.put(time.perf_counter())
        return json.dumps(DONE)

    workspace = folder / "work"
    workspace.mkdir(exist_ok=True)
    with FakeOpenAI([answer] * 3) as server:
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "OPENAI_BASE_URL": server.base_url,
            "OPENAI_API_KEY": "sk-nobody",
        }
        argv = [
            str(AUTOAGENT),
            "--goal",
            "Say that you are done.",
            "--model",
            "fake",
            "--max-steps",
            "2",
        ]
        start = time.perf_counter()
        run = subprocess.run(
            argv, env=environ, cwd=workspace, capture_output=True, text=True, timeout=60
        )
    if arrived.empty():
        sys.exit(f"No request came; autoagent said: {run.stderr.strip()}")
    return arrived.get() - start


def ratio(rounds: int, measured: Callable[[], float], base: Callable[[], float]) -> str:
    """The ratio of the medians, and what it is made of."""
    pairs = [(measured(), base()) for _ in range(rounds + 1)][1:]  # the first warms the disk
    ours, theirs = (median(column) for column in zip(*pairs, strict=True))
    return f"{ours / theirs:.2f}  ({ours * 1000:.0f} ms / {theirs * 1000:.0f} ms)"


def main() -> None:
    if not AUTOAGENT.exists():
        sys.exit(f"{AUTOAGENT} is missing: make setup, then .venv/bin/python bench/startup.py")
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    nothing = partial(until_exit, sys.executable, "-c", "pass")
    for option in ("--version", "--help"):
        result = ratio(rounds, partial(until_exit, str(AUTOAGENT), option), nothing)
        print(f"{option} / python -c pass: {result}")
    with tempfile.TemporaryDirectory() as folder:
        result = ratio(rounds, partial(until_request, Path(folder)), until_client)
    print(f"start to first request / import openai with its client: {result}")


if __name__ == "__main__":
    main()
