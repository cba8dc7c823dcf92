"""The bar keeps quiet for short work, estimates fairly, and stays off standard output."""

import io
import re
import sys

import pytest

from clampdown.cli import progress
from clampdown.cli.progress import ProgressBar


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """Makes standard error a terminal. Called inside the test, because pytest puts its own in place before that."""

    def take():
        stream = Terminal()
        monkeypatch.setattr(sys, "stderr", stream)
        return stream

    return take


def test_short_work_shows_nothing(terminal):
    stream = terminal()
    with ProgressBar() as told:
        for _ in range(5):
            told("work", 1, 5, "")
    assert stream.getvalue() == ""


def test_long_work_shows_a_bar(terminal, monkeypatch, capsys):
    monkeypatch.setattr(progress, "PATIENCE", 0.05)
    monkeypatch.setenv("TERM", "xterm")
    stream = terminal()
    with ProgressBar() as told:
        told("loading [x]", 0, 0, "")
        told._timer.join(20)
        assert told._bar is not None
        told("work", 0, 4, "")
        progress.time.sleep(0.05)
        told("work", 1, 4, "arm [/b]")
        told._bar.refresh()
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())
    assert "loading [x]" in text and "work" in text and "25%" in text and "s left" in text and "arm [/b]" in text
    assert capsys.readouterr().out == ""


def test_no_terminal_gets_a_line_now_and_then(monkeypatch, capsys):
    with ProgressBar() as told:
        told("work", 1, 4, "")
        assert capsys.readouterr().err == ""
        monkeypatch.setattr(progress, "_LINE_EVERY", -1)
        told("work", 1, 4, "arm")
    out, err = capsys.readouterr()
    assert out == "" and re.fullmatch(r"work 50%, \d+ s left arm\n", err)


def test_work_of_an_earlier_run_does_not_make_today_look_fast(monkeypatch):
    monkeypatch.setattr(progress.time, "monotonic", lambda: 0.0)
    told = ProgressBar()
    told("training", 900, 1000, "")
    monkeypatch.setattr(progress.time, "monotonic", lambda: 10.0)
    told("training", 50, 1000, "")
    assert told.stage.left == pytest.approx(10)


@pytest.mark.parametrize("seconds, words", [(0.4, "0 s left"), (75, "1 min 15 s left"), (7260, "2 h 01 min left")])
def test_times_read_well(seconds, words):
    assert progress._time(seconds) == words
