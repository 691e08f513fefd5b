"""Where a run goes besides the screen: --log-file, -o and --on-end."""

import stat
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from os import fstat
from pathlib import Path
from typing import Any

from autoagent.citing import with_sources
from autoagent.configuration.settings import Settings
from autoagent.errors import AutoAgentError, ConfigError
from autoagent.named_file import NamedFile, named_file
from autoagent.state import State
from autoagent.terminal.escape import escaped
from autoagent.terminal.log import Log
from autoagent.terminal.output import Output, output_to, standard_error
from autoagent.terminal.plain import Voices, voices
from autoagent.terminal.receipt import receipt
from autoagent.terminal.standard_output import answer_bytes, line_bytes


class Outlets:
    """Opened before a run, so that a name that can't be is told then. What fails later is told
    once, and the run goes on."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._stack = ExitStack()
        self._settings: Settings | None = None
        self._file: NamedFile | None = None
        self._log: Log | None = None

    def open(self, settings: Settings) -> None:
        """As these settings say, no longer as earlier ones did. ConfigError names a file that
        can't be written."""
        self.close()
        self._settings = settings
        if settings.output is not None:
            self._file = named_file("--output", settings.output, settings, self._stack)
        if settings.log_file is not None:
            self._log = _log(settings.log_file, settings, self._stack)

    def close(self) -> None:
        self._stack.close()
        self._file = self._log = None

    @property
    def _known(self) -> Settings:
        assert self._settings is not None
        return self._settings

    @property
    def answer_screen(self) -> Output:
        """Standard output, where a person may read the answer."""
        settings = self._known
        return output_to(sys.stdout, settings.color, self._environ, plain=settings.plain)

    def views(self, out: Output) -> list[Voices]:
        """Who is to be shown each entry besides `out`, which is told of their faults."""
        if self._log is None:
            return []
        name = escaped(repr(str(self._known.log_file)))

        def tell(fault: OSError) -> None:
            why = f"can't be written: {fault.strerror}; the run goes on without it."
            out.line(f"autoagent: --log-file {name} {why}")

        self._log.tell = tell
        return [voices(self._log, watched=True, verbose=True)]

    def receipt(self, state: State, journal: Path, *, attended: bool) -> None:
        """What a run came to, into the log."""
        if self._log is not None:
            network = self._known.network
            receipt(self._log, state, journal, network=network, attended=attended)

    def keep(self, result: Mapping[str, Any], state: State | None, out: Output) -> bool:
        """Put the result into the file of -o; False when that should have been and failed."""
        settings = self._known
        if self._file is None:
            return True
        if settings.output_format != "text":
            content = line_bytes(result)
        elif state and state.stopped and state.stopped.status == "done":
            content = answer_bytes(with_sources(state.stopped.answer, state))
        else:
            return True
        try:
            self._file.replace(content)
        except OSError as error:
            name = escaped(repr(str(settings.output)))
            out.line(f"autoagent: --output {name} can't be written: {error.strerror}.")
            return False
        return True

    def end(self, result: Mapping[str, Any], out: Output) -> None:
        """Run the user's own command, when all else is done."""
        settings = self._known
        if settings.on_end is None:
            return
        from autoagent.on_end import run_at_end

        fault = run_at_end(settings.on_end, result, settings.workspace, self._environ, out)
        if fault:
            out.line(f"autoagent: {fault}")
            if self._log is not None:
                self._log.line(f"autoagent: {fault}")

    def fail(self, result: Mapping[str, Any], error: AutoAgentError) -> None:
        """The run could not begin, which is a result, too."""
        settings = self._settings
        if settings is None:
            return
        out = standard_error(settings.color, self._environ, plain=settings.plain)
        if self._log is not None:
            self._log.line(f"autoagent: {escaped(str(error))}")
        self.keep(result, None, out)
        self.end(result, out)


def _same(one: Path, other: Path) -> bool:
    """Also by a link, or another name of the same file."""
    both = one.exists() and other.exists()
    return one.resolve() == other.resolve() or (both and one.samefile(other))


def _log(path: Path, settings: Settings, stack: ExitStack) -> Log:
    file = named_file("--log-file", path, settings, stack)
    if settings.output is not None and _same(settings.output, path):
        raise ConfigError(
            f"--output and --log-file are the same file, {str(path)!r}: the answer would take "
            "the place of the log. Name two."
        )
    try:
        descriptor = file.append()
    except OSError as error:
        raise ConfigError(f"--log-file {str(path)!r} can't be opened: {error.strerror}.") from error
    log = Log(descriptor)
    stack.callback(log.close)
    if not stat.S_ISREG(fstat(descriptor).st_mode):
        raise ConfigError(f"--log-file {str(path)!r} is no regular file; name one.")
    return log
