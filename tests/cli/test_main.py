"""Exit codes and one-line errors: what scripts see of any command."""

import argparse
import inspect
import os
import signal
import subprocess
import sys
import time

import pytest

import clampdown as package
from clampdown import library
from clampdown.cli import find, options, show
from clampdown.discovery.options import FindOptions

COMMAND = [sys.executable, "-m", "clampdown"]
COMMANDS = (
    *("find", "tune", "chat", "study", "explain", "report", "export"),
    *("attack", "judge", "lm-eval", "sets", "sae", "show", "train-sae"),
)


def one_line(err):
    return err.startswith("clampdown: ") and err.count("\n") == 1


def test_version(clampdown):
    assert clampdown("--version") == (0, f"clampdown {package.__version__}\n", "")


def test_no_command_shows_the_help(clampdown):
    status, out, err = clampdown()
    assert (status, out) == (2, "")
    assert all(name in err for name in COMMANDS)


@pytest.mark.parametrize("words", [(), ("study",), ("gate", "fit")])
def test_help_is_a_command_too(clampdown, words):
    assert clampdown("help", *words) == clampdown(*words, "--help") and clampdown("help", *words)[0] == 0


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_has_an_example(clampdown, name):
    status, out, _ = clampdown(name, "--help")
    assert status == 0
    assert f"example:\n  clampdown {name}" in out


def test_help_is_quick():
    times = []
    for _ in range(3):  # the fastest of three: the machine may be busy
        start = time.perf_counter()
        subprocess.run([*COMMAND, "study", "--help"], check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    assert min(times) < 2


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["dance"], "dance"),
        (["chat", "--frob"], "unknown argument '--frob'; see clampdown chat --help"),
        (["study", "--plna", "quick"], "unknown argument '--plna': did you mean --plan?; see clampdown study --help"),
        (["gate", "fit", "--hiden=3"], "unknown argument '--hiden': did you mean --hidden?"),
        (["--vesion"], "did you mean --version?"),
        (["stdy"], "'stdy': did you mean study? (choose from find, "),
        (["gate", "chek"], "did you mean check? (choose from fit, check"),
        (["find", "--method", "contarst"], "did you mean contrast? (choose from"),
        (["help", "dance"], "'dance' (choose from"),
        (["chat", "hi", "--tokens", "0"], "at least 1"),
        (["chat", "hi", "--tokens", "many"], "whole number"),
        (["chat", "hi", "--temperature", "-1"], "0 or more"),
        (["chat", "hi", "--temperature", "nan"], "0 or more"),
        (["chat", "hi", "--recipe", "nowhere.toml"], "no file nowhere.toml"),
        (["chat", "   ", "--no-recipe"], "the prompt is empty"),
        (["chat", "hi", "--no-recipe", "--model", "./nowhere"], "could not load model ./nowhere"),
        (["show", "nowhere"], "nothing to show at 'nowhere'"),
        (["find", "--unsafe", "nowhere.txt"], "no file nowhere.txt"),
        (["find", "--method", "guess"], "invalid choice: 'guess'"),
        (["study", "nowhere.toml"], "no file nowhere.toml"),
        (["study", "--plan", "huge"], "'huge' is neither quick nor full"),
        (["train-sae", "nowhere.txt", "--layer", "3", "--out", "x"], "no file nowhere.txt"),
        (["train-sae", __file__, "--out", "x"], "--layer"),
        (["train-sae", __file__, "--layer", "3", "--out", "x", "--lr", "7"], "between 0 and 1"),
        (["train-sae", __file__, "--layer", "3", "--out", "x", "--tokens", "9"], "does not fill one batch"),
    ],
    ids=lambda value: " ".join(value[:4]).replace(__file__, "FILE") if isinstance(value, list) else "",
)
def test_what_the_user_can_mend_is_one_line_and_exit_code_2(clampdown, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    status, out, err = clampdown(*arguments)
    assert (status, out) == (2, "")
    assert one_line(err), err
    assert said in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", [["find"], ["study"], ["train-sae", __file__, "--layer", "3"]], ids=lambda c: c[0])
def test_an_out_that_cannot_be_written_is_told_before_the_work(clampdown, tmp_path, command, monkeypatch):
    file = tmp_path / "file"
    file.write_text("")
    recipe = tmp_path / "some.toml"
    recipe.write_text(f'name = "x"\nmodel = {{ name = "m" }}\n{RANDOM}')
    extra = ["--recipe", recipe] if command == ["study"] else []
    status, out, err = clampdown(*command, *extra, "--out", file / "below" / "x")
    assert (status, out) == (2, "")
    assert one_line(err) and f"{file} is not a folder" in err


RANDOM = '[[edits]]\nkind = "direction"\nlayer = 3\nstrength = 1.0\nseed = 0\n'


def test_find_does_not_write_over_a_folder(clampdown, tmp_path):
    status, _, err = clampdown("find", "--out", tmp_path)
    assert status == 2 and one_line(err) and "is a folder" in err


def test_a_recipe_among_the_files_of_a_set_is_not_read_as_prompts(clampdown, tmp_path):
    recipe = tmp_path / "refusal.toml"
    recipe.write_text(RANDOM)
    status, _, err = clampdown("study", "--unsafe", recipe)
    assert status == 2 and one_line(err) and "TOML, not a set" in err


@pytest.mark.parametrize(
    "text, said",
    [("nonsense [", "neither a recipe nor a study file"), ("colour = 3", "unknown key colour"), ("edits = 3", "edits")],
)
def test_study_tells_what_is_wrong_with_its_file(clampdown, tmp_path, text, said):
    path = tmp_path / "some.toml"
    path.write_text(text)
    status, _, err = clampdown("study", path)
    assert status == 2 and one_line(err) and said in err


def test_find_has_the_same_choices_and_defaults_as_a_command_and_as_a_call():
    parser = argparse.ArgumentParser()
    find.add_parser(parser.add_subparsers())
    args = parser.parse_args(["find"])
    call, plain = inspect.signature(library.find).parameters, FindOptions()
    for name in find._CHOICES:
        default = call[name].default
        assert getattr(args, name) == getattr(plain, name), name
        assert default == getattr(plain, name) or (default is None and name in ("prompt", "refusal")), name


def test_ctrl_c_is_one_line_and_130(clampdown, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(options.Path, "is_dir", stopped)
    assert clampdown("find") == (130, "", "clampdown: stopped\n")


def test_a_killed_reader_is_no_error():
    code = "import sys; from clampdown.cli import main, show; show.run = lambda args: print('x' * 1_000_000) or 0; "
    code += "sys.exit(main.main(['show']))"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as writer:
        writer.stdout.read(10)
        writer.stdout.close()
        assert writer.stderr.read() == b""
    assert writer.returncode == 128 + signal.SIGPIPE


def test_an_error_of_the_system_is_one_line(clampdown, monkeypatch):
    def full(_args):
        raise OSError(28, os.strerror(28), "big.bin")

    monkeypatch.setattr(show, "run", full)
    assert clampdown("show") == (2, "", "clampdown: big.bin: No space left on device\n")
