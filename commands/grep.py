"""The program that looks for a regular expression, apart because a pattern can run for ever.

It is run as a file of its own and imports nothing of ours. In: the pattern as a JSON line;
out: a JSON line, {} or {"error", "at"}. Then again and again, in: a JSON line {"sizes", "most"}
with texts of so many bytes of UTF-8 behind it; out: a JSON line for each text, in their order,
[[line number, line], …], at most so many in all.
"""

import json
import re
import resource
import sys
import warnings

CPU_S = 60  # its own end, should whoever started it be gone
WIDTH = 300  # characters shown of a line


def compiled(pattern: str) -> tuple[re.Pattern[str] | None, dict[str, str | int | None]]:
    """The pattern, or what is wrong with it and at which character, counted from 0."""
    try:
        return re.compile(pattern), {}
    except re.error as error:
        return None, {"error": error.msg, "at": error.pos}
    except (OverflowError, RecursionError, MemoryError) as error:
        return None, {"error": str(error) or "too large", "at": None}


def matches(wanted: re.Pattern[str], text: str, most: int) -> list[tuple[int, str]]:
    """The first lines that match, by number from 1, cut around the match when long."""
    found: list[tuple[int, str]] = []
    for number, line in enumerate(text.split("\n"), 1):
        if len(found) == most:
            break
        match = wanted.search(line)
        if match is not None:
            found.append((number, _cut(line, match.start())))
    return found


def main() -> None:
    """Answer until the input ends."""
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    wanted, fault = compiled(json.loads(sys.stdin.buffer.readline()))
    _say(fault)
    while wanted is not None and (line := sys.stdin.buffer.readline()):
        head = json.loads(line)
        # All are read before the first is answered, so that neither side waits for the other.
        texts = [sys.stdin.buffer.read(size).decode() for size in head["sizes"]]
        most = head["most"]
        for text in texts:
            found = matches(wanted, text, most)
            most -= len(found)
            _say(found)


def _cut(line: str, place: int) -> str:
    if len(line) <= WIDTH:
        return line
    start = max(0, min(place - WIDTH // 3, len(line) - WIDTH))
    end = start + WIDTH
    return ("…" if start else "") + line[start:end] + ("…" if end < len(line) else "")


def _say(answer: object) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
