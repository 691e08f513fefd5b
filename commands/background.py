"""An event loop on a daemon thread, whose calls can be cut from any other thread."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from threading import Thread
from typing import Any, TypeVar

from commands.cancel import Cancel

T = TypeVar("T")
CLOSING_S = 2.0


class Background:
    """Runs coroutines for threads that wait for them."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(_DaemonThreads())
        self._thread = Thread(target=self._loop.run_forever, name="calls", daemon=True)
        self._thread.start()

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Begin work that nobody waits for yet."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def run(self, work: Coroutine[Any, Any, T], cancel: Cancel, timeout_s: float) -> T:
        """What the work returns or raises.

        concurrent.futures.CancelledError as soon as `cancel` is set, TimeoutError after
        `timeout_s` seconds; in both cases the work is cancelled and not waited for.
        """
        future = self.start(work)

        def cut() -> None:
            # Cancel the future, don't close the client: a close doesn't wake a thread in recv().
            future.cancel()

        with cancel.calling(cut):
            try:
                return future.result(timeout_s)
            finally:
                cut()

    def close(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Cancel what runs, do `last`, end the thread; at most about four seconds."""
        with suppress(TimeoutError):
            self.start(self._wind_up(last)).result(CLOSING_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CLOSING_S)
        if not self._thread.is_alive():
            self._loop.close()

    async def _wind_up(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        running = asyncio.all_tasks() - {asyncio.current_task()}
        for task in running:
            task.cancel()
        await asyncio.gather(*(t for t in running if t), return_exceptions=True)
        await last()
        await self._loop.shutdown_asyncgens()


class _DaemonThreads(ThreadPoolExecutor):
    """A thread for each job, none of which the interpreter waits for when it ends.

    The loop resolves names here; a resolver may hang for half a minute, and an ordinary
    pool's threads are joined at exit.
    """

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        future: Future[T] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:  # the waiting task raises it
                future.set_exception(error)

        Thread(target=work, daemon=True).start()
        return future
