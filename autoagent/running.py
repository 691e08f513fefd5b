"""Running one command: its result in the share of the window that it may have, whole on disk."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from autoagent.errors import StateError
from autoagent.events import Executed
from autoagent.history import RESULT_SHARE, shortened
from autoagent.tokens import Counter
from commands import changes
from commands.command import CommandError, CommandSpec, Refusal, Result, Section
from commands.context import Context
from commands.control import about_of

_ALL_SECTIONS_SHARE = 1 / 4
_NAMED = 5  # changed files in a head line
_KEPT = 200  # changed files in an event


class ResultFiles:
    """Whole results of a session, one file a step; what was not cut has none."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, step: int, text: str) -> str:
        """Put the text on disk before an event names it; its file's name."""
        name = f"{step}.txt"
        data = text.encode("utf-8", "surrogatepass")
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
            descriptor = os.open(self._folder / name, flags, 0o600)
            with open(descriptor, "wb") as file:  # noqa: PTH123
                file.write(data)
                file.flush()
                os.fsync(descriptor)
        except OSError as error:
            raise StateError(
                f"{self._folder / name} can't be written: {error.strerror}."
            ) from error
        return name

    def read(self, step: int) -> str | None:
        """The whole text of that step's result; None when there is none."""
        try:
            data = (self._folder / f"{step}.txt").read_bytes()
        except OSError:
            return None
        return data.decode("utf-8", "surrogatepass")


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs commands. `clean` takes secrets out of foreign text where it enters."""

    context: Context
    results: ResultFiles
    count: Counter
    clean: Callable[[str], str]

    def run(self, step: int, spec: CommandSpec, args: Mapping[str, Any], window: int) -> Executed:
        """Run it and give what came of it; what the model must mend is a result, too."""
        root = self.context.workspace.root
        before = changes.look(root) if spec.effect == "execute" else None
        began = time.monotonic()
        try:
            result = spec.run(self.context, **args)
        except CommandError as error:
            result = failure(error)
        seconds = round(time.monotonic() - began, 3)
        if before is not None:
            result = _with_changes(result, changes.changed(before, changes.look(root)))
        return self.executed(step, spec.name, dict(args), result, window, seconds)

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
        text, whole = self._in_share(step, result, window)
        return Executed(
            step=step,
            name=name,
            about=self.clean(about_of(args)),
            ok=result.ok,
            refused=result.refused,
            note=self.clean(result.note),
            text=text,
            source=result.source,
            changed=result.changed,
            whole=None if whole is None else self.results.write(step, whole),
            seconds=seconds,
        )

    def _in_share(self, step: int, result: Result, window: int) -> tuple[str, str | None]:
        """What the model sees, and the whole text when that is more."""
        sections = result.sections or (Section("", result.text),)
        share = min(window * RESULT_SHARE, window * _ALL_SECTIONS_SHARE / len(sections))
        seen: list[str] = []
        whole: list[str] = []
        cut = False
        lines_before = 0
        for section in sections:
            head = [section.head] if section.head else []
            text = self.clean(section.text)
            lines_before += len(head)
            more = f"[{{lines}} lines more: read_result(step={step}, start_line={{start}})]"
            short, was_cut = shortened(text, round(share), self.count, more, lines_before)
            cut |= was_cut
            seen += [*head, short.removesuffix("\n") if head else short]
            whole += [*head, text]
            lines_before += text.count("\n") + 1
        return "\n".join(seen), "\n".join(whole) if cut else None


def _with_changes(result: Result, paths: tuple[str, ...]) -> Result:
    """The result of a program with the files it changed, a few of them in its head line."""
    if not paths:
        return result
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    names = ", ".join("".join(c if c.isprintable() else "?" for c in p) for p in paths[:_NAMED])
    return replace(result, changed=paths[:_KEPT], note=f"{result.note}, changed {names}{more}")


def failure(error: CommandError) -> Result:
    """A command's error as the model reads it."""
    refused = isinstance(error, Refusal)
    return Result(str(error), note="refused" if refused else "failed", ok=False, refused=refused)
