"""Imports that the garbage collector keeps out of."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

_lock = Lock()
_inside: list[bool] = []  # for each that came, whether there was a collection before the first


@contextmanager
def uncollected() -> Iterator[None]:
    """No collection while thousands of types come to life, and none of them looked at later.

    To look through them again and again takes a tenth of the import of openai, and then
    tens of milliseconds at each full collection of a run. Of several threads the last one
    to leave lets it collect again.
    """
    with _lock:
        _inside.append(_inside[0] if _inside else gc.isenabled())
        gc.disable()
    try:
        yield
    finally:
        with _lock:
            collects = _inside.pop()
            if not _inside:
                gc.freeze()
                if collects:
                    gc.enable()
