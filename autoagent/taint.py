"""What web text does to a run: since when some is in the prompt, and what may be reached now."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from autoagent.addresses import host_of, same, standing_in, written_in
from autoagent.events import (
    Aimed,
    Decided,
    Event,
    Executed,
    Fed,
    Forked,
    Inherited,
    Noticed,
    Recalled,
    Reported,
    Resumed,
    Spawned,
    Started,
    Told,
    Visited,
)
from autoagent.marks import after_web, is_web, web_texts
from autoagent.reply import Reply
from commands.fetch import Host

REACHES = "reach "
"""How the scope of "always" for a host begins; the host follows."""

_READING = frozenset({"read_file", "search_files", "list_files", "batch"})
_WEB = frozenset({"web_search", "read_webpage"})
_HARMLESS = _READING | _WEB
_HARMLESS |= {"read_result", "recall", "remember", "ask_user", "finish", "give_up"}
"""Commands that neither change the workspace nor run code: any other one might write an
address of the agent's own making where it is read from again."""


@dataclass(slots=True)
class Taint:
    """A part of the state, folded from the same events.

    `since` is the step from which on web text stands in the prompt, None before; what has
    left the prompt again counts, for what was thought of it stays.
    """

    since: int | None = None
    addresses: set[str] = field(default_factory=set)  # that stand where the model can't write
    named: set[Host] = field(default_factory=set)  # by the user's words
    allowed: set[Host] = field(default_factory=set)  # by a person's "always"
    agreed: set[str] = field(default_factory=set)  # hosts, for addresses that stand somewhere
    opened: frozenset[str] = frozenset()  # addresses, to the command that runs now
    web_steps: set[int] = field(default_factory=set)  # whose results are web text
    visited: dict[str, Visited] = field(default_factory=dict)  # pages read, by final address
    made: set[str] = field(default_factory=set)  # paths that this run made, or may overwrite
    replaced: set[str] = field(default_factory=set)  # other paths, since web text came in
    fresh: tuple[str, ...] = ()  # those of them that are new with the last step
    acted: bool = False

    def apply(self, event: Event, step: int, reply: Reply | None, secret: str) -> None:
        """Fold an event in, before the rest of the state; `reply` waits for its result."""
        match event:
            case Started(sub_agent=name) if name:
                self.acted = True  # what stands in a file another agent may have written
            case Started(goals=goals, opening=opening):
                self.addresses.update(standing_in(opening))
                self._hear(*goals)
            case Resumed(goals=goals) | Aimed(goals=goals):
                self._hear(*goals)
            case Forked():
                # What a person agreed to "in this session" was said of another one.
                self.agreed.clear()
                self.allowed.clear()
            case Fed(text=text):
                self._hear(text)
            case Recalled(step=asked, memos=memos):
                # They give no addresses: the model may have made them itself.
                if any(is_web(memo.source) for memo in memos):
                    self._came_in(asked)
            case Noticed(topic="host", key=key) if key:  # a program's, by the proxy
                self._came_in(step)
            case Decided():
                self._decide(event)
            case Executed():
                self._execute(event, reply, secret)
            case Inherited() | Told() | Reported():
                self._pass_on(event, step)
            case Spawned():
                self.acted = True
            case Visited():
                self.visited[event.final] = event
                # Where a server leads is its own word, not the model's.
                self.addresses |= {same(event.final)} - {""}
            case _:
                pass

    def _hear(self, *words: str) -> None:
        """The user's words: an address names its host, too."""
        found = {address for text in words for address in standing_in(text)}
        self.addresses |= found
        self.named.update(host for host in map(host_of, found) if host is not None)

    def _pass_on(self, event: Inherited | Told | Reported, step: int) -> None:
        """What another agent of the session has seen, and what it was trusted with."""
        self.addresses.update(event.addresses)
        if event.web:
            self._came_in(step)
        if isinstance(event, Told):
            return
        self.made |= set(event.made)
        if isinstance(event, Inherited):
            self.named |= _hosts(event.named)
            self.allowed |= _hosts(event.allowed)
            self.agreed |= set(event.agreed)

    def passed_on(self, made: Iterable[str]) -> Inherited:
        """What a sub-agent begins with; `made` are the paths as it calls them."""
        return Inherited(
            self.since is not None,
            tuple(sorted(self.addresses)),
            tuple(sorted(map(str, self.named))),
            tuple(sorted(map(str, self.allowed))),
            tuple(sorted(self.agreed)),
            tuple(sorted(made)),
        )

    def standing_of(self, text: str) -> tuple[str, ...]:
        """The addresses in a text of the agent that it can't have made."""
        return tuple(sorted(set(standing_in(text)) & self.addresses))

    def _came_in(self, step: int) -> None:
        self.since = step if self.since is None else self.since

    def _decide(self, event: Decided) -> None:
        self.opened = frozenset(map(same, event.addresses))
        self.agreed |= set(event.reaches)
        self.made |= set(event.overwrites)
        if event.scope.startswith(REACHES):
            host = host_of(f"http://{event.scope.removeprefix(REACHES)}")
            self.allowed |= {host} if host is not None else set()

    def _execute(self, event: Executed, reply: Reply | None, secret: str) -> None:
        self.opened = frozenset()
        if event.name == "ask_user" and event.ok:
            self._hear(event.text)
        self.made |= set(event.made)
        since = self.since is not None
        self.fresh = tuple(p for p in event.changed if since and self._is_others(p))
        self.replaced |= set(self.fresh)
        self._learn(event, reply, secret)
        if is_web(event.source):
            self.web_steps.add(event.step)
            self._came_in(event.step)
        self.acted |= event.name not in _HARMLESS

    def _is_others(self, path: str) -> bool:
        return path not in self.made and path not in self.replaced

    def _learn(self, event: Executed, reply: Reply | None, secret: str) -> None:
        """Addresses of a result, but for those that the command itself wrote."""
        if event.source == "web" and event.name == "batch":
            found = web_texts(event.text, secret)
            texts = [text for about, text in found if _WEB & set(about.split(" ")[1:2])]
        elif self._gives_addresses(event):
            texts = [event.text]
        else:
            return
        written = written_in(reply.command.args) if reply else set()
        for text in texts:
            self.addresses.update(set(standing_in(text)) - written)

    def _gives_addresses(self, event: Executed) -> bool:
        """Whether the model can't have written what stands in the result: pages and searches,
        and files as long as no web text came in and nothing was changed or run."""
        if event.source == "web":
            return event.name in _WEB
        clean = self.since is None and not self.acted
        return clean and event.ok and event.name in _READING

    def source_of(self, step: int) -> str:
        """Whose words the result of that step is, as far as it matters: web or workspace."""
        return "web" if step in self.web_steps else "workspace"

    def label(self, source: str, step: int) -> str:
        """The label of what is kept of that step."""
        return after_web(source) if self.since is not None and step >= self.since else source

    def stands(self, url: str) -> bool:
        """Whether the very address stands in a goal, a result or a page."""
        return same(url) in self.addresses | self.opened

    def names(self, name: str, port: int) -> bool:
        """Whether the user named the host, in words of theirs or as an answer."""
        return any(host.covers(name, port) for host in self.named | self.allowed)


def _hosts(names: Iterable[str]) -> set[Host]:
    found = (host_of(f"http://{name}") for name in names)
    return {host for host in found if host is not None}
