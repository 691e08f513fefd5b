"""The facts a run consists of."""

from dataclasses import dataclass
from typing import Any, Literal

from autoagent.model import Format, Price, Usage
from autoagent.team.events import Dismissed as Dismissed
from autoagent.team.events import Inherited as Inherited
from autoagent.team.events import Messaged as Messaged
from autoagent.team.events import Reported as Reported
from autoagent.team.events import Spawned as Spawned
from autoagent.team.events import Told as Told
from autoagent.terms import Limits as Limits
from autoagent.terms import Status as Status

SCHEMA_VERSION = 1
"""Of the journal. A journal of a newer one is refused, an older one would be read as it was."""

Purpose = Literal["step", "embedding", "digest"]
Verdict = Literal["run", "refuse", "edit", "criticise"]
Topic = Literal[
    "limit", "stuck", "memory", "model", "resume", "verify", "place", "undo", "host", "files"
]


@dataclass(frozen=True, slots=True)
class Started:
    """A session begins: all that its prompt is made of and that must not change under it."""

    session: str
    version: str
    goals: tuple[str, ...]
    system: str
    opening: str  # the first user message
    workspace: str
    model: str
    base_url: str
    window: int  # tokens
    limits: Limits
    interactive: bool
    price: Price | None
    cage: str
    memory: str
    verify: tuple[str, ...] = ()
    protect: tuple[str, ...] = ()
    disable: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()  # files of the user's own
    dry_run: bool = False  # on a copy of the workspace
    answer_schema: dict[str, Any] | None = None  # the answer must be JSON that fits
    secret: str = ""  # hexadecimal; marks of foreign text derive from it
    sub_agent: str = ""  # its name, "a/b" beneath another one; "" is the session's own agent
    role: str = ""
    schema_version: int = SCHEMA_VERSION


@dataclass(frozen=True, slots=True)
class Resumed:
    """The session goes on in a new process, under these limits and with this model."""

    limits: Limits
    model: str
    window: int
    price: Price | None
    verify: tuple[str, ...] = ()
    goals: tuple[str, ...] = ()  # added by the user
    answer_schema: dict[str, Any] | None = None  # in force from now on
    version: str = ""


@dataclass(frozen=True, slots=True)
class Forked:
    """The session begins here: what stands before is another one's, up to that step of it."""

    session: str  # that made the step
    step: int


@dataclass(frozen=True, slots=True)
class Changed:
    """What was learned of the model in the middle; None: as it was."""

    window: int | None = None  # tokens
    format: Format | None = None


@dataclass(frozen=True, slots=True)
class Limited:
    """A person set the limits of the running session anew."""

    limits: Limits


@dataclass(frozen=True, slots=True)
class Switched:
    """A person put another model of the same server in the place of the session's."""

    model: str
    window: int  # tokens
    price: Price | None


@dataclass(frozen=True, slots=True)
class Aimed:
    """A person added a goal to the running session, or changed one."""

    goals: tuple[str, ...]  # all of them, from now on


@dataclass(frozen=True, slots=True)
class Memo:
    """One recalled memory, as the prompt shows it."""

    id: int
    text: str
    score: float  # in (0, 1], among those of one query
    source: str = ""  # whose words it is
    dense: float | None = None  # the raw cosine in [-1, 1]
    words: float = 0.0  # the raw bm25, unbounded


@dataclass(frozen=True, slots=True)
class Recalled:
    """Long-term memory was written and asked; settles the embedding that was reserved."""

    step: int
    memos: tuple[Memo, ...] = ()
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Reserved:
    """The most that the next call can cost, set aside before it is made."""

    step: int
    purpose: Purpose
    prompt: int  # tokens
    completion: int  # tokens
    cost: float | None  # US dollars
    elapsed_s: float  # of the session, up to here


@dataclass(frozen=True, slots=True)
class Retried:
    """An attempt failed and another follows after a pause."""

    step: int
    attempt: int
    reason: str
    wait_s: float
    usage: Usage | None = None  # when an answer had begun to come


@dataclass(frozen=True, slots=True)
class Replied:
    """The model's reply, read exactly."""

    step: int
    raw: str
    thoughts: str
    reasoning: str
    plan: tuple[str, ...] | None
    criticism: str
    name: str
    args: dict[str, Any]
    read_as: str
    usage: Usage


@dataclass(frozen=True, slots=True)
class Refused:
    """A reply that can't be run: `fault` is what the model reads of it."""

    step: int
    raw: str
    excerpt: str  # what of it stays in the prompt
    fault: str
    misread: bool  # its form was wrong; else it was cut, empty or declined
    usage: Usage


