"""Documents that are text already: JSON made readable, the rest as it is."""

import json
import re

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
_CLOSING = {"{": "}", "[": "]"}


def pretty_json(text: str) -> str:
    """The same values, a line each; as it came when it isn't JSON. No value is altered: numbers
    keep their digits, keys their order, doubled keys both stand."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text
    out: list[str] = []
    depth = 0
    tokens = _TOKEN.findall(text)
    for place, sign in enumerate(tokens):
        following = tokens[place + 1] if place + 1 < len(tokens) else ""
        if sign in ("}", "]") and tokens[place - 1] not in ("{", "["):
            depth -= 1
            out.append("\n" + " " * depth)
        out.append(_shown(sign))
        if sign == ":":
            out.append(" ")
        elif sign == "," or (sign in _CLOSING and following != _CLOSING[sign]):
            depth += sign != ","
            out.append("\n" + " " * depth)
    return "".join(out)


def _shown(token: str) -> str:
    r"""A string with its letters as letters, not as \u escapes."""
    if r"\u" not in token:
        return token
    try:
        shown = json.dumps(json.loads(token), ensure_ascii=False)
        shown.encode()
    except ValueError:  # half of a pair of surrogates stays escaped
        return token
    return shown
