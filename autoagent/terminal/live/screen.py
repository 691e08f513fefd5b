"""The lines at the bottom of the terminal: what is going on, the line that is typed, the bar."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any, TextIO

from prompt_toolkit.application import Application, in_terminal
from prompt_toolkit.application.current import create_app_session
from prompt_toolkit.data_structures import Size
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.input.vt100 import Vt100Input
from prompt_toolkit.output.color_depth import ColorDepth
from prompt_toolkit.output.vt100 import Vt100_Output

from autoagent.glimpse import Glimpse
from autoagent.terminal.keyboard import Interrupted
from autoagent.terminal.live.coming import Activity, Coming
from autoagent.terminal.live.layout import Bottom
from autoagent.terminal.live.typing import Question, Typing
from autoagent.terminal.live.words import Words

_TICK_S = 1.0
_FASTEST_S = 0.05  # between two drawings
_ENDED_S = 5.0


class Screen:
    """Draws a few lines that change beneath what stays. What is printed stands above them and
    scrolls away as usual.

    It works in a thread of its own, from `begin` to `close`; any thread may call the rest.
    `said` is called, in its thread, when something was typed that answers no question; the
    words wait in `ahead`.
    """

    def __init__(
        self,
        stdin: TextIO,
        stream: TextIO,
        environ: Mapping[str, str],
        *,
        history: Path | None,
        words: Sequence[tuple[str, str]],
        clean: Callable[[str], str],
        colour: bool,
    ) -> None:
        self._output = _Batched(stream, environ.get("TERM"))
        self._environ = environ
        self.coming = Coming(clean)
        self.typing = Typing(_history(history), Words(words), self._heard, self._echo)
        self.said: Callable[[], None] = lambda: None
        self._bottom = Bottom(self.typing, self.coming, self._output.get_size)
        self._app: Application[None] = Application(
            layout=self._bottom.layout,
            key_bindings=self._bottom.bindings(interrupt=_interrupt, leave=self._ended),
            style=self._bottom.style(colour=colour),
            include_default_pygments_style=False,
            color_depth=ColorDepth.DEPTH_4_BIT if colour else ColorDepth.DEPTH_1_BIT,
            erase_when_done=True,
            min_redraw_interval=_FASTEST_S,
            terminal_size_polling_interval=None,
            input=Vt100Input(stdin),
            output=self._output,
            before_render=self._before_drawing,
        )
        self._lock = Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread | None = None
        self._fault: BaseException | None = None
        self._pending: list[str] = []  # to be printed
        self._away = False  # another program has the terminal
        self._woken = False
        self._ahead: list[str] = []
        self.hung_up = False
        self._winch: Any = None

    # What any thread may call.

    def begin(self) -> None:
        """Draw the lines; from the main thread, which hears of a resize."""
        ready = Event()
        self._thread = Thread(target=self._work, args=(ready,), name="screen", daemon=True)
        self._thread.start()
        ready.wait()
        self._winch = signal.signal(signal.SIGWINCH, lambda *_: self._app.invalidate())

    def close(self) -> None:
        """Take the lines off the screen; what was to be printed is."""
        if self._winch is not None:
            signal.signal(signal.SIGWINCH, self._winch)
            self._winch = None
        self._call(self._finish)
        if self._thread is not None:
            self._thread.join(_ENDED_S)
        self._write_pending()
        if self._fault is not None:
            raise self._fault

    @property
    def runs(self) -> bool:
        return self._loop is not None

    def print(self, text: str) -> None:
        """Put whole lines above."""
        with self._lock:
            self._pending.append(text)
        if not self._call(self._flush):
            self._write_pending()

    def activity(self, activity: Activity | None) -> None:
        """What goes on from now on; None: nothing."""
        self._call(lambda: self._set_activity(activity))

    def glimpse(self, glimpse: Glimpse) -> None:
        self.coming.take(glimpse)
        self._app.invalidate()

    def bar(self, text: Callable[[int], str]) -> None:
        """The lowest line, from now on."""
        self._call(lambda: self._bottom.bar(text))
        self._app.invalidate()

    def queued(self, words: Sequence[str]) -> None:
        """What was typed and the agent doesn't have yet."""
        self._call(lambda: self._bottom.queued(words))
        self._app.invalidate()

    def ask(self, question: Question) -> list[str] | None:
        """The lines typed to it; None at the end of input; Interrupted when woken."""
        with self._lock:
            woken, self._woken = self._woken, False
        if woken:
            raise Interrupted
        if not self._call(lambda: self._ask(question)):
            return None
        answer = question.end.get()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def wake(self) -> None:
        """End the wait for a line, or the next one before it begins."""
        with self._lock:
            self._woken = True
        self._call(self._interrupted)

    def forget_wakes(self) -> None:
        with self._lock:
            self._woken = False

    def ahead(self) -> list[str]:
        """What was typed and answers nothing, since the last time."""
        with self._lock:
            found, self._ahead = self._ahead, []
        return found

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Another program has the terminal meanwhile."""
        entered, left = Event(), asyncio.Event()
        if not self._call(lambda: self._step_aside(entered, left)):
            yield
            return
        entered.wait()
        try:
            yield
        finally:
            self._call(left.set)

    # In the thread of the screen.

    def _call(self, work: Callable[[], object]) -> bool:
        """Have it done in the thread of the screen; False when that is over."""
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # closed meanwhile
                loop.call_soon_threadsafe(work)
                return True
        return False

    def _work(self, ready: Event) -> None:
        try:
            asyncio.run(self._run(ready))
        except (EOFError, OSError):  # the second where it can't even be left in order
            self.hung_up = True
        except BaseException as fault:
            self._fault = fault
        finally:
            self._loop = None
            self.typing.end(None)
            ready.set()

    async def _run(self, ready: Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(self._failed)
        with create_app_session(input=self._app.input, output=self._output):
            await self._app.run_async(
                pre_run=ready.set, handle_sigint=False, set_exception_handler=False
            )

    def _failed(self, _: asyncio.AbstractEventLoop, what: dict[str, Any]) -> None:
        """The terminal is gone, or there is a bug of ours: both end the screen."""
        fault = what.get("exception")
        if isinstance(fault, OSError):
            self.hung_up = True
        else:
            self._fault = self._fault or fault
        if self._app.is_running and not self._app.is_done:
            self._app.exit(exception=EOFError())

    def _finish(self) -> None:
        self._flush()
        if self._app.is_running and not self._app.is_done:
            self._app.exit()

    def _flush(self) -> None:
        """Print what is to be printed, in one go with the lines beneath."""
        if self._away or not self._app.is_running:
            return
        with self._lock:
            text = "".join(self._pending)
            self._pending.clear()
        if text:
            with self._output.batch():
                self._app.renderer.erase(leave_alternate_screen=False)
                self._output.write_raw(text)
                self._app._redraw()

    def _write_pending(self) -> None:
        with self._lock:
            text = "".join(self._pending)
            self._pending.clear()
        if text:
            self._output.write_raw(text)
            self._output.flush()

    def _set_activity(self, activity: Activity | None) -> None:
        ticks = self.coming.activity is None and activity is not None
        self.coming.activity = activity
        self._app.invalidate()
        if ticks:
            self._tick()

    def _tick(self) -> None:
        """The clock goes on while something does."""
        if self.coming.activity is not None and self._loop is not None:
            self._app.invalidate()
            self._loop.call_later(_TICK_S, self._tick)

    def _ask(self, question: Question) -> None:
        self.typing.ask(question)
        self._app.invalidate()

    def _interrupted(self) -> None:
        if self.typing.question is not None:
            with self._lock:
                self._woken = False
            question = self.typing.question
            self._echo(question.prompt, "")
            self.typing.end(Interrupted())
            self._app.invalidate()

    def _heard(self, text: str) -> None:
        with self._lock:
            self._ahead.append(text)
        self.said()

    def _echo(self, prompt: str, typed: str) -> None:
        """A question and its answer stay on the screen."""
        self.print(f"{prompt}{self._bottom.echoed(typed)}\n")

    def _ended(self) -> None:
        """Ctrl-D in an empty line."""
        if self.typing.asked is not None:
            self._echo(self.typing.asked.prompt, "")
            self.typing.end(None)
        else:
            self._bottom.hint("Ctrl-C stops what is running; /quit leaves.")

    def _step_aside(self, entered: Event, left: asyncio.Event) -> None:
        async def away() -> None:
            async with in_terminal():
                self._away = True
                entered.set()
                await left.wait()
                self._away = False
            self._flush()

        context = self._app.context
        assert context is not None  # it runs
        context.copy().run(self._app.create_background_task, away())

    def _before_drawing(self, _: object) -> None:
        """At a new width take what was drawn away first. Where the terminal has wrapped it, it
        takes more rows than it did; where it cuts lines instead, it doesn't."""
        renderer, columns = self._app.renderer, self._output.get_size().columns
        last, size = renderer.last_rendered_screen, renderer._last_size
        if last is None or size is None or size.columns == columns:
            return
        above = self._bottom.rows_above_cursor(last, columns) if self._reflows else 0
        self._output.cursor_up(max(0, above - renderer._cursor_pos.y))
        with self._output.batch():
            renderer.erase(leave_alternate_screen=False)

    @property
    def _reflows(self) -> bool:
        """Whether this terminal wraps what stands on it at a new width; most do."""
        term = self._environ.get("TERM", "")
        cuts = "XTERM_VERSION" in self._environ or term.startswith(("linux", "vt"))
        return not cuts and "STY" not in self._environ


