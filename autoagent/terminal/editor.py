"""A command changed by hand: as a text in the person's editor, or typed anew."""

import json
import os
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Timer

from autoagent.replies.blocks import as_blocks
from autoagent.reply import Command, ReplyError, read_reply
from autoagent.terminal.escape import one_line
from commands.cancel import Cancel

_END_S = 1.0


class EditFailed(Exception):
    """Why there is no changed command; `draft` is what the person had written."""

    def __init__(self, message: str, draft: str = "") -> None:
        super().__init__(message)
        self.draft = draft


def editor_of(environ: Mapping[str, str]) -> list[str]:
    """The words of $VISUAL or $EDITOR; none when neither is set."""
    named = environ.get("VISUAL") or environ.get("EDITOR") or ""
    try:
        return shlex.split(named)
    except ValueError:
        return [named]


def as_text(command: Command) -> str:
    """The command as a model writes it, with long texts as blocks; to be edited."""
    args, blocks = as_blocks(command.args)
    form = {"command": {"name": command.name, "args": args}}
    return f"{json.dumps(form, ensure_ascii=False, indent=2)}{blocks}\n"


def edited_in(editor: list[str], text: str, cancel: Cancel) -> Command:
    """The command that stands in the text after the person's editor closed. EditFailed, also
    when `cancel` ended the editor; its draft is then what was saved, "" if nothing was."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "command.txt")
            path.write_text(text, "utf-8", "backslashreplace")
            code = _run([*editor, str(path)], cancel)
            draft = path.read_text("utf-8", "replace")
    except OSError as error:
        raise EditFailed(f"The editor failed: {error}", text) from error
    if ends(cancel):
        raise EditFailed("The editor was ended", draft if draft != text else "")
    if code:
        raise EditFailed(f"The editor {editor[0]} ended with {code}.", text)
    try:
        return read_reply(draft).command
    except ReplyError as error:
        raise EditFailed(f"That can't be read: {error}", draft) from error


def ends(cancel: Cancel) -> bool:
    """Whether it ends an editor, too: Ctrl-C is the editor's own, or was for somebody else."""
    return cancel.reason not in (None, "interrupt")


def _run(argv: list[str], cancel: Cancel) -> int:
    """Its exit code. Some programs don't mind being told to end; they are killed."""
    process = subprocess.Popen(argv)  # noqa: S603
    told: list[int] = []  # of it and of all that it began: $EDITOR may be a script

    def end() -> None:
        if not ends(cancel):
            return
        try:
            late.start()
        except RuntimeError:  # it is told for a second time
            return
        told.extend([*_beneath(process.pid), process.pid])
        _send(told, signal.SIGTERM)

    late = Timer(_END_S, _send, [told, signal.SIGKILL])
    late.daemon = True
    with cancel.calling(end):
        code = process.wait()
    if _send(told, 0):
        late.join()
    late.cancel()
    return code


def _send(pids: list[int], number: int) -> bool:
    """Whether any of them was there to get it."""
    sent = False
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
            sent = True
    return sent


def _beneath(pid: int) -> list[int]:
    """What a process began, and what these did; none where the system doesn't tell."""
    try:
        words = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [each for child in map(int, words) for each in (child, *_beneath(child))]


def retyped(
    command: Command, edits: Callable[[str], bool], ask: Callable[[str, str], str | None]
) -> Command:
    """Without an editor: each text that `edits` can change typed anew; nothing keeps it."""
    args = dict(command.args)
    for name, value in args.items():
        if isinstance(value, str) and edits(value):
            args[name] = ask(one_line(name, 30), value) or value
    return Command(command.name, args)
