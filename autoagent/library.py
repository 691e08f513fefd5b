"""Runs for a Python program: a goal in, events and an outcome out."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoagent.errors import ConfigError

if TYPE_CHECKING:
    from autoagent.session import Session
    from commands.command import CommandSpec

_ELSEWHERE = frozenset(
    {
        *("goal", "goal_file", "resume", "workspace", "commands", "interactive", "continuous"),
        *("output_format", "quiet", "verbose", "color", "plain", "output", "log_file"),
        *("on_end", "fork", "ai_settings"),
    }
)
"""Options of the command line that are said otherwise here, or mean nothing."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended; the fields are those of `--output-format json`.

    `status` is done, gave_up, limit, unreachable, refused, stuck, interrupted or error.
    `answer` is the agent's when it is done, else None, and `error` says why; with
    `answer_schema` it is the JSON value. `verified` is
    None where no `verify` was asked for. `cost_usd` is None when the price is unknown.
    `resume` is the command line that goes on, if any. `usage` counts tokens. `sources` are the
    pages of the web that were read: url, title, sha256, read_at. Sub-agents count in what was
    used, changed, reached and refused; `agents` are they: name, role, status, steps, cost_usd,
    task.
    """

    status: str
    exit_code: int
    answer: Any
    error: str | None
    verified: bool | None
    steps: int
    duration_s: float
    usage: Mapping[str, int]
    cost_usd: float | None
    model: str
    session: str
    files_changed: tuple[str, ...]
    hosts: tuple[str, ...]
    sources: tuple[Mapping[str, Any], ...]
    refused: tuple[str, ...]
    agents: tuple[Mapping[str, Any], ...]
    resume: str | None


def run(
    *goals: str,
    workspace: "str | os.PathLike[str]" = ".",
    commands: Sequence["Callable[..., object] | str | os.PathLike[str]"] = (),
    environ: Mapping[str, str] | None = None,
    **settings: Any,
) -> Outcome:
    """Work on the goals to the end and say how it ended; arguments as of `open_session`.

    An agent that gave up, met a limit or a model that can't be reached is an outcome, too.
    What only the person can mend is raised: a child of `AutoAgentError`.
    """
    with open_session(
        *goals, workspace=workspace, commands=commands, environ=environ, **settings
    ) as session:
        for _ in session:
            pass
    return outcome_of(session)


def open_session(
    *goals: str,
    workspace: "str | os.PathLike[str]" = ".",
    commands: Sequence["Callable[..., object] | str | os.PathLike[str]"] = (),
    environ: Mapping[str, str] | None = None,
    **settings: Any,
) -> "Session":
    """A session to be used with `with` and gone through for its events, once.

    Nobody is asked, as with --goal. `settings` are options of the command line with
    underscores (`model`, `base_url`, `max_cost`, `verify`, …; a list for what is repeatable)
    and `api_key`; what isn't given comes from `environ` (the process's own) and the settings
    files, as for the program. `commands` are functions with type hints and a docstring, or
    files of such. ConfigError for wrong settings, RefusedError where there is no cage,
    StateError for a lock or a full disk; all before the first event.

    A function runs in a thread of this process: after the time limit of a command it is no
    longer waited for, but it runs on. What has to be ended belongs into a file.

    Leaving the `with` block early ends the run in order; it can be resumed.
    """
    from autoagent.answer_schema import read_schema
    from autoagent.assembling import Inputs
    from autoagent.configuration import options
    from autoagent.configuration import settings as setting
    from autoagent.starting import start

    variables = dict(os.environ if environ is None else environ)
    if api_key := settings.pop("api_key", None):
        variables["OPENAI_API_KEY"] = str(api_key)
    given = options.parse([])
    for key, value in settings.items():
        setattr(given, _known(key), _as_typed(options.OPTIONS[key].kind, value))
    given.workspace = os.fspath(workspace)
    given.goal = list(goals)
    given.commands = [os.fspath(each) for each in commands if not callable(each)] or None
    specs = tuple(_spec(each) for each in commands if callable(each))
    found = setting.load(given, variables, cwd=Path.cwd())
    if not found.goals:
        raise ConfigError("There is no goal. Say what is to be reached, as the first argument.")
    schema = read_schema(found.answer_schema) if found.answer_schema else None
    inputs = Inputs(found, variables, attended=False, answer_schema=schema, given=specs)
    return start(inputs, found.goals)


def outcome_of(session: "Session") -> Outcome:
    """How a session ended that was gone through; ConfigError when it wasn't, to its end."""
    from autoagent.terminal.receipt import result_object

    if session.state.stopped is None:
        raise ConfigError("The session has not ended: go through its events to the last one.")
    whole = result_object(session.state, session.journal.hash)
    values = {each.name: whole[each.name] for each in fields(Outcome)}
    lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    return Outcome(**(values | lists))


def _known(key: str) -> str:
    from autoagent.configuration.options import OPTIONS

    names = sorted(OPTIONS.keys() - _ELSEWHERE)
    if key in names:
        return key
    near = get_close_matches(key, names, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}."
    raise ConfigError(f"There is no setting {key!r:.80} here; {hint}")


def _as_typed(kind: str, value: object) -> Any:
    """The value as the command line would have it; None is left to what else is set."""
    from autoagent.configuration.values import LISTS

    if value is None or (kind == "flag" and isinstance(value, bool)):
        return value
    texts = [str(each) for each in (value if isinstance(value, list | tuple) else [value])]
    return texts if kind in LISTS else ",".join(texts)


def _spec(function: "Callable[..., object]") -> "CommandSpec":
    from commands.own.inline import spec_of

    try:
        return spec_of(function)
    except TypeError as error:
        name = getattr(function, "__name__", repr(function))
        raise ConfigError(f"{name} can't be a command: {error}.") from error
