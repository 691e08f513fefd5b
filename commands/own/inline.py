"""Functions of the calling program as commands: each call in a thread that is waited for."""

import time
from collections.abc import Callable
from concurrent.futures import Future
from threading import Event, Thread
from typing import Any

from commands.command import CommandSpec, Result
from commands.context import Context
from commands.own.declaring import declared, effect_of
from commands.own.outcome import Outcome, raised, returned


def spec_of(function: Callable[..., object]) -> CommandSpec:
    """The command that a function is; TypeError with what its author has to mend.

    A call ends with the function, with the time limit or with a cancel. In the last two cases
    the function itself runs on: a thread can't be stopped.
    """
    summary, arguments = declared(function)
    return CommandSpec(
        name=function.__name__,
        summary=summary,
        arguments=arguments,
        effect=effect_of(function),
        run=_running(function),
        own=True,
    )


def _running(function: Callable[..., object]) -> Callable[..., Result]:
    label = "web" if effect_of(function) == "reach" else "command"

    def run(context: Context, /, **args: Any) -> Result:
        began = time.monotonic()
        came: Future[Outcome] = Future()
        Thread(target=_call, args=(came, function, args), daemon=True).start()
        over = Event()
        came.add_done_callback(lambda _: over.set())
        with context.cancel.calling(over.set):
            over.wait(context.command_timeout_s)
        note = f"{time.monotonic() - began:.1f} s"
        if not came.done():
            text = "[it was not waited for any longer and may still take effect]"
            return Result(text, note=f"failed, {note}", ok=False, source=label)
        outcome = came.result()
        if outcome.trace:
            note = f"failed, {note}"
        ok = not outcome.trace
        return Result(outcome.text, note=note, ok=ok, source=label, rest=outcome.trace)

    return run


def _call(came: "Future[Outcome]", function: Callable[..., object], args: dict[str, Any]) -> None:
    try:
        came.set_result(returned(function(**args)))
    except BaseException as error:  # also SystemExit: nothing of theirs may end the run
        came.set_result(raised(error, function.__code__.co_filename, __file__))
