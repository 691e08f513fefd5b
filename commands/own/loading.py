"""A person's own commands as the catalogue takes them, each run in a process of its own."""

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from commands.builtin import taken
from commands.cancel import Cancel
from commands.command import Argument, CommandError, CommandSpec, Result
from commands.context import Cage, Context, Finished
from commands.execution import as_text, exit_note, joined
from commands.own import program
from commands.own.entries import Entry

IMPORT_S = 10.0
_PACKAGES = str(Path(__file__).parents[2])
_SHOWN = 300  # characters of a reason


@dataclass(frozen=True, slots=True)
class Source:
    """Where commands come from. `label` names it to a person.

    `path` and `content` are a file's, as it was when the run started; else `entry` is what an
    installed package offers.
    """

    label: str
    path: str = ""
    content: bytes = b""
    entry: Entry | None = None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What can't be offered to the agent: a command, or a whole source when `name` is ""."""

    name: str
    source: str
    why: str

    def __str__(self) -> str:
        about = f"{self.name} ({self.source})" if self.name else self.source
        return f"{about}: {self.why}"


@dataclass(frozen=True, slots=True)
class Own:
    """The commands that the user brought; `sources` has where each comes from, by name."""

    specs: tuple[CommandSpec, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True, slots=True)
class Outside:
    """Where they run: as the user, with an end and limits, but in no cage.

    They import nothing from the folders that are `writable` to the agent.
    """

    cage: Cage
    writable: Sequence[Path]
    import_s: float = IMPORT_S

    def ask(
        self,
        source: Source,
        call: str | None,
        args: Mapping[str, Any],
        timeout_s: float,
        cancel: Cancel,
    ) -> tuple[Finished, dict[str, Any] | None]:
        """What the program came to and what it answered: None when it ended before that."""
        folder = source.entry.folder if source.entry else str(Path(source.path).parent)
        question = {
            "packages": _PACKAGES,
            "folders": [folder],
            "writable": [str(each) for each in self.writable],
            "path": source.path,
            "source": source.content.decode("latin-1"),
            "entry": source.entry.value if source.entry else "",
            "call": call,
            "args": args,
        }
        done = self.cage.run(
            [sys.executable, "-E", "-P", "-B", program.__file__],
            timeout_s=timeout_s,
            cancel=cancel,
            stdin=json.dumps(question).encode(),
        )
        try:
            answer = json.loads(done.stdout)
        except ValueError:
            return done, None
        return done, answer if isinstance(answer, dict) and not done.stopped else None


def offered(
    given: Iterable[tuple[str, CommandSpec]],
    sources: Iterable[Source],
    outside: Outside,
    cancel: Cancel,
) -> Own:
    """What the user brought, and what of it is left out and why.

    `given` are commands with their labels that need no process of their own. Of two with
    one name the earlier one stays; none takes the place of a built-in.
    """
    gathering = _Gathering()
    for label, spec in given:
        gathering.add(spec, label)
    for source in sources:
        _load(source, outside, cancel, gathering)
    left_out = tuple(gathering.left_out)
    return Own(tuple(gathering.specs.values()), gathering.sources, left_out)


class _Gathering:
    def __init__(self) -> None:
        self.specs: dict[str, CommandSpec] = {}
        self.sources: dict[str, str] = {}
        self.left_out: list[LeftOut] = []
        self._taken = taken()

    def add(self, spec: CommandSpec, label: str) -> None:
        if spec.name in self._taken:
            why = f"the name means the built-in {self._taken[spec.name]}; take another"
            self.leave_out(spec.name, label, why)
        elif spec.name in self.specs:
            why = f"{self.sources[spec.name]} has a command of that name already"
            self.leave_out(spec.name, label, why)
        else:
            self.specs[spec.name] = spec
            self.sources[spec.name] = label

    def leave_out(self, name: str, label: str, why: str) -> None:
        self.left_out.append(LeftOut(name, label, " ".join(why.split())[:_SHOWN]))


def _load(source: Source, outside: Outside, cancel: Cancel, gathering: _Gathering) -> None:
    try:
        done, answer = outside.ask(source, None, {}, outside.import_s, cancel)
    except CommandError as error:  # its process could not be started
        gathering.leave_out("", source.label, str(error))
        return
    if answer is None or "commands" not in answer:
        why = answer["failed"] if answer else _unanswered(done, "its import", outside.import_s)
        gathering.leave_out("", source.label, why)
        return
    for name, why in answer["faults"]:
        gathering.leave_out(name, source.label, why)
    for each in answer["commands"]:
        spec = CommandSpec(
            name=each["name"],
            summary=each["summary"],
            arguments=tuple(Argument(*argument) for argument in each["arguments"]),
            effect=each["effect"],
            run=_running(outside, source, each["name"], each["effect"]),
            own=True,
        )
        gathering.add(spec, source.label)


def _running(outside: Outside, source: Source, name: str, effect: str) -> Callable[..., Result]:
    # What comes from elsewhere is foreign; the rest is what the user's own program says.
    label = "web" if effect == "reach" else "command"

    def run(context: Context, /, **args: Any) -> Result:
        limit_s = context.command_timeout_s
        done, answer = outside.ask(source, name, args, limit_s, context.cancel)
        return replace(_result(done, answer, limit_s), source=label)

    return run


def _result(done: Finished, answer: dict[str, Any] | None, limit_s: float) -> Result:
    note, rest = f"{done.seconds:.1f} s", ""
    if answer is None:
        text, note = f"[{_unanswered(done, 'it', limit_s)}]", f"failed, {note}"
    elif "failed" in answer:
        text, note, rest = answer["failed"], f"failed, {note}", answer["trace"]
    else:
        text = answer["text"]
    printed = as_text(done.stderr)
    text = joined(text, f"[printed]\n{printed}") if printed.strip() else text
    ok = answer is not None and "text" in answer
    return Result(text, note=note, ok=ok, rest=rest)


def _unanswered(done: Finished, what: str, limit_s: float) -> str:
    match done.stopped:
        case "time":
            return f"{what} was stopped after {limit_s:g} s; nothing of it runs on"
        case "cancel":
            return f"{what} was stopped; nothing of it runs on"
    said = as_text(done.stderr).strip().splitlines()
    last = f": {said[-1]}" if said else ""
    return f"{what} ended without an answer ({exit_note(done.exit, done.stopped)}){last}"
