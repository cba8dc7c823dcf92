"""Lines that break between words at a terminal's width, for text that comes all at once or piece by piece."""

import re
import unicodedata
from collections.abc import Callable

_JOINER = "\u200d"
_STAYS = "、。，．！？：；）」』】》〉…"
"""Signs of scripts without spaces that begin no line."""
_FENCE = re.compile(r"\s*(`{3,}|~{3,})([^`]*)")
_TAB = 8


class Wrapping:
    """Breaks lines between words, where a script has no spaces between its letters; code between fences stays as it is.

    A word is held back until it is whole: what `add` returns is to be printed, and what `end` returns at last.

    Args:
        width: tells how many columns there are, asked again for each word.
    """

    def __init__(self, width: Callable[[], int]) -> None:
        self._width = width
        self._column = 0
        self._gap, self._word = "", ""  # not printed yet
        self._line = ""  # as it came, to tell fences
        self._fence = ""  # what opened the code that this is in

    def add(self, text: str) -> str:
        return "".join(map(self._take, text))

    def end(self) -> str:
        return self._whole_word()

    def _take(self, letter: str) -> str:
        if letter == "\n":
            return self._line_end()
        self._line += letter
        if self._fence:
            return letter
        if letter in " \t":
            told = self._whole_word()
            self._gap += letter
            return told
        told = self._whole_word() if self._may_break_before(letter) else ""
        self._word += letter
        return told

    def _line_end(self) -> str:
        told = self._whole_word()
        found = _FENCE.fullmatch(self._line)
        if found and not self._fence:
            self._fence = found[1]
        elif found and found[1].startswith(self._fence) and not found[2].strip():
            self._fence = ""
        self._line, self._gap, self._column = "", "", 0
        return told + "\n"

    def _may_break_before(self, letter: str) -> bool:
        if not self._word or self._word.endswith(_JOINER) or letter in _STAYS or not columns(letter):
            return False
        last = next((sign for sign in reversed(self._word) if columns(sign)), "")
        return columns(letter) == 2 or columns(last) == 2

    def _whole_word(self) -> str:
        """The held word with the gap before it, or on a line of its own."""
        if not self._word:
            return ""
        gap, word, self._gap, self._word = self._gap, self._word, "", ""
        after = self._column
        for sign in gap:
            after += _TAB - after % _TAB if sign == "\t" else 1
        wide = columns(word)
        if self._column and after + wide > self._width():
            self._column = wide
            return f"\n{word}"
        self._column = after + wide
        return gap + word


def wrapped(text: str, width: int) -> str:
    """A whole text, its lines broken between words."""
    wrapping = Wrapping(lambda: width)
    return wrapping.add(text) + wrapping.end()


def columns(text: str) -> int:
    """How many columns of a terminal a text without tabs takes: two for a wide letter, none for a mark upon another."""
    return sum(map(_columns, text))


def _columns(sign: str) -> int:
    if unicodedata.category(sign) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(sign) in "WF" else 1
