"""What a run came to: the receipt for people, the object for programs."""

from pathlib import Path
from typing import Any

from autoagent.budget import duration, money
from autoagent.events import SCHEMA_VERSION, Stopped
from autoagent.state import State
from autoagent.terminal.escape import escaped, one_line
from autoagent.terminal.output import Output, Style

_LISTED = 8
_COLOURS: dict[str, Style] = {"done": "green", "error": "red", "unreachable": "red"}


def files_changed(state: State) -> list[str]:
    """Paths that commands said they changed, in the order of the first change."""
    return list(dict.fromkeys(path for past in state.past for path in past.changed))


def result_object(state: State, journal_hash: str) -> dict[str, Any]:
    """The run as one object, as `--output-format json` prints it."""
    started, stopped, spent = state.started, state.stopped, state.spent
    assert started is not None and stopped is not None
    done = stopped.status == "done"
    return {
        "type": "result",
        "schema_version": SCHEMA_VERSION,
        "session": started.session,
        "status": stopped.status,
        "exit_code": stopped.exit_code,
        "goals": list(state.goals),
        "answer": stopped.answer if done else None,
        "verified": stopped.verified,
        "steps": state.step,
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
        "hosts": [],
        "refused": list(state.refused),
        "error": None if done else stopped.answer,
        "resume": stopped.go_on or None,
        "journal_hash": journal_hash,
    }


def receipt(out: Output, state: State, journal: Path) -> None:
    """The lines that end every run."""
    stopped = state.stopped
    assert stopped is not None
    out.line()
    out.line(_headline(stopped), _COLOURS.get(stopped.status, "yellow"))
    if stopped.status != "done":
        for line in escaped(stopped.answer).splitlines():
            out.line(f"  {line}")
    rows = [("goals", "; ".join(one_line(goal, 100) for goal in state.goals))]
    rows += [("verify", _verdict(state))] if state.verify else []
    rows += [("files", _listed(files_changed(state)))]
    rows += [("refused", _listed(state.refused))] if state.refused else []
    rows += [("cost", _cost(state)), ("journal", str(journal)), ("go on", stopped.go_on)]
    for name, text in rows:
        out.line(f"  {name:<8} {escaped(text)}")


def _headline(stopped: Stopped) -> str:
    match stopped.status:
        case "done" if stopped.verified:
            return "Done, and verified."
        case "done":
            return "Done by the model's word."
        case "gave_up":
            return "The agent gave up:"
        case "limit":
            return "Stopped at a limit:"
        case "unreachable":
            return "Stopped: the model can't be reached or refuses."
        case "refused":
            return "The agent gave up, with something refused:"
        case "stuck":
            return "Stopped: stuck."
        case "interrupted":
            return "Stopped before the end:"
        case "error":
            return "Stopped by an error:"


def _verdict(state: State) -> str:
    lines: list[str] = []
    for command in state.verify:
        check = state.verified.get(command)
        passes = "not run" if check is None else "passes" if check.exit == 0 else "fails"
        lines.append(f"{one_line(command, 80)}: {passes}")
    return "; ".join(lines)


def _listed(names: list[str]) -> str:
    more = f", and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(one_line(name, 80) for name in names[:_LISTED]) + more if names else "none"


def _cost(state: State) -> str:
    spent = state.spent
    price = "price unknown" if spent.unpriced else money(spent.cost)
    cached = f", {100 * spent.cached // spent.prompt} % from the cache" if spent.prompt else ""
    steps = f"{state.step} step{'s' if state.step != 1 else ''}"
    return f"{price}, {steps}, {spent.tokens:,} tokens{cached}, {duration(spent.elapsed_s)}"
