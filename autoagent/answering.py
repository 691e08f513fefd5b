"""An answer held against the JSON Schema that it must fit."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from signal import SIGKILL
from typing import Any

from autoagent import fitting
from autoagent.model import Cancelled
from autoagent.strict_json import STRICT, compact
from commands.apart import python_apart
from commands.cancel import Cancel
from commands.command import Result

_LARGEST = 1_000_000  # characters of an answer
_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Fits:
    """An answer that does, in one line of JSON."""

    text: str


def with_text(args: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a command, what the model didn't write as a string as the text that
    stands for it in JSON."""
    return {key: v if isinstance(v, str) else compact(v) for key, v in args.items()}


def held(
    schema: dict[str, Any], answer: str, cancel: Cancel, *, timeout_s: float = _TIMEOUT_S
) -> Fits | Result:
    """Whether the answer fits; if it doesn't, what the model reads of it.

    What isn't JSON is taken for the string that it is, where the schema wants one.
    """
    if len(answer) > _LARGEST:
        return _misfit([f"It has {len(answer):,} characters, at most {_LARGEST:,} are read."])
    said: list[str] = []
    value: object = answer
    try:
        value = STRICT.decode(answer)
    except (ValueError, RecursionError) as error:
        said = [f"It isn't JSON: {error or 'nested too deep'}. As a string:"]
    problems = _problems(schema, value, cancel, timeout_s)
    return _misfit([*said, *problems]) if problems else Fits(compact(value))


def _problems(schema: dict[str, Any], value: object, cancel: Cancel, timeout_s: float) -> list[str]:
    # Not in a thread: a pattern of the user's on a text of the model's may need for ever, and
    # nothing can stop it in the middle.
    given = json.dumps({"path": sys.path, "schema": schema, "value": value}).encode()
    with python_apart(fitting.__file__, timeout_s=timeout_s, cancel=cancel) as process:
        said, _ = process.communicate(given)
    if cancel.reason is not None:
        raise Cancelled("the answer was not judged")
    if process.returncode == -SIGKILL:
        return [f"It took over {timeout_s:g} s to hold it against the schema; make it simpler."]
    found: list[str] = json.loads(said)
    return found


def _misfit(lines: list[str]) -> Result:
    note = "not accepted: the answer must be JSON that fits the schema"
    return Result("\n".join(lines), note=note, ok=False)
