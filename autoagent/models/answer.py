"""A model server's answers as values: a completion from JSON or a stream, vectors, usage."""

import json
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

from autoagent.model import Completion, Embedded, Finish, Price, Usage

LARGEST_BYTES = 64 * 1024 * 1024  # far above any completion; a server may send without end

_FINISH: dict[str, Finish] = {
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "content_filter": "filter",
    "safety": "filter",
    "refusal": "refusal",
}


class Unreadable(Exception):
    """What came is not a completion. `kind` says what it is instead.

    garbled: neither JSON nor events · page: HTML · failure: an error inside a 200, `body` is
    it · other: JSON of another kind · empty: a completion without a choice.
    """

    def __init__(
        self, kind: Literal["garbled", "page", "failure", "other", "empty"], body: str = ""
    ) -> None:
        super().__init__(kind)
        self.kind = kind
        self.body = body


class Answer:
    """Grows by `feed`; a stream and a whole body are told apart by their first sign.

    `complete` says that the model ended, or that the server said so; `ended`, that nothing
    more will come. `result` gives the completion, and `hear` each piece of its text before.
    """

    def __init__(self, hear: Callable[[str], None] | None = None) -> None:
        self._hear = hear
        self.ended = False
        self._streams: bool | None = None
        self._buffer = bytearray()
        self._size = 0
        self._data = b""
        self._texts: list[str] = []
        self._refusals: list[str] = []
        self._thoughts = 0  # characters of reasoning, which is paid for but not shown
        self._pieces = 0
        self._finish: str | None = None
        self._usage: Any = None
        self._model = ""

    @property
    def complete(self) -> bool:
        return self.ended or self._finish is not None

    @property
    def received(self) -> int:
        """Tokens that came so far, estimated: a piece is mostly one, and at most 4 characters."""
        characters = sum(map(len, self._texts)) + self._thoughts
        return max(self._pieces, math.ceil(characters / 4))

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes; Unreadable as soon as they can't be a completion."""
        self._size += len(chunk)
        if self._size > LARGEST_BYTES:
            raise Unreadable("garbled")
        self._buffer += chunk
        if self._streams is None:
            start = bytes(self._buffer[:64]).lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
            self._streams = start not in b"{[<" if start else None
        if self._streams and b"\n" in chunk:
            *lines, rest = bytes(self._buffer).split(b"\n")
            self._buffer = bytearray(rest)
            for line in lines:
                self._read_line(line.rstrip(b"\r"))

    def end(self) -> bool:
        """The body is over: True when the answer is whole, False when it was cut."""
        if self._streams:
            self._read_line(bytes(self._buffer))
            return self.complete
        body = bytes(self._buffer).decode("utf-8", "replace").lstrip("\ufeff")
        if body.lstrip().startswith("<"):
            raise Unreadable("page", body)
        try:
            self._read(json.loads(body))
        except (ValueError, RecursionError):
            return False
        self.ended = True
        return True

    def result(self, name: str, price: Price | None) -> Completion:
        """The completion; `name` stands in when the server named no model."""
        refusal = "".join(self._refusals)
        finish = _FINISH.get((self._finish or "stop").lower(), "stop")
        return Completion(
            text="".join(self._texts),
            finish="refusal" if refusal else finish,
            usage=usage_of(self._usage, price),
            model=self._model or name,
            refusal=refusal,
        )

    def _read_line(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data += value.strip()
        if self._data == b"[DONE]":
            self.ended, self._data = True, b""
        if not self._data or self.ended:
            return
        try:
            given = json.loads(self._data)
        except (ValueError, RecursionError):
            if line:
                return  # an event may go on in the next data line
            raise Unreadable("garbled") from None
        self._data = b""
        self._read(given)

    def _read(self, given: Any) -> None:
        """Take a chunk of a stream, or a whole completion."""
        if not isinstance(given, dict) or given.get("error"):
            failed = isinstance(given, dict) or _holds_error(given)
            raise Unreadable("failure" if failed else "other", json.dumps(given))
        self._model = self._model or str(given.get("model") or "")
        self._usage = given.get("usage") or self._usage
        choices = given.get("choices")
        if not self._streams and not choices:
            raise Unreadable("empty" if "choices" in given else "other", json.dumps(given))
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict) and not choice.get("index"):
                self._read_choice(choice)

    def _read_choice(self, choice: dict[str, Any]) -> None:
        if choice.get("error") or choice.get("finish_reason") == "error":
            raise Unreadable("failure", json.dumps({"error": choice.get("error") or choice}))
        finish = choice.get("finish_reason")
        self._finish = str(finish) if finish else self._finish
        message = choice.get("delta") or choice.get("message") or {}
        if not isinstance(message, dict):
            raise Unreadable("other", json.dumps(choice))
        text = _text(message.get("content"))
        refusal = _text(message.get("refusal"))
        thought = _text(message.get("reasoning_content") or message.get("reasoning"))
        self._pieces += bool(text or refusal or thought) if self._streams else 0
        self._texts.append(text)
        self._refusals.append(refusal)
        self._thoughts += len(thought)
        if text and self._hear is not None:
            self._hear(text)


