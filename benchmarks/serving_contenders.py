"""Who answers in the benchmark of the server: processes of their own, on one core, with one thread."""

import multiprocessing
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from serving_asked import asked

from clampdown.models.chat_model import load_chat_model


class Served:
    """A server that was started, from its first answer on. ready: seconds that this took."""

    def __init__(self, command: Sequence[str], core: int, port: int, wait_for: str) -> None:
        began = self._began = time.monotonic()
        env = os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(command, stdout=quiet, stderr=quiet, env=env)
        os.sched_setaffinity(self._process.pid, {core})  # its threads are still to come
        self.port = port
        while not self._answers(wait_for):
            if self._process.poll() is not None or time.monotonic() > began + 300:
                self.__exit__()
                raise SystemExit(f"{' '.join(command)} did not start")
            time.sleep(0.02)
        self.ready = time.monotonic() - began

    def _answers(self, path: str) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as reply:
                return bool(reply.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    @property
    def memory(self) -> float:
        """What it holds, in MB."""
        told = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(re.findall(r"VmRSS:\s*(\d+)", told)[0]) / 1000

    @property
    def cpu(self) -> float:
        """Seconds that it had a core so far."""
        told = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")

    def now(self) -> float:
        return time.monotonic() - self._began

    def __enter__(self) -> "Served":
        return self

    def __exit__(self, *_: Any) -> None:
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def ours(options: Any, *, recipes: bool = False) -> Served:
    """`clampdown serve`, with the recipes of the folder where that is asked for."""
    port = _free()
    more = ["--recipes", str(options.folder)] if recipes else []
    command = [sys.executable, "-m", "clampdown", "serve", "--port", str(port), "--dtype", options.dtype, *more]
    return Served(command, options.core, port, "/ready")


def theirs(options: Any, model: Path, how: Sequence[str]) -> Served:
    """`transformers serve` of a model that was saved."""
    port = _free()
    place = ["--device", "cpu", "--dtype", options.dtype, "--port", str(port), *how]
    return Served([options.transformers, "serve", str(model), *place], options.core, port, "/health")


class Plain:
    """Transformers' `generate`, one request at a time, in a process of its own."""

    def __init__(self, options: Any) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pipe, there = spawn.Pipe()
        self._process = spawn.Process(target=_generate, args=(there, options.core, options.dtype), daemon=True)
        self._process.start()
        self._pipe.recv()

    def rate(self, seconds: float, by: str) -> float:
        """Tokens a second, over so many seconds and what the last answer takes."""
        return float(self._asked((seconds, by)))

    def save(self, folder: Path) -> None:
        """Write the model as Transformers reads it."""
        self._asked(folder)

    def _asked(self, what: Any) -> Any:
        self._pipe.send(what)
        return self._pipe.recv()

    def __enter__(self) -> "Plain":
        return self

    def __exit__(self, *_: Any) -> None:
        self._pipe.close()
        self._process.join()


def _generate(pipe: Any, core: int, dtype: str) -> None:
    os.sched_setaffinity(0, {core})
    torch.set_num_threads(1)
    model = load_chat_model(dtype=dtype)
    pipe.send(None)
    try:
        while True:
            what = pipe.recv()
            pipe.send(_rate(model, *what) if isinstance(what, tuple) else _save(model, what))
    except EOFError:
        return


def _rate(model: Any, seconds: float, by: str) -> float:
    began, worked, said = time.monotonic(), time.process_time(), 0
    for one in asked([""]):
        if time.monotonic() >= began + seconds:
            break
        ids = torch.tensor([list(model.prompt_ids(one.body["messages"]))])
        made = model.hf.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=one.body["max_tokens"],
            do_sample=False,
            pad_token_id=0,
        )
        said += made.shape[1] - ids.shape[1]
    return said / (time.monotonic() - began if by == "wall" else time.process_time() - worked)


def _save(model: Any, folder: Path) -> None:
    model.hf.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)


def _free() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
