"""The program that makes text of a foreign document, in a process of its own with limits.

It is run as a file, with the folders to import from as its arguments. In: a JSON line
{"address", "type"}, then the document to the end of the input. Out: a JSON object, a Document's
fields or {"unreadable": half a sentence}.
"""

import json
import resource
import sys
from dataclasses import asdict
from typing import Any

CPU_S = 20
MEMORY_BYTES = 1 << 30
_RECURSION = 30_000


def main() -> None:
    """Answer for one document."""
    for kind, most in (
        (resource.RLIMIT_CPU, CPU_S),
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))
    sys.path[:0] = sys.argv[1:]
    sys.setrecursionlimit(_RECURSION)  # a page may be nested 2,000 deep
    head = json.loads(sys.stdin.buffer.readline())
    data = sys.stdin.buffer.read()
    json.dump(answer(data, head["type"], head["address"]), sys.stdout)


def answer(data: bytes, content_type: str, address: str) -> dict[str, Any]:
    """A document's fields, or why there are none."""
    from commands.web.foreign.document import Unreadable
    from commands.web.foreign.kinds import document

    try:
        return asdict(document(data, content_type, address))
    except Unreadable as error:
        return {"unreadable": str(error)}
    except (MemoryError, RecursionError):
        return {"unreadable": "takes too much memory to be read"}


if __name__ == "__main__":
    main()
