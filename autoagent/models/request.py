"""The bodies of requests to a model server."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from autoagent.model import Format, Message
from autoagent.models.learned import Facts

EMBED_TEXTS = 128  # in one request
EMBED_CHARACTERS = 6_000  # of one text: within 8,192 tokens, OpenAI's limit, also for Chinese

_SCHEMA = {
    "type": "object",
    "properties": {
        "thoughts": {"type": "string"},
        "reasoning": {"type": "string"},
        "plan": {"type": "array", "items": {"type": "string"}},
        "criticism": {"type": "string"},
        "command": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "args": {"type": "object"}},
            "required": ["name", "args"],
        },
    },
    "required": ["thoughts", "reasoning", "criticism", "command"],
}
_FORMATS: Mapping[Format, Any] = {
    "json_object": {"type": "json_object"},
    "json_schema": {"type": "json_schema", "json_schema": {"name": "reply", "schema": _SCHEMA}},
}


def chat_body(
    model: str,
    messages: Sequence[Message],
    cap: Mapping[str, int],
    format: Format,
    options: Mapping[str, Any],
    facts: Facts,
) -> dict[str, Any]:
    """A chat request as this server takes it; `cap` is one parameter with its value.

    An option that is None, or that the server refused before, is left out. A format isn't
    an option: the agent steps down when it is refused.
    """
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": m.role, "content": encodable(m.content)} for m in messages],
        **cap,
    }
    if format in _FORMATS:
        body["response_format"] = _FORMATS[format]
    if facts.streams:
        options = {**options, "stream": True, "stream_options": {"include_usage": True}}
    given = {k: v for k, v in options.items() if v is not None and k not in facts.dropped}
    return body | given


def embedding_body(model: str, texts: Sequence[str], size: int, facts: Facts) -> dict[str, Any]:
    """An embedding request for the first `size` characters of each text; none may be empty."""
    body = {"model": model, "input": [encodable(text)[:size] or " " for text in texts]}
    return body if "encoding_format" in facts.dropped else body | {"encoding_format": "float"}


def batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """The texts in order, as many at a time as one request takes."""
    for start in range(0, len(texts), EMBED_TEXTS):
        yield texts[start : start + EMBED_TEXTS]


def encodable(text: str) -> str:
    """The text as UTF-8 can carry it: a lone surrogate becomes a replacement character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
