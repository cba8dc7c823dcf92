r"""The one way out: all that a command prints goes through here, and shows as what it is.

Names, notes, answers and errors are other people's text. What would steer the terminal or turn a line around is written
as an escape (\x1b, \u202e), square brackets are brackets, and a letter that the encoding lacks is an escape as well.
Styles are our own, and show on a terminal only.
"""

import codecs
import contextlib
import io
import logging
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from clampdown.cli.interrupts import checkpoint
from clampdown.cli.wrapping import Wrapping, wrapped
from clampdown.writing import STEERING, json_text

if TYPE_CHECKING:
    from rich.console import Console

_ERRORS = "clampdown-plain"
_PLAINER = {
    "−": "-",
    "–": "-",
    "—": "-",
    "×": "x",
    "·": "|",
    "…": "...",
    "⏎": "\\n",
    "→": "->",
    "─": "-",
    "‹": "<",
    "›": ">",
}
_PLAINER |= {"‖": "||", "Δ": "delta", "“": '"', "”": '"', "’": "'", "␠": "_"}
"""Our own signs, for encodings that lack them: an escaped minus before a number would read as another number."""
_STYLES = {"bold": "\x1b[1m", "dim": "\x1b[2m"}
_PIPED_WIDTH = 120
_NARROW = 20
"""Columns below which a value is not worth breaking."""


def literal(text: str) -> str:
    """Text that does nothing to a terminal: lines and tabs stay, all else that is no letter is written as an escape."""
    return STEERING.sub(_escape, text.replace("\r\n", "\n"))


def one_line(text: str) -> str:
    """The same, with line breaks and tabs as escapes too: for what must not look like another line."""
    return literal(text).replace("\n", "\\n").replace("\t", "\\t")


def _escape(match: Any) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def say(text: object = "", *, style: str = "", aside: bool = False, wrap: bool = False) -> None:
    """Print a text and end its line; `style` is "bold" or "dim"; aside: to standard error.

    wrap: break its lines between words, on a terminal.
    """
    checkpoint()
    stream = _stream(aside)
    shown = literal(str(text))
    if wrap and on_terminal(aside):
        shown = wrapped(shown, _width())
    if style and on_terminal(aside) and not os.environ.get("NO_COLOR"):
        shown = f"{_STYLES[style]}{shown}\x1b[0m"
    stream.write(f"{shown}\n")
    stream.flush()


def fail(message: str) -> None:
    """Say on standard error, in one line (that a terminal may break), what went wrong; nobody may be there to hear."""
    with contextlib.suppress(OSError, ValueError):
        told = f"clampdown: {literal(' '.join(message.split()))}"
        sys.stderr.write(f"{wrapped(told, _width()) if on_terminal(aside=True) else told}\n")
        sys.stderr.flush()


def print_table(renderable: Any) -> None:
    """Print one of rich's renderables, such as a table: 120 columns wide where standard output is no terminal."""
    checkpoint()
    console(width=None if on_terminal() else _PIPED_WIDTH).print(_Literal(renderable))
    _stream().flush()


def print_facts(facts: Mapping[str, Any]) -> None:
    """Names and values in two columns; what is empty is left out, and a value's further lines stand below its first.

    On a terminal long values break between words.
    """
    shown = {one_line(name): str(value) for name, value in facts.items() if value not in (None, "")}
    width = max(map(len, shown)) + 2
    for name, value in shown.items():
        value = literal(value)
        if on_terminal() and (room := _width() - width) >= _NARROW:
            value = wrapped(value, room)
        say(f"{name:{width}}{value}".replace("\n", "\n" + " " * width))


def print_json(body: Any) -> None:
    """One object on standard output."""
    _print_all([json_text(body, indent=1, ascii_only=not _holds_all())])


def print_json_lines(rows: Iterable[Any]) -> None:
    """One object a line on standard output."""
    _print_all([json_text(row, ascii_only=not _holds_all()) for row in rows])


