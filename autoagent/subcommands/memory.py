"""The subcommand memory: what is remembered, shown, added to, taken out, carried elsewhere."""

import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoagent.configuration.places import private_folder
from autoagent.configuration.secrets import Redactor
from autoagent.configuration.settings import Settings
from autoagent.errors import ConfigError, StateError
from autoagent.longterm.memory import ASKED_FLOOR
from autoagent.longterm.pieces import pieces
from autoagent.marks import is_web, trusted
from autoagent.terminal.escape import escaped, one_line
from autoagent.terminal.output import Output
from commands.atomic import synced

if TYPE_CHECKING:
    from memory_store import Hit, Memory
    from memory_store.sqlite import Store

_FOUND = 20
_UNCLIPPED = 1 << 30  # columns


def run(words: Sequence[str], session: str | None, settings: Settings, out: Output) -> int:
    """`autoagent memory ACTION …`; `words` begin with the action. The exit code."""
    if settings.memory is None:
        raise ConfigError("--memory none has nothing in it; leave it out, or name another.")
    action, *arguments = words
    if session is not None and action not in ("list", "search"):
        raise ConfigError(f"--session goes with list and search, not with {action}.")
    makes = action in ("add", "import")
    path = settings.places.memory(settings.memory)
    if not makes and not path.exists():
        return _nothing_yet(path, action, settings, out)
    private_folder(path.parent)
    with _opened(path, out) as store:
        match action:
            case "list":
                return _list(store, session, settings, out)
            case "search":
                return _search(store, arguments[0], session, settings, out)
            case "add":
                return _add(store, arguments[0], settings, out)
            case "delete":
                return _delete(store, arguments, settings, out)
            case "trust":
                return _trust(store, arguments, out)
            case "export":
                return _export(store, arguments[0] if arguments else "-", out)
            case "import":
                return _import(store, arguments[0], out)
    from autoagent.longterm.reembedding import reembed

    with _opened(path, out) as store:
        return reembed(store, settings, out)


def _nothing_yet(path: Path, action: str, settings: Settings, out: Output) -> int:
    if action in ("delete", "trust"):
        raise ConfigError(f"There is no memory yet: {path} isn't there.")
    if settings.output_format == "text" and action != "export":
        out.line("No memory yet.")
    elif settings.output_format == "json" and action in ("list", "search"):
        return _show(iter(()), settings, out)
    return 0


@contextmanager
def _opened(path: Path, out: Output) -> Iterator["Store"]:
    from memory_store import StoreError, open_store

    try:
        with open_store(path) as store:
            for notice in store.notices:
                Output(sys.stderr).line(f"autoagent: {escaped(notice)}")
            yield store
    except StoreError as error:
        raise StateError(str(error)) from error


# What is shown.


def _of_memory(memory: "Memory") -> dict[str, Any]:
    """What a program gets of it; `time` in seconds since 1970."""
    return {name: getattr(memory, name) for name in memory.__slots__}


def _of_hit(hit: "Hit") -> dict[str, Any]:
    return {**_of_memory(hit.memory), "score": hit.score, "words": hit.words}


def _show(found: Iterable[dict[str, Any]], settings: Settings, out: Output) -> int:
    """A line each, or one object of all of them."""
    match settings.output_format:
        case "text":
            for each in found:
                out.line(_line(each, out))
        case "stream-json":
            for each in found:
                out.line(json.dumps({"type": "memory", **each}))
        case "json":
            whole = {"type": "memories", "memory": settings.memory, "memories": list(found)}
            out.line(json.dumps(whole))
    return 0


def _line(memory: dict[str, Any], out: Output) -> str:
    day = datetime.fromtimestamp(memory["time"]).astimezone().date()
    where = f"{memory['session']} step {memory['step']}" if memory["session"] else "by hand"
    room = out.width if out.is_terminal else _UNCLIPPED
    text = f"{memory['id']} {day} {memory['source']}, {where}: {memory['text']}"
    return one_line(text, room)


def _list(store: "Store", session: str | None, settings: Settings, out: Output) -> int:
    found = [m for m in store.every() if _is_of(m.session, session)]
    if not found and session is not None and settings.output_format == "text":
        out.line(f"Nothing of session {escaped(session)} is in this memory.")
        return 0
    return _show(map(_of_memory, found), settings, out)


def _is_of(session: str, wanted: str | None) -> bool:
    """Whether a memory's session is the wanted one, or a sub-agent's of it."""
    return wanted is None or f"{session}/".startswith(f"{wanted}/")


def _search(store: "Store", text: str, session: str | None, settings: Settings, out: Output) -> int:
    """By words alone: no server is asked."""
    sessions = None
    if session is not None:
        sessions = {m.session for m in store.every() if _is_of(m.session, session)} | {session}
    hits = store.nearest(text, k=_FOUND, sessions=sessions, words_floor=ASKED_FLOOR)
    if not hits and settings.output_format == "text":
        out.line("Nothing found by these words.")
        return 0
    return _show(map(_of_hit, hits), settings, out)


