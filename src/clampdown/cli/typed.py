"""Lines that the user types, or pastes: edited and called again where there is a library for it."""

import contextlib
import sys
from collections.abc import Iterator

from clampdown.cli.terminal import mark_pastes, on_terminal


def edit_lines() -> None:
    """Let lines be edited from now on, and a paste of several come together."""
    with contextlib.suppress(ImportError):
        import readline

        if "libedit" not in (readline.__doc__ or ""):
            readline.parse_and_bind("set enable-bracketed-paste on")  # versions before 8.1 leave it off


@contextlib.contextmanager
def pasting() -> Iterator[None]:
    """Let what is pasted within the block, before anyone asks for it, come together too."""
    marked = "readline" in sys.modules and sys.stdin.isatty() and on_terminal()
    if marked:
        mark_pastes(True)
    try:
        yield
    finally:
        if marked:
            mark_pastes(False)
