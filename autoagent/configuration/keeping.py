"""Variables put into the user's own .env, where later runs find them."""

import io
import os
import re
from collections.abc import Mapping
from pathlib import Path

from autoagent.configuration.places import Places, private_folder
from autoagent.configuration.trust import read
from autoagent.errors import ConfigError, StateError
from commands.atomic import replace

_MODE = 0o600
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+=-]+")


def keep(places: Places, variables: Mapping[str, str]) -> Path:
    """Put them into the .env of `places.config`, whole or not at all; where it stands.

    Its other lines stay as they are; afterwards only its owner can read it. ConfigError when
    it can't be read as settings, StateError when it can't be written.
    """
    path = places.config / ".env"
    real = path.resolve()  # a link to a file that the user keeps elsewhere stays one
    content = text_with(_text(real), variables).encode()
    private_folder(real.parent)
    try:
        folder = os.open(real.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            before = os.stat(real.name, dir_fd=folder) if real.exists() else None
            replace(folder, real.name, content, before, mode=_MODE)
        finally:
            os.close(folder)
    except OSError as error:
        raise StateError(
            f"{str(path)!r} can't be written: {error.strerror}. Nothing was kept; set "
            f"{' and '.join(variables)} in the environment, or AUTOAGENT_HOME to a folder that "
            "you can write in."
        ) from None
    return path


def text_with(text: str, variables: Mapping[str, str]) -> str:
    """A .env's text in which each variable stands once, with its new value."""
    from dotenv.parser import parse_stream

    waiting = dict(variables)
    parts = []
    for binding in parse_stream(io.StringIO(text)):
        original = binding.original.string
        if binding.key not in variables:
            parts.append(original)
            continue
        parts.append(original[: len(original) - len(original.lstrip())])
        if binding.key in waiting:
            parts.append(_line(binding.key, waiting.pop(binding.key)))
    kept = "".join(parts)
    if waiting and kept and not kept.endswith(("\n", "\r")):
        kept += "\n"
    return kept + "".join(_line(name, value) for name, value in waiting.items())


def _line(name: str, value: str) -> str:
    if not _PLAIN.fullmatch(value):
        value = "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return f"{name}={value}\n"


def _text(path: Path) -> str:
    try:
        return (read(path) or b"").decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{str(path)!r} isn't UTF-8; save it as UTF-8.") from None
