"""A memory as a line of JSON, with its vectors, and back."""

import base64
import binascii
import json
from typing import Any

from memory_store.records import Memory, StoreError
from memory_store.schema import Vector

_TOLERANCE = 1e-3  # of the squared length; what was normalised in float32 is well within


def line(memory: Memory, vectors: list[Vector]) -> str:
    """One line of ASCII: text, source, session, step, part, time (seconds since 1970), vectors.

    Each vector has model and float32: its numbers, little-endian, in base64.
    """
    return json.dumps(
        {
            "text": memory.text,
            "source": memory.source,
            "session": memory.session,
            "step": memory.step,
            "part": memory.part,
            "time": memory.time,
            "vectors": [
                {"model": v.model, "float32": base64.b64encode(v.numbers).decode("ascii")}
                for v in vectors
            ],
        }
    )


def read(line: str, number: int) -> tuple[Memory, list[Vector]]:
    """The memory of a line, its id 0; `number` counts lines from 1, for the StoreError."""
    try:
        found = json.loads(line)
        memory = Memory(
            0,
            _of(str, found["text"]),
            _of(str, found.get("source", "")),
            _of(str, found.get("session", "")),
            _of(int, found.get("step", 0)),
            _of(int, found.get("part", 0)),
            float(found["time"]),
        )
        vectors = [_vector(vector) for vector in found.get("vectors", [])]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StoreError(
            f"line {number} is not a memory ({error!r:.200}): {line.strip():.80}."
            " Mend or remove it."
        ) from error
    return memory, vectors


def _of(kind: type[Any], value: object) -> Any:
    if type(value) is not kind:
        raise TypeError(f"{value!r:.80} is not of type {kind.__name__}")
    return value


def _vector(found: dict[str, Any]) -> Vector:
    from numpy import frombuffer

    try:
        numbers = base64.b64decode(found["float32"], validate=True)
    except binascii.Error as error:
        raise ValueError(f"a vector is not base64: {error}") from error
    vector = frombuffer(numbers, dtype="<f4")
    if not abs(float(vector @ vector) - 1) < _TOLERANCE:
        raise ValueError("a vector is not of length 1")
    return Vector(_of(str, found["model"]), len(vector), numbers)
