"""One exact change in a text: where it stands, what comes of it, what stands near instead."""

from dataclasses import dataclass
from difflib import SequenceMatcher
from heapq import nlargest

from commands.command import CommandError
from commands.encoding import line_count, line_end, plain_lines

NEAR_LINES = 5_000  # lines compared when something isn't found
NEAR_WIDTH = 200  # characters of a line that are compared and shown
NEAR_BEST = 20  # lines compared closely
ALIKE = 0.6  # below this a line is no help


@dataclass(frozen=True, slots=True)
class Edit:
    """The whole text after a change; `line` is where it begins, `lines` how many went."""

    text: str
    line: int
    lines: int


def edited(text: str, old: str, new: str, until: str | None = None) -> Edit:
    """The text with `new` for `old`, which must stand in it exactly once.

    With `until`, all from `old` to the end of the first `until` after it gives way. In a text
    with CRLF line ends plain ones match, and what is put in gets the line ends of its place.
    """
    if not old or until == "":
        raise CommandError("old and until can't be empty; append_file and write_file need none.")
    plain, wanted = text, old
    if line_end(text) != "\n":
        plain, wanted, new = plain_lines(text), plain_lines(old), plain_lines(new)
        until = until and plain_lines(until)
    start = _only_place(plain, wanted)
    end = start + len(wanted)
    if until is not None:
        after = plain.find(until, end)
        if after < 0:
            raise CommandError(_no_until(plain, start, until))
        end = after + len(until)
    if plain[start:end] == new:
        raise CommandError("new is the same as what stands there; nothing would change.")
    lines = line_count(plain[start:end])
    return Edit(_put(text, start, end, new), _line(plain, start), lines)


def places(text: str, part: str) -> list[int]:
    """Where `part` begins in the text, overlapping ones too."""
    found = [text.find(part)]
    while found[-1] >= 0:
        found.append(text.find(part, found[-1] + 1))
    return found[:-1]


def _only_place(text: str, old: str) -> int:
    found = places(text, old)
    if len(found) == 1:
        return found[0]
    if not found:
        raise CommandError(f"old stands nowhere in it.{_nearest(text, old)}")
    lines = ", ".join(str(_line(text, place)) for place in found[:5])
    more = ", …" if len(found) > 5 else ""
    raise CommandError(
        f"old stands {len(found):,} times (lines {lines}{more}); "
        "take more lines around it, so that it stands once."
    )


def _no_until(text: str, start: int, until: str) -> str:
    where = f"until stands nowhere after old (line {_line(text, start)})."
    earlier = text.find(until, 0, start)
    if earlier >= 0:
        return f"{where} It stands before it, in line {_line(text, earlier)}."
    return where + _nearest(text[start:], until, _line(text, start))


def _put(text: str, start: int, end: int, new: str) -> str:
    """`text` with `new` between two places that were counted with plain line ends."""
    if line_end(text) == "\n":
        return text[:start] + new + text[end:]
    first, last = _with_pairs(text, start), _with_pairs(text, end)
    following = text.find("\n", first)
    at = following if following >= 0 else text.rfind("\n")
    if text[at - 1 : at] == "\r":
        new = new.replace("\n", "\r\n")
    return text[:first] + new + text[last:]


def _with_pairs(text: str, place: int) -> int:
    """The place in a text with CRLF of a place counted with each pair as one character."""
    passed = 0
    for piece in text.split("\r\n"):
        if place <= len(piece):
            return passed + place
        place -= len(piece) + 1
        passed += len(piece) + 2
    return len(text)


def _line(text: str, place: int) -> int:
    return text.count("\n", 0, place) + 1


def _nearest(text: str, part: str, first: int = 1) -> str:
    """The lines most like `part`, with their numbers; `first` is the number of line one."""
    lines = [line[:NEAR_WIDTH] for line in text.split("\n", NEAR_LINES)[:NEAR_LINES]]
    wanted = [line[:NEAR_WIDTH] for line in part.split("\n")]
    telling = max(range(len(wanted)), key=lambda n: len(wanted[n].strip()))
    best = _most_alike(lines, wanted[telling].strip())
    if best is None:
        return " No line is like it: read the file."
    start = max(0, best - telling)
    shown = lines[start : start + min(len(wanted), 12)]
    numbered = "\n".join(f"{first + start + n}: {line}" for n, line in enumerate(shown))
    return f" Nearest (the numbers aren't in the file):\n{numbered}"


def _most_alike(lines: list[str], wanted: str) -> int | None:
    matcher = SequenceMatcher(b=wanted, autojunk=False)

    def alike(n: int, quick: bool) -> float:
        matcher.set_seq1(lines[n].strip())
        return matcher.quick_ratio() if quick else matcher.ratio()

    # The true ratio is slow on lines made for it; the quick one is never below it.
    near = nlargest(NEAR_BEST, range(len(lines)), key=lambda n: alike(n, quick=True))
    best = max(near, key=lambda n: alike(n, quick=False), default=None)
    return best if best is not None and alike(best, quick=False) >= ALIKE else None
