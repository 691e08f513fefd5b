"""The user's own command at the end of a run, outside the cage, the result on its input."""

import resource
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from autoagent.terminal.escape import escaped
from autoagent.terminal.layout import paragraph
from autoagent.terminal.output import Output
from autoagent.terminal.signals import Signals
from autoagent.terminal.standard_output import line_bytes
from commands.cancel import Cancel
from commands.command import CommandError
from commands.context import Finished
from commands.sandbox.none import Reaped, reaped
from commands.sandbox.process import follow

_LIMIT_S = 60.0
_MOST_BYTES = 10_000_000


def run_at_end(
    command_line: str,
    result: Mapping[str, Any],
    folder: Path,
    environ: Mapping[str, str],
    out: Output,
    *,
    timeout_s: float = _LIMIT_S,
) -> str:
    """Run it by /bin/sh in the folder with these variables; what went wrong, or "".

    What it prints goes to `out`. A signal ends it, and nothing of it is left running.
    """
    cancel = Cancel()

    def begin(argv: Sequence[str], source: int, sink: int, _: int) -> Reaped:
        # One stream: the order of its lines says more than which of two they were on.
        return reaped(argv, f"{resource.RLIMIT_CORE}=0", folder, environ, (source, sink, sink))

    out.status("running --on-end…")
    try:
        with Signals(cancel):
            done = follow(
                begin,
                # Not $SHELL: of a service's user it is nologin.
                ["/bin/sh", "-c", command_line],
                stdin=line_bytes(result),
                timeout_s=timeout_s,
                cancel=cancel,
                ceiling_bytes=_MOST_BYTES,
            )
    except CommandError as error:
        return escaped(f"--on-end: {error}")
    if done.stdout.strip():
        paragraph(out, done.stdout.decode("utf-8", "replace"))
    return _fault(done, timeout_s)


def _fault(done: Finished, timeout_s: float) -> str:
    match done.stopped:
        case "":
            return f"--on-end exits with {done.exit}." if done.exit else ""
        case "time":
            return f"--on-end was stopped after {timeout_s:g} s, the most it may take."
        case "cancel":
            return "--on-end was stopped by a signal."
        case _:
            return f"--on-end was stopped: over {_MOST_BYTES:,} bytes of output."
