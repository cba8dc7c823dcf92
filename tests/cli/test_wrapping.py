"""Words wrap at a terminal's width, as an answer comes; code stays as it is, and a pipe gets the text itself."""

import io
import sys

import pytest

from clampdown.cli import terminal
from clampdown.cli.wrapping import Wrapping, columns, wrapped

PROSE = "The tide comes in twice a day, and twice a day it leaves again, with what it found on the sand.\n\nSo it goes."


@pytest.mark.parametrize("width", [12, 20, 50, 80])
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_lines_break_between_words_however_the_text_comes(width, size):
    wrapping = Wrapping(lambda: width)
    told = "".join(wrapping.add(PROSE[at : at + size]) for at in range(0, len(PROSE), size)) + wrapping.end()
    assert all(len(line) <= width for line in told.split("\n"))
    assert told.split() == PROSE.split() and told == wrapped(PROSE, width)
    assert told.count("\n\n") == 1


@pytest.mark.parametrize(
    "text, width, told",
    [
        ("one two", 7, "one two"),
        ("one two", 6, "one\ntwo"),
        ("one   two   ", 6, "one\ntwo"),
        ("a\n  - bee sea", 8, "a\n  - bee\nsea"),
        ("see https://example.org/a-long-way there", 10, "see\nhttps://example.org/a-long-way\nthere"),
        ("one\ttwo", 11, "one\ttwo"),
        ("one\ttwo", 10, "one\ntwo"),
        ("潮は日に二度満ちる。", 8, "潮は日に\n二度満ち\nる。"),
        ("潮は日に。二度", 8, "潮は日\nに。二度"),
        ("see 潮は日に", 8, "see 潮は\n日に"),
        ("cafe\u0301 cafe\u0301", 9, "cafe\u0301 cafe\u0301"),
        ("ab 👩\u200d👩\u200d👧 cd", 5, "ab\n👩\u200d👩\u200d👧\ncd"),
    ],
)
def test_what_fits_a_line(text, width, told):
    assert wrapped(text, width) == told


def test_columns_are_those_of_a_terminal():
    assert [columns(text) for text in ("abc", "漢字", "e\u0301", "\u200b", "👍")] == [3, 4, 1, 0, 2]


def test_code_between_fences_is_left_alone_and_what_follows_is_not():
    code = "```python\nprint('a long line of code that is wider than the screen')\n``\n```\n"
    other = "~~~~\none two three four\n```\nfive six seven eight\n~~~~\n"
    text = f"Run this now:\n{code}Then go to bed.\n{other}and so on it goes"
    told = wrapped(text, 10)
    assert code in told and other in told
    assert told.startswith("Run this\nnow:\n") and "Then go to\nbed.\n" in told and told.endswith("and so on\nit goes")
    assert wrapped("```not a fence``` but words here", 12) == "```not a\nfence``` but\nwords here"


class Screen(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("screen", [Screen, io.StringIO])
def test_only_a_terminal_gets_broken_lines(monkeypatch, screen):
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setattr(sys, "stdout", stream := screen())
    shown = terminal.Streamed()
    for piece in ["The tide", " comes in tw", "ice a \x1b[", "2J day"]:
        shown.write(piece)
    shown.end()
    terminal.say("An aside that is longer than a line.", wrap=True)
    terminal.print_facts({"note": "what is longer than a line stands below itself", "n": 1})
    told = stream.getvalue()
    if screen is io.StringIO:
        assert told.count("\n") == 4 and "The tide comes in twice a \\x1b[2J day\n" in told
    else:
        assert "The tide comes in\ntwice a \\x1b[2J day\n" in told and "An aside that is\nlonger than a line.\n" in told


def test_facts_stand_in_their_column(monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setattr(sys, "stdout", stream := Screen())
    terminal.print_facts({"note": "what is longer than a line stands below itself", "n": 1})
    assert stream.getvalue() == "note  what is longer than a\n      line stands below itself\nn     1\n"
