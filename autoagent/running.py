"""Running one command: its result in the share of the window that it may have, whole on disk."""

import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoagent.errors import StateError
from autoagent.events import Event, Executed, Executing, Noticed, Undone
from autoagent.history import RESULT_SHARE, shortened
from autoagent.marks import web_framed
from autoagent.model import Cancelled
from autoagent.observation import head_of
from autoagent.state import State
from autoagent.tokens import Counter
from commands.atomic import synced
from commands.command import CommandError, CommandSpec, Refusal, Result, Section
from commands.context import Context
from commands.control import about_of
from commands.guard import shown

if TYPE_CHECKING:
    from autoagent.checkpoints.keeping import Keeper, Kept
    from autoagent.longterm.memory import LongTerm
    from autoagent.reaching import LiveWeb
    from autoagent.team.ledger import Page
    from commands.sandbox.proxy import Contact
    from commands.sandbox.wayout import WayOut

_CHANGING = frozenset({"change", "execute"})
_ALL_SECTIONS_SHARE = 1 / 4
_END_TOKENS = 20  # of an end line, and of its mark in it and in the head
_NAMED = 5  # changed files in a head line
_KEPT = 200  # changed files in an event
_MOST_TOLD = 8  # files that others changed, in one prompt


class ResultFiles:
    """Whole results of a session, one file a step; what was not cut has none.

    `source_of` knows whose words the result of a step is.
    """

    def __init__(
        self, folder: Path, source_of: Callable[[int], str] = lambda step: "workspace"
    ) -> None:
        self._folder = folder
        self._source_of = source_of

    @property
    def session(self) -> Path:
        """The folder of the session whose results these are."""
        return self._folder.parent

    def write(self, step: int, text: str, agent: str = "") -> str:
        """Put the text on disk before an event names it; its file's name. `agent` is the
        sub-agent that reported it, instead of a step."""
        name = _name(step, agent)
        data = text.encode("utf-8", "surrogatepass")
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
            descriptor = os.open(self._folder / name, flags, 0o600)
            with open(descriptor, "wb") as file:  # noqa: PTH123
                file.write(data)
                file.flush()
                synced(descriptor)
        except OSError as error:
            raise StateError(
                f"{self._folder / name} can't be written: {error.strerror}."
            ) from error
        return name

    def read(self, step: int, agent: str = "") -> str | None:
        """The whole text of that step's result, or of that sub-agent's; None: there is none."""
        try:
            data = (self._folder / _name(step, agent)).read_bytes()
        except (OSError, ValueError):  # no name that a file can have
            return None
        return data.decode("utf-8", "surrogatepass")

    def source(self, step: int) -> str:
        return self._source_of(step)


