"""A model server on 127.0.0.1 that speaks OpenAI's protocol and says what a test scripted.

In a test of the client:

    with FakeOpenAI(["hello", Answer(status=429, headers={"Retry-After": "2"})]) as server:
        model = OpenAIModel(name="fake-model", base_url=server.base_url, ...)

Through the command line, as a user would (`env` for the child process):

    with FakeOpenAI([reply_1, reply_2]) as server:
        env = {**os.environ, "OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": "sk-test"}
        subprocess.run([sys.executable, "-m", "autoagent", "--goal", "…"], env=env, timeout=60)
    assert server.chats[1]["messages"][-1]["role"] == "user"

An answer is a text, an `Answer`, or a function of the request's JSON body that gives one of
both; each chat request takes the next one. When none is left the server says 500 in plain
words. Nothing here waits by the clock: a `hold` event is set by the test, or when the server
is closed.
"""

import json
import math
import re
import socket
import struct
import sys
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Event, Thread
from typing import Any, Self

Body = dict[str, Any]
DIMENSIONS = 256
_LONGEST_WAIT_S = 30.0  # a test that forgot its event fails, it doesn't hang


@dataclass(frozen=True)
class Answer:
    """What the server does with one request; the defaults are an ordinary completion.

    Not a completion: `status` with `body` (JSON, text or raw bytes) is sent as it is, and
    `disconnect` resets the connection before a byte is sent.
    A completion: `text` comes in pieces of `piece` characters when a stream was asked for
    (`stream=False`: a JSON body all the same; `True`: a stream all the same).
    `hold` is waited for before anything is sent, or after `hold_after` events of the stream
    (the first holds the role alone, the last ones finish, usage and [DONE]); meanwhile a
    comment is sent each `heartbeat_s` seconds when that is given. After `cut_after` events
    the connection is reset; with `finish=None` and `done=False` the stream ends politely but
    without saying so. `usage` replaces what the server counts; `{}` leaves it out.
    """

    text: str = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    disconnect: bool = False
    stream: bool | None = None
    piece: int = 8
    hold: Event | None = None
    hold_after: int = 0
    heartbeat_s: float | None = None
    cut_after: int | None = None
    finish: str | None = "stop"
    done: bool = True
    refusal: str = ""
    reasoning: str = ""
    message: Mapping[str, Any] = field(default_factory=dict)  # laid over message or last delta
    usage: Mapping[str, Any] | None = None


Scripted = str | Answer | Callable[[Body], str | Answer]


