"""Lines that the user types, or pastes: edited and called again where there is a library for it."""

import contextlib
import sys
from collections.abc import Iterator

from clampdown.cli.terminal import on_terminal

_MARK, _PLAIN = "\x1b[?2004h", "\x1b[?2004l"
"""Ask a terminal to mark where a paste begins and ends, and to leave that."""


def edit_lines() -> None:
    """Let lines be edited from now on, and a paste of several come together."""
    with contextlib.suppress(ImportError):
        import readline

        if "libedit" not in (readline.__doc__ or ""):
            readline.parse_and_bind("set enable-bracketed-paste on")  # versions before 8.1 leave it off


def ask(prompt: str) -> str:
    """A line from the user, or several that were pasted, without their end. Raises EOFError at the input's end."""
    return input(prompt)


@contextlib.contextmanager
def pasting() -> Iterator[None]:
    """Let what is pasted within the block, before anyone asks for it, come together too."""
    marked = "readline" in sys.modules and sys.stdin.isatty() and on_terminal()
    if marked:
        sys.stdout.write(_MARK)
    try:
        yield
    finally:
        if marked:
            sys.stdout.write(_PLAIN)
            sys.stdout.flush()
