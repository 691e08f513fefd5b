"""Words: what of a text is indexed and asked for, and which rows share enough of it."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from heapq import nlargest, nsmallest
from math import log

# Han, kana, Bopomofo and Hangul: scripts in which a run of letters isn't a word.
_CJK = (
    "\u1100-\u11ff\u2e80-\u2fdf\u3005-\u3007\u3040-\u318f\u31a0-\u31ff\u3400-\u9fff"
    "\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\uff66-\uffdc\U00020000-\U0003ffff"
)
# Texts: to compile the first takes as long as to open a store, and English needs none of it.
_CJK_RUN = f"[{_CJK}]+"
_WORD = r"[^\W_]+"
_UNSPEAKABLE = "[\0\ud800-\udfff]"

_READ = 20_000  # characters of a query that are looked at
_TERMS = 64
_LONGEST = 64  # characters; longer runs are digests and encoded bytes
_WEIGHTIEST = 12
_OTHERS = 100

# Without them "how do I ..." would make any two English questions alike.
_STOP = frozenset(
    """a about after again all also am an and any are as at be because been before being but by
    can could did do does doing done for from had has have having he her here hers him his how i
    if in into is it its itself just let ll may me might more most must my no nor not of off on
    once only or other our out over own re s same shall she should so some such t than that the
    their them then there these they this those to too under until up us ve very was we were what
    when where which while who whom why will with would you your""".split()  # noqa: SIM905 - a list of 130 quoted words reads worse
)


def indexed(text: str) -> str:
    """The text as the word index takes it: CJK runs as overlapping pairs, no surrogates.

    A run's last character also stands alone, so that each character begins some token and
    a query of one character finds it by prefix.
    """
    return _segmented(_plain(text), lambda run: f" {' '.join(_pairs(run))} {run[-1]} ")


def asked(text: str) -> tuple[str, ...]:
    """The first 64 distinct terms of a query, letters and digits only, in order.

    Only its first 20,000 characters are read. English function words are left out.
    """
    segmented = _segmented(_plain(text[:_READ]), lambda run: f" {' '.join(_pairs(run))} ")
    every = (word for word in re.findall(_WORD, segmented) if len(word) <= _LONGEST)
    return tuple(dict.fromkeys(word for word in every if word not in _STOP))[:_TERMS]


def begins(term: str) -> bool:
    """Whether a term stands for the tokens that begin with it: a single CJK character."""
    return len(term) == 1 and not term.isascii() and re.match(_CJK_RUN, term) is not None


def _segmented(text: str, spelled: Callable[[str], str]) -> str:
    """The text with each of its CJK runs as it is spelled out."""
    if text.isascii():
        return text
    return re.sub(_CJK_RUN, lambda run: spelled(run[0]), text)


def _pairs(run: str) -> Iterator[str]:
    return (run[i : i + 2] for i in range(max(len(run) - 1, 1)))


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", re.sub(_UNSPEAKABLE, " ", text)).lower()


def covering(
    postings: Mapping[str, Collection[int]], rows: int, *, floor: float
) -> dict[int, float]:
    """The rows that hold enough of the query, with their share of it, at least `floor`.

    postings gives for each term of the query the rows that hold it; rows is the size of the
    store. A term weighs log(1 + (N - n + 0.5) / (n + 0.5)), as in BM25, where n rows of N
    hold it. A row's share is the weight of its terms over the weight of all (of the 12
    weightiest, so that a long query asks for no more than a good part of one). A share,
    because bm25 itself depends on the size of the store: no bound of its own would hold.
    """
    # N counts 100 rows that hold none of it: among three rows nothing would seem rare.
    size = max(rows, 1) + _OTHERS
    weight = {
        t: log(1 + (size - len(held) + 0.5) / (len(held) + 0.5)) for t, held in postings.items()
    }
    whole = sum(nlargest(_WEIGHTIEST, weight.values()))
    shares: dict[int, float] = {}
    for term, held in postings.items():
        share = weight[term] / whole
        for row in held:
            shares[row] = shares.get(row, 0.0) + share
    return {row: share for row, share in shares.items() if share >= floor}


def best(scores: Mapping[int, float], k: int) -> list[tuple[int, float]]:
    """The k best rows by words alone as (row, score in (0, 1]), best first, older first."""
    most = max(scores.values(), default=0.0)
    positive = ((row, score / most) for row, score in scores.items() if score > 0)
    return nsmallest(k, positive, key=lambda item: (-item[1], item[0]))


def counted(texts: Iterable[tuple[int, str]], terms: Collection[str]) -> dict[str, dict[int, int]]:
    """For each term the rows that hold it and how often, without an index or stems."""
    found: dict[str, dict[int, int]] = {term: {} for term in terms}
    starts = [term for term in terms if begins(term)]
    for row, text in texts:
        tokens = Counter(re.findall(_WORD, indexed(text)))
        for start in starts:
            tokens[start] = sum(n for token, n in tokens.items() if token.startswith(start))
        for term in terms:
            if tokens[term]:
                found[term][row] = tokens[term]
    return found
