"""A word where one rendering of a chat template takes very long: a template is a program, and may never end."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE = 10.0
"""Seconds of one rendering after which the word is said."""
_EVERY = 1.0

_running: dict[int, tuple[float, str]] = {}
"""By thread: when its rendering began, and the name of the model."""
_starting = threading.Lock()
_watch: threading.Thread | None = None


@contextmanager
def watched(name: str) -> Iterator[None]:
    """Log a warning, once, if what is done inside takes longer than `PATIENCE`; `name` is the model's."""
    global _watch
    me = threading.get_ident()
    _running[me] = (time.monotonic(), name)
    if _watch is None:  # one thread for thousands of short renderings: to start one for each would cost more than they
        with _starting:
            if _watch is None:
                _watch = threading.Thread(target=_look, name="chat template watch", daemon=True)
                _watch.start()
    try:
        yield
    finally:
        _running.pop(me, None)


def _look() -> None:
    """Look after what runs from time to time, and end when nothing does."""
    global _watch
    said: set[tuple[float, str]] = set()
    while True:
        time.sleep(_EVERY)
        with _starting:
            if not _running:
                _watch = None
                return
        for begun in list(_running.values()):
            if time.monotonic() - begun[0] > PATIENCE and begun not in said:
                said.add(begun)
                logging.getLogger("clampdown").warning(
                    "model %s's chat template has been at one prompt for %g s and may never end; Ctrl-C stops it",
                    begun[1], PATIENCE,
                )  # fmt: skip
