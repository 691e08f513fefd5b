"""The search engines that need no key, by the package ddgs (once duckduckgo-search)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from commands.apart import python_apart
from commands.cancel import Cancel
from commands.web.contract import Fetcher
from commands.web.engines.engine import MOST, EngineFault, Hit, hits

TIMEOUT_S = 30.0  # in all
REQUEST_S = 8  # of each request
LONGEST = 1 << 20  # bytes of an answer

# Named and in this order, so that it is known who is asked; by itself ddgs asks Wikipedia
# first and then the others by lot.
SITES: Mapping[str, str] = {
    "duckduckgo": "https://html.duckduckgo.com",
    "brave": "https://search.brave.com",
    "mojeek": "https://www.mojeek.com",
    "startpage": "https://www.startpage.com",
    "yahoo": "https://search.yahoo.com",
}
# It connects by itself, so it must know of a proxy and of certificates.
HANDED_ON = (
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE"),
)
_BLOCKS = frozenset({202, 400, 401, 403, 405, 418, 451})  # DuckDuckGo's riddle comes with 202


def _program() -> str:
    return Path(__file__).with_name("ddgs_program.py").read_text("utf-8")


@dataclass(frozen=True, slots=True)
class Ddgs:
    """Asked in a process of its own, which is killed on cancel and after `timeout_s`.

    `path` are the folders that it imports from; none of them may be one that the agent can
    change. `module` is what is imported, `program` what is run: read when this is made.
    """

    path: Sequence[str]
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    module: str = "ddgs"
    timeout_s: float = TIMEOUT_S
    name: str = "ddgs"
    program: str = field(default_factory=_program, repr=False)

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(SITES.values())

    def find(self, query: str, fetcher: Fetcher, cancel: Cancel) -> list[Hit]:
        question = {
            "module": self.module,
            "path": list(self.path),
            "environ": {name: self.environ[name] for name in HANDED_ON if name in self.environ},
            "query": query,
            "backend": ",".join(SITES),
            "results": MOST,
            "timeout_s": REQUEST_S,
        }
        said = self._said(json.dumps(question).encode(), cancel)
        try:
            answer = json.loads(said)
            if "fault" not in answer:
                return hits((row["title"], row["href"], row["body"]) for row in answer["results"])
            faults, statuses = set(map(str, answer["fault"])), set(map(int, answer["statuses"]))
            message = str(answer["message"])
        except (ValueError, TypeError, KeyError):
            seconds = f"{self.timeout_s:g} s"
            raise EngineFault("down", f"it gave no answer within {seconds}, or broke") from None
        if _found_nothing(faults, message, statuses):
            return []
        raise _meant(faults, message, statuses)

    def _said(self, question: bytes, cancel: Cancel) -> bytes:
        """What the process wrote, perhaps cut."""
        said = b""
        with python_apart("-c", self.program, timeout_s=self.timeout_s, cancel=cancel) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                process.stdin.write(question)
                process.stdin.close()
                said = process.stdout.read(LONGEST)
            except OSError:  # it was killed before it had read it
                pass
        return said


def _found_nothing(faults: set[str], message: str, statuses: set[int]) -> bool:
    return "DDGSException" in faults and "No results" in message and statuses <= {200}


def _meant(faults: set[str], message: str, statuses: set[int]) -> EngineFault:
    """What an exception of ddgs means, by its classes, its text and what servers answered."""
    if "ModuleNotFoundError" in faults:
        return EngineFault(
            "setup", "the package ddgs isn't installed, or only where the agent could change it"
        )
    if "RatelimitException" in faults or 429 in statuses:
        return EngineFault("limited", "the engines behind it limit requests")
    if "TimeoutException" in faults:
        return EngineFault("down", "the engines behind it don't answer in time")
    if statuses & _BLOCKS:
        return EngineFault("blocked", "the engines behind it take this machine for a robot")
    if statuses - {200}:
        return EngineFault("down", "the engines behind it are out of order")
    if "DDGSException" in faults and any(
        each in message for each in ("ConnectError", "DNSError", "RequestError")
    ):
        return EngineFault("down", "the engines behind it can't be reached; is there a network?")
    return EngineFault("down", "it failed in a way of its own; a newer ddgs may help")
