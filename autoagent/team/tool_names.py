"""What other agents call the things that our commands do."""

import re
from collections.abc import Iterator

from commands.builtin import taken

_AGENTS = ("start_agent", "message_agent", "wait_for_agents", "list_agents", "delete_agent")
CHANGES = ("write_file", "append_file", "edit_file", "move_file", "delete_file")
_PROCESSES = ("start_process", "read_process", "stop_process")
_SHELL = ("execute_shell", *_PROCESSES)  # theirs runs in the background, too
_RUNS = ("execute_shell", "execute_python", *_PROCESSES)
# Of Claude Code, OpenCode, Gemini CLI and Copilot. They count before our aliases: `search` is
# one for the web.
_GRANTED: dict[str, tuple[str, ...]] = {
    "readmanyfiles": ("read_file",),
    "view": ("read_file",),
    "write": ("write_file",),
    "edit": ("edit_file",),
    "multiedit": ("edit_file",),
    "replace": ("edit_file",),
    "patch": ("edit_file",),
    "search": ("search_files",),
    "searchfilecontent": ("search_files",),
    "grepsearch": ("search_files",),
    "glob": ("list_files",),
    "list": ("list_files",),
    "bash": _SHELL,
    "shell": _SHELL,
    "execute": _SHELL,
    "runshellcommand": _SHELL,
    "bashoutput": ("read_process",),
    "killshell": ("stop_process",),
    "killbash": ("stop_process",),
    "webfetch": ("read_webpage",),
    "fetch": ("read_webpage",),
    "websearch": ("web_search",),
    "googlewebsearch": ("web_search",),
    "web": ("web_search", "read_webpage"),
    "task": _AGENTS,
    "agent": _AGENTS,
    "savememory": ("remember",),
    "askuserquestion": ("ask_user",),
    "question": ("ask_user",),
}
# Who forbids one of these means what it does, and not by which of our commands.
_FORBIDDEN = dict.fromkeys(
    ("write", "edit", "multiedit", "replace", "patch", "notebookedit"), CHANGES
) | dict.fromkeys(("bash", "shell", "execute", "runshellcommand"), _RUNS)


def granted(tool: str) -> tuple[str, ...]:
    """The commands that this name allows; the name as it stands where it is no usual one."""
    return _GRANTED.get(_folded(tool)) or _ours(tool)


def forbidden(tool: str) -> tuple[str, ...]:
    """The commands that go when this name is forbidden; the name itself as above."""
    return _FORBIDDEN.get(_folded(tool)) or granted(tool)


def is_usual(name: str) -> bool:
    """Whether it is the name of a command of ours, be it there in this run or not."""
    return name in taken()


def separated(text: str) -> Iterator[str]:
    """The names in `Read, Grep, Bash(git diff *)`: what stands in brackets isn't parted."""
    for each in re.findall(r"(?:\([^)]*\)?|[^,\n(])+", text):
        if name := each.strip().removeprefix("- ").strip(" []\"'"):
            yield name


def _ours(tool: str) -> tuple[str, ...]:
    ours = {_folded(name): command for name, command in taken().items()}
    return (ours.get(_folded(tool), tool),)


def _folded(name: str) -> str:
    return re.sub(r"[_\-\s]", "", name).casefold()
