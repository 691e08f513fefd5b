"""What a command may touch: protocols that the layer above fills in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from commands.cancel import Cancel
from commands.seen import Seen

if TYPE_CHECKING:
    from commands.command import Catalogue
    from commands.sandbox.lasting import Lasting
    from commands.web.contract import Web
    from commands.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Finished:
    """A process that ended. Outputs hold head and tail when they were too long.

    `exit` is the exit status, 128 + n for signal n. `stopped` says why it was ended by us:
    "time", "cancel", "output", "processes" or "memory" (too much of it), "cage" when the cage
    ended with all that ran in it, or "" when it ended by itself. `seconds` is wall time.
    `notices` are sentences about the cage and about what was moved out of the workspace.
    """

    exit: int
    stdout: bytes
    stderr: bytes
    seconds: float
    stopped: str = ""
    notices: tuple[str, ...] = ()


class Cage(Protocol):
    """Runs programs where they can do no harm; nothing of theirs outlives the call.

    `lasting` are those that do, until `close`, which leaves nothing running.
    """

    @property
    def kind(self) -> str:
        """bubblewrap, landlock or none."""
        ...

    @property
    def network(self) -> bool:
        """Whether programs reach the network."""
        ...

    @property
    def let_out(self) -> bool:
        """Whether they reach the hosts that the user allowed, and no others."""
        ...

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        cancel: Cancel,
        stdin: bytes = b"",
        hear: Callable[[str], None] | None = None,
    ) -> Finished:
        """Run argv in the workspace to its end; never raises for what the program does.

        `hear` is given what comes of both its outputs, as UTF-8, in the order in which it is
        read; it must return at once and not raise.
        """
        ...

    @property
    def lasting(self) -> "Lasting":
        """The processes that go on between commands."""
        ...

    def notices(self) -> tuple[str, ...]:
        """What is to be told of the cage and the workspace since the last time."""
        ...

    def accept(self, paths: Sequence[str]) -> None:
        """A person let these protected or masked paths be changed: what stands there now is
        kept like what always stood there."""
        ...

    def close(self) -> None:
        """End everything that runs in it."""
        ...


class Memories(Protocol):
    """Long-term memory, as far as a command needs it."""

    def remember(self, text: str) -> None:
        """Keep a text for later steps and sessions; durable on return."""
        ...

    def recall(self, query: str) -> "Recollection":
        """The nearest memories, best first."""
        ...


@dataclass(frozen=True, slots=True)
class Recollection:
    """Memories as text, each with its label, "" when there are none; `source` is "web" when
    one of them is of the web, else "memory"."""

    text: str = ""
    source: str = "memory"


class Results(Protocol):
    """Whole results of earlier steps."""

    def read(self, step: int, agent: str = "") -> str | None:
        """The whole text of that step's result, or of what that sub-agent reported; None
        when there was none."""
        ...

    def source(self, step: int) -> str:
        """Whose words that text is."""
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """What one command of one step may touch."""

    workspace: "Workspace"
    cage: Cage
    memories: Memories
    results: Results
    catalogue: "Catalogue"
    cancel: Cancel
    command_timeout_s: float
    ask: Callable[[str], str] | None  # puts a question to the person; None when there is none
    seen: Seen = field(default_factory=Seen)
    web: "Web | None" = None  # None: it is switched off
    hear: Callable[[str], None] | None = None  # what a program prints, as it comes
