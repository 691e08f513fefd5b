"""The lines at the bottom of the terminal: what is going on, the line that is typed, the bar."""

import asyncio
import atexit
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Lock, Thread, main_thread
from typing import Any, TextIO

from prompt_toolkit.application import Application, in_terminal
from prompt_toolkit.application.current import create_app_session
from prompt_toolkit.input.typeahead import get_typeahead
from prompt_toolkit.input.vt100 import Vt100Input
from prompt_toolkit.output.color_depth import ColorDepth

from autoagent.glimpse import Glimpse
from autoagent.terminal.escape import one_line
from autoagent.terminal.keyboard import Interrupted
from autoagent.terminal.live.coming import Activity, Coming
from autoagent.terminal.live.layout import Bottom
from autoagent.terminal.live.pace import Pace
from autoagent.terminal.live.resizing import reflows, take_off_at_new_width
from autoagent.terminal.live.typing import Question, Typing, history_in
from autoagent.terminal.live.words import Words
from autoagent.terminal.live.writing import USUAL, Batched
from autoagent.terminal.signals import deferred

_TICK_S = 1.0
_ENDED_S = 5.0


class Lost(Exception):
    """The lines beneath are gone by a bug of ours, and nothing can be asked there."""


class _Broken(Exception):
    """Ends the application; why is noted already."""


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
        self._output = Batched(stream, environ.get("TERM"))
        self._reflows = reflows(environ)
        self.coming = Coming(clean)
        self.typing = Typing(history_in(history), Words(words), self._heard, self._echo, clean)
        self.said: Callable[[], None] = lambda: None
        self._bottom = Bottom(self.typing, self.coming, self._output.get_size)
        self._app: Application[None] = Application(
            layout=self._bottom.layout,
            key_bindings=self._bottom.bindings(interrupt=_interrupt, leave=self._ended),
            style=self._bottom.style(colour=colour),
            include_default_pygments_style=False,
            color_depth=ColorDepth.DEPTH_4_BIT if colour else ColorDepth.DEPTH_1_BIT,
            erase_when_done=True,
            terminal_size_polling_interval=None,
            input=Vt100Input(stdin),
            output=self._output,
            before_render=self._before_drawing,
        )
        self._pace = Pace()
        self._lock = Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread | None = None
        self._fault: BaseException | None = None
        self._pending: list[str] = []  # to be printed
        self._away = False  # another program has the terminal
        self._woken = False
        self._ahead: list[str] = []
        self._queued: tuple[str, ...] = ()
        self.hung_up = False
        self.begun = ""  # when it ended: a line that wasn't sent
        self._over = False
        self._asking: Question | None = None
        self._entered: Event | None = None
        self._before: dict[int, Any] = {}  # how signals were handled

    # What any thread may call.

    def begin(self) -> None:
        """Draw the lines; from the main thread, which hears of a resize. Until somebody else
        heeds them, the signals that would end the process at once leave in order."""
        ready = Event()
        atexit.register(self.close)  # a signal may end the program where nobody closes it
        self._thread = Thread(target=self._work, args=(ready,), name="screen", daemon=True)
        try:
            for number in (signal.SIGTERM, signal.SIGHUP):
                if signal.getsignal(number) == signal.SIG_DFL:
                    self._before[number] = signal.signal(number, _leave)
            self._before[signal.SIGWINCH] = signal.signal(signal.SIGWINCH, self._resized)
            self._thread.start()
            ready.wait()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Take the lines off the screen; what was to be printed is."""
        with deferred():
            self._call(self._finish)
            if self._thread is not None and self._thread.ident is not None:
                self._thread.join(_ENDED_S)
            self._write_pending()
        atexit.unregister(self.close)
        for number, handler in self._before.items():
            if signal.getsignal(number) in (_leave, self._resized):  # nobody heeds it by now
                signal.signal(number, handler)
        self._before.clear()

    def _resized(self, *_: object) -> None:
        self._draw_soon()

    @property
    def runs(self) -> bool:
        return self._loop is not None

    @property
    def is_lost(self) -> bool:
        return self._over and self._fault is not None

    def print(self, text: str) -> None:
        """Put whole lines above."""
        with self._lock:
            self._pending.append(text)
        if not self._call(self._flush):
            self._write_pending()

    def activity(self, activity: Activity | None) -> None:
        """What goes on from now on; None: nothing."""
        self._call(lambda: self._set_activity(activity))

    def cleans(self, clean: Callable[[str], str]) -> None:
        self.coming.clean = self.typing.clean = clean

    def glimpse(self, glimpse: Glimpse) -> None:
        self.coming.take(glimpse)
        self._draw_soon()

    def bar(self, text: Callable[[int], str]) -> None:
        """The lowest line, from now on."""
        self._call(lambda: self._bottom.bar(text))
        self._draw_soon()

    def queued(self, words: Sequence[str]) -> None:
        """What was typed and the agent doesn't have yet."""
        self._queued = tuple(words)
        self._call(self._show_queued)
        self._draw_soon()

    def ask(self, question: Question) -> list[str] | None:
        """The lines typed to it; None at the end of input; Interrupted when woken; Lost."""
        with self._lock:
            self._asking = None if self._over else question
        if self._asking is None or not self._call(lambda: self._ask(question)):
            self._end_asked(question)
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
        self._call(self._show_queued)
        return found

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Another program has the terminal meanwhile."""
        entered, left = Event(), asyncio.Event()
        with self._lock:
            self._entered = entered
        if self._over or not self._call(lambda: self._step_aside(entered, left)):
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

    def _draw_soon(self) -> None:
        self._pace.due(lambda in_s: self._call(lambda: self._draw_in(in_s)))

    def _draw_in(self, seconds: float) -> None:
        def draw() -> None:
            self._pace.begun()
            self._app.invalidate()

        if self._loop is not None:
            self._loop.call_later(seconds, draw)

    def _work(self, ready: Event) -> None:
        try:
            asyncio.run(self._run(ready))
        except _Broken:
            pass
        except (EOFError, OSError):  # the second where it can't even be left in order
            self.hung_up = True
        except BaseException as fault:
            self._fault = self._fault or fault
        finally:
            self._end(ready)

    def _end(self, ready: Event) -> None:
        """Leave nobody waiting, and the terminal as it was."""
        self._loop = None
        with suppress(Exception):  # the bug may be there
            *late, self.begun = self.typing.left(get_typeahead(self._app.input))
            self._ahead += late
        if self._fault is not None:
            what = one_line(f"{type(self._fault).__name__}: {self._fault}", 200)
            text = f"An internal error ended the lines beneath ({what}); it goes on by lines."
            self._pending.append(f"{USUAL}\r\nautoagent: {text}\n")
        with self._lock:
            self._over = True
            asking, entered = self._asking, self._entered
        self._write_pending()
        if asking is not None:
            self._end_asked(asking)
        for event in filter(None, (ready, entered)):
            event.set()

    def _end_asked(self, question: Question) -> None:
        question.end.put(Lost() if self._fault is not None else None)

    async def _run(self, ready: Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(self._failed)
        self._loop.call_later(_TICK_S, self._tick)
        with create_app_session(input=self._app.input, output=self._output):
            await self._app.run_async(
                pre_run=ready.set, handle_sigint=False, set_exception_handler=False
            )

    def _failed(self, _: asyncio.AbstractEventLoop, what: dict[str, Any]) -> None:
        """The terminal is gone, or there is a bug of ours: both end the screen."""
        fault = what.get("exception")
        if fault is None or not self._app.is_running or self._app.is_done:
            return
        if isinstance(fault, OSError):
            self.hung_up = True
        else:
            self._fault = fault
        self._app.exit(exception=_Broken())

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
            try:
                self._output.write_raw(text)
                self._output.flush()
            except OSError:
                self.hung_up = True

    def _set_activity(self, activity: Activity | None) -> None:
        self.coming.activity = activity
        self._app.invalidate()

    def _tick(self) -> None:
        """The clocks go on: that of what goes on, and the bar's."""
        if self._loop is not None:
            self._app.invalidate()
            self._loop.call_later(_TICK_S, self._tick)

    def _ask(self, question: Question) -> None:
        with self._lock:
            woken, self._woken = self._woken, False
        if woken:
            question.end.put(Interrupted())
            return
        self.typing.ask(question)
        self.print(question.above)
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
        self._show_queued()
        self.said()

    def _show_queued(self) -> None:
        """What nobody has taken yet, too: while a question stands, nobody does."""
        self._bottom.queued([*self._queued, *self._ahead])

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
        self._pace.drawn()
        take_off_at_new_width(self._app.renderer, self._output, self._bottom, self._reflows)


def _interrupt() -> None:
    """As if the terminal had sent it, which it does not while keys come one by one."""
    main = main_thread().ident
    assert main is not None
    signal.pthread_kill(main, signal.SIGINT)


def _leave(number: int, _: object) -> None:
    raise SystemExit(128 + number)
