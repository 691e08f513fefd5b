"""Long texts in pieces that each make sense alone: cut between paragraphs, sentences, code."""

import re
from bisect import bisect

PIECE = 800
"""Characters, about 200 tokens: what a recall may show, well within any embedding model."""

# Texts: `re` compiles them for the first long text, and keeps them.
_FENCE = r"(?ms)^(```|~~~).*?(^\1[ \t]*$|\Z)"
_SENTENCE = r"(?<=[.!?])[\"')\]”»]*\s+(?=[^\sa-z])|(?<=[。！？])"
# Best first. A match ends where the next piece begins.
_BETWEEN = (
    r"\n[ \t]*\n+(?=\S)",  # paragraphs, definitions
    _SENTENCE,
    r"\n(?=\S)",  # statements that aren't indented
    r"\n",
    r"\s+",
)
_UNBROKEN = len(_BETWEEN) - 2
"""Inside a fenced block only a line's end will do, or less."""


def pieces(text: str, most: int = PIECE) -> list[str]:
    """The text in pieces of at most `most` characters; joined they are the text.

    Each ends at the best boundary in its last two thirds. A fenced block stays whole where
    it has room in one piece.
    """
    fences = [(found.start(), found.end()) for found in re.finditer(_FENCE, text)]
    found = []
    start = 0
    while len(text) - start > most:
        end = _end(text, start, most, fences)
        found.append(text[start:end])
        start = end
    return [*found, text[start:]]


def _end(text: str, start: int, most: int, fences: list[tuple[int, int]]) -> int:
    earliest = start + most // 3 + 1
    for rank, boundary in enumerate(_BETWEEN):
        ends = [
            match.end() for match in re.compile(boundary).finditer(text, earliest - 1, start + most)
        ]
        ends += [edge for fence in fences for edge in fence if not rank]
        for end in sorted(ends, reverse=True):
            if earliest <= end <= start + most and (
                rank >= _UNBROKEN or not _is_inside(end, fences)
            ):
                return end
    return start + most


def _is_inside(place: int, fences: list[tuple[int, int]]) -> bool:
    at = bisect(fences, (place, -1)) - 1
    return at >= 0 and fences[at][0] < place < fences[at][1]
