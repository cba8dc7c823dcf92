"""What is typed at a real terminal: a paste of several lines is one prompt, lines of their own are several."""

import fcntl
import os
import re
import select
import struct
import sys
import termios
import time

import pytest

pty = pytest.importorskip("pty")
readline = pytest.importorskip("readline")
pytestmark = pytest.mark.skipif("libedit" in (readline.__doc__ or ""), reason="libedit has no bracketed paste")

TALK = """
from clampdown.cli.typed import edit_lines, pasting
from clampdown.cli.terminal import Streamed, ask
edit_lines()
while (line := ask("ready > ")) != "end":
    print("heard", repr(line))
    if line == "answer":
        with pasting():
            shown = Streamed()
            shown.write("The tide comes in twice a day, and ")
            print("answering")
            while not input_waits():
                pass
            shown.end()
"""
WAITS = """
import select, sys, time
def input_waits():
    waits = bool(select.select([sys.stdin], [], [], 0.1)[0])
    time.sleep(0.2 * waits)  # until all of it is there
    return waits
"""
PASTE = b"\x1b[200~first line\rsecond line\r\x1b[201~"


class Terminal:
    """A program at a terminal of 30 columns."""

    def __init__(self, program):
        self.told = b""
        self.pid, self.screen = pty.fork()
        if self.pid == 0:
            own = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")}
            os.execve(sys.executable, [sys.executable, "-c", program], own | {"TERM": "xterm"})
        fcntl.ioctl(self.screen, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 30, 0, 0))

    def waits_for(self, said):
        """What it has told up to `said`, since it was last asked."""
        end = time.monotonic() + 60
        while said not in self.told and time.monotonic() < end:
            if select.select([self.screen], [], [], 0.2)[0]:
                self.told += os.read(self.screen, 65536)
        before, found, self.told = self.told.partition(said)
        assert found, before
        return before.decode()

    def type(self, keys):
        os.write(self.screen, keys)

    def close(self):
        self.type(b"end\r")
        os.waitpid(self.pid, 0)
        os.close(self.screen)


@pytest.fixture
def terminal():
    found = Terminal(WAITS + TALK)
    found.waits_for(b"ready > ")
    yield found
    found.close()


def test_a_paste_is_one_prompt_and_lines_that_are_typed_are_several(terminal):
    terminal.type(PASTE)
    terminal.type(b"third\r")
    terminal.waits_for(rb"heard 'first line\nsecond line\nthird'")
    terminal.waits_for(b"ready > ")
    terminal.type(b"one\rtwo\r")
    terminal.waits_for(b"heard 'one'")
    terminal.waits_for(b"heard 'two'")
    terminal.waits_for(b"ready > ")


def test_what_is_pasted_while_an_answer_comes_is_one_prompt_too_and_the_answer_wraps(terminal):
    terminal.type(b"answer\r")
    said = terminal.waits_for(b"answering")
    assert "\x1b[?2004h" in said and re.search(r"The tide comes in twice a day,\r\nand", said + "and")
    terminal.type(PASTE + b"\r")
    terminal.waits_for(rb"heard 'first line\nsecond line\n'")
    terminal.waits_for(b"ready > ")
