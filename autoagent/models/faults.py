"""What a model server's refusals and broken connections mean, as the faults of model.py."""

import errno
import json
import math
import os
import re
import socket
import ssl
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from autoagent.configuration.secrets import Redactor
from autoagent.model import (
    FormatRefused,
    ModelFault,
    NotListening,
    Rejected,
    TooLong,
    Transient,
)
from autoagent.models.answer import Unreadable

WORDS = 300  # characters of a server's own words that reach the person

_AGAIN = frozenset({408, 409, 425, 429})
# Texts: `re` keeps what it has compiled, and most runs need none of these.
_UNPAID = r"insufficient_\w*(quota|balance|credit|fund)|billing_|quota_exhausted"
_UNREACHABLE = (errno.ECONNREFUSED, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL)

# Each as a server says it: vLLM, OpenAI, xAI · llama.cpp, LM Studio, SGLang, llama-cpp-python ·
# Anthropic · Mistral · Google · text-generation-inference
_WINDOW = (
    r"maximum (?:context|prompt) length (?:is|of) (\d+)"
    r"|context (?:size|length|window) (?:\(|of (?:only )?)(\d+)"
    r"|\d+ tokens > (\d+) maximum"
    r"|with (\d+) maximum context length"
    r"|maximum number of tokens allowed \((\d+)\)"
    r"|inputs?` tokens \+ `?max_new_tokens`? must be <= (\d+)"
)
_TOO_LONG = (
    r"context_length_exceeded|exceed_context_size|exceeds? the (?:available |model'?s? )?context"
    r"|(?:prompt|input) is too (?:long|large)|context (?:length|window) (?:is |was )?exceeded"
    r"|context the overflows|request entity too large"
)
# OpenAI · Anthropic · Groq: the cap is more than the model ever writes.
_MOST = (
    r"supports at most (\d+) completion tokens|max_(?:completion_)?tokens: \d+ > (\d+)"
    r"|max_(?:completion_)?tokens`? must be less than or equal to `?(\d+)"
)
_WRONG_VALUE = r"(?:unsupported|invalid)\w*_value"
_FORMAT = r"response_format|json_schema|json_object|grammar"
_KEYS = r"\b(?:sk|gsk|xai|pk)[-_][\w*.\-]{4,}|\bAIza[\w\-]{10,}|(?i:bearer)\s+\S{20,}"


class ParameterRefused(Rejected):
    """A 400 or 422 that names a parameter we sent: it may go without it, or under another name.

    `most` is the largest completion cap the server named when the cap was too large for it.
    """

    def __init__(self, message: str, parameter: str, *, most: int | None = None) -> None:
        super().__init__(message)
        self.parameter = parameter
        self.most = most


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, as far as its faults speak of it. `sent` are its parameters by name.

    `azure`: the model's name is that of a deployment.
    """

    url: str
    model: str
    key: str = ""
    sent: Collection[str] = ()
    azure: bool = False

    @property
    def key_name(self) -> str:
        """What the person sets when the key is wrong."""
        return "AZURE_OPENAI_API_KEY" if self.azure else "OPENAI_API_KEY"

    @property
    def address_name(self) -> str:
        """What the person sets when the address is wrong."""
        return "AZURE_OPENAI_ENDPOINT" if self.azure else "--base-url (OPENAI_BASE_URL)"

    @property
    def place(self) -> str:
        """Model and address, without anything secret that an address can hold."""
        return f"{self.model} at {self.address}"

    @property
    def address(self) -> str:
        """That of the server, without anything secret."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    def clean(self, words: str) -> str:
        """One line of at most 300 characters without control characters and without a key."""
        if len(self.key) >= 6:  # a placeholder such as "none" is an ordinary word
            words = words.replace(self.key, "…")
            words = Redactor({"key": self.key}).clean(words)  # encoded, too
        words = re.sub(_KEYS, "…", words)
        line = " ".join("".join(c if c.isprintable() else " " for c in words).split())
        return line if len(line) <= WORDS else line[: WORDS - 1] + "…"


@dataclass(frozen=True, slots=True)
class Said:
    """A server's words about a failure, from whatever shape they came in."""

    message: str
    code: str = ""  # code and type
    parameter: str = ""
    window: int | None = None
    status: int | None = None  # a status inside the body, as gateways send it


