"""Repetition: the same command with the same result again and again, alone or in turns."""

import hashlib
import json
import re
from dataclasses import dataclass, field

from autoagent.events import Executed
from autoagent.reply import Command

NUDGE_AT = 3
STOP_AT = 5
_LONGEST_CYCLE = 3
_KEPT = STOP_AT * _LONGEST_CYCLE

# What differs between two runs of the same command though nothing changed. A text, which `re`
# compiles after the first step and keeps.
_VOLATILE = r"""
      \b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?([.,]\d+)?(Z|[+-]\d\d:?\d\d)?  # date and time
    | \b\d\d:\d\d(:\d\d)?([.,]\d+)?\b                                       # time of day
    | \b\d+([.,]\d+)?\s?(ms|s|sec|seconds?|minutes?|min|µs|us|ns)\b         # durations
    | \bpid[ =:]*\d+ | (?<=\w)\[\d+\](?=:) | ^\[\d+\]\ \d+$ | \bprocess\s\d+  # process numbers
    | \b0x[0-9a-fA-F]+                                                      # addresses
    | (?<![\w.])/[\w.+@%~/-]+                                               # absolute paths
    """


@dataclass(slots=True)
class Pattern:
    """The newest steps as fingerprints, enough to see a cycle of up to three steps."""

    prints: list[str] = field(default_factory=list)
    failed_finishes: dict[str, int] = field(default_factory=dict)

    def add(self, command: Command, executed: Executed) -> None:
        outcome = f"{executed.ok} {_steady(executed.note + executed.text)}"
        if command.name == "finish":
            # However the answer is worded: the proof failed in the same way.
            key = _hashed("finish", outcome)
            self.failed_finishes[key] = self.failed_finishes.get(key, 0) + 1
        else:
            key = _hashed(json.dumps([executed.name, command.args], sort_keys=True), outcome)
        self.prints = [*self.prints, key][-_KEPT:]

    @property
    def repeats(self) -> int:
        """How often the newest step, or the cycle it closes, came in a row; 1 is once."""
        cycles = [_repeats(self.prints, length) for length in range(1, _LONGEST_CYCLE + 1)]
        finishes = self.failed_finishes.get(self.prints[-1], 0) if self.prints else 0
        return max(*cycles, finishes)


def _steady(text: str) -> str:
    return re.sub(_VOLATILE, "*", text, flags=re.VERBOSE | re.IGNORECASE | re.MULTILINE)


def _hashed(*texts: str) -> str:
    joined = "\0".join(texts).encode("utf-8", "surrogatepass")
    return hashlib.sha256(joined).hexdigest()[:16]


def _repeats(prints: list[str], length: int) -> int:
    cycle = prints[-length:]
    count = 0
    while count * length < len(prints):
        end = len(prints) - count * length
        if prints[max(0, end - length) : end] != cycle:
            break
        count += 1
    return count
