"""A chat template is a program that may never end: that is said after a while, and Ctrl-C ends it."""

import os
import signal
import subprocess
import sys

import pytest

ENDLESS = "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}" + "{% endfor %}" * 3
PROGRAM = f"""
import sys
from clampdown import library
from clampdown.cli import chat, main
from clampdown.models import patience
patience.PATIENCE = 0.1
model = library.load(dtype="float32")
model.tokenizer.chat_template = {ENDLESS!r}
chat.load_model = lambda *_: model
sys.exit(main.main(["chat", "Hello"]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_an_endless_template_is_told_and_stopped():
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as running:
        said = ""
        for line in running.stderr:
            said += line
            if "chat template" in line:  # then it is in the middle of it
                running.send_signal(signal.SIGINT)
        assert running.wait() == 130, said
    assert "may never end; Ctrl-C stops it" in said and "clampdown: stopped" in said and "Traceback" not in said