def said(body: str) -> Said:
    """Read a failure's body: OpenAI's, Ollama's, FastAPI's, a gateway's, HTML or plain text."""
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        title = re.search(r"<title[^>]*>(.*?)</title>", body, re.S | re.I)
        return Said(title[1] if title else re.sub(r"<[^>]*>", " ", body))
    if isinstance(given, list) and given:
        given = given[0]
    if not isinstance(given, dict):
        return Said(str(given))
    error = given.get("error") or given
    if not isinstance(error, dict):
        return Said(str(error))
    words = error.get("message") or error.get("detail") or error.get("msg") or ""
    details = error.get("metadata")
    if isinstance(details, dict) and details.get("raw"):
        words = f"{words}: {details['raw']}"
    code = error.get("code")
    return Said(
        _listed(words) or json.dumps(error),
        f"{code} {error.get('type')} {error.get('status')}",
        str(error.get("param") or "").partition(".")[0],
        _tokens(error.get("n_ctx")),
        code if isinstance(code, int) and 400 <= code <= 599 else None,
    )


def _listed(words: Any) -> str:
    """FastAPI lists its complaints: [{"loc": ["body", "temperature"], "msg": "…"}]."""
    if not isinstance(words, list):
        return str(words)
    lines = (
        f"{'.'.join(map(str, w.get('loc') or ()))}: {w.get('msg')}" if isinstance(w, dict) else w
        for w in words
    )
    return "; ".join(map(str, lines))


def of_status(status: int, headers: Mapping[str, str], body: str, asked: Asked) -> ModelFault:
    """The fault that a failed answer means. Header names are looked up in lower case."""
    words = said(body)
    text = f"{asked.place}: HTTP {status}: {asked.clean(words.message) or 'no reason given'}"
    if status in (400, 413, 422, 500) and (long := too_long(words, text)):
        return long
    if refused := _refused(status, words, asked, text):
        return refused
    if 300 <= status < 400:
        target = asked.clean(headers.get("location", "?"))
        return Rejected(
            f"{asked.place} redirects to {target}, where the key isn't sent. "
            f"If that is the right server, set {asked.address_name} to it."
        )
    if status >= 429 and re.search(_UNPAID, words.code):
        return Rejected(f"{text} {_NEXT[402]}")
    if status in _AGAIN or status >= 500:
        return Transient(text, retry_after_s=retry_after_s(headers))
    return Rejected(f"{text} {_next(status, asked)}".rstrip())


def of_body(body: str, asked: Asked) -> ModelFault:
    """The fault of an error that came with status 200, as gateways send it."""
    words = said(body)
    status = next((s for code, s in _STATUS.items() if code in words.code), 500)
    return of_status(words.status or status, {}, body, asked)


_STATUS = {"invalid_api_key": 401, "authentication": 401, "not_found": 404}
_NEXT = {
    402: "See the account's plan and billing, or use another server (OPENAI_BASE_URL).",
    403: "This key may not do that: see what its project allows, or use another --model.",
    404: "See --model and --base-url (OPENAI_BASE_URL); an address mostly ends in /v1.",
}


_NO_DEPLOYMENT = (
    "On Azure a model's name is that of its deployment: AZURE_OPENAI_DEPLOYMENT or --model. "
    "AZURE_OPENAI_ENDPOINT looks like https://NAME.openai.azure.com; OPENAI_API_VERSION may be "
    "left out."
)


def _next(status: int, asked: Asked) -> str:
    if status == 401:
        return f"{'Check' if asked.key else 'Set'} {asked.key_name}."
    if status == 404 and asked.azure:
        return _NO_DEPLOYMENT
    return _NEXT.get(status, "")


def too_long(words: Said, text: str) -> TooLong | None:
    """The fault, when that is what the words say."""
    low = re.sub(r"(?<=\d),(?=\d{3})", "", f"{words.message} {words.code}".lower())
    named = re.search(_WINDOW, low)
    if not named and not re.search(_TOO_LONG, low):
        return None
    return TooLong(text, window=words.window or (_tokens(_number(named)) if named else None))


def _number(found: re.Match[str]) -> int:
    return next(int(number) for number in found.groups() if number)


def _tokens(count: Any) -> int | None:
    """A size in tokens as a server tells it; None when it can't be one."""
    right = isinstance(count, int) and not isinstance(count, bool) and 0 < count < 10**9
    return count if right else None


