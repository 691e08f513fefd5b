"""Secret values, and texts without them."""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from urllib.parse import quote, quote_plus

SHORTEST = 12  # characters; anything shorter stands in ordinary text too often
_TELLS = 4  # characters: fewer at the end of a text are no sign that a secret begins there

_NAMED = re.compile(r"KEY|TOKEN|SECRET|PASS|CREDENTIAL|PRIVATE", re.IGNORECASE)
_PLACE = re.compile(r"_(FILE|PATH|DIR|SOCK|SOCKET)$", re.IGNORECASE)
_DRAWN = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[A-Za-z0-9+=_-][A-Za-z0-9+/=_-]{19,}")
_IN_URL = re.compile(r"://[^/?#\s:@]*:([^/?#\s@]+)@")


def found_in(variables: Mapping[str, str], *, drawn: bool = False) -> dict[str, str]:
    """The variables whose name or form says that their value is a secret, by name.

    A name that ends like the place of a secret (GOOGLE_KEY_FILE) isn't one; of an address
    with a password, the password is. `drawn`: a value that looks drawn by lot is one too,
    whatever its name (of a .env, but not of an environment full of commit hashes).
    """
    found: dict[str, str] = {}
    for name, value in variables.items():
        if not value or name.startswith("AUTOAGENT_"):
            continue
        password = _IN_URL.search(value)
        named = _NAMED.search(name) and not _PLACE.search(name)
        if named or (drawn and _DRAWN.fullmatch(value)):
            found[name] = value
        elif password:
            found[name] = password[1]
    return found


class Redactor:
    """Takes known secrets out of texts: as they are, as base64 (also inside a longer encoded
    text, also wrapped), URL-encoded and JSON-escaped. A value under SHORTEST characters stays.

    One pass over the text; where two secrets begin at one place, the longer one counts.
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        # Patterns and their names by the first character. Only each one's first characters
        # go into the search: to compile it all would cost more than a first model call.
        self._forms: dict[str, dict[str, str]] = {}
        self._whole: set[str] = set()  # each form, unwrapped
        heads: set[str] = set()
        for name, value in values.items():
            value = value.strip()
            if len(value) < SHORTEST:
                continue
            # Programs wrap base64 after 64 or 76 characters.
            wrapped = (list(map(re.escape, form)) for form in _base64(value))
            exact = ([re.escape(c) for c in form] for form in _spellings(value))
            for characters, gap in (*((c, "") for c in exact), *((c, r"\s*+") for c in wrapped)):
                forms = self._forms.setdefault(characters[0], {})
                forms.setdefault(gap.join(characters), name)
                heads.add(gap.join(characters[:SHORTEST]))
            self._whole |= {*_spellings(value), *_base64(value)}
        self._heads = re.compile("|".join(sorted(heads))) if heads else None

    def clean(self, text: str) -> str:
        """`text` with each secret replaced by `[secret NAME]`."""
        kept: list[str] = []
        at = 0
        for start, end, name in self._found(text):
            kept += (text[at:start], f"[secret {name}]")
            at = end
        return "".join([*kept, text[at:]])

    def clean_so_far(self, text: str) -> str:
        """The same for a text that goes on: an end with which a secret may begin is left out."""
        text = self.clean(text)
        end = len(text)
        for form in self._whole:
            at = text.find(form[:_TELLS], max(0, len(text) - len(form) + 1), end)
            while at >= 0 and not form.startswith(text[at:]):
                at = text.find(form[:_TELLS], at + 1, end)
            end = at if at >= 0 else end
        return text[:end]

    def holds(self, text: str) -> str | None:
        """The name of the first secret in `text`; None when there is none."""
        return next((name for _, _, name in self._found(text)), None)

    def _found(self, text: str) -> Iterator[tuple[int, int, str]]:
        at = 0
        while self._heads is not None and (head := self._heads.search(text, at)):
            start = head.start()
            forms = self._forms[re.escape(text[start])]
            ends = ((_match(form, text, start), name) for form, name in forms.items())
            end, name = max(ends, key=lambda found: found[0])
            if end > start:
                yield start, end, name
            at = max(end, start + 1)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _match(pattern: str, text: str, start: int) -> int:
    """Where the match at `start` ends; -1 when there is none."""
    match = _compiled(pattern).match(text, start)
    return match.end() if match else -1


def _spellings(value: str) -> Iterator[str]:
    raw = value.encode("utf-8", "surrogatepass")
    yield value
    for encoded in (quote(raw, safe=""), quote(raw), quote_plus(raw)):
        yield encoded
        yield re.sub("%[0-9A-F]{2}", lambda escape: escape[0].lower(), encoded)
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]


def _base64(value: str) -> Iterator[str]:
    """The characters that stand in any base64 text whose bytes hold `value`.

    Three bytes are four characters, so there are three ways to stand in it; characters that
    share bits with a neighbour are left out.
    """
    raw = value.encode("utf-8", "surrogatepass")
    for before, lost in ((0, 0), (1, 2), (2, 3)):
        whole = (before + len(raw)) * 8 // 6  # characters that depend on no byte after raw
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(bytes(before) + raw + bytes(3))[lost:whole].decode("ascii")
