"""Run in a process of its own: one search by a module like ddgs, in and out as JSON.

It reads {module, path, environ, query, backend, results, timeout_s} and writes either
{results, statuses} or {fault, message, statuses}: the exception's class and those it is made
of, by name, and the statuses that servers answered with.
"""

import importlib
import json
import os
import resource
import sys
from typing import Any

MEMORY = 4 << 30  # bytes of address space; threads reserve far more than they use
CPU_S = 20
FIELD = 8_000  # characters


def main() -> None:
    """Answer the one question on standard input."""
    answers = os.dup(1)
    os.dup2(2, 1)  # nothing that a module prints can pass for the answer
    asked = json.load(sys.stdin.buffer)
    for limit, most in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CPU, CPU_S),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (most, most))
    sys.dont_write_bytecode = True
    sys.path.extend(asked["path"])
    os.environ.update(asked["environ"])
    statuses: list[int] = []
    answer: dict[str, Any] = {"statuses": statuses}
    try:
        answer["results"] = search(asked, statuses)
    except Exception as error:  # whatever it is, the parent tells what it means
        answer["fault"] = [each.__name__ for each in type(error).__mro__]
        answer["message"] = str(error)[:FIELD]
    with os.fdopen(answers, "wb") as out:
        out.write(json.dumps(answer).encode())


def search(asked: dict[str, Any], statuses: list[int]) -> list[dict[str, str]]:
    module = importlib.import_module(asked["module"])
    watch(statuses)
    found = module.DDGS(timeout=asked["timeout_s"]).text(
        asked["query"], max_results=asked["results"], backend=asked["backend"]
    )
    names = ("title", "href", "body")
    rows = found[: asked["results"]]
    return [{name: str(row.get(name, ""))[:FIELD] for name in names} for row in rows]


def watch(statuses: list[int]) -> None:
    """Take note of each status: to ddgs whatever isn't 200 is the same as no results."""
    try:
        client: Any = importlib.import_module("ddgs.http_client").HttpClient
        plain = client.request
    except (ImportError, AttributeError):
        return  # another version; then "blocked" and "nothing found" look the same

    def request(self: Any, *args: Any, **kwargs: Any) -> Any:
        response = plain(self, *args, **kwargs)
        statuses.append(int(response.status_code))
        return response

    client.request = request


if __name__ == "__main__":
    main()
