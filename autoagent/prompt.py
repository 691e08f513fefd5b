"""The texts that a session's prompt begins with: system text and opening message."""

import datetime
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path

from autoagent.observation import framed, must_fit
from commands.command import CommandSpec

AGENTS_BYTES = 8192
_LISTED_FILES = 24

_SOURCES = "End an answer from the web with the addresses it rests on. "
_REMEMBER = "; remember what you must not lose"
_ALONE = "There is nobody to ask."
_ATTENDED = "The user watches, may answer ask_user and may refuse a command."
_WORKSPACE, _NOWHERE = "in the workspace only", "nothing but temporary files"
_BENEATH = "Another agent gave you your task and reads your answer; it sees nothing else of you. "


def system_text(
    commands: Iterable[CommandSpec],
    *,
    interactive: bool,
    network: str,
    sub_agent: bool = False,
    read_only: bool = False,
) -> str:
    """Who the model is, how it replies, what it can do; the same for a whole session.

    `network` goes on where it says what commands may do.
    """
    template = files("autoagent").joinpath("prompts/system.md").read_text("utf-8").rstrip("\n")
    person = _ATTENDED if interactive else _ALONE
    specs = tuple(commands)
    names = {spec.name for spec in specs}
    return (
        template.replace("{person}", (_BENEATH if sub_agent else "") + person)
        .replace("{remember}", _REMEMBER if "remember" in names else "")
        .replace("{sources}", _SOURCES if "read_webpage" in names else "")
        .replace("{where}", _NOWHERE if read_only else _WORKSPACE)
        .replace("{network}", network)
        .replace("{catalogue}", "\n".join(map(line_of, specs)))
    )


def line_of(spec: CommandSpec) -> str:
    """A command as the model is told of it."""
    return f"{spec.signature} - {spec.summary}" if spec.summary else spec.signature


def opening_text(
    goals: Sequence[str],
    workspace: Path,
    *,
    tools: str,
    today: datetime.date,
    secret: str,
    verify: Sequence[str] = (),
    protect: Sequence[str] = (),
    answer_schema: Mapping[str, object] | None = None,
    context: str = "",
    persona: str = "",
) -> str:
    """The first user message: who the agent is, goals, the place, AGENTS.md, standard input.

    `tools` is what the cage said of itself (shell, Python, programs); `secret` marks the end
    of foreign text. It is journaled, so that a resumed prompt has it word for word.
    """
    facts = [f"Workspace: {workspace.name} ({workspace}). Today is {today}. {tools}".rstrip()]
    if verify:
        facts.append("Verified at the end by: " + "; ".join(verify))
    if protect:
        facts.append("Can't be changed: " + ", ".join(protect))
    facts.append(_listing(workspace))
    if answer_schema is not None:
        facts.append(f"The {must_fit(answer_schema)}")
    parts = [*([persona, ""] if persona else []), "Goals", *numbered(goals), "", *facts]
    agents = agents_md(workspace)
    if agents:
        parts.append(framed("[AGENTS.md of the workspace]", agents, secret))
    if context:
        parts.append(framed("[standard input, from the user]", context, secret))
    return "\n".join(parts)


def numbered(goals: Sequence[str]) -> list[str]:
    return [f"{number}. {goal}" for number, goal in enumerate(goals, 1)]


def _listing(workspace: Path) -> str:
    """The workspace's own entries in one line; most tasks need them first."""
    with os.scandir(workspace) as found:
        entries = sorted(_printable(e.name) + "/" * e.is_dir(follow_symlinks=False) for e in found)
    shown = ", ".join(entries[:_LISTED_FILES])
    more = f", and {len(entries) - _LISTED_FILES} more" if len(entries) > _LISTED_FILES else ""
    return f"It holds: {shown}{more}" if entries else "It is empty."


def _printable(name: str) -> str:
    """A file's name on one line, so that it can't pass for a line of ours."""
    return "".join(c if c.isprintable() else "?" for c in name)


def agents_md(workspace: Path) -> str:
    """The nearest AGENTS.md from the workspace up to its repository's root, 8 kB of it."""
    for folder in _up_to_repository(workspace):
        data = _regular_file(folder / "AGENTS.md", AGENTS_BYTES + 1)
        if data:
            cut = "\n(cut at 8 kB)" if len(data) > AGENTS_BYTES else ""
            return data[:AGENTS_BYTES].decode("utf-8", "replace").strip() + cut
    return ""


def _up_to_repository(workspace: Path) -> list[Path]:
    folders = [workspace, *workspace.parents]
    for number, folder in enumerate(folders):
        if (folder / ".git").exists():
            return folders[: number + 1]
    return [workspace]


def _regular_file(path: Path, most: int) -> bytes:
    """Up to `most` bytes of a plain file; b"" for none. A link could name a secret."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    with open(descriptor, "rb") as file:  # noqa: PTH123
        return file.read(most) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
