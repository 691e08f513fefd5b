"""Several agents of one session at one workspace, each in a thread, for tests without a model."""

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from autoagent.checkpoints.keeping import Keeper, open_keeper
from autoagent.events import Event, Executed
from autoagent.running import ResultFiles, Runner
from autoagent.team.ledger import Ledger, Page
from autoagent.tokens import estimate
from commands.builtin import catalogue
from commands.cancel import Cancel
from commands.context import Cage, Context
from commands.sandbox.bounds import Bounds
from commands.sandbox.choose import choose, like
from commands.seen import Seen
from commands.workspace import Workspace
from tests.runs import PATH, Forgetful

COMMANDS = catalogue(interactive=False)


class Team:
    """The agents, made as they are asked for; "" is the session's own."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.root = folder / "workspace"
        self.root.mkdir()
        self.folder = folder
        self.env = {"PATH": PATH, "HOME": str(folder)}
        self.ledger = Ledger(self.root)
        self._cage = choose("none", Bounds(self.root), self.env)
        self._stack = stack
        main = self.ledger.page("", self.root, lambda: self._cage.lasting.running)
        self.cancel = Cancel()
        self.keeper = open_keeper(folder / "store", self.root, self.cancel, page=main)
        stack.callback(self.keeper.close)
        self.main = Hand(self, "", self.root, self._cage, self.keeper, main, self.cancel)

    def agent(self, name: str, folder: str = "") -> "Hand":
        root, cancel = self.root / folder, Cancel()
        cage = like(self._cage, Bounds(root), self.env)
        self._stack.callback(cage.close)
        page = self.ledger.page(name, root, lambda: cage.lasting.running)
        keeper = self.keeper.beside(page, cancel)
        return Hand(self, name, root, cage, keeper, page, cancel)


class Hand:
    """One agent's commands; each is a step."""

    def __init__(
        self,
        team: Team,
        name: str,
        root: Path,
        cage: Cage,
        keeper: Keeper,
        page: Page,
        cancel: Cancel,
    ) -> None:
        self.name = name
        self.cancel = cancel
        self.page = page
        self.keeper = keeper
        self.events: list[Event] = []
        self._folder = team.folder
        own = team.folder / f"agent-{name.replace('/', '-')}"
        own.mkdir()
        self.context = Context(
            workspace=Workspace(root),
            cage=cage,
            memories=Forgetful(),
            results=ResultFiles(own / "results"),
            catalogue=COMMANDS,
            cancel=cancel,
            command_timeout_s=20.0,
            ask=None,
            seen=Seen(own / "seen", page.whose),
        )
        results = ResultFiles(own / "results")
        self.runner = Runner(self.context, results, estimate, lambda text: text, keeper, page)
        self._step = 0

    def __call__(self, name: str, /, **args: Any) -> Executed:
        """Do it, with what the journal would hold around it."""
        self._step += 1
        spec = COMMANDS.find(name)
        given: Mapping[str, Any] = spec.checked(args)
        for events in self.runner.before(self._step, spec, proves=False):
            self.events += events
        self.events += self.runner.run(self._step, spec, given, 32_000)
        return next(e for e in reversed(self.events) if isinstance(e, Executed))

    def shell(self, line: str) -> Executed:
        return self("execute_shell", command_line=line)

    @contextmanager
    def held(self, line: str, then: str = "true") -> Iterator["Future[Executed]"]:
        """A shell command that has done `line` and does `then` after the block."""
        begun, over = (self._folder / f"{word}-{self.name}-{self._step}" for word in ("b", "o"))
        os.mkfifo(begun)
        os.mkfifo(over)
        script = f"{line}\necho > {begun}; read line < {over}\n{then}"
        with ThreadPoolExecutor() as pool:
            future = pool.submit(self.shell, script)
            begun.read_text()
            try:
                yield future
            finally:
                over.write_text("\n")


@contextmanager
def team(folder: Path) -> Iterator[Team]:
    with ExitStack() as stack:
        yield Team(folder, stack)
