"""Ctrl-C that is never lost.

KeyboardInterrupt is raised wherever the program happens to be, and code that is not ours may swallow it or turn it into
another error: a callback of the import system, the set-up of an extension. So the signal is remembered as well;
`checkpoint`, which progress and printing pass, raises it again.
"""

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

_arrived = threading.Event()


@contextlib.contextmanager
def listening() -> Iterator[None]:
    """Remember Ctrl-C within the block. Where the signal is ignored, as in a shell's background, it stays so."""
    before, unraisable = signal.getsignal(signal.SIGINT), sys.unraisablehook
    if before in (signal.SIG_IGN, None) or threading.current_thread() is not threading.main_thread():
        yield
        return

    def quiet(lost: Any) -> None:
        if not _arrived.is_set():
            unraisable(lost)

    _arrived.clear()
    sys.unraisablehook = quiet
    signal.signal(signal.SIGINT, _remember)
    try:
        yield
    finally:
        sys.unraisablehook = unraisable
        signal.signal(signal.SIGINT, before)
        _arrived.clear()


def checkpoint() -> None:
    """Raise KeyboardInterrupt if Ctrl-C came and nobody has answered it."""
    if _arrived.is_set():
        raise KeyboardInterrupt


def arrived() -> bool:
    """Whether Ctrl-C came and nobody has answered it."""
    return _arrived.is_set()


def answered() -> None:
    """Ctrl-C did what it was for, such as to stop one answer; the program goes on."""
    _arrived.clear()


def _remember(_signal: int, _frame: Any) -> None:
    _arrived.set()
    raise KeyboardInterrupt
