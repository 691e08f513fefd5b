"""Commands that run code: a shell's or Python's."""

import re
import shutil
from collections.abc import Sequence
from contextlib import suppress
from signal import Signals

from commands.command import CommandError, Result, command
from commands.context import Context, Finished
from commands.sandbox.toolchains import workspace_python

LONGEST_S = 3600.0
_ARGUMENT_BYTES = 128 * 1024 - 1  # the kernel's limit for one argument, less its closing NUL
_NAMELESS = (
    r"(?i)name resolution|could not resolve|name or service not known|name does not resolve"
    r"|network is unreachable|ENOTFOUND|EAI_AGAIN|nodename nor servname"
)
_NO_TIME = (
    "[nothing of it runs on. Give more time (timeout_s, up to 3600), do less at once, or use "
    "start_process for what does not end by itself]"
)
_NO_NETWORK = "[commands have no network here: do without, or give_up if it can't be done]"
_NO_SUCH_HOST = (
    "[commands reach no host but those that the user allowed, and these by the proxy in "
    "http_proxy. The user can allow another with --allow-host NAME: do without, or give_up "
    "and name it]"
)

_STOPPED = {
    "output": "too much output",
    "processes": "too many processes",
    "memory": "too much memory",
    "cage": "the cage ended, with all that ran in it",
}

# Runs its standard input as a script that is a real file, so that tracebacks show its lines
# and multiprocessing finds it, but with the workspace as the first place for imports.
_RUN_INPUT = """
def run(names):
    import os, sys
    path = os.path.join(os.environ.get("TMPDIR", "/tmp"), "execute_python.py")
    code = sys.stdin.buffer.read()
    try:
        os.unlink(path)
    except OSError:
        pass
    with open(path, "xb") as script:
        script.write(code)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    sys.argv[0], sys.path[0] = path, os.getcwd()
    names["__file__"] = path
    del names["run"]
    try:
        exec(compile(code, path, "exec", 0, True), names)
    except SystemExit:
        raise
    except BaseException:
        kind, error, trace = sys.exc_info()
        error = error.with_traceback(trace.tb_next)
        sys.excepthook(kind, error, error.__traceback__)
        sys.exit(1)
run(globals())
"""


@command(
    "execute",
    aliases=(
        *("execute_shell_command", "execute_command", "run_command", "run_shell"),
        *("shell", "bash"),
    ),
    argument_aliases={"command": "command_line", "cmd": "command_line", "timeout": "timeout_s"},
)
def execute_shell(context: Context, command_line: str, timeout_s: float | None = None) -> Result:
    """bash, each time anew in the workspace (cd and variables do not last)"""
    return _run(context, shell(command_line), b"", timeout_s)


@command(
    "execute",
    aliases=("execute_python_code", "run_python", "python"),
    argument_aliases={"script": "code", "source": "code", "timeout": "timeout_s"},
)
def execute_python(context: Context, code: str, timeout_s: float | None = None) -> Result:
    """the workspace's own Python when it has one (.venv, venv)"""
    python = workspace_python(context.workspace.root)
    argv = [str(python or "python3"), "-c", _RUN_INPUT]
    return _run(context, argv, _encoded(code), timeout_s)


COMMANDS = (execute_shell, execute_python)


def shell(command_line: str) -> list[str]:
    """The program that runs a command line; CommandError for what no shell takes."""
    size = len(_encoded(command_line))
    if size > _ARGUMENT_BYTES:
        raise CommandError(
            f"command_line has {size:,} bytes; at most {_ARGUMENT_BYTES:,} are possible. "
            "Write it into a file with write_file and run that."
        )
    if "\0" in command_line:
        raise CommandError("command_line holds a NUL character, which no shell takes.")
    return [shutil.which("bash") or "/bin/sh", "-c", command_line]


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        bad = text[error.start]
        raise CommandError(f"{bad!r} at character {error.start} is no character.") from error


def _run(context: Context, argv: list[str], stdin: bytes, timeout_s: float | None) -> Result:
    wanted = context.command_timeout_s if timeout_s is None else timeout_s
    limit = wanted if 1 <= wanted <= LONGEST_S else 1.0 if wanted < 1 else LONGEST_S
    done = context.cage.run(
        argv, timeout_s=limit, cancel=context.cancel, stdin=stdin, hear=context.hear
    )
    ok = done.exit == 0 and not done.stopped
    stderr = as_text(done.stderr)
    shown = without_overwritten(stderr)
    text = as_text(done.stdout)
    if shown:
        text = joined(text, f"[stderr]\n{shown}")
    text = joined(text, _hints(context, done, text))
    text = joined(text, noted(done.notices))
    notes = [_ending(context, done, limit), f"{done.seconds:.1f} s"]
    notes += [f"timeout_s can be 1 to {LONGEST_S:g}, {limit:g} was taken"] * (limit != wanted)
    notes += ["overwritten lines of stderr left out"] * (shown != stderr)
    return Result(text=text, note=", ".join(notes), ok=ok, notices=done.notices)


def _ending(context: Context, done: Finished, limit_s: float) -> str:
    match done.stopped:
        case "time":
            return f"stopped after {limit_s:g} s (timeout_s)"
        case "cancel":
            out_of_time = context.cancel.reason == "time"
            return "stopped: the session's time is up" if out_of_time else "stopped by the user"
    return exit_note(done.exit, done.stopped)


def exit_note(status: int, stopped: str) -> str:
    """How a program ended, for a head line."""
    if stopped:
        return f"stopped: {_STOPPED[stopped]}"
    with suppress(ValueError):
        signal = Signals(status - 128)
        memory = ", maybe out of memory" if signal is Signals.SIGKILL else ""
        return f"exit {status} (killed by signal {signal.value}, {signal.name}{memory})"
    return f"exit {status}"


def _hints(context: Context, done: Finished, text: str) -> str:
    hints = [_NO_TIME] if done.stopped == "time" else []
    if done.exit and not context.cage.network and re.search(_NAMELESS, text):
        hints.append(_NO_SUCH_HOST if context.cage.let_out else _NO_NETWORK)
    return "\n".join(hints)


def as_text(data: bytes) -> str:
    return data.decode(errors="replace")


def noted(notices: Sequence[str]) -> str:
    """What is to be told besides a program's output, a line each."""
    return "\n".join(f"[{notice}]" for notice in notices)


def joined(above: str, below: str) -> str:
    """Both, the second on a line of its own."""
    return above + ("" if not above or not below or above.endswith("\n") else "\n") + below


def without_overwritten(text: str) -> str:
    """Of each line only what stands after its last carriage return, as on a screen."""
    if "\r" not in text:
        return text
    return "\n".join(_last_state(line) for line in text.split("\n"))


def _last_state(line: str) -> str:
    shown = line.rstrip("\r")
    return shown.rpartition("\r")[2] + line[len(shown) :]
