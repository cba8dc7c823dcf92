"""Ctrl-C, whenever it comes: exit code 130, one line, and no result."""

import random
import signal
import subprocess
import sys
import threading
import time

import pytest

from clampdown.cli import interrupts, show, terminal
from clampdown.cli.progress import ProgressBar

AT_AN_IMPORT = """
import os, signal, sys
from clampdown.cli.main import main
sys.addaudithook(lambda event, _, left=[{place}]: event == "import" and (
    left.__setitem__(0, left[0] - 1) or left[0] == 0 and os.kill(os.getpid(), signal.SIGINT)))
sys.exit(main(["chat", "hi", "--no-recipe", "--tokens", "2"]))
"""
AT_THE_DOOR = """
import os, signal, sys
from clampdown.__main__ import main
sys.argv = ["clampdown", "chat", "hi", "--no-recipe", "--tokens", "2"]
sys.addaudithook(lambda event, _, left=[{place}]: event == "import" and (
    left.__setitem__(0, left[0] - 1) or left[0] == 0 and os.kill(os.getpid(), signal.SIGINT)))
sys.exit(main())
"""
SWALLOWED = """
import os, signal, sys
from clampdown.cli.main import main

class Swallowing:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            sys.meta_path.remove(self)
            try:
                os.kill(os.getpid(), signal.SIGINT)
                for _ in range(10_000): pass
            except BaseException as error:
                if {turned!r}:
                    raise ImportError("its set-up failed") from None

sys.meta_path.insert(0, Swallowing())
sys.exit(main({arguments!r}))
"""
UNRAISABLE = """
import os, signal, sys
from clampdown.cli import main, show, terminal

class Last:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(10_000): pass

def run(args):
    last = Last()
    del last
    terminal.say("a result")
    return 0

show.run = run
sys.exit(main.main(["show"]))
"""
CHAT = ["chat", "hi", "--no-recipe", "--tokens", "2"]


def stopped(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (130, ""), done.stderr
    assert done.stderr.splitlines()[-1].startswith("clampdown: stopped"), done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("place", [1, 60, 900])
def test_it_stops_at_any_import(place):
    stopped(AT_AN_IMPORT.format(place=place))


@pytest.mark.parametrize("place", [1, 5, 40])
def test_it_stops_while_the_commands_themselves_are_loaded(place):
    stopped(AT_THE_DOOR.format(place=place))


COUNTED = """
import sys
from clampdown.cli.main import main
imports = []
sys.addaudithook(lambda event, _: event == "import" and imports.append(event))
main(["chat", "hi", "--no-recipe", "--tokens", "2"])
print(len(imports))
"""


@pytest.mark.long
def test_it_stops_at_many_imports():
    """As many as there are here: an interrupt set for an import that never comes would prove nothing."""
    counted = subprocess.run([sys.executable, "-c", COUNTED], capture_output=True, text=True, check=True)
    there = int(counted.stdout.split()[-1])
    assert there > 1000
    for place in random.Random(0).sample(range(1, there * 9 // 10), 40):
        stopped(AT_AN_IMPORT.format(place=place))


@pytest.mark.parametrize(
    "arguments, module, turned",
    [(CHAT, "torch", "another error"), (["find", "--limit", "2"], "transformers", ""), (["sets"], "rich.table", "")],
    ids=lambda value: value[0] if isinstance(value, list) else value,
)
def test_code_that_swallows_it_does_not_let_the_run_go_on(arguments, module, turned, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stopped(SWALLOWED.format(module=module, turned=turned, arguments=arguments))
    assert not list(tmp_path.iterdir())


def test_it_is_not_lost_where_python_can_only_ignore_an_error():
    stopped(UNRAISABLE)


def test_it_stops_a_command_that_waits():
    """From outside, as a terminal does it."""
    reader = subprocess.Popen(
        [sys.executable, "-m", "clampdown", *CHAT[:1], "-", "--no-recipe"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    time.sleep(1.5)  # it waits for standard input, whenever it gets there; earlier, Python itself would be stopped
    reader.send_signal(signal.SIGINT)
    out, err = reader.communicate()
    assert out == b"" and reader.returncode in (130, -signal.SIGINT)
    assert reader.returncode != 130 or err == b"clampdown: stopped\n"


def test_in_the_background_of_a_shell_it_stays_ignored():
    code = "import os, signal, sys; from clampdown.cli import main, show; "
    code += "show.run = lambda args: os.kill(os.getpid(), signal.SIGINT) or 0; sys.exit(main.main(['show']))"
    done = subprocess.run(["bash", "-c", f"trap '' INT; exec '{sys.executable}' -c \"{code}\""], capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")


# ---- in this process


def lose_one():
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        return
    raise AssertionError("it was not raised")


@pytest.mark.parametrize(
    "then",
    [
        lambda: terminal.say("result"),
        lambda: terminal.print_json({}),
        lambda: terminal.print_json_lines([{}]),
        lambda: terminal.print_table("result"),
        lambda: ProgressBar()("work", 0, 0),
        lambda: ProgressBar().__exit__(None, None, None),
    ],
)
def test_printing_and_progress_raise_it_again(then, capsys):
    with interrupts.listening():
        lose_one()
        with pytest.raises(KeyboardInterrupt):
            then()
    assert capsys.readouterr().out == ""


def test_what_answered_it_goes_on(capsys):
    with interrupts.listening():
        lose_one()
        interrupts.answered()
        terminal.say("next")
    assert capsys.readouterr().out == "next\n"


def test_the_programs_own_handler_comes_back(clampdown, monkeypatch):
    before = signal.getsignal(signal.SIGINT), sys.unraisablehook
    monkeypatch.setattr(show, "run", lambda args: lose_one() or terminal.say("result") or 0)
    assert clampdown("show") == (130, "", "clampdown: stopped\n")
    assert (signal.getsignal(signal.SIGINT), sys.unraisablehook) == before
    assert not interrupts.arrived()


def test_a_thread_that_calls_a_command_has_no_signals_to_listen_to(monkeypatch):
    from clampdown.cli.main import main

    monkeypatch.setattr(show, "run", lambda args: 0)
    found = []
    thread = threading.Thread(target=lambda: found.append(main(["show"])))
    thread.start()
    thread.join()
    assert found == [0]
