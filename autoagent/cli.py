"""The command line: options in, exit code out, nothing else."""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from autoagent.errors import AutoAgentError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code. No traceback reaches the screen."""
    typed = list(sys.argv[1:] if argv is None else argv)
    _hold_closed_streams()
    try:
        return _flushed(_dispatch(typed))
    except AutoAgentError as error:
        return _tell(error)
    except KeyboardInterrupt:
        _complain("Interrupted.")
        return 130
    except Exception as error:
        return _internal(error)


def _hold_closed_streams() -> None:
    """Give 0, 1 and 2 to nothing where they are closed: the next file that is opened would
    get the number, and what is written to a closed stream."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free


def _dispatch(typed: list[str]) -> int:
    if typed in (["--version"], ["version"]):
        return _print(_version())
    from autoagent.configuration import options

    given = options.parse(typed)
    if given.command not in ("help", "version", "completion"):
        from autoagent.unreadable import become_unreadable

        become_unreadable()
    match given.command:
        case "help":
            return _print(options.help_text(given.topic))
        case "version":
            return _print(_version())
        case "completion":
            from autoagent.subcommands.completion import script

            return _print(script(given.words[0]))
        case "run":
            from autoagent.uncollected import uncollected

            with uncollected():
                from autoagent import console

            # Memory has no use for numpy's threads; to start them is half of its import's cost.
            os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
            return console.run(given, os.environ)
        case _:
            from autoagent.subcommands import dispatch as subcommands

            return subcommands.run(given, os.environ)


def _version() -> str:
    from autoagent import __version__

    return f"autoagent {__version__}"


def _print(text: str) -> int:
    with suppress(OSError):  # what isn't written stays in the buffer: `_flushed` tells
        print(text)  # noqa: T201
    return 0


def _flushed(code: int) -> int:
    """The exit code, once all of standard output is written."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        # Python would try and complain once more when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if isinstance(error, BrokenPipeError):
            return 141
        _complain(f"Standard output can't be written: {error.strerror}.")
        return 8
    return code


def _tell(error: AutoAgentError) -> int:
    _complain(str(error))
    if error.go_on:
        _complain(f"Go on with: {error.go_on}")
    return error.exit_code


def _complain(text: str) -> None:
    """One line on standard error, harmless for a terminal."""
    from autoagent.terminal.escape import escaped
    from autoagent.terminal.output import Output

    Output(sys.stderr).line(f"autoagent: {escaped(text)}")


def _internal(error: Exception) -> int:
    """A bug before or beside a session: the traceback goes into a file."""
    import tempfile
    import traceback

    text = "".join(traceback.format_exception(error))
    with tempfile.NamedTemporaryFile(
        "w", prefix="autoagent-error-", suffix=".log", delete=False, errors="replace"
    ) as log:
        log.write(text)
    _complain(
        f"An internal error: {type(error).__name__}: {error}. The traceback is in {log.name}."
    )
    return 1
