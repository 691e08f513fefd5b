"""What model servers tell of themselves: those of this machine found, any one asked its limits."""

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
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
_OLLAMA = "/api/version"  # only Ollama answers there
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
    base_url: str,
    model: str,
    key: str | None = None,
    *,
    timeout_s: float = 2.0,
    load_s: float = 0.0,
) -> ModelCard:
    """Window, largest completion and price as the server tells them; None for what it doesn't.

    Only this server is asked, for timeout_s seconds in all; nothing is followed elsewhere.
    What is loaded now (llama.cpp /props, LM Studio, Ollama /api/ps) goes before what is
    listed. Ollama tells the window only once the model is loaded, or where the model file
    sets it: where it doesn't, Ollama is made to load the model, within load_s seconds.
    """
    url = checked_url(base_url)
    told = _answers(url, model, key or "", timeout_s)
    window = _loaded(told, model)
    if window is None and load_s and _is_ollama(told[_OLLAMA]):
        window = _after_loading(url.removesuffix("/v1"), model, key or "", load_s)
    listed = _listed(told["/models"], model)
    top = listed.get("top_provider") or {}
    return ModelCard(
        model,
        window=window or next(filter(None, (_size(listed.get(n)) for n in _WINDOWS)), None),
        max_completion=_size(top.get("max_completion_tokens")) if isinstance(top, dict) else None,
        price=_price(listed.get("pricing")),
    )


def listed_models(
    base_url: str, key: str | None = None, *, timeout_s: float = 5.0
) -> tuple[str, ...]:
    """The names of a server's models as it lists them; () when it doesn't."""
    url = checked_url(base_url) + "/models"
    until = time.monotonic() + timeout_s
    answer = _before(until, _in_background(lambda: (_json(url, key or "", until),)))
    rows = _rows(answer[0], "data") if answer else []
    return tuple(str(row["id"]) for row in rows if row.get("id"))


def answers_chat(base_url: str, model: str, *, timeout_s: float) -> bool | None:
    """Whether a model of a server on this machine answers one short message.

    False when the server refuses it (an embedding model, one that doesn't fit in memory);
    None when it is silent for timeout_s seconds: it may still be loading.
    """
    body = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
    until = time.monotonic() + timeout_s
    url = checked_url(base_url) + "/chat/completions"
    answer = _before(until, _in_background(lambda: (_json(url, "", until, body),)))
    if answer is None or (answer[0] is None and time.monotonic() >= until):
        return None
    return bool(_rows(answer[0], "choices"))


def is_ollama(base_url: str, *, timeout_s: float = 1.0) -> bool:
    """Whether that server is Ollama, which cuts what is too long without a word."""
    url = checked_url(base_url).removesuffix("/v1") + _OLLAMA
    until = time.monotonic() + timeout_s
    return _is_ollama(_before(until, _in_background(lambda: _json(url, "", until))))


def _answers(url: str, model: str, key: str, timeout_s: float) -> dict[str, Any]:
    """What the server says at each address where one of them tells something; all at once."""
    until = time.monotonic() + timeout_s
    root = url.removesuffix("/v1")
    bodies = {"/api/show": {"model": model}}
    places = {"/models": url} | dict.fromkeys(
        ("/props", "/api/v0/models", "/api/ps", "/api/show", _OLLAMA), root
    )
    asked = {
        path: _in_background(partial(_json, place + path, key, until, bodies.get(path)))
        for path, place in places.items()
    }
    return {path: _before(until, answer) for path, answer in asked.items()}


def _loaded(told: Mapping[str, Any], model: str) -> int | None:
    """The window that the model has now, or will have for certain."""
    return (
        _loaded_llama(told["/props"])
        or _loaded_lm_studio(told["/api/v0/models"], model)
        or _loaded_ollama(told["/api/ps"], model)
        or _set_ollama(told["/api/show"])
    )


def _is_ollama(answer: Any) -> bool:
    return isinstance(answer, dict) and "version" in answer


def _after_loading(root: str, model: str, key: str, load_s: float) -> int | None:
    """The window that Ollama gives the model; a request without a prompt only loads it."""
    until = time.monotonic() + load_s

    def ask() -> int | None:
        _json(root + "/api/generate", key, until, {"model": model, "stream": False})
        return _loaded_ollama(_json(root + "/api/ps", key, until), model)

    return _before(until, _in_background(ask))


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
