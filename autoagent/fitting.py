"""A program of its own: holds a value against a JSON Schema and says what doesn't fit.

On its input stands an object: `path` (where to find jsonschema), `schema`, `value`. On its output
a list of lines, [] when the value fits. It imports nothing of ours.
"""

import json
import sys
from itertools import islice
from typing import Any

_TOLD = 5  # of the faults
_COUNTED = 1_000
_SHOWN = 150  # characters of each end of a message, which may quote all of the value


def main() -> None:
    """Read, judge, write."""
    given = json.load(sys.stdin)
    sys.path[:] = given["path"]
    json.dump(problems(given["schema"], given["value"]), sys.stdout)


def problems(schema: dict[str, Any], value: Any) -> list[str]:
    """Where the value doesn't fit and why, a line each; the schema is a checked one."""
    from jsonschema.exceptions import best_match
    from jsonschema.validators import validator_for
    from referencing import Registry

    # With a registry of its own it fetches nothing.
    validator = validator_for(schema)(schema, registry=Registry())
    try:
        found = list(islice(validator.iter_errors(value), _COUNTED))
    except (RecursionError, ArithmeticError) as error:  # nested too deep; numbers too large
        return [f"$: can't be judged: {error}"]
    # Of several possibilities the one that is nearest says most.
    told = [best_match([fault]) or fault for fault in found[:_TOLD]]
    lines = [f"{_short(fault.json_path)}: {_short(fault.message)}" for fault in told]
    more = len(found) - len(told)
    return [*lines, f"and {more} more"] if more else lines


def _short(text: str) -> str:
    cut = len(text) > 2 * _SHOWN + 20
    return f"{text[:_SHOWN]} … {text[-_SHOWN:]}" if cut else text


if __name__ == "__main__":
    main()
