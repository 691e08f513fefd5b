"""Web addresses in texts: where they stand, and when two of them are the same."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from commands.command import CommandError
from commands.fetch import WEB_PORTS, Host

_LONGEST = 8_000  # characters
# Brackets stand around a host only; quotes and angle brackets stand around addresses.
_RUN = re.compile(
    r"https?://(?:\[[0-9a-f:.]{2,45}\])?[^\s<>\"`{}|\\^\[\]\x00-\x1f\x7f]*", re.IGNORECASE
)
_BEHIND = ".,;:!?'*_~)…”’»"
"""What may stand right behind an address in prose, lists and Markdown."""
_ENDING = "。，、；：！？）】》」』"
"""What ends an address in a script that is written without blanks."""


def same(url: str) -> str:
    """An address's one spelling; "" for what is none.

    Letter case of scheme and host, the port that a scheme means anyway, an empty path and
    the fragment make no difference. All else does: a query parameter more, a slash at the
    end, another scheme.
    """
    from commands.web.address import web_address

    try:
        return str(web_address(url))
    except CommandError:
        return ""


def host_of(url: str) -> Host | None:
    """The host of an address, with its port when it is none of the web's; None without one."""
    from commands.web.address import web_address

    try:
        address = web_address(url)
    except CommandError:
        return None
    return Host(address.name, None if address.port in WEB_PORTS else address.port)


def standing_in(text: str) -> Iterator[str]:
    """The addresses that stand in a text, each in its one spelling.

    What follows an address without a blank may belong to it or to the sentence (a full
    stop, a closing bracket): both readings count.
    """
    for found in _RUN.finditer(text):
        run = found[0]
        if len(run) <= _LONGEST:
            yield from filter(None, map(same, _readings(run)))


def written_in(args: Mapping[str, Any]) -> set[str]:
    """The addresses in a command's arguments."""
    return set(standing_in(json.dumps(args, ensure_ascii=False)))


def _readings(run: str) -> Iterator[str]:
    """An address as far as it may go, and as far as it may have been meant to."""
    for end in (*_possible_ends(run), len(run)):
        part = run[:end]
        yield part
        while part and part[-1] in _BEHIND:
            part = part[:-1]
            yield part


def _possible_ends(run: str) -> Iterator[int]:
    """Where a bracket closes that was opened before the address, [text](address), or a
    sentence may end."""
    depth = 0
    for at, character in enumerate(run):
        depth += (character == "(") - (character == ")")
        if depth < 0 or character in _ENDING:
            yield at
            depth = 0