@dataclass(frozen=True)
class Request:
    """What a client sent: header names in lower case, `body` {} when there was none."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Body


def tokens(text: str) -> int:
    """What the server counts: four characters are a token."""
    return math.ceil(len(text) / 4)


def vector(text: str) -> list[float]:
    """A bag of words of unit length: texts that share words are near each other."""
    counts = [0.0] * DIMENSIONS
    for word in re.findall(r"\w+", text.lower()) or [""]:
        counts[zlib.crc32(word.encode("utf-8", "replace")) % DIMENSIONS] += 1.0
    length = math.sqrt(sum(c * c for c in counts))
    return [c / length for c in counts]


class FakeOpenAI:
    """A context manager; `base_url`, `requests`, `chats` and `embeddings` are what tests read.

    `usage=False` tells no usage. `embeds=False` answers /embeddings with 404. `check` sees
    each chat request first; an `Answer` from it is sent without taking one from the script
    (a server that refuses a parameter). `routes` answers other paths, such as "/props",
    with JSON. `window` is told by /v1/models as `context_length`. `vector_of` makes the
    embedding of a text. `key`: any other one is refused with 401.
    """

    def __init__(
        self,
        answers: Iterable[Scripted] = (),
        *,
        usage: bool = True,
        embeds: bool = True,
        models: Sequence[str] = ("fake-model",),
        window: int | None = None,
        check: Callable[[Body], Answer | None] | None = None,
        routes: Mapping[str, Any] | None = None,
        vector_of: Callable[[str], list[float]] = vector,
        key: str = "",
    ) -> None:
        self.requests: list[Request] = []
        self._answers = list(answers)
        self._usage = usage
        self._embeds = embeds
        told: Body = {} if window is None else {"context_length": window}
        self._models = [{"id": m, "object": "model", **told} for m in models]
        self._check = check
        self._routes = dict(routes or {})
        self._vector_of = vector_of
        self._authorization = f"Bearer {key}" if key else None
        self._changed = Condition()
        self._prompts: list[list[str]] = []
        self._holds: list[Event] = []
        self._closing = False
        self._connections: set[socket.socket] = set()
        self.clients: set[int] = set()  # the ports that connections came from

    def __enter__(self) -> Self:
        self._server = _Server(self)
        self.port: int = self._server.server_address[1]
        self.base_url = f"http://127.0.0.1:{self.port}/v1"
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        with self._changed:
            self._closing = True
            for hold in self._holds:
                hold.set()
            for connection in self._connections:
                _shut(connection)
        self._thread.join()
        self._server.server_close()  # joins the threads of all requests

    @property
    def chats(self) -> list[Body]:
        """The bodies of the chat requests, in order."""
        return [r.body for r in self._seen("/chat/completions")]

    @property
    def embeddings(self) -> list[Body]:
        """The bodies of the embedding requests, in order."""
        return [r.body for r in self._seen("/embeddings")]

    def wait_for(self, count: int, timeout_s: float = 10.0) -> bool:
        """Wait until so many requests of any kind have come; False when they did not."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self.requests) >= count, timeout_s)

    def wait_for_chats(self, count: int, timeout_s: float = 30.0) -> bool:
        """The same for chat requests."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self.chats) >= count, timeout_s)

    def _seen(self, end: str) -> list[Request]:
        with self._changed:
            return [r for r in self.requests if r.path.endswith(end)]

    def _record(self, request: Request) -> None:
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()

    def _answer(self, request: Request) -> Answer:
        """What to send; a completion's usage is counted here, in the order of arrival."""
        path = request.path.partition("?")[0]
        if self._authorization not in (None, request.headers.get("authorization")):
            return Answer(status=401, body={"error": {"message": "Incorrect API key provided"}})
        if path in self._routes:
            return as_answer(self._routes[path], request.body)
        if path.endswith("/models"):
            return Answer(body={"object": "list", "data": self._models})
        if path.endswith("/embeddings") and self._embeds:
            return Answer(body=_embedded(request.body, self._vector_of))
        if not path.endswith("/chat/completions"):
            return Answer(status=404, body={"error": {"message": f"no {path} here"}})
        refused = self._check(request.body) if self._check else None
        with self._changed:
            return refused or self._next(request.body)

    def _release_at_end(self, hold: Event) -> None:
        with self._changed:
            self._holds.append(hold)
            if self._closing:
                hold.set()

    def _next(self, body: Body) -> Answer:
        if self._answers:
            return as_answer(self._answers.pop(0), body)
        return Answer(status=500, body={"error": {"message": "the script has no more answers"}})

    def _counted(self, body: Body, answer: Answer) -> Mapping[str, Any] | None:
        if answer.usage is not None or not self._usage:
            return answer.usage or None
        prompt = [json.dumps(m) for m in body["messages"]]
        with self._changed:
            cached = max((_common(prompt, earlier) for earlier in self._prompts), default=0)
            self._prompts.append(prompt)
        counts = [tokens(m) for m in prompt]
        completion = tokens(answer.text) + tokens(answer.reasoning)
        return {
            "prompt_tokens": sum(counts),
            "completion_tokens": completion,
            "total_tokens": sum(counts) + completion,
            "prompt_tokens_details": {"cached_tokens": sum(counts[:cached])},
            "completion_tokens_details": {"reasoning_tokens": tokens(answer.reasoning)},
        }


