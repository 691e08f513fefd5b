"""The last rung: json-repair, believed only where nothing of the reply can be lost or changed."""

import json
import re
from typing import Any

_LONGEST = 20_000
"""Characters. json-repair takes quadratic time on some input; commands that read are short."""

_SYNTAX = re.compile(r"[\s{}\[\],:]+")
_DOUBTFUL = re.compile(r"""[{}\[\]"'\\“”‘’`\x00-\x1f\ud800-\udfff]""")


def repaired(text: str) -> dict[str, Any] | None:
    """The object that text must mean if only its commas, colons or closers are wrong.

    None unless each string of it stands between its quotes in the text, nothing else is left
    over, no quote is missing or odd, and no bracket is open at the end, where something may
    have been cut.
    """
    if len(text) > _LONGEST or not text.endswith("}") or "\\" in text or _open(text):
        return None
    from json_repair import repair_json

    try:
        value = repair_json(text, return_objects=True, skip_json_loads=True)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or not _verbatim(value, text):
        return None
    whole = json.dumps(value, ensure_ascii=False)
    return value if _words(whole) == _words(text) else None


def _open(text: str) -> bool:
    return any(text.count(a) > text.count(b) or text.count(a) > 50 for a, b in ("{}", "[]"))


def _words(text: str) -> str:
    """All but syntax; quotes stay, as a missing one would move the end of a string."""
    return _SYNTAX.sub("", text)


def _verbatim(value: Any, text: str) -> bool:
    """Does each key and value of it stand in text as it is, with an end on both sides?"""
    match value:
        case dict():
            return all(
                not _DOUBTFUL.search(k)
                and re.search(rf'"{re.escape(k)}"\s*:', text) is not None
                and _verbatim(v, text)
                for k, v in value.items()
            )
        case list():
            return all(_verbatim(v, text) for v in value)
        case str():
            token = f'"{re.escape(value)}"'
            if _DOUBTFUL.search(value):
                return False
        case float():
            return False
        case _:
            token = json.dumps(value)
    return re.search(rf'[\[,:]\s*{token}\s*(?:[,\]}}]|(?<="|\s)")', text) is not None
