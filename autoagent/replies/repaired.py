"""The last rung: what json-repair proposes, believed only where it put in commas and colons."""

import json
import re
from typing import Any

_LONGEST = 20_000
"""Characters. json-repair takes quadratic time on some input; commands that read are short."""

_DEEPEST = 64
_TOKEN = re.compile(r'"[^"\\]*"|[{}\[\],:]|[^\s{}\[\],:"]+|"')


def repaired(text: str) -> dict[str, Any] | None:
    """The object that text is when the commas and colons missing beside brackets are put in.

    None when anything else had to be altered. Between strings, or beside a number, a sign
    that is missing may be a lost quote or digit; then nobody knows the value.
    """
    if len(text) > _LONGEST or "\\" in text or text.count("{") + text.count("[") > _DEEPEST:
        return None
    from json_repair import repair_json

    try:
        value = repair_json(text, return_objects=True, skip_json_loads=True)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or not _only_signs_missing(text, value):
        return None
    return value


def _only_signs_missing(text: str, value: dict[str, Any]) -> bool:
    written = _TOKEN.findall(text)
    at = 0
    for token in _TOKEN.findall(json.dumps(value, ensure_ascii=False)):
        if at < len(written) and written[at] == token:
            at += 1
        elif token not in (",", ":") or not _beside_bracket(written, at):
            return False
    return at == len(written)


def _beside_bracket(written: list[str], at: int) -> bool:
    if not 0 < at < len(written):
        return False
    before, behind = written[at - 1][-1], written[at][0]
    return before + behind in ("}{", "][", "]{", "}[", '}"', ']"', '"{', '"[')