def _name(step: int, agent: str) -> str:
    return f"agent-{agent.replace('/', '-')}.txt" if agent else f"{step}.txt"


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs commands. `clean` takes secrets out of foreign text where it enters; `keeper`
    keeps the workspace as it is before and after what can change it; `page` says what other
    agents do there, and is the one that the keeper has; `way` knows the hosts that commands
    asked for, `web` the pages that were read. Marks derive from `secret`."""

    context: Context
    results: ResultFiles
    count: Counter
    clean: Callable[[str], str]
    keeper: "Keeper | None"
    page: "Page"
    way: "WayOut | None" = None
    web: "LiveWeb | None" = None
    secret: str = ""

    def before(self, step: int, spec: CommandSpec, *, proves: bool) -> Iterator[list[Event]]:
        """The events before a command runs; `proves`: at its end proofs are run."""
        if self.keeper is not None and (spec.effect in _CHANGING or proves):
            yield from map(self._cleaned, self.keeper.before(step, exact=_is_exact(spec)))
        else:
            yield [Executing(step)]

    def after(self, step: int) -> list[Event]:
        """Keep what a command left that was not run here."""
        if self.keeper is None:
            return []
        kept = self.keeper.after(step)
        self._known(kept)
        return self._cleaned(kept.events)

    def _known(self, kept: "Kept") -> None:
        """What the agent's own programs left is known to it, but not what may be another's."""
        own = [path for path in kept.paths if path not in kept.shared]
        self.context.seen.left(self.context.workspace, own)

    def take_back(self, state: State, to: int | None) -> Iterator[list[Event]]:
        """Take back the newest change, or all after a step, in a session between two commands;
        those of sub-agents, too."""
        from autoagent.sessions.spans import tree_spans

        if self.keeper is None:
            yield [Noticed("undo", "Nothing in this run can be undone.")]
        else:
            spans = partial(tree_spans, self.results.session, state, to)
            for events in self.keeper.take_back(state, to, spans):
                yield self._cleaned(events)
                for event in events:
                    if isinstance(event, Undone):  # of these the model is told
                        self.context.seen.forget(event.paths)

    def run(
        self,
        step: int,
        spec: CommandSpec,
        args: Mapping[str, Any],
        window: int,
        permitted: Sequence[str] = (),
    ) -> list[Event]:
        """Run it and give what came of it; what the model must mend is a result, too.

        `permitted` are masked or protected places that a person opened to it.
        """
        began = time.monotonic()
        seen = self.context.seen
        seen.step = step
        try:
            with self.context.workspace.permitting(permitted):
                result = self._result(spec, args)
        except CommandError as error:
            result = failure(error)
        except Cancelled as error:
            result = Result(note=f"not run: {error}", ok=False)
        if permitted and result.changed:
            self.context.cage.accept(permitted)
        seconds = round(time.monotonic() - began, 3)
        kept: list[Event] = []
        made: frozenset[str] = frozenset()
        if self.keeper is not None and spec.effect in _CHANGING:
            after = self.keeper.after(step)
            kept, made = after.events, after.made
            if not _is_exact(spec):
                others = [self.page.called(agent) for agent in sorted(after.others)]
                result = _with_changes(result, after.paths, others)
                self._known(after)
        elif spec.effect == "execute":
            seen.left(self.context.workspace, seen.paths)  # nobody knows who changed what
        executed = self.executed(step, spec.name, dict(args), result, window, seconds)
        executed = replace(executed, made=tuple(p for p in executed.changed if p in made))
        said = (Noticed("place", self.clean(notice)) for notice in result.notices)
        read = self.web.read(step, self.clean) if self.web else []
        return [executed, *read, *said, *self._cleaned(kept), *self.hosts()]

    def _result(self, spec: CommandSpec, args: Mapping[str, Any]) -> Result:
        """What the command gives. One that writes a file has it to itself from the look
        whether others changed it to the end."""
        if not _is_exact(spec):
            return spec.run(self.context, **args)
        with self.page.turn(self.context.cancel):
            result = spec.run(self.context, **args)
            self.page.claim(result.changed)
            return result

    def others(self, noticed: Collection[str]) -> list[Event]:
        """What the model must know of files that somebody else changed, each said once."""
        if self.context.cage.lasting.running:
            return []  # what goes on beside the commands is the agent's own
        events: list[Event] = []
        for path, known in self.context.seen.changed_by_others(self.context.workspace):
            key = f"changed {path} {known.digest[:12]}"
            if key not in noticed:
                as_known = f"{shown(path)}, as you know it from step {known.step}"
                text = self.clean(f"{as_known}, was changed by {self.context.seen.whose(path)}")
                events.append(Noticed("files", text, told=True, key=self.clean(key)))
        return events[:_MOST_TOLD]

    def remember(self, memory: "LongTerm") -> None:
        """Put the pages that were read into long-term memory."""
        if self.web is not None:
            self.web.remember(memory, self.clean)

    def ended(self) -> list[Event]:
        """End what commands left running; what they did until then and nobody was told of."""
        self.page.leave()
        self.context.cage.close()
        notices = self.context.cage.notices()
        return [*(Noticed("place", self.clean(said)) for said in notices), *self.hosts()]

    def hosts(self) -> list[Event]:
        """The hosts that commands asked for since the last time; of a refused one the model
        is told. A proof asks for some, and what goes on beside the commands."""
        contacts = self.way.contacts() if self.way else []
        reached = self.web.reached() if self.web else []
        return [
            *(Noticed("host", f"the agent reached {host}", key=host) for host in reached),
            *self._asked_for(contacts),
        ]

    def _asked_for(self, contacts: "Iterable[Contact]") -> Iterator[Event]:
        return (
            Noticed("host", self.clean(contact.refused), told=True)
            if contact.refused
            else Noticed("host", f"a command reached {host}", key=host)
            for contact in contacts
            if (host := self.clean(contact.host))
        )

    def executed(
        self,
        step: int,
        name: str,
        args: dict[str, Any],
        result: Result,
        window: int,
        seconds: float = 0.0,
    ) -> Executed:
        """The event of a result: cut for the window, with the whole of it on disk first."""
        bare = Executed(
            step=step,
            name=name,
            about=self.clean(about_of(args)),
            ok=result.ok,
            refused=result.refused,
            note=self.clean(result.note),
            text="",
            source=result.source,
            changed=tuple(map(self.clean, result.changed)),
            seconds=seconds,
            seen=tuple(news for news in self.context.seen.news() if self.clean(news[0]) == news[0]),
        )
        text, whole = self._in_share(bare, result, window)
        file = None if whole is None else self.results.write(step, whole)
        return replace(bare, text=text, whole=file)

    def _cleaned(self, events: Iterable[Event]) -> list[Event]:
        """Events that name files, whose names are foreign text."""
        return [cleaned(event, self.clean) for event in events]

    def _in_share(self, bare: Executed, result: Result, window: int) -> tuple[str, str | None]:
        """What the model sees, head and end line counted, and the whole text when that is
        more."""
        sections = result.sections or (Section("", "", result.text, result.source),)
        share = min(window * RESULT_SHARE, window * _ALL_SECTIONS_SHARE / len(sections))
        more = f"[{{lines}} lines more: read_result(step={bare.step}, start_line={{start}})]"
        seen: list[str] = []
        whole: list[str] = []
        cut = False
        lines_before = 0
        for section in sections:
            head = [self.clean(head_line(section))] if section.about else []
            text = self.clean(section.text)
            lines_before += len(head)
            frame = self.count(head[0] if head else head_of(bare)) + _END_TOKENS
            room = max(0, round(share) - frame)
            short, was_cut = shortened(text, room, self.count, more, lines_before)
            cut |= was_cut
            seen.append(self._section(section, short) if head else short)
            whole += [*head, text]
            lines_before += text.count("\n") + 1
        if result.rest:
            whole.append(self.clean(result.rest))
        return "\n".join(seen), "\n".join(whole) if cut or result.rest else None

    def _section(self, section: Section, text: str) -> str:
        """One result of several: text of the web between marks of its own."""
        if section.source == "web" and text.strip("\n"):
            return web_framed(
                self.clean(section.about), self.clean(section.note), text, self.secret
            )
        head = self.clean(head_line(section))
        return f"{head}\n{text.removesuffix(chr(10))}" if text.strip("\n") else head


def _is_exact(spec: CommandSpec) -> bool:
    """Does its result name everything that it changes?"""
    return spec.effect == "change" and not spec.own


def head_line(section: Section) -> str:
    return f"[{section.about}, {section.source}] {section.note}".rstrip()


def cleaned(event: Event, clean: Callable[[str], str]) -> Event:
    """An event that names files, without secrets in their names."""
    match event:
        case Noticed():
            return replace(event, text=clean(event.text))
        case Undone():
            names = (event.paths, event.skipped, event.as_before)
            paths, skipped, as_before = (tuple(map(clean, each)) for each in names)
            return replace(event, paths=paths, skipped=skipped, as_before=as_before)
    return event


def _with_changes(result: Result, paths: tuple[str, ...], others: Sequence[str]) -> Result:
    """The result of a program with the files it changed, a few of them in its head line, and
    the other agents that may have changed some of these."""
    if not paths:
        return result
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    more += f" ({' and '.join(others)} worked at the same time)" if others else ""
    names = ", ".join("".join(c if c.isprintable() else "?" for c in p) for p in paths[:_NAMED])
    return replace(result, changed=paths[:_KEPT], note=f"{result.note}, changed {names}{more}")


def failure(error: CommandError) -> Result:
    """A command's error as the model reads it."""
    refused = isinstance(error, Refusal)
    return Result(str(error), note="refused" if refused else "failed", ok=False, refused=refused)
