"""What the live lines of an interactive session cost, against plain lines in the same run.

python bench/terminal.py [ROUNDS]. Each is a pseudo-terminal of its own. Echo is the time from a
key to its character on the screen, while a reply comes as fast as it can be read.
"""

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from threading import Event

import pexpect  # type: ignore[import-untyped]
from yardstick import (
    LIMIT_S,
    Answer,
    FakeOpenAI,
    environ,
    figure,
    in_turns,
    mark,
    program,
    says,
    until_exit,
)

_PIECES = 3000
_KEYS = 30
_LIBRARY = "import prompt_toolkit.application, rich.table"
_PLAIN = "--plain"


def main(rounds: int = 5) -> None:
    """Print one line a figure."""
    with tempfile.TemporaryDirectory() as folder:
        report_question(rounds, Path(folder))
        report_reply(rounds, Path(folder))
        report_echo(Path(folder))


def report_question(rounds: int, folder: Path) -> None:
    """From the start of the program until it asks for goals."""
    ways = (
        partial(_until_question, folder),
        partial(_until_question, folder, _PLAIN),
        partial(until_exit, sys.executable, "-c", _LIBRARY),
    )
    live, plain, library = map(median, in_turns(rounds, *ways))
    made_of = f"{live * 1e3:.0f} ms / {library * 1e3:.0f} ms"
    figure(
        "start to the goals question / its libraries' import", f"{live / library:.2f} × ({made_of})"
    )
    figure("  the same by plain lines", f"{plain / library:.2f} × ({plain * 1e3:.0f} ms)")


def report_reply(rounds: int, folder: Path) -> None:
    """CPU time for a long reply that comes in small pieces, its threads together."""
    live, plain = map(
        median, in_turns(rounds, partial(_reply, folder), partial(_reply, folder, _PLAIN))
    )
    made_of = f"{live * 1e3:.0f} ms / {plain * 1e3:.0f} ms"
    figure(
        f"CPU of a reply of {_PIECES:,} pieces, live / plain", f"{live / plain:.2f} × ({made_of})"
    )


def report_echo(folder: Path) -> None:
    """Keys one by one: while nothing comes, and while much does."""
    quiet, busy = _echoes(folder, streaming=False), _echoes(folder, streaming=True)
    of = f"median of {_KEYS}, longest {max(quiet) * 1e3:.0f} ms"
    figure("a key until it is seen, while the model is silent", f"{median(quiet) * 1e3:.1f} ms", of)
    of = f"median of {_KEYS}, longest {max(busy) * 1e3:.0f} ms"
    figure("  while a reply comes as fast as it can", f"{median(busy) * 1e3:.1f} ms", of)


@contextmanager
def _terminal(folder: Path, url: str, *args: str) -> "Iterator[pexpect.spawn[bytes]]":
    """The program at a terminal of 100 by 40."""
    workspace = folder / "work"
    workspace.mkdir(exist_ok=True)
    command, *more = program()
    variables = {
        "AUTOAGENT_HOME": str(folder / "state"),
        "OPENAI_BASE_URL": url,
        "SMART_LLM": "fake-model",
        "TERM": "xterm-256color",
    }
    child = pexpect.spawn(
        command,
        [*more, *args],
        cwd=str(workspace),
        env=environ(**variables),
        timeout=LIMIT_S,
        dimensions=(40, 100),
    )
    child.delaybeforesend = None
    try:
        yield child
    finally:
        child.close(force=True)


def _until_question(folder: Path, *args: str) -> float:
    began = time.perf_counter()
    with _terminal(folder, "http://127.0.0.1:9/v1", *args) as child:
        child.expect_exact(b"What shall be reached?")
        return time.perf_counter() - began


def _long_reply() -> str:
    words = json.loads(says("list_files"))
    return json.dumps({**words, "thoughts": "A word and then another one. " * (_PIECES // 4)})


def _reply(folder: Path, *args: str) -> float:
    """CPU seconds from the first request to the second, which comes when all was shown."""
    arrived = [Event(), Event()]
    text, held = _long_reply(), Event()
    replies = [
        lambda _: arrived[0].set() or Answer(text, piece=len(text) // _PIECES),
        lambda _: arrived[1].set() or Answer("", hold=held),
    ]
    with FakeOpenAI(replies, usage=False) as server:
        with _terminal(folder, server.base_url, *args, "Look") as child:
            _read_until(child, arrived[0])
            before = mark(child.pid).cpu
            _read_until(child, arrived[1])
            taken = mark(child.pid).cpu - before
        held.set()
    return taken


def _read_until(child: "pexpect.spawn[bytes]", arrived: Event) -> None:
    """Take what the program writes: a terminal that nobody reads would stop it."""
    end_by = time.monotonic() + LIMIT_S
    while not arrived.is_set():
        assert time.monotonic() < end_by, "nothing was asked of the server"
        child.expect([b".+", pexpect.TIMEOUT], timeout=0.05)


def _echoes(folder: Path, *, streaming: bool) -> list[float]:
    """Seconds from each key until its character was written."""
    held, arrived = Event(), Event()
    text = _long_reply() * 40 if streaming else ""

    def answer(_: object) -> Answer:
        arrived.set()
        return Answer(text, piece=8) if streaming else Answer("", hold=held)

    taken = []
    with FakeOpenAI([answer], usage=False) as server:
        with _terminal(folder, server.base_url, "Look") as child:
            _read_until(child, arrived)
            child.expect_exact(b"words for the agent")
            for key in (b"\xc2\xa7", b"\xc3\x9f") * (_KEYS // 2):
                time.sleep(0.07)  # as one types
                began = time.perf_counter()
                child.send(key)
                child.expect_exact(key)
                taken.append(time.perf_counter() - began)
        held.set()
    return taken


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
