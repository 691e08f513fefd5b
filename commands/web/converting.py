"""A foreign document made into text by a process apart, within limits of time and memory."""

import json
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from commands.apart import python_apart
from commands.cancel import Cancel
from commands.command import CommandError
from commands.web.foreign import program
from commands.web.foreign.document import Document, Unreadable

TIME_S = 25.0
_MOST = 100 << 20  # bytes of what the program may answer
_NEEDED = ("commands", "lxml", "pypdf", "charset_normalizer")


def converted(
    data: bytes, content_type: str, address: str, *, cancel: Cancel, timeout_s: float = TIME_S
) -> Document:
    """The document; Unreadable when there is no text to be had, CommandError on cancel."""
    head = json.dumps({"type": content_type, "address": address})
    with python_apart(program.__file__, *_folders(), timeout_s=timeout_s, cancel=cancel) as process:
        assert process.stdin is not None and process.stdout is not None
        with suppress(OSError):  # it is gone: what it said, or that it said nothing, tells why
            process.stdin.write(head.encode() + b"\n" + data)
            process.stdin.close()
        answer = process.stdout.read(_MOST + 1)
    if cancel.reason is not None:
        raise CommandError("Stopped before the page was read.")
    try:
        found = json.loads(answer)
    except ValueError:
        raise Unreadable("takes too much time or memory to be read") from None
    if "unreadable" in found:
        raise Unreadable(found["unreadable"])
    return Document(
        str(found["text"]),
        str(found["title"]),
        str(found["date"]),
        tuple(str(note) for note in found["notes"]),
        bool(found["script"]),
    )


def _folders() -> list[str]:
    """Where the packages lie that the program needs; no other folder is open to it."""
    specs = [find_spec(name) for name in _NEEDED]
    origins = [spec.origin for spec in specs if spec is not None and spec.origin]
    return list(dict.fromkeys(str(Path(origin).parent.parent) for origin in origins))