# What is changed.


def _add(store: "Store", text: str, settings: Settings, out: Output) -> int:
    if not text.strip():
        raise ConfigError("The text is empty; say what is to be remembered.")
    kept = pieces(Redactor(settings.secrets).clean(text))
    ids = [store.add(piece, source="person") for piece in kept]
    out.line(f"Kept as {', '.join(map(str, ids))}.")
    return 0


def _meant(store: "Store", words: Sequence[str], done: str) -> list["Memory"]:
    """All memories of these numbers; ConfigError when one is missing, before any is `done`."""
    ids = list(dict.fromkeys(map(_number, words)))
    found = store.get(ids)
    missing = set(ids) - {memory.id for memory in found}
    if missing:
        raise ConfigError(f"There is no memory {min(missing)}; nothing was {done}.")
    return found


def _trust(store: "Store", words: Sequence[str], out: Output) -> int:
    """They were read by a person, so a session that recalls them need not be careful."""
    found = _meant(store, words, "changed")
    for memory in found:
        if not is_web(memory.source):
            said = f"Memory {memory.id} isn't of the web but {memory.source}; nothing was changed."
            if memory.source.endswith(trusted("")):
                said = f"Memory {memory.id} is trusted already; nothing was changed."
            raise ConfigError(said)
    for memory in found:
        if not store.relabel(memory.id, trusted(memory.source)):
            said = f"Memory {memory.id} stands there under that label already; delete one of them."
            raise ConfigError(said)
    for memory in store.get(memory.id for memory in found):
        out.line(f"Trusted {_line(_of_memory(memory), out)}")
    return 0


def _delete(store: "Store", words: Sequence[str], settings: Settings, out: Output) -> int:
    found = _meant(store, words, "deleted")
    for memory in found:
        store.delete(memory.id)
        out.line(f"Deleted {_line(_of_memory(memory), out)}")
    store.scrub()
    for line in _left(store.path, found, settings):
        out.line(line)
    return 0


def _number(word: str) -> int:
    with suppress(ValueError):
        if 0 < int(word) < 1 << 63:
            return int(word)
    raise ConfigError(f"{word!r} is no memory's number; see: autoagent memory list")


def _left(path: Path, deleted: Sequence["Memory"], settings: Settings) -> Iterator[str]:
    """Where the same text still stands, which isn't ours to take out of there unasked."""
    # A sub-agent's journal lies in the folder of its session.
    names = {memory.session.partition("/")[0] for memory in deleted} - {"", ".", ".."}
    folders = [settings.places.sessions / name for name in sorted(names)]
    standing = [folder for folder in folders if folder.is_dir()]
    if standing:
        yield "It still stands in the journal and the results of the session it came from:"
        yield from (f"  {escaped(str(folder))}" for folder in standing)
        names_left = " ".join(folder.name for folder in standing)
        yield f"To purge it: autoagent sessions delete {escaped(names_left)}"
        yield "What is deleted can't be resumed or undone."
    logs = (f"{path.name}-wal", f"{path.name}-shm")
    copies = sorted(each for each in path.parent.glob(f"{path.name}?*") if each.name not in logs)
    if copies:
        yield "Older copies of the memory may hold it, too; delete them if you don't need them:"
        yield from (f"  {escaped(str(copy))}" for copy in copies)


# What goes elsewhere and comes from there.


def _export(store: "Store", name: str, out: Output) -> int:
    if name == "-":
        store.export(out)
        return 0
    target = Path(name)
    with _beside(target) as (file, keep):
        count = store.export(file)
        keep()
    out.line(f"{count} {_memories(count)} written to {escaped(name)}.")
    return 0


@contextmanager
def _beside(target: Path) -> Iterator[tuple[Any, Callable[[], None]]]:
    """A new file (0600) that takes the target's place when it is kept, and else goes."""
    try:
        with tempfile.NamedTemporaryFile(
            "w", dir=target.parent, prefix=f".{target.name}-", encoding="ascii", delete=False
        ) as file:

            def keep() -> None:
                file.flush()
                synced(file.fileno())
                Path(file.name).replace(target)

            try:
                yield file, keep
            finally:
                Path(file.name).unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"{str(target)!r} can't be written: {error.strerror}.") from error


def _import(store: "Store", name: str, out: Output) -> int:
    from memory_store import StoreError

    before = len(store)
    try:
        if name == "-":
            count = store.import_(sys.stdin)
        else:
            with Path(name).open(encoding="utf-8", errors="replace") as file:
                count = store.import_(file)
    except OSError as error:
        raise ConfigError(f"{name!r} can't be read: {error.strerror}.") from error
    except StoreError as error:
        raise ConfigError(f"Nothing was imported: {error}") from error
    out.line(f"{count} {_memories(count)} added; there are {before + count} now.")
    return 0


def _memories(count: int) -> str:
    return "memory" if count == 1 else "memories"
