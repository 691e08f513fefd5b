"""The folders of sessions, and which of them is meant."""

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from autoagent.configuration.places import private_folder
from autoagent.errors import ConfigError, StateError
from autoagent.events import Started
from autoagent.journal import first_of, load

JOURNAL = "journal.jsonl"


def new_id() -> str:
    """Sorts by time, also within a second: `20261120-231800-5f3a`, of which the last digits are
    4096ths of it and a random one."""
    now = time.time()
    fraction = int(now % 1 * 0x1000)
    second = time.strftime("%Y%m%d-%H%M%S", time.localtime(now))
    return f"{second}-{fraction:03x}{secrets.randbelow(16):x}"


@dataclass(frozen=True, slots=True)
class Kept:
    """A session on disk, by its first event."""

    folder: Path
    started: Started

    @property
    def journal(self) -> Path:
        return self.folder / JOURNAL


def folders(sessions: Path) -> list[Path]:
    """The folders that hold a journal, the newest first."""
    try:
        found = sorted(sessions.iterdir(), reverse=True)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StateError(
            f"{str(sessions)!r} can't be read: {error.strerror}. "
            "AUTOAGENT_HOME names the folder that it lies in."
        ) from error
    # A name with a dot is one that is being removed.
    return [each for each in found if each.name[0] != "." and (each / JOURNAL).exists()]


def kept(sessions: Path) -> Iterator[Kept]:
    """Every session whose beginning can be read, the newest first."""
    for folder in folders(sessions):
        started = first_of(folder / JOURNAL)
        if started is not None:
            yield Kept(folder, started)


def find(sessions: Path, wanted: str, workspace: Path) -> Kept:
    """The session of that ID, or with "" the newest of this workspace.

    ConfigError names the nearest ID there is.
    """
    if wanted:
        folder = named(sessions, wanted)
        found = first_of(folder / JOURNAL)
        if found is None:
            load(folder / JOURNAL)  # says what is wrong with it
            raise StateError(
                f"The journal of session {wanted} has no readable beginning, so it can't be "
                f"resumed. To remove it: autoagent sessions delete {wanted}"
            )
        return Kept(folder, found)
    for each in kept(sessions):
        if each.started.workspace == str(workspace):
            return each
    raise ConfigError(
        f"No session was run in {str(workspace)!r} yet; start one with --goal, or name one: "
        "autoagent sessions list"
    )


def named(sessions: Path, wanted: str) -> Path:
    """The folder of the session of that ID, readable or not; ConfigError names the nearest."""
    if _is_name(wanted) and (sessions / wanted / JOURNAL).exists():
        return sessions / wanted
    near = get_close_matches(wanted, [folder.name for folder in folders(sessions)], 1)
    hint = f" Did you mean {near[0]}?" if near else " See: autoagent sessions list"
    raise ConfigError(f"There is no session {wanted!r:.80}.{hint}")


def _is_name(text: str) -> bool:
    return 0 < len(text) < 200 and text[0] != "." and not {"/", "\0"} & set(text)


def new_folder(sessions: Path) -> Path:
    """A folder for a new session, 0700."""
    private_folder(sessions)
    while True:
        folder = sessions / new_id()
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            continue  # another run began in the same moment
        except OSError as error:
            raise StateError(f"{folder} can't be made: {error.strerror}.") from error
        return folder
