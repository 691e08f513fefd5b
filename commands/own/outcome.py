"""What came of a call of a person's function, as values that go through JSON."""

import json
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

LONGEST = 150_000  # characters; as JSON that is less than what is kept of a program's output


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one call: `text` for the model, `trace` for the person; it failed when there is one."""

    text: str
    trace: str = ""


def returned(value: object) -> Outcome:
    """A text as it is, nothing for None, else JSON; TypeError for what isn't JSON."""
    if value is None:
        return Outcome("")
    try:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        kind = type(value).__name__
        raise TypeError(f"it returned a {kind}; return a text or what JSON can say") from None
    left = len(text) - LONGEST
    return Outcome(text if left <= 0 else f"{text[:LONGEST]}\n[{left:,} characters more, cut]")


def raised(error: BaseException, file: str, skipped: str) -> Outcome:
    """The error in a line with the place in `file` where it came from.

    Frames of the program `skipped`, which called it, are left out.
    """
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename in (skipped, __file__):
        trace = trace.tb_next
    said = traceback.format_exception_only(error)[-1].strip()
    whole = "".join(traceback.format_exception(type(error), error, trace))
    place = _place(error, trace, file)
    return Outcome(f"{said[:LONGEST]}{place}", whole[-LONGEST:])


def _place(error: BaseException, trace: TracebackType | None, file: str) -> str:
    if isinstance(error, SyntaxError) and error.lineno:
        return f" ({Path(error.filename or file).name}, line {error.lineno})"
    every = list(traceback.extract_tb(trace))
    frames = [frame for frame in every if frame.filename == file] or every
    return f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
