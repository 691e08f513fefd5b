"""What a run came to: the receipt for people, the object for programs."""

import json
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from autoagent.amounts import money
from autoagent.citing import sources
from autoagent.events import SCHEMA_VERSION, Status, Stopped, Verified
from autoagent.state import Past, Spent, State
from autoagent.team.reports import Row, files_changed, files_undone, hosts, refused, rows
from autoagent.terminal.escape import escaped, one_line
from autoagent.terminal.layout import paragraph, told
from autoagent.terminal.output import Output, Style

_LISTED = 8
_COLOURS: dict[Status, Style] = {"done": "green", "error": "red", "unreachable": "red"}

_HEADLINES: dict[Status, str] = {
    "gave_up": "The agent gave up:",
    "limit": "Stopped at a limit:",
    "unreachable": "Stopped, because the model can't be reached or refuses:",
    "refused": "The agent gave up, and something had been refused:",
    "stuck": "Stopped, because the agent went in circles:",
    "interrupted": "Stopped before the end:",
    "error": "Stopped by an error:",
}
_NEXT: dict[Status, str] = {
    "done": "One goal more, in the same session:",
    "gave_up": "To go on, say what it shall try:",
    "limit": "All is kept. To go on where it stopped, with more room:",
    "unreachable": "All is kept. Once the model answers again:",
    "refused": "To go on and be asked instead:",
    "stuck": "To go on, say what it shall try:",
    "interrupted": "All is kept. To go on where it stopped:",
    "error": "All up to the error is kept. Once its cause is mended:",
}


PLAIN = "autoagent"
_ONE_MORE = " --goal '…'"


def typed_name(typed: str, path: str | None = None) -> str:
    """What starts this program again in the same shell: its name, or where that isn't found on
    the `path` (None: the environment's) how it was `typed` with its folder, quoted."""
    if typed.endswith(f"/{PLAIN}") and shutil.which(PLAIN, path=path) is None:
        return shlex.quote(typed)
    return PLAIN


def result_object(state: State, journal_hash: str) -> dict[str, Any]:
    """The run as one object, as `--output-format json` prints it; sub-agents count in."""
    started, stopped, spent = state.started, state.stopped, state.overall
    assert started is not None and stopped is not None
    done = stopped.status == "done"
    return {
        "type": "result",
        "schema_version": SCHEMA_VERSION,
        "session": started.session,
        "status": stopped.status,
        "exit_code": stopped.exit_code,
        "goals": list(state.goals),
        "answer": _answer(state, stopped) if done else None,
        "verified": bool(stopped.verified) if state.verify else None,
        "steps": state.steps,
        "duration_s": round(spent.elapsed_s, 3),
        "usage": {
            "prompt_tokens": spent.prompt,
            "cached_tokens": spent.cached,
            "completion_tokens": spent.completion,
            "reasoning_tokens": spent.reasoning,
        },
        "cost_usd": None if spent.unpriced else round(spent.cost, 6),
        "model": state.model,
        "files_changed": files_changed(state),
        "hosts": hosts(state),
        "sources": sources(state),
        "refused": refused(state),
        "agents": [asdict(row) for row in rows(state)],
        "error": None if done else stopped.answer,
        "resume": stopped.go_on.removesuffix(_ONE_MORE) or None,  # some journals have that
        "journal_hash": journal_hash,
    }


def _answer(state: State, stopped: Stopped) -> Any:
    return stopped.answer if state.answer_schema is None else json.loads(stopped.answer)


def receipt(
    out: Output,
    state: State,
    journal: Path,
    *,
    network: bool = False,
    attended: bool | None = None,
    program: str = PLAIN,
) -> None:
    """The lines that end every run.

    `network`: whether commands could reach any host. `attended`: whether a person was asked;
    None: as when the session began. `program`: how it is called at this terminal; elsewhere
    nobody knows where its lines will be pasted.
    """
    stopped, started = state.stopped, state.started
    assert stopped is not None
    program = program if out.is_terminal else PLAIN
    out.line()
    colour = _COLOURS.get(stopped.status, "magenta")
    out.line(out.styled(_headline(stopped), colour), "bold")
    if stopped.status != "done":
        paragraph(out, stopped.answer)
    out.line()
    for name, text in _rows(state, network):
        told(out, text, mark=f"{name:<9}")
    # What will be pasted is never wrapped.
    changed = state.spans or any(report.changed for report in state.team.reports)
    if changed and started is not None and not started.dry_run:
        out.line(escaped(f"{'undo':<9}{program} undo {started.session} --to 0"))
    out.line(f"{'journal':<9}{escaped(str(journal))}")
    if stopped.go_on:
        out.line()
        out.line(_NEXT[stopped.status])
        asks = attended if attended is not None else started is not None and started.interactive
        line = _going_on(stopped, attended=asks).removeprefix(PLAIN)
        out.line(escaped(f"  {program}{line}"), "bold")


