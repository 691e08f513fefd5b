"""The program at a pseudo-terminal, seen and typed to."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pexpect  # type: ignore[import-untyped]

from tests.fake_openai import Answer, Body, FakeOpenAI, Scripted
from tests.program import Program, says

LIMIT_S = 30.0
_USUAL = {
    "TERM": "dumb",
    "NO_COLOR": "1",
    "AUTOAGENT_MEMORY": "none",
    "AUTOAGENT_WINDOW": "32000",
    "AUTOAGENT_PRICE": "1,1,1",
}
ASKS = "Run it? y/n/e/d/s/q/?, a = every write_file: "
ASKS_CODE = "Run it? y/n/e/d/s/q/?, a = exactly this: "
WRITE = says("write_file", path="a.txt", content="text\n")
DONE = says("finish", answer="all is done")


class Silent:
    """A model that says nothing until the test is over; `asked` is set when it was called."""

    def __init__(self) -> None:
        self.asked = Event()

    def __call__(self, _: Body) -> Answer:
        self.asked.set()
        return Answer(DONE, hold=Event())


class Screen:
    """A program at a pseudo-terminal; each wait has an end."""

    def __init__(self, child: "pexpect.spawn[str]", server: FakeOpenAI, program: Program) -> None:
        self.child = child
        self.server = server
        self.program = program
        self.workspace = program.workspace

    def shows(self, *texts: str) -> str:
        """Wait for each of the texts in turn; what stood before the last."""
        for text in texts:
            self.child.expect_exact(text)
        return str(self.child.before)

    def answers(self, question: str, typed: str) -> None:
        """Wait for the question, then type a line."""
        self.shows(question)
        self.child.sendline(typed)

    def ends(self) -> int:
        """Wait for the end; the exit code."""
        self.child.expect(pexpect.EOF)
        self.child.close()
        return int(self.child.exitstatus if self.child.exitstatus is not None else -1)

    def prompt(self, number: int) -> str:
        """The last message of that call to the model, the first is 0."""
        return str(self.server.chats[number]["messages"][-1]["content"])

    def stopped(self) -> dict[str, object]:
        """The last event of the only journal."""
        (journal,) = self.program.home.glob("sessions/*/journal.jsonl")
        last: dict[str, object] = json.loads(journal.read_text().splitlines()[-1])
        return last


@contextmanager
def at_terminal(
    folder: Path,
    replies: Sequence[Scripted],
    *args: str,
    columns: int = 80,
    shell: str = "",
    models: Sequence[Body] = (),
    **variables: str,
) -> Iterator[Screen]:
    """autoagent with these arguments; `shell` runs it within a command line, as $@. The server
    lists these models, when some are given."""
    routes = {"/v1/models": {"object": "list", "data": list(models)}} if models else {}
    with (
        FakeOpenAI(replies, routes=routes) as server,
        beside(server, folder, *args, columns=columns, shell=shell, **variables) as screen,
    ):
        yield screen


@contextmanager
def beside(
    server: FakeOpenAI,
    folder: Path,
    *args: str,
    columns: int = 80,
    shell: str = "",
    **variables: str,
) -> Iterator[Screen]:
    """The same with a server that is there already."""
    program = Program(folder, server.base_url, {**_USUAL, **variables})
    words = [sys.executable, "-m", "autoagent", *args]
    words = ["/bin/sh", "-c", shell, "sh", *words] if shell else words
    child = pexpect.spawn(
        words[0],
        words[1:],
        cwd=str(program.workspace),
        env=program.environment,
        timeout=LIMIT_S,
        encoding="utf-8",
        dimensions=(40, columns),
    )
    child.delaybeforesend = None
    child.ptyproc.delayafterclose = 0.0
    try:
        yield Screen(child, server, program)
    finally:
        child.close(force=True)