@dataclass(frozen=True, slots=True)
class Decided:
    """A person, or a rule in their place, decided about the command of the step.

    `count` further steps run without asking; `scope` runs without asking from now on;
    `paths` are masked or protected ones that this one command may touch, `addresses` those
    that it alone may read; `reaches` are hosts whose known addresses are read without asking
    from now on, `overwrites` paths that this run may change though it didn't make them.
    """

    step: int
    verdict: Verdict
    reason: str = ""
    name: str = ""  # of the edited command
    args: dict[str, Any] | None = None
    count: int = 0
    scope: str = ""
    paths: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    reaches: tuple[str, ...] = ()
    overwrites: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Executing:
    """The command of the step is about to take effect."""

    step: int


@dataclass(frozen=True, slots=True)
class Executed:
    """What came of the command. `text` is what the model sees; `whole` names the file
    beneath results/ that holds all of it when it was cut."""

    step: int
    name: str
    about: str  # what the head line says of the arguments
    ok: bool
    refused: bool  # the rules or a person forbade it
    note: str
    text: str
    source: str
    changed: tuple[str, ...] = ()
    made: tuple[str, ...] = ()  # those of them that weren't there before
    whole: str | None = None
    seconds: float = 0.0
    seen: tuple[tuple[str, ...], ...] = ()  # path and digest of files that were read or left


@dataclass(frozen=True, slots=True)
class Visited:
    """A page of the web was read: `url` was asked for, `final` answered.

    `sha256` and `size_bytes` are those of the data; `at` is in seconds since 1970.
    """

    step: int
    url: str
    final: str
    title: str
    sha256: str
    size_bytes: int
    at: float


@dataclass(frozen=True, slots=True)
class Checkpointed:
    """The workspace is kept as it is now, under that number of the store of checkpoints."""

    step: int
    when: Literal["before", "after"]  # the command of the step
    number: int


@dataclass(frozen=True, slots=True)
class Undone:
    """A person took changes back, or brought in those of a dry run, between two checkpoints.

    Of many paths only the first are named; `counts` are how many there were in all.
    """

    what: Literal["undo", "apply"]
    step: int  # up to which the changes stay
    before: int
    after: int
    paths: tuple[str, ...]
    skipped: tuple[str, ...]  # left as they are
    counts: tuple[int, ...]  # of paths, of skipped
    how: tuple[str, ...] = ()  # of each path: removed, restored, changed back
    as_before: tuple[str, ...] = ()  # those of these paths that are as before the session


@dataclass(frozen=True, slots=True)
class Span:
    """What a step changed, or an undo after that step: all between two checkpoints.

    `agents` are those that were at work in it; "" is the session's own.
    """

    step: int
    before: int
    after: int
    undone: bool = False
    agents: tuple[str, ...] = ("",)


@dataclass(frozen=True, slots=True)
class Cut:
    """The oldest steps, up to this one, left the prompt; the digest stands for them.

    `by` is the model that summed them up, "" when that was done by rule; `usage` settles
    what was reserved for it.
    """

    step: int
    digest: str
    by: str = ""
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Fed:
    """A person's words to the agent; none ("") where they only stopped what was running."""

    text: str
    told: str = ""  # the message's name, when they came by `autoagent tell`
    stops: bool = False  # after Ctrl-C: what they let run unasked is over


@dataclass(frozen=True, slots=True)
class Noticed:
    """Something worth a line; `told` when the model reads it, too."""

    topic: Topic
    text: str
    told: bool = False
    key: str = ""  # so that it is said once


@dataclass(frozen=True, slots=True)
class Verified:
    """A --verify command was run; step 0 is before the first call."""

    step: int
    command_line: str
    exit: int
    text: str
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Stopped:
    """The run ended. `answer` is what the user reads: the answer, or why it ended."""

    status: Status
    exit_code: int
    answer: str
    verified: bool | None = None
    go_on: str = ""  # a command line that goes on from here
    elapsed_s: float = 0.0
    usage: Usage | None = None  # of a call that failed for good


Event = (
    Started
    | Resumed
    | Forked
    | Changed
    | Limited
    | Switched
    | Aimed
    | Recalled
    | Reserved
    | Retried
    | Replied
    | Refused
    | Decided
    | Executing
    | Executed
    | Visited
    | Checkpointed
    | Undone
    | Cut
    | Fed
    | Noticed
    | Verified
    | Spawned
    | Messaged
    | Dismissed
    | Reported
    | Inherited
    | Told
    | Stopped
)