def _going_on(stopped: Stopped, *, attended: bool) -> str:
    """The command line that goes on as the run did, asking or not: --goal alone never asks."""
    line = stopped.go_on.removesuffix(_ONE_MORE)
    if stopped.status == "done":
        return line if attended else f"{line}{_ONE_MORE}"
    return f"{line} --interactive" if attended and " --goal " in line else line


def _headline(stopped: Stopped) -> str:
    if stopped.status == "done":
        return "Done, and verified." if stopped.verified else "Done by the model's word."
    return _HEADLINES[stopped.status]


def _rows(state: State, network: bool) -> Iterator[tuple[str, str]]:
    goals = [one_line(goal, 100) for goal in state.goals]
    yield from zip(["goal", *[""] * len(goals)], goals, strict=False)
    checks = [_verdict(state, command_line) for command_line in state.verify]
    yield from zip(["verify", *[""] * len(checks)], checks, strict=False)
    if failed := _failed_last(state):
        yield "failed", failed
    yield "files", _files(state)
    if undone := files_undone(state):
        yield "undone", _listed(undone)
    yield "hosts", _hosts(state, network)
    if forbidden := refused(state):
        yield "refused", _listed(forbidden)
    agents = list(_agents(state))
    yield from zip(["agents", *[""] * len(agents)], agents, strict=False)
    yield "cost", _cost(state)


def _failed_last(state: State) -> str:
    """What the model's word passes over: the last command that ran, when it failed."""
    stopped = state.stopped
    if stopped is None or stopped.status != "done" or stopped.verified:
        return ""
    ran = (past for past in reversed(state.past) if _ran(past))
    last = next(ran, None)
    if last is None or last.ok:
        return ""
    about = f"{last.name} {last.about}".rstrip()
    return f"{one_line(about, 100)}: {one_line(last.note or 'failed', 60)}, the last command"


def _ran(past: Past) -> bool:
    ends = past.name in ("finish", "give_up")
    return not (ends or past.refused or past.note.startswith("not run"))


def _verdict(state: State, command_line: str) -> str:
    return f"{one_line(command_line, 100)}: {_passes(state, state.verified.get(command_line))}"


def _passes(state: State, check: Verified | None) -> str:
    if check is None:
        return "not run"
    if check.step == state.step:
        return "passes" if check.exit == 0 else "fails"
    verb = "passed" if check.exit == 0 else "failed"
    return f"{verb} at {f'step {check.step}' if check.step else 'the start'}, not run since"


def _agents(state: State) -> Iterator[str]:
    every = rows(state)
    yield from map(spelled, every[:_LISTED])
    if len(every) > _LISTED:
        yield f"and {len(every) - _LISTED} more"


def spelled(row: Row) -> str:
    """ "tests (tester): done, 4 steps, $0.12; Write the tests"."""
    role = f" ({row.role})" if row.role else ""
    cost = "price unknown" if row.cost_usd is None else money(row.cost_usd)
    head = f"{row.name}{role}: {row.status.replace('_', ' ')}, {_counted(row.steps)}, {cost}"
    return f"{one_line(head, 120)}; {one_line(row.task, 60)}"


def _counted(steps: int) -> str:
    return f"{steps} step{'s' if steps != 1 else ''}"


def _files(state: State) -> str:
    none = "none, all was taken back" if files_undone(state) else "none changed"
    return _listed(files_changed(state)) or none


def _hosts(state: State, network: bool) -> str:
    assert state.started is not None
    if network or state.started.cage == "none":
        return "not recorded: commands could reach any"
    return _listed(hosts(state)) or "none but the model's"


def _listed(names: list[str]) -> str:
    more = f", and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(one_line(name, 80) for name in names[:_LISTED]) + more


def _cost(state: State) -> str:
    spent = state.overall
    price = "price unknown" if spent.unpriced else money(spent.cost)
    tokens = f"{spent.tokens:,} tokens{cached_share(spent)}"
    return f"{price}; {_counted(state.steps)}, {spell_time(spent.elapsed_s)}; {tokens}"


def cached_share(spent: Spent) -> str:
    """How much of the prompts the provider's cache held, to stand behind their tokens."""
    if not spent.prompt:
        return ""
    return f" ({100 * spent.cached // spent.prompt} % of the prompts from the cache)"


def spell_time(seconds: float) -> str:
    """ "42 s", "7 min 48 s", "2 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
