"""The facts about sub-agents: those of the agent that started them, and those of theirs."""

from dataclasses import dataclass

from autoagent.model import Usage
from autoagent.terms import Limits, Status


@dataclass(frozen=True, slots=True)
class Spawned:
    """A sub-agent begins, or waits for its turn. `limits` are its share of what is left."""

    step: int
    name: str  # its own alone in the session of its agent, for all time
    task: str
    role: str  # "" is none
    folder: str  # its part of the workspace, relative to its agent's; "" is all of it
    limits: Limits


@dataclass(frozen=True, slots=True)
class Messaged:
    """Words to a sub-agent, which has them as `Told` before its next call.

    `web`: text of the web stood in the prompt of who wrote them; `addresses` are those in
    them that the writer can't have made. `number` counts the messages to that agent.
    """

    step: int
    name: str
    number: int
    text: str
    web: bool
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Dismissed:
    """A sub-agent is ended if it works, and nothing of it is waited for any more."""

    step: int
    name: str


@dataclass(frozen=True, slots=True)
class Reported:
    """A sub-agent ended, or is `paused` with its agent's run and goes on with it.

    `text` is its answer, or why it ended, as its agent reads it; `whole` names the file with
    all of it when it was cut. Usage and steps are all of its own and of those beneath it.
    """

    step: int  # of the agent that is told
    name: str
    status: Status
    text: str
    whole: str | None
    steps: int
    usage: Usage
    unpriced: int  # calls whose cost nobody knows
    elapsed_s: float
    changed: tuple[str, ...]  # relative to the workspace of its agent
    hosts: tuple[str, ...]
    refused: tuple[str, ...]
    web: bool  # text of the web stood in its prompt
    addresses: tuple[str, ...]  # in its text, that it can't have made
    made: tuple[str, ...]  # those of `changed` that weren't there before
    journal_hash: str
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Inherited:
    """What an agent has of the trust in another one: a sub-agent when it begins, and any when
    text of the web came to one of its session.

    `web`: text of the web stood in that one's prompt; `addresses` were seen by it, `named`
    and `allowed` hosts were named by the user or opened by a person, `made` are paths that
    it made, relative to this one's workspace.
    """

    web: bool
    addresses: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    agreed: tuple[str, ...] = ()
    made: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Told:
    """Words of the agent that started this one; fields as those of `Messaged`, but for the
    step, which is this one's."""

    step: int
    number: int
    text: str
    web: bool
    addresses: tuple[str, ...] = ()