def _refused(status: int, words: Said, asked: Asked, text: str) -> ModelFault | None:
    """The fault of a request that a server won't take because of one of its parameters."""
    low = f"{words.message} {words.parameter}"
    if (
        "response_format" in asked.sent
        and status in (400, 404, 422, 500, 501)
        and re.search(_FORMAT, low)
    ):
        return FormatRefused(text)
    if status not in (400, 422):
        return None
    if most := re.search(_MOST, low):
        name = next((p for p in asked.sent if p.startswith("max_")), "max_tokens")
        return ParameterRefused(text, name, most=_number(most))
    named = [p for p in sorted(asked.sent, key=len, reverse=True) if _names(words, p)]
    if not named or (named[0] == "reasoning_effort" and re.search(_WRONG_VALUE, words.code)):
        return None  # an effort was set by the person, who can choose one that the server has
    return ParameterRefused(text, named[0])


def _names(words: Said, parameter: str) -> bool:
    if words.parameter in (parameter, f"body.{parameter}"):
        return True
    return not words.parameter and bool(re.search(rf"(?<!\w){parameter}(?!\w)", words.message))


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait by `retry-after-ms` or `Retry-After` (seconds or a date); None if untold."""
    for name, unit in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            seconds = float(headers.get(name, "")) / unit
        except ValueError:
            continue
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    try:
        moment = parsedate_to_datetime(headers.get("retry-after", ""))
        return max(0.0, moment.timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return None


def of_unreadable(error: Unreadable, asked: Asked, *, received: int = 0) -> ModelFault:
    """The fault of an answer with status 200 that isn't a completion."""
    match error.kind:
        case "failure":
            fault = of_body(error.body, asked)
            fault.received = received
            return fault
        case "page" | "other":
            what = "a web page" if error.kind == "page" else "something else"
            return Rejected(
                f"{asked.place} answers with {what}, not with a completion: "
                f"{asked.clean(said(error.body).message):.100} {_next(404, asked)}"
            )
        case "empty":
            return Transient(f"{asked.place}: an answer without a choice")
        case "garbled":
            text = f"{asked.place}: the stream can't be read; next time without one"
            return Transient(text, received=received)


def of_broken(error: BaseException, asked: Asked, *, received: int = 0) -> ModelFault:
    """The fault that a failed connection means; `received` tokens had come before."""
    import httpx2

    chain = list(_causes(error))
    why = asked.clean(_spelled(chain[-1]))
    if any(isinstance(e, httpx2.TimeoutException) for e in chain):
        return Transient(f"{asked.place}: no sign of life in time", received=received)
    if any(isinstance(e, ssl.SSLError) and not _ended(e) for e in chain):
        return Rejected(
            f"{asked.place}: no trusted TLS connection: {why}. See whether the address is right "
            "(http or https) and whether this machine trusts the server's certificate."
        )
    if any(isinstance(e, httpx2.ConnectError | httpx2.ProxyError) for e in chain):
        if nobody := next(filter(_nobody, chain), None):
            what = f"Nothing answers at {asked.address} ({asked.clean(_spelled(nobody))})."
            return NotListening(what, f"Start the server, or set {asked.address_name}.")
        return Transient(f"{asked.place}: no connection: {why}")
    if any(isinstance(e, httpx2.UnsupportedProtocol | httpx2.LocalProtocolError) for e in chain):
        # h11 quotes the header that it refuses, and that may be the key's.
        return Rejected(f"{asked.place}: the request can't be sent. Check address and key.")
    return Transient(f"{asked.place}: the connection broke: {why}", received=received)


def _spelled(error: BaseException) -> str:
    """In the system's words where it has some: "connection refused"."""
    if isinstance(error, OSError) and not isinstance(error, ssl.SSLError) and error.errno:
        # Less than 0: of a name that could not be looked up.
        words = os.strerror(error.errno) if error.errno > 0 else error.strerror or str(error)
        return words[:1].lower() + words[1:]
    return str(error) or type(error).__name__


def _ended(error: ssl.SSLError) -> bool:
    return isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError)


def _nobody(error: BaseException) -> bool:
    """Nobody is there: refused, no route, no such name; a proxy's own refusal as well."""
    import httpx2

    if isinstance(error, httpx2.ProxyError | socket.gaierror):
        return True
    return isinstance(error, OSError) and error.errno in _UNREACHABLE


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it came from, groups opened, the first cause last."""
    seen: list[BaseException] = []
    waiting = [error]
    while waiting:
        one = waiting.pop()
        if one in seen:
            continue
        seen.append(one)
        yield one
        if isinstance(one, BaseExceptionGroup):
            waiting.extend(one.exceptions)
        if cause := one.__cause__ or one.__context__:
            waiting.append(cause)
