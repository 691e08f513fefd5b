"""Who must agree to a command: the table of effects, and what a person can answer."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from autoagent.addresses import host_of
from autoagent.events import Decided
from autoagent.reply import Command, Reply
from autoagent.state import State
from autoagent.taint import REACHES
from autoagent.wishes import Wish
from commands.command import Catalogue, CommandError, CommandSpec, Refusal
from commands.context import Context
from commands.guard import shown
from commands.touching import called, replaced, touched

_HARMLESS = ("read", "note", "ask", "lead", "end")


@dataclass(frozen=True, slots=True)
class Concern:
    """Why only this very answer lets a command run; `said` is a sentence without its stop.

    `place` is a masked or protected path, `address` one that the model may not reach by
    itself, `overwrites` a path that the run didn't make.
    """

    said: str
    place: str = ""
    is_masked: bool = False
    address: str = ""
    overwrites: str = ""


@dataclass(frozen=True, slots=True)
class Undo:
    """A person's wish to take back all changes after that step; None: the newest change."""

    to: int | None


@dataclass(frozen=True, slots=True)
class Answer:
    """A person's answer to a question about a command.

    `decided` is None when they leave instead, or want an `undo` before they are asked again,
    or have a wish that comes first (`wishes`). `words` are for the agent.
    """

    decided: Decided | None
    words: str = ""
    undo: Undo | None = None
    wishes: bool = False


class Person(Protocol):
    """Someone at a terminal. Called from the agent's thread; each call returns when they
    answered, and with "leave" when their input ended."""

    def decide(self, step: int, reply: Reply, scope: str, concerns: Sequence[Concern]) -> Answer:
        """May this command run? `scope` is what "always" would cover; "" when it can't.

        `concerns` are what it is asked for even where it would else run unasked.
        """
        ...

    def ask(self, question: str) -> str:
        """The answer to the agent's question; "" for none."""
        ...

    def heard(self) -> list[str]:
        """What they typed meanwhile, unasked, a line each."""
        ...

    def wishes(self) -> Sequence[Wish]:
        """What of the session they want changed since the last time, in their order."""
        ...

    def wants_room(self) -> bool:
        """Whether they wish since the last time that the oldest steps leave the prompt."""
        ...

    def interrupted(self, heeded: Callable[[], None]) -> str | None:
        """After Ctrl-C: words for the agent, "" to go on, None to leave.

        `heeded` is called before they are asked for: the next Ctrl-C is another wish.
        """
        ...


def scope_of(command: Command, spec: CommandSpec, *, caged: bool) -> str:
    """What "always" covers for this command: its name, for code exactly these arguments, for
    an address every one of its host.

    "" when nothing may be covered. A name has no blank, exact arguments stand behind one.
    """
    if spec.name == "batch":
        return ""
    if spec.effect == "reach" and "url" in (args := spec.checked(command.args)):
        host = host_of(str(args["url"]))
        return f"{REACHES}{host}" if host else ""
    if spec.effect != "execute":
        return spec.name
    exact = json.dumps(spec.checked(command.args), sort_keys=True)
    return f"{spec.name} {exact}" if caged else ""


def concerns(
    state: State, context: Context, spec: CommandSpec, args: Mapping[str, Any]
) -> list[Concern]:
    """What only a person can let this command with these checked arguments do."""
    workspace, catalogue = context.workspace, context.catalogue
    found = [
        Concern(refusal.said, place=refusal.place, is_masked=refusal.is_masked)
        for refusal in touched(workspace, catalogue, spec, args)
    ]
    found += [_far(url) for url in addresses_of(catalogue, spec, args) if _refused(context, url)]
    if state.taint.since is not None:
        paths = replaced(workspace, spec, args)
        found += [_replacing(path) for path in paths if path not in state.taint.made]
    return found


def _refused(context: Context, url: str) -> bool:
    try:
        if context.web is not None:
            context.web.permit(url)
    except Refusal:
        return host_of(url) is not None
    except CommandError:
        pass  # no address at all: it will fail as it runs
    return False


def _far(url: str) -> Concern:
    said = f"{shown(url)} stands in no goal, search result or page; what it says goes to "
    return Concern(f"{said}{host_of(url)}", address=url)


def _replacing(path: str) -> Concern:
    said = "was not made by this run, and text of the web has come in"
    return Concern(f"{shown(path)} {said}", overwrites=path)


def agreed(
    decided: Decided, permitted: Sequence[str], concerns: Sequence[Concern], hosts: Sequence[str]
) -> Decided:
    """A person's yes with all that it opens: `permitted` is what earlier ones did, `hosts` are
    those that the command contacts and nobody agreed to yet."""
    addresses = tuple(each.address for each in concerns if each.address)
    far = {str(host_of(address)) for address in addresses}
    places = (*permitted, *(each.place for each in concerns if each.place))
    return replace(
        decided,
        paths=tuple(dict.fromkeys(places)),
        addresses=addresses,
        reaches=tuple(host for host in hosts if host not in far),
        overwrites=tuple(each.overwrites for each in concerns if each.overwrites),
    )


def can_be_always(concerns: Sequence[Concern]) -> bool:
    """Whether "always" answers them all: of addresses it does, a whole host."""
    return all(each.address for each in concerns)


def unmet(
    state: State, catalogue: Catalogue, spec: CommandSpec, command: Command
) -> tuple[str, ...]:
    """The hosts that a command would contact and nobody agreed to yet; for a search its name."""
    met = state.taint.agreed | state.always
    places = (scope.removeprefix(REACHES) for scope in _contacts(catalogue, spec, command.args))
    return tuple(dict.fromkeys(p for p in places if p not in met and REACHES + p not in met))


def _contacts(catalogue: Catalogue, spec: CommandSpec, args: Mapping[str, Any]) -> Iterator[str]:
    """The scopes of what a command contacts, alone or in a batch."""
    if spec.effect == "reach":
        yield scope_of(Command(spec.name, dict(args)), spec, caged=True) or spec.name
    if spec.name == "batch":
        for inner, given in called(catalogue, spec.checked(args)):
            yield from _contacts(catalogue, inner, given)


def addresses_of(catalogue: Catalogue, spec: CommandSpec, args: Mapping[str, Any]) -> Iterator[str]:
    """The addresses that a command with these checked arguments would read."""
    if spec.effect == "reach" and isinstance(args.get("url"), str):
        yield args["url"]
    if spec.name == "batch":
        for inner, given in called(catalogue, args):
            yield from addresses_of(catalogue, inner, given)


def needs_person(
    state: State,
    catalogue: Catalogue,
    spec: CommandSpec,
    command: Command,
    *,
    attended: bool,
    caged: bool,
) -> bool:
    """Whether somebody must be asked first. Unattended nobody is: what would have needed a
    person was refused when the run started."""
    if not attended:
        return False
    if spec.name == "batch" or spec.effect == "reach":
        return state.free_steps == 0 and bool(unmet(state, catalogue, spec, command))
    if spec.effect in _HARMLESS:
        return False
    if spec.effect == "execute" and not caged:
        return True
    scope = scope_of(command, spec, caged=caged)
    return state.free_steps == 0 and scope not in state.always