class _Batched(Vt100_Output):
    """Writes once for several drawings, so that nothing flickers."""

    def __init__(self, stream: TextIO, term: str | None) -> None:
        def size() -> Size:
            try:
                columns, rows = os.get_terminal_size(stream.fileno())
            except OSError:  # it is gone
                columns, rows = 80, 24
            return Size(rows=rows or 24, columns=columns or 80)

        super().__init__(stream, size, term=term, enable_cpr=False)
        self._holds = False

    @contextmanager
    def batch(self) -> Iterator[None]:
        self._holds = True
        try:
            yield
        finally:
            self._holds = False
            self.flush()

    def erase_down(self) -> None:
        """This row, then those below: erased from the very first cell on, tmux would put what
        stood there into its history."""
        self.write_raw("\x1b7\x1b[K\x1b[B\x1b[J\x1b8")

    def flush(self) -> None:
        if not self._holds:
            super().flush()


def _history(path: Path | None) -> History:
    """What was typed in earlier sessions; without a file of its own only in this one."""
    if path is None:
        return InMemoryHistory()
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600))
    except OSError:
        return InMemoryHistory()
    return FileHistory(path)


def _interrupt() -> None:
    """As if the terminal had sent it, which it does not while keys come one by one."""
    os.kill(os.getpid(), signal.SIGINT)
