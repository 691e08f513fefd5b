"""How a run ends: what proves it, what stopped it, how to go on."""

import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from autoagent.amounts import duration
from autoagent.budget import ROOM_S
from autoagent.errors import ConfigError
from autoagent.events import Event, Noticed, Stopped, Verified
from autoagent.history import RESULT_SHARE, shortened
from autoagent.state import State
from autoagent.tokens import Counter
from commands.cancel import Cancel, Reason
from commands.command import CommandError, Result
from commands.context import Cage, Finished
from commands.execution import joined, noted

NOT_RUNNABLE = (126, 127)
"""Exit statuses of a shell that found the command but can't run it, or didn't find it."""

_SHOWN_BYTES = 20_000


@dataclass(frozen=True, slots=True)
class Proof:
    """The --verify commands, run in the cage."""

    command_lines: Sequence[str]
    cage: Cage
    cancel: Cancel
    timeout_s: float
    clean: Callable[[str], str]
    hear: Callable[[str], None] | None = None  # what they print, as it comes

    def checks(self, step: int) -> Iterator[Verified | Noticed]:
        """Run one after the other; the caller stops at the first that fails.

        What the cage has to tell of one comes before it.
        """
        for line in self.command_lines:
            argv = ["bash", "-c", line]
            try:
                done = self.cage.run(
                    argv, timeout_s=self.timeout_s, cancel=self.cancel, hear=self.hear
                )
            except CommandError as fault:  # of the cage: nothing was proven
                yield Verified(step, line, NOT_RUNNABLE[0], self.clean(str(fault)))
                continue
            yield from (Noticed("place", self.clean(notice)) for notice in done.notices)
            text = self.clean(_said(done))
            yield Verified(step, line, done.exit or int(bool(done.stopped)), text, done.seconds)

    def failed(self, check: Verified) -> Result:
        """The answer to a finish that the check doesn't bear out."""
        note = f"not accepted: {check.command_line} exits with {check.exit}"
        return Result(check.text, note=note, ok=False)


def first_checks(proof: Proof, window: int, count: Counter) -> list[Event]:
    """What the proofs say before the first call; ConfigError for one that can't be run, which
    is a mistake of the user's."""
    checks: list[Event] = []
    for check in proof.checks(0):
        if proof.cancel.reason is not None:
            return checks
        if isinstance(check, Verified):
            if check.exit in NOT_RUNNABLE:
                why = " ".join(check.text.split())[-300:]
                said = f"--verify {check.command_line!r} can't be run (exit {check.exit}): {why}"
                raise ConfigError(said)
            check = _short(check, window, count)
        checks.append(check)
    if any(isinstance(check, Verified) and check.exit for check in checks):
        return checks
    told = "the verification passes already, before anything was done"
    return [*checks, Noticed("verify", told, told=True)]


def _short(check: Verified, window: int, count: Counter) -> Verified:
    """In the share of a result, since the model reads it before its first step."""
    share = round(window * RESULT_SHARE)
    text, _ = shortened(check.text, share, count, "[{lines} lines left out]")
    return replace(check, text=text)


def _said(done: Finished) -> str:
    """The end of what a check printed, where its verdict stands, and what the cage tells."""
    text = (done.stdout + done.stderr)[-_SHOWN_BYTES:].decode("utf-8", "replace")
    why = {"time": "stopped by the time limit\n", "cancel": "interrupted\n"}.get(done.stopped, "")
    return joined(why + text, noted(done.notices))


def ended_by(reason: Reason, state: State, elapsed_s: float) -> Stopped:
    """The end that a signal, or the time limit, brings."""
    match reason:
        case "interrupt":
            stopped = Stopped("interrupted", 130, "Interrupted.")
        case "terminate":
            stopped = Stopped("interrupted", 143, "Terminated from outside.")
        case "hangup":
            stopped = Stopped("interrupted", 129, "The terminal hung up.")
        case "parent":
            stopped = Stopped("interrupted", 143, "The agent that started it ended it.")
        case "time":
            limit = state.limits.time_s or elapsed_s
            text = f"A limit is reached: {duration(limit)} are over."
            more_s = max(limit * 2, elapsed_s + ROOM_S)
            stopped = Stopped("limit", 4, text, go_on=f"--max-time {duration(more_s)}")
    return replace(stopped, elapsed_s=elapsed_s)


def go_on(stopped: Stopped, state: State) -> Stopped:
    """With the command line that goes on from this end, ready to paste."""
    assert state.started is not None
    if state.started.sub_agent:
        return replace(stopped, go_on="")  # it goes on with its agent alone
    resume = f"autoagent --resume {shlex.quote(state.started.session)}"
    match stopped.status:
        case "done":
            return replace(stopped, go_on=resume)  # which asks for one goal more
        case "gave_up" | "stuck":
            return replace(stopped, go_on=f"{resume} --goal 'another way to try'")
        case "refused":
            return replace(stopped, go_on=f"{resume} --interactive")
        case _:
            return replace(stopped, go_on=f"{resume} {stopped.go_on}".rstrip())
