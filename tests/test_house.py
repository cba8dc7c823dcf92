"""The house's own rules: imports run down the floors, help starts light, CI runs what the README says."""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from clampdown.cli.main import build_parser

ROOT = Path(__file__).resolve().parent.parent
HEAVY = ("torch", "transformers", "vllm", "ray", "sae_lens", "sparsify", "lm_eval", "fastapi", "uvicorn")
COMMANDS = (
    *("find", "chat", "study", "report", "export", "attack", "judge", "lm-eval", "sets", "sae", "show", "train-sae"),
    *("tune", "serve"),
)


def test_imports_run_down_the_floors():
    code = (
        "import sys; from importlinter.cli import lint_imports;"
        "sys.exit(lint_imports('pyproject.toml', no_cache=True, no_logo=True))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


CACHE = re.compile(
    r"DynamicCache\(|cache\.layers|past_key_values\.layers|\.keys\b(?!\()|reorder_cache"
    r"|batch_repeat_interleave|batch_select_indices"
)


def test_only_models_touch_what_a_cache_holds():
    """Rows of a cache are chosen, repeated, copied and joined in one place, which knows hybrid models too."""
    source = ROOT / "src" / "clampdown"
    found = [
        f"{path.relative_to(source)}: {line.strip()}"
        for path in sorted(source.rglob("*.py"))
        if path.relative_to(source).parts[0] != "models"
        for line in path.read_text(encoding="utf-8").splitlines()
        if CACHE.search(line)
    ]
    assert not found


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in COMMANDS)], ids=" ".join)
def test_help_needs_no_heavy_library(arguments):
    code = f"""
import sys
sys.argv = ["clampdown", *{arguments!r}]
from clampdown.cli.main import main
try:
    status = main()
except SystemExit as end:
    status = end.code
assert not status, status
loaded = sorted(set({HEAVY!r}) & set(sys.modules))
assert not loaded, f"help imports {{loaded}}"
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "usage: clampdown" in done.stdout


def readme_command(marker: str) -> str:
    pattern = rf"^<!-- {marker} -->\n```sh\n(.+)\n```$"
    [command] = re.findall(pattern, (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    return command


def test_ci_runs_the_readme_test_command():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    shown = subprocess.run([script, "--test-command"], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == readme_command("test command")
    assert 'stage tests "$test_command"' in script.read_text(encoding="utf-8")


@pytest.mark.parametrize("marker, end", [("study command", "clampdown study"), ("test command", "pytest")])
def test_readme_commands_install_what_we_test_with(marker, end):
    command = readme_command(marker)
    assert "-c constraints.txt" in command
    assert command.endswith(f"/{end}")


SCRIPTS = [ROOT / ".ci" / "run", *sorted((ROOT / "training").rglob("*.sh"))]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_bash_can_read_our_scripts(script):
    done = subprocess.run(["bash", "-n", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def commands(parser, name=""):
    """Every command's parser by its name, with `sae search` and its like in place of `sae`."""
    below = [action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not below:
        return {name: parser}
    found = (commands(child, f"{name} {word}".strip()) for word, child in below[0].items())
    return {name: parser for some in found for name, parser in some.items()}


def test_the_readme_shows_every_command_with_options_that_it_has():
    rows = re.findall(r"^\| `([\w -]+)` \| .+ \| `clampdown (.+)` \|$", (ROOT / "README.md").read_text("utf-8"), re.M)
    known = commands(build_parser())
    assert sorted(name for name, _ in rows) == sorted(known)
    for name, example in rows:
        assert example.split()[: len(name.split())] == name.split()
        options = set(re.findall(r"(?<!\S)-[\w-]+", example)) - ({"--tasks"} if name == "lm-eval" else set())
        assert options <= set(known[name]._option_string_actions), name