def _text(content: Any) -> str:
    """A content as it came: a string, or parts of which the text ones count."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = (part.get("text") if isinstance(part, dict) else part for part in content)
    return "".join(part for part in parts if isinstance(part, str))


def _holds_error(given: Any) -> bool:
    """Google wraps its errors in a list."""
    return isinstance(given, list) and any(isinstance(g, dict) and "error" in g for g in given)


def usage_of(given: Any, price: Price | None) -> Usage | None:
    """Usage as a server told it; None when it told none, or something that can't be.

    The cost is the server's own when it names one, else by price.
    """
    if not isinstance(given, dict):
        return None
    prompt = _count(given.get("prompt_tokens"))
    completion = _count(given.get("completion_tokens", 0))
    if (
        not prompt or completion is None
    ):  # an empty prompt isn't possible: a server that doesn't count
        return None
    cached = _detail(given, "prompt_tokens_details", "cached_tokens")
    reasoning = _detail(given, "completion_tokens_details", "reasoning_tokens")
    if given.get("total_tokens") == prompt + completion + reasoning:
        completion += reasoning  # xAI counts thinking beside the completion
    cached = cached if cached <= prompt else 0
    cost = given.get("cost")
    if isinstance(cost, bool) or not isinstance(cost, int | float) or not 0 <= cost < math.inf:
        cost = price.cost(prompt, completion, cached) if price else None
    return Usage(prompt, completion, cached, min(reasoning, completion), cost)


def _detail(given: dict[str, Any], group: str, name: str) -> int:
    details = given.get(group)
    return _count(details.get(name)) or 0 if isinstance(details, dict) else 0


def _count(value: Any) -> int | None:
    """A number of tokens; None for anything that can't be one."""
    right = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**12
    return value if right else None


def embedded_of(body: bytes, count: int, model: str, price: Price | None) -> Embedded | None:
    """An embedding answer, its vectors in the order of the texts.

    None unless there are `count` vectors, of one dimension, every number finite.
    """
    try:
        given = json.loads(body)
        ordered = sorted(given["data"], key=lambda row: row.get("index", 0))
        vectors = tuple(tuple(map(float, row["embedding"])) for row in ordered)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return None
    finite = all(math.isfinite(number) for vector in vectors for number in vector)
    sizes = {len(vector) for vector in vectors}
    if len(vectors) != count or len(sizes) != 1 or 0 in sizes or not finite:
        return None
    return Embedded(vectors, usage_of(given.get("usage"), price), model)


def total(usages: Sequence[Usage | None]) -> Usage | None:
    """The sum of embedding usages; None when one is unknown."""
    known = [u for u in usages if u is not None]
    if len(known) < len(usages):
        return None
    costs = [u.cost for u in known if u.cost is not None]
    cost = sum(costs) if len(costs) == len(known) else None
    return Usage(sum(u.prompt for u in known), 0, cost=cost)
