"""Imports that the garbage collector keeps out of."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """No collection while thousands of types come to life, and none of them looked at later.

    To look through them again and again takes a tenth of the import of openai, and then
    tens of milliseconds at each full collection of a run.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collects:
            gc.enable()