def _print_all(lines: list[str]) -> None:
    checkpoint()
    _stream().write("".join(f"{line}\n" for line in lines))


class Streamed:
    """A text on standard output that comes piece by piece; `end` ends its line.

    On a terminal its lines break between words, so that the last word comes once it is whole.
    """

    def __init__(self) -> None:
        self._held = ""
        self._wrapping = Wrapping(_width) if on_terminal() else None

    def write(self, piece: str) -> None:
        text = self._held + piece
        self._held = "\r" if text.endswith("\r") else ""  # the first half of a line's end, perhaps
        self._print(literal(text.removesuffix("\r") if self._held else text))

    def end(self) -> None:
        held, self._held = self._held, ""
        self._print(f"{literal(held)}\n")

    def _print(self, text: str) -> None:
        stream = _stream()
        stream.write(self._wrapping.add(text) if self._wrapping else text)
        stream.flush()


@contextlib.contextmanager
def others_printing() -> Iterator[None]:
    """What other programs' code prints to standard output meanwhile shows as what it is, too."""
    with contextlib.redirect_stdout(_Others(sys.stdout)):
        yield


class _Others(io.TextIOBase):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return str(self._stream.encoding)

    def write(self, text: str) -> int:
        checkpoint()
        self._stream.write(literal(text))
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return bool(self._stream.isatty())

    def writable(self) -> bool:
        return True


def ask(prompt: str) -> str:
    """A line from the user, or several that were pasted, without their end. Raises EOFError at the input's end."""
    return input(prompt)


def mark_pastes(on: bool) -> None:
    """Ask the terminal to mark where what is pasted begins and ends, or to leave that."""
    _stream().write(f"\x1b[?2004{'h' if on else 'l'}")
    _stream().flush()


def _width() -> int:
    return shutil.get_terminal_size().columns


def on_terminal(aside: bool = False) -> bool:
    return bool(_stream(aside).isatty())


def console(*, aside: bool = False, width: int | None = None) -> "Console":
    """rich's console without markup, emoji names and highlighting; print to it by `print_table`."""
    from rich.console import Console

    return Console(stderr=aside, width=width, markup=False, emoji=False, highlight=False)


class _Literal:
    """A renderable whose every piece of text is literal, whatever it was made of."""

    def __init__(self, shown: Any) -> None:
        self.shown = shown

    def __rich_console__(self, screen: "Console", options: Any) -> Iterator[Any]:
        for segment in screen.render(self.shown, options):
            yield segment if segment.control else segment._replace(text=literal(segment.text))


def prepare() -> None:
    """Make the standard streams ready for any text; one that is closed leads nowhere from now on."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  # open until the end
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=_ERRORS)
    logger = logging.getLogger("clampdown")
    if not any(isinstance(handler, _Logged) for handler in logger.handlers):
        logger.addHandler(_Logged())


class _Logged(logging.Handler):
    """What the library logs, a line each on standard error; from any thread, so Ctrl-C is left to the first."""

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(f"{record.levelname.lower()}: {one_line(record.getMessage())}\n")
            sys.stderr.flush()


def finish() -> None:
    """Hand over what is still buffered. Raises OSError where that fails, and Python won't try again when it ends."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def _stream(aside: bool = False) -> Any:
    return sys.stderr if aside else sys.stdout


def _holds_all() -> bool:
    """Whether standard output's encoding has every letter."""
    try:
        return codecs.lookup(sys.stdout.encoding or "ascii").name == "utf-8"
    except LookupError:
        return False


def _plain(error: UnicodeError) -> tuple[str, int]:
    """How a letter that the encoding lacks is written."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    escaped = (_PLAINER.get(sign) or sign.encode("ascii", "backslashreplace").decode() for sign in lacking)
    return "".join(escaped), error.end


codecs.register_error(_ERRORS, _plain)
