"""What model servers tell of themselves: those of this machine found, any one asked its limits."""

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, TypeVar
from urllib.parse import urlsplit

from autoagent.model import ModelCard, Price
from autoagent.models.address import checked_url

T = TypeVar("T")

LOCAL_PORTS = (11434, 1234, 8080, 8000)
_USUAL = {11434: "Ollama", 1234: "LM Studio", 8080: "llama.cpp", 8000: "vLLM"}
_OWNERS = {"library": "Ollama", "llamacpp": "llama.cpp", "vllm": "vLLM"}
_OWNERS |= {"organization_owner": "LM Studio"}
_LARGEST_BYTES = 16 * 1024 * 1024
_WINDOWS = ("max_model_len", "context_length", "context_window", "max_context_length")


@dataclass(frozen=True, slots=True)
class LocalServer:
    """A model server that answers on this machine; `models` as it lists them, () when none."""

    name: str
    base_url: str
    models: tuple[str, ...]


def find_local(
    ports: Sequence[int] = LOCAL_PORTS, *, timeout_s: float = 1.0
) -> tuple[LocalServer, ...]:
    """The model servers at these ports of 127.0.0.1, in the order of the ports.

    All are asked at once; what doesn't list models like one within timeout_s is none.
    """
    asked = [_in_background(partial(_local, port, timeout_s)) for port in ports]
    until = time.monotonic() + timeout_s
    found = [_before(until, answer) for answer in asked]
    return tuple(server for server in found if server is not None)


def ask_server(
    base_url: str, model: str, key: str | None = None, *, timeout_s: float = 2.0
) -> ModelCard:
    """Window, largest completion and price as the server tells them; None for what it doesn't.

    Only this server is asked, for timeout_s seconds in all; nothing is followed elsewhere.
    What is loaded now (llama.cpp /props, LM Studio, Ollama /api/ps) goes before what is
    listed. Ollama tells the window only once the model is loaded, or where the model file
    sets it: ask again after the first reply.
    """
    url = checked_url(base_url)
    until = time.monotonic() + timeout_s
    answer = _in_background(lambda: _asked(url, model, key or "", until))
    return _before(until, answer) or ModelCard(model)


def _asked(url: str, model: str, key: str, until: float) -> ModelCard:
    def get(path: str, body: Any = None) -> Any:
        return _json(path, key, until, body)

    root = url.removesuffix("/v1")
    listed = _listed(get(url + "/models"), model)
    loaded = (
        _loaded_llama(get(root + "/props"))
        or _loaded_lm_studio(get(root + "/api/v0/models"), model)
        or _loaded_ollama(get(root + "/api/ps"), model)
        or _set_ollama(get(root + "/api/show", {"model": model}))
    )
    top = listed.get("top_provider") or {}
    return ModelCard(
        model,
        window=loaded or next(filter(None, (_size(listed.get(n)) for n in _WINDOWS)), None),
        max_completion=_size(top.get("max_completion_tokens")) if isinstance(top, dict) else None,
        price=_price(listed.get("pricing")),
    )


def _listed(answer: Any, model: str) -> dict[str, Any]:
    """The model's own entry in a list; the only one when a server has just one, by any name."""
    rows = _rows(answer, "data")
    named = [row for row in rows if row.get("id") == model]
    return (named or (rows if len(rows) == 1 else []) or [{}])[0]


def _rows(answer: Any, name: str) -> list[dict[str, Any]]:
    rows = answer.get(name) if isinstance(answer, dict) else None
    return [r for r in rows if isinstance(r, dict)] if isinstance(rows, list) else []


def _loaded_llama(answer: Any) -> int | None:
    if not isinstance(answer, dict):
        return None
    settings = answer.get("default_generation_settings")
    inner = settings.get("n_ctx") if isinstance(settings, dict) else None
    return _size(inner) or _size(answer.get("n_ctx"))


def _loaded_lm_studio(answer: Any, model: str) -> int | None:
    return _size(_listed(answer, model).get("loaded_context_length"))


def _loaded_ollama(answer: Any, model: str) -> int | None:
    names = (model, f"{model}:latest")
    rows = (r for r in _rows(answer, "models") if r.get("name") in names)
    return next((_size(row.get("context_length")) for row in rows), None)


def _set_ollama(answer: Any) -> int | None:
    """What the model file sets: a line "num_ctx 8192" among its parameters."""
    told = answer.get("parameters") if isinstance(answer, dict) else None
    lines = (line.split() for line in told.splitlines()) if isinstance(told, str) else ()
    sizes = [
        int(line[1])
        for line in lines
        if line[:1] == ["num_ctx"] and line[1:2] and line[1].isdecimal()
    ]
    return sizes[-1] if sizes else None


def _price(told: Any) -> Price | None:
    """OpenRouter's way: US dollars per token, as strings. -1 stands for "it depends"."""
    if not isinstance(told, dict):
        return None
    prompt, completion = _dollars(told.get("prompt")), _dollars(told.get("completion"))
    if prompt is None or completion is None:
        return None
    cached = _dollars(told.get("input_cache_read"))
    return Price(prompt, prompt if cached is None else cached, completion)


def _dollars(told: Any) -> float | None:
    try:
        million = float(told) * 1e6
    except (TypeError, ValueError):
        return None
    return million if 0 <= million < math.inf else None


def _size(told: Any) -> int | None:
    right = isinstance(told, int) and not isinstance(told, bool) and 0 < told < 10**9
    return told if right else None


def _local(port: int, timeout_s: float) -> LocalServer | None:
    url = f"http://127.0.0.1:{port}/v1"
    answer = _json(url + "/models", "", time.monotonic() + timeout_s)
    if not isinstance(answer, dict) or not isinstance(answer.get("data") or [], list):
        return None
    if answer.get("object") != "list" and not _rows(answer, "data"):
        return None  # some other JSON: not every server on port 8000 has models
    rows = _rows(answer, "data")
    models = tuple(str(row["id"]) for row in rows if row.get("id"))
    owners = (_OWNERS.get(str(row.get("owned_by"))) for row in rows)
    name = next(filter(None, owners), None) or _USUAL.get(port, "a model server")
    return LocalServer(name, url, models)


def _json(url: str, key: str, until: float, body: Any = None) -> Any:
    """JSON from one address; None for any other answer, or none.

    http.client follows no redirect, so the key stays with the host that was asked.
    """
    import http.client

    parts = urlsplit(url)
    secure = parts.scheme == "https"
    connect = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    left = until - time.monotonic()
    if left <= 0:
        return None
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    connection = connect(parts.hostname or "", parts.port, timeout=left)
    try:
        sent = None if body is None else json.dumps(body)
        headers |= {} if sent is None else {"Content-Type": "application/json"}
        connection.request("GET" if sent is None else "POST", parts.path, sent, headers)
        answer = connection.getresponse()
        return json.loads(answer.read(_LARGEST_BYTES)) if answer.status == 200 else None
    except (OSError, ValueError, RecursionError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _in_background(work: Callable[[], T]) -> "SimpleQueue[T]":
    """A queue that will hold the outcome; a thread that hangs is left, not waited for."""
    outcome: SimpleQueue[T] = SimpleQueue()
    Thread(target=lambda: outcome.put(work()), daemon=True).start()
    return outcome


def _before(until: float, outcome: "SimpleQueue[T]") -> T | None:
    try:
        return outcome.get(timeout=max(0.0, until - time.monotonic()))
    except Empty:
        return None
