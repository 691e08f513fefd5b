"""The real program as a child process in a clean environment, each wait with an end.

with FakeOpenAI([says("finish", answer="42")]) as server:
    program = Program(tmp_path, server.base_url)
    done = program.run("--goal", "answer")
assert (done.code, done.out) == (0, "42\n")
"""

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from tests.fake_openai import FakeOpenAI, Scripted

LIMIT_S = 60.0
KEY = "sk-proj-4f1c9a77d2e84b60a3"  # a key that a test's assertions look for
ROOT = Path(__file__).resolve().parent.parent

Event = dict[str, Any]


def says(name: str, /, **args: Any) -> str:
    """A model's reply with this command."""
    return json.dumps({"thoughts": f"I {name}.", "command": {"name": name, "args": args}})


@dataclass(frozen=True, slots=True)
class Done:
    """How a program ended: its exit code (negative: killed by that signal), and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[Event]:
        """Standard output as JSON, a line each."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def object(self) -> Event:
        """The last line of standard output as JSON."""
        return self.lines[-1]


class Running:
    """A started program; its standard output can be read event by event."""

    def __init__(self, process: "subprocess.Popen[bytes]", errors: Path) -> None:
        self.process = process
        self._errors = errors
        self._read = b""  # of standard output, so far
        self._at = 0  # what `until` has gone through

    def until(self, kind: str = "") -> Event:
        """The next event on standard output (stream-json), of this type if one is named."""
        while True:
            line, end, _ = self._read[self._at :].partition(b"\n")
            if not end:
                assert self._more(), f"no {kind} came:\n{self.errors}"
                continue
            self._at += len(line) + 1
            event: Event = json.loads(line)
            if kind in ("", event["type"]):
                return event

    def finish(self, limit_s: float = LIMIT_S) -> Done:
        """Wait for its end, which must come in time."""
        while self._more(limit_s):
            pass
        code = self.process.wait(limit_s)
        return Done(code, _text(self._read), self.errors)

    @property
    def errors(self) -> str:
        """Standard error so far."""
        return _text(self._errors.read_bytes())

    def _more(self, limit_s: float = LIMIT_S) -> bool:
        """Read on; False at the end."""
        assert self.process.stdout is not None
        descriptor = self.process.stdout.fileno()
        ready = select.select([descriptor], [], [], limit_s)[0]
        assert ready, f"silent for {limit_s} s:\n{self.errors}"
        data = os.read(descriptor, 1 << 16)
        self._read += data
        return bool(data)


@dataclass(frozen=True, slots=True)
class Program:
    """autoagent with a folder of its own: workspace, state and home stay in it.

    `variables` are laid over the environment; an empty one is left out of it. `front` is put
    before the command line (setpriv and its like).
    """

    folder: Path
    base_url: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    front: Sequence[str] = ()

    @property
    def workspace(self) -> Path:
        folder = self.folder / "work"
        folder.mkdir(exist_ok=True)
        return folder

    @property
    def home(self) -> Path:
        """AUTOAGENT_HOME."""
        return self.folder / "state"

    @property
    def environment(self) -> dict[str, str]:
        (self.folder / "home").mkdir(exist_ok=True)
        usual = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder / "home"),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(ROOT),
            "AUTOAGENT_HOME": str(self.home),
            "AUTOAGENT_LOCAL_PORTS": "none",
            "OPENAI_BASE_URL": self.base_url,
            "OPENAI_API_KEY": KEY,
            "SMART_LLM": "fake-model",
        }
        return {name: value for name, value in {**usual, **self.variables}.items() if value}

    @contextmanager
    def started(
        self, *args: str, stdin: int | IO[Any] = subprocess.DEVNULL, stdout: Any = subprocess.PIPE
    ) -> Iterator[Running]:
        """The program while it runs; it is killed when the block is left."""
        errors = self.folder / f"stderr-{time.monotonic_ns()}"
        with (
            errors.open("wb") as stderr,
            subprocess.Popen(
                [*self.front, sys.executable, "-m", "autoagent", *args],
                cwd=self.workspace,
                env=self.environment,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            ) as process,
        ):
            try:
                yield Running(process, errors)
            finally:
                if process.poll() is None:
                    process.kill()

    def run(self, *args: str, stdin: bytes | None = None) -> Done:
        """Run it to its end; `stdin` is what stands on its standard input."""
        if stdin is None:
            with self.started(*args) as running:
                return running.finish()
        given = self.folder / "stdin"
        given.write_bytes(stdin)
        with given.open("rb") as file, self.started(*args, stdin=file) as running:
            return running.finish()

    @property
    def sessions(self) -> list[Path]:
        """The folders of all sessions, the oldest first."""
        folder = self.home / "sessions"
        return sorted(folder.iterdir()) if folder.exists() else []

    def journal(self, session: str = "") -> list[Event]:
        """The events of that session, or of the newest one."""
        folder = self.home / "sessions" / session if session else self.sessions[-1]
        text = (folder / "journal.jsonl").read_bytes().decode("utf-8", "surrogatepass")
        return [json.loads(line) for line in text.splitlines()]


@contextmanager
def served(
    folder: Path, *scripts: Iterable[Scripted], variables: Mapping[str, str] | None = None
) -> Iterator[list[tuple[Program, FakeOpenAI]]]:
    """A program for each script, each with a server and a folder of its own."""
    with ExitStack() as stack:
        pairs = []
        for number, script in enumerate(scripts):
            server = stack.enter_context(FakeOpenAI(script))
            (folder / str(number)).mkdir()
            pairs.append((Program(folder / str(number), server.base_url, variables or {}), server))
        yield pairs


def at_once(*runs: tuple[Program, Sequence[str]]) -> list[Done]:
    """Run independent programs side by side; what became of each, in order."""
    with ExitStack() as stack:
        started = [stack.enter_context(program.started(*args)) for program, args in runs]
        return [running.finish() for running in started]


def of_type(events: Sequence[Event], kind: str) -> list[Event]:
    return [event for event in events if event["type"] == kind]


def processes_with(word: str) -> list[str]:
    """The command lines of running processes that hold `word`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue  # it ended meanwhile
        found += [line] if word in line else []
    return found


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