def as_answer(scripted: Any, body: Body) -> Answer:
    """What is sent for an answer as a test writes it."""
    given = scripted(body) if callable(scripted) else scripted
    if isinstance(given, Answer):
        return given
    return Answer(text=given) if isinstance(given, str) else Answer(body=given)


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """How many messages both begin with, as a provider's prompt cache sees it."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))


def _embedded(body: Body, vector_of: Callable[[str], list[float]]) -> Body:
    given = body["input"]
    texts = [given] if isinstance(given, str) else given
    rows = [
        {"object": "embedding", "index": i, "embedding": vector_of(t)} for i, t in enumerate(texts)
    ]
    count = sum(tokens(t) for t in texts)
    usage = {"prompt_tokens": count, "total_tokens": count}
    return {"object": "list", "data": rows, "model": body["model"], "usage": usage}


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # the client was quicker


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 128

    def __init__(self, fake: FakeOpenAI) -> None:
        self.fake = fake
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is part of the tests; anything else is shown."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        with self.server.fake._changed:
            self.server.fake._connections.add(self.connection)
            self.server.fake.clients.add(self.client_address[1])

    def finish(self) -> None:
        with self.server.fake._changed:
            self.server.fake._connections.discard(self.connection)
        try:
            super().finish()
        except OSError:
            return  # what was still to be flushed has no reader

    def log_message(self, format: str, *args: Any) -> None:
        """Silent: the requests are kept in `requests`."""

    def do_GET(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length)
        if len(raw) < length:  # a client that died in the middle of its request asked nothing
            self.close_connection = True
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers, json.loads(raw) if raw else {})
        self.server.fake._record(request)
        answer = self.server.fake._answer(request)
        if answer.hold:
            self.server.fake._release_at_end(answer.hold)
        if answer.hold and not answer.hold_after and answer.heartbeat_s is None:
            answer.hold.wait(_LONGEST_WAIT_S)
        if answer.disconnect:
            self._reset()
        elif answer.body is not None or answer.status != 200:
            self._send_whole(answer, answer.body)
        else:
            self._complete(request.body, answer)

    def _complete(self, body: Body, answer: Answer) -> None:
        usage = self.server.fake._counted(body, answer)
        streamed = body.get("stream", False) if answer.stream is None else answer.stream
        if not streamed:
            self._send_whole(answer, _completion(body, answer, usage))
            return
        wanted = (body.get("stream_options") or {}).get("include_usage")
        self._send_stream(body, answer, usage if wanted else None)

    def _send_whole(self, answer: Answer, body: Any) -> None:
        content = body if isinstance(body, bytes) else b""
        kind = "application/json"
        if isinstance(body, str):
            content, kind = body.encode(), "text/html"
        elif body is not None and not isinstance(body, bytes):
            content = json.dumps(body).encode()
        self.send_response(answer.status)
        for name, value in {"Content-Type": kind, **answer.headers}.items():
            self.send_header(name, value)
        if "Content-Length" not in answer.headers:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        if "Content-Length" in answer.headers:
            self.close_connection = True  # the length is a lie: only the end tells

    def _send_stream(self, body: Body, answer: Answer, usage: Mapping[str, Any] | None) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number, event in enumerate([*_events(body, answer, usage), ""]):
            if number == answer.cut_after:
                self._reset()
                return
            if answer.hold and number == answer.hold_after:
                self._beat(answer.hold, answer.heartbeat_s)
            self._send_chunk(event.encode())  # an empty chunk is the end

    def _beat(self, hold: Event, heartbeat_s: float | None) -> None:
        while not hold.wait(heartbeat_s or _LONGEST_WAIT_S) and heartbeat_s:
            self._send_chunk(b": still here\n\n")

    def _send_chunk(self, content: bytes) -> None:
        self.wfile.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        # rfile and wfile share the descriptor; it is closed, and so reset, with the last of them
        self.rfile.close()
        self.connection.close()


def _frame(body: Body) -> Body:
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": body["model"]}


def _completion(body: Body, answer: Answer, usage: Mapping[str, Any] | None) -> Body:
    message: Body = {"role": "assistant", "content": answer.text, **answer.message}
    if answer.refusal:
        message |= {"refusal": answer.refusal}
    if answer.reasoning:
        message["reasoning_content"] = answer.reasoning
    choice: Body = {"index": 0, "message": message, "finish_reason": answer.finish}
    whole = {**_frame(body), "object": "chat.completion", "choices": [choice]}
    return whole if usage is None else {**whole, "usage": usage}


def _deltas(body: Body, answer: Answer) -> list[Body]:
    size = answer.piece
    deltas: list[Mapping[str, Any]] = [{"role": "assistant", "content": ""}]
    for name, text in (
        ("reasoning_content", answer.reasoning),
        ("content", answer.text),
        ("refusal", answer.refusal),
    ):
        deltas += [{name: text[i : i + size]} for i in range(0, len(text), size)]
    choices: list[Body] = [{"index": 0, "delta": d, "finish_reason": None} for d in deltas]
    choices.append({"index": 0, "delta": dict(answer.message), "finish_reason": answer.finish})
    return [{**_frame(body), "choices": [choice]} for choice in choices]


def _events(body: Body, answer: Answer, usage: Mapping[str, Any] | None) -> list[str]:
    events = [json.dumps(event) for event in _deltas(body, answer)]
    if usage is not None:
        events.append(json.dumps({**_frame(body), "choices": [], "usage": usage}))
    if answer.done:
        events.append("[DONE]")
    return [f"data: {event}\n\n" for event in events]
