"""`autoagent sessions export`: a session as Markdown, JSON or chats, known secrets taken out."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import Any

from autoagent import sessions
from autoagent.configuration.secrets import Redactor
from autoagent.configuration.settings import Settings
from autoagent.configuration.values import from_text
from autoagent.errors import ConfigError, StateError
from autoagent.events import Executed
from autoagent.sessions import export as forms
from autoagent.sessions.summary import facts_of
from autoagent.sessions.tree import entries_of, folder_of
from autoagent.subcommands.showing import whole_results
from autoagent.terminal.escape import escaped
from autoagent.terminal.output import Output


def export(
    settings: Settings, wanted: str, form: str | None, target: str | None, out: Output
) -> int:
    """Write it to `target`, which must not exist yet, or to standard output."""
    form = from_text("markdown|json|chat", form or "markdown", "--format")
    found = sessions.find(settings.places.sessions, wanted, settings.workspace)
    clean = Redactor(settings.secrets).clean
    if form == "markdown":
        pieces = (clean(piece) for piece in _markdown(found, whole=settings.verbose))
    else:
        made = _json(found) if form == "json" else _chats(found)
        pieces = (json.dumps(_cleaned(each, clean), ensure_ascii=False) + "\n" for each in made)
    if target in (None, "-"):
        _print(pieces, out)
        return 0
    assert target is not None
    size = _write(Path(target), pieces)
    Output(sys.stderr).line(f"{escaped(target)} written, {size:,} bytes.")
    return 0


def to_new_file(settings: Settings, session: str, target: str) -> str:
    """A session's Markdown in that new file, "" for ID.md in the current folder; says where.

    ConfigError when something is there already, or it can't be written.
    """
    path = Path(target or f"{session}.md")
    with suppress(RuntimeError):  # nobody has that name
        path = path.expanduser()
    found = sessions.find(settings.places.sessions, session, settings.workspace)
    clean = Redactor(settings.secrets).clean
    size = _write(path, (clean(piece) for piece in _markdown(found, whole=settings.verbose)))
    return f"{path.absolute()} written, {size:,} bytes."


def _markdown(found: sessions.Kept, *, whole: bool) -> Iterator[str]:
    facts = facts_of(found.folder, running=sessions.holder_of(found.folder) is not None)

    def text(agent: str, event: Executed) -> str:
        return whole_results(folder_of(found.folder, agent))(event) if whole else event.text

    return forms.as_markdown(entries_of(found.folder), facts, text)


def _json(found: sessions.Kept) -> Iterator[dict[str, Any]]:
    running = sessions.holder_of(found.folder) is not None
    facts = facts_of(found.folder, running=running)
    yield {**facts, "events": [entry.to_dict() for entry in entries_of(found.folder)]}


def _chats(found: sessions.Kept) -> Iterator[dict[str, Any]]:
    entries = entries_of(found.folder)
    for agent in dict.fromkeys(entry.agent for entry in entries):
        yield from forms.as_chats([entry.event for entry in entries if entry.agent == agent])


def _cleaned(value: Any, clean: Callable[[str], str]) -> Any:
    """The same without secrets: in every text of it, names too."""
    match value:
        case str():
            return clean(value)
        case list():
            return [_cleaned(each, clean) for each in value]
        case dict():
            return {clean(name): _cleaned(each, clean) for name, each in value.items()}
    return value


def _print(pieces: Iterator[str], out: Output) -> None:
    """As it is for programs, harmless for a terminal."""
    if out.is_terminal:
        for piece in pieces:
            out.write(escaped(piece))
        return
    with suppress(OSError):  # what isn't written stays in the buffer, and main tells
        for piece in pieces:
            sys.stdout.buffer.write(piece.encode("utf-8", "backslashreplace"))
        sys.stdout.buffer.flush()


def _write(target: Path, pieces: Iterator[str]) -> int:
    """A new file (0600), there as a whole or not at all; its size in bytes."""
    from commands.atomic import rename_new, sync

    try:
        folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigError(f"{str(target)!r} can't be written: {error.strerror}.") from error
    temporary = f".autoagent-{token_hex(8)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        if target.is_symlink() or target.exists():
            raise FileExistsError
        file = os.open(temporary, flags, 0o600, dir_fd=folder)
        with open(file, "wb") as written:  # noqa: PTH123
            for piece in pieces:
                written.write(piece.encode("utf-8", "backslashreplace"))
            written.flush()
            os.fsync(file)
            size = written.tell()
        rename_new(folder, temporary, folder, target.name)
        sync(folder)
        return size
    except FileExistsError:
        raise ConfigError(
            f"{str(target)!r} is there already and was left as it is; name another, or remove it."
        ) from None
    except OSError as error:
        raise StateError(f"{str(target)!r} can't be written: {error.strerror}.") from error
    finally:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        os.close(folder)
