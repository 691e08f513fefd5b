"""Standard input of a run, which `-` reads as context."""

import os
import select
import sys

from autoagent.errors import ConfigError
from autoagent.terminal.output import Output
from autoagent.terminal.signals import waking

_SILENCE_S = 300.0
_LARGEST_INPUT = 10_000_000  # bytes


def standard_input(out: Output) -> str:
    """All of standard input; an end of waiting when it stays open and silent."""
    if sys.stdin is None:
        raise ConfigError("Standard input is closed, so `-` has nothing to read; leave `-` out.")
    with waking() as signalled:
        return _read(out, signalled)


def _read(out: Output, signalled: int) -> str:
    data = b""
    said = False
    while True:
        waiting_s = _SILENCE_S if said else 3.0
        ready = select.select([0, signalled], [], [], waiting_s)[0]
        if signalled in ready:
            os.read(signalled, 100)  # its handler has run, and may have raised
            continue
        if not ready:
            if said:
                raise ConfigError(
                    f"Standard input stayed open and silent for {_SILENCE_S:.0f} s. `-` reads it "
                    "to its end; leave `-` out, or close the input."
                )
            out.line("  waiting for the end of standard input (-)", "dim")
            said = True
            continue
        chunk = os.read(0, 65536)
        if not chunk:
            return data.decode("utf-8", "replace")
        data += chunk
        if len(data) > _LARGEST_INPUT:
            raise ConfigError(
                f"Standard input is over {_LARGEST_INPUT:,} bytes; put it into a file in the "
                "workspace and name the file in the goal."
            )
