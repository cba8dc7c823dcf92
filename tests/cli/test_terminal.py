"""What is printed shows as it is: no name, note or answer steers the terminal, and no encoding loses a text."""

import ast
import io
import json
import logging
import os
import subprocess
import sys
import unicodedata
from pathlib import Path
from types import SimpleNamespace

import pytest

import clampdown as package
from clampdown.cli import chat, judge, report, tables, terminal
from clampdown.cli.progress import ProgressBar
from clampdown.cli.session import Session
from clampdown.engine.request import Sampling
from clampdown.recipe import Clamp, Direction, Recipe
from clampdown.steering.receipt import Receipt

CLI = Path(package.__file__).parent / "cli"
COMMAND = [sys.executable, "-m", "clampdown"]
NASTY = [chr(code) for code in range(32) if chr(code) not in "\n\t"] + [chr(code) for code in range(0x7F, 0xA0)]
NASTY += ["\u2028", "\u2029", *"\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069", "\udc9b", "\ud83d"]
TITLE, CLEAR = "\x1b]0;mine\x07", "\x1b[2J\x1b[1A\x9b31m\r\u202e"
GOOD = "שלום, مرحبا \u200f(א)\u200e · नमस्ते · 👩‍👩‍👧‍👦 🏳️‍🌈 · 漢字 · [bold red]no[/bold red] :smile: \\[x]"


def harmless(text):
    return not any(
        (unicodedata.category(sign) in ("Cc", "Cs") and sign not in "\n\t") or sign in NASTY for sign in text
    )


# ---- the boundary


def test_every_sign_that_steers_is_shown_and_none_is_lost():
    told = terminal.literal("a" + "b".join(NASTY) + "c")
    assert harmless(told)
    assert told.count("b") >= len(NASTY) - 1 and told.startswith("a\\x00b\\x01b") and told.endswith("\\ud83dc")
    assert len({terminal.literal(sign) for sign in NASTY}) == len(NASTY), "two of them look alike"


def test_letters_of_every_writing_lines_and_tabs_stay():
    assert terminal.literal(GOOD) == GOOD
    assert terminal.literal("one\ttwo\nthree\r\nfour") == "one\ttwo\nthree\nfour"
    assert terminal.one_line("name\nsha256  0") == "name\\nsha256  0"


def test_an_escape_that_comes_in_pieces_is_shown(capsys):
    shown = terminal.Streamed()
    for piece in [*TITLE, "hidden", "\r", "\n", "kept\r", "over\b\b", "\x1b", "[31", "m\r"]:
        shown.write(piece)
    shown.end()
    assert capsys.readouterr().out == "\\x1b]0;mine\\x07hidden\nkept\\x0dover\\x08\\x08\\x1b[31m\\x0d\n"


def test_styles_show_on_a_terminal_only(monkeypatch):
    class Screen(io.StringIO):
        def isatty(self):
            return True

    for stream, colours, told in (
        (Screen(), "", "\x1b[2mx\x1b[0m\n"),
        (Screen(), "1", "x\n"),
        (io.StringIO(), "", "x\n"),
    ):
        monkeypatch.setenv("NO_COLOR", colours)
        monkeypatch.setattr(sys, "stdout", stream)
        terminal.say("x", style="dim")
        assert stream.getvalue() == told


def test_what_other_code_prints_is_literal_too(capsys):
    with terminal.others_printing():
        print(f"a table {CLEAR}")
    out = capsys.readouterr().out
    assert harmless(out) and "a table \\x1b[2J" in out


def test_what_the_library_logs_is_one_literal_line(capsys):
    for _ in range(2):
        terminal.prepare()
    logging.getLogger("clampdown").warning("model %s is slow", f"m{CLEAR}\nclampdown: fine")
    err = capsys.readouterr().err
    assert harmless(err) and err.count("\n") == 1 and err.startswith("warning: model m\\x1b[2J")


def names_used(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Name):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute):
            yield node.lineno, f"{getattr(node.value, 'id', '')}.{node.attr}"
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)


WAYS_OUT = {"print", "input", "sys.stdout", "sys.stderr", "sys.__stdout__", "sys.__stderr__", "os.write", "logging"}
WAYS_OUT |= {"rich.print", "rich.console", "rich.console.Console", "rich.get_console", "Console.print", "json.dump"}
WAYS_OUT |= {"json.dumps", "warnings.warn", "os.system", "subprocess"}


def test_no_command_prints_past_the_boundary():
    found = []
    for path in sorted(CLI.glob("*.py")):
        used = list(names_used(path))
        past = [f"{path.name}:{line} {name}" for line, name in used if name in WAYS_OUT or name.endswith(".print")]
        if path.name == "terminal.py":
            assert past, "the walk sees nothing"
        elif path.name == "main.py":  # argparse prints the help, which holds no text of others
            found += [entry for entry in past if not entry.endswith("sys.stderr")]
        else:
            found += past
    assert not found


# ---- names in brackets and escapes, wherever commands show them


def study(*names, note=""):
    sets = [{"name": name, "kind": "unsafe"} for name in names]
    measures = [{"set": name, "kind": "unsafe", "metric": "refusal", "n": 4, "value": 0.25} for name in names]
    return {
        "schema": "clampdown-study/1",
        "title": f"a study{note}",
        "model": {"name": f"m{note}"},
        "plan": {"name": f"quick{note}", "seed": 0},
        "sets": sets,
        "arms": [{"name": "none", "label": f"no [steering]{note}", "recipe": None, "measures": measures}],
    }


def test_sets_that_differ_in_brackets_differ_on_the_screen(clampdown, tmp_path):
    names = ("harm[v2]", "harm[bold red]", "[/v2]", ":smile:")
    (tmp_path / "results.json").write_text(json.dumps(study(*names)))
    status, out, err = clampdown("show", tmp_path)
    shown = " ".join(out.split())
    assert (status, err) == (0, "")
    assert all(word in shown for word in ("harm[v2]", "[/v2]", ":smile:", "no [steering]"))
    assert "harm[bold" in shown


def test_hostile_names_of_a_study_are_shown_not_obeyed(clampdown, tmp_path):
    (tmp_path / "results.json").write_text(json.dumps(study(f"set{CLEAR}", "[/v2]", note=CLEAR + TITLE)))
    status, out, err = clampdown("show", tmp_path)
    assert (status, err) == (0, "") and harmless(out) and "[/v2]" in " ".join(out.split())


def test_a_full_disk_is_not_told_as_damage_to_the_study(tmp_path):
    (tmp_path / "results.json").write_text(json.dumps(study(*(f"set {n}" for n in range(3)))))
    with open("/dev/full", "wb") as full:
        for more in ([], ["--json"]):
            done = subprocess.run([*COMMAND, "show", tmp_path, *more], stdout=full, stderr=subprocess.PIPE)
            assert done.returncode == 2 and done.stderr.count(b"\n") == 1 and b"damaged" not in done.stderr


def test_tables_and_headings_hold_any_text(capsys):
    from rich.text import Text

    table = tables.plain_table(f"[/v2]{CLEAR}", "n\nm", right=("n\nm",))
    tables.add_row(table, f"[bold red]{CLEAR}", "1\n2")
    tables.add_row(table, Text(f"mixed{CLEAR}", style="bold"), Text("[/x]"))
    terminal.print_table(table)
    out = capsys.readouterr().out
    assert harmless(out)
    assert all(
        word in out for word in ("[/v2]\\x1b[2J", "n\\nm", "[bold red]\\x1b[2J", "1\\n2", "mixed\\x1b[2J", "[/x]")
    )


def test_a_comparison_of_hostile_studies_is_literal(capsys):
    side = {"label": "[/x]", "study": f"s{CLEAR}\nA: forged"}
    row = {
        "set": f"[/v2]{CLEAR}\nA: forged",
        "metric": "refusal",
        "n": 3,
        "difference": 0.5,
        "low": 0,
        "high": 1,
        "p": 0.03,
    }
    row |= {"p_adjusted": 0.06, "a": {"value": 0}, "b": {"value": 0.5}, "reading": f"none{CLEAR}\nA: forged"}
    report._print({"a": side, "b": side, "sets": [row], "left_out": [f"[/a]{CLEAR}\nA: forged"], "notes": [TITLE]})
    out = capsys.readouterr().out
    assert sum(line.startswith("A:") for line in out.splitlines()) == 1
    assert harmless(out) and all(
        word in out for word in ("[/x] (s\\x1b[2J", "[/v2]\\x1b[2J", "[/a]\\x1b", "\\x1b]0;mine")
    )


def test_a_recipe_cannot_steer_the_terminal_or_forge_a_line(clampdown, tmp_path):
    path = tmp_path / "r.toml"
    edits = (Clamp(f"sae{CLEAR}\nsha256     f0f0", "\nsha256  f0", 12, {7: 2.5}), Direction(3, 1.0, seed=0))
    Recipe("[bold]x[/]", f"m[/red]{TITLE}\nsha256     f0f0", "", edits, note=f"fine{CLEAR}\nmodel  other").save(path)
    status, out, err = clampdown("show", path)
    assert (status, err) == (0, "") and harmless(out) and "[bold]x[/]" in out and "m[/red]\\x1b]0;mine\\x07" in out
    assert sum(line.startswith("sha256") for line in out.splitlines()) == 1
    assert sum(line.startswith("model") for line in out.splitlines()) == 1


def test_what_an_sae_says_of_itself_stands_apart_from_what_we_found(clampdown, tmp_path):
    import torch

    from clampdown.saes.files import save_sae
    from clampdown.saes.sae import SAE

    rows = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))
    about = {"text": f"wiki{CLEAR}", f"key{TITLE}": "[/red]", "sha256": "forged"}
    sae = SAE("s", "topk", 5, rows, torch.zeros(8), rows.clone(), torch.zeros(4), k=2, about=about)
    save_sae(sae, tmp_path / "sae.safetensors")
    status, out, err = clampdown("show", tmp_path / "sae.safetensors")
    assert (status, err) == (0, "") and harmless(out) and "wiki\\x1b[2J" in out and "[/red]" in out
    assert [line for line in out.splitlines() if line.startswith("sha256")] == [
        line for line in out.splitlines() if "forged" not in line and "sha256" in line
    ]
    assert "about sha256" in out


def test_errors_that_quote_the_user_are_one_harmless_line(clampdown, tmp_path):
    bad = tmp_path / f"x{CLEAR}.toml"
    bad.write_text("nonsense [")
    for arguments in (["show", f"no{CLEAR}\nclampdown: all is well"], [f"x{CLEAR}"], ["chat", "hi", "--recipe", bad]):
        status, out, err = clampdown(*arguments)
        assert (status, out) == (2, "") and harmless(err) and err.count("\n") == 1, err
    status, out, err = clampdown("chat", "hi", "--recipe", f"gone{TITLE}\nclampdown: fine")
    assert status == 2 and harmless(err) and err.count("\n") == 1 and err.startswith("clampdown: ")


ANSWER = f"Sure\r{CLEAR}\b\b\b" + GOOD


@pytest.fixture
def answering(monkeypatch):
    """A model whose answer would hide its beginning, in pieces of one character."""
    from clampdown.engine.request import Answer
    from clampdown.steering.receipt import Receipt

    def stream(model, ids, recipe, sampling, write, decision=None, over=None, engine=None):
        for sign in ANSWER:
            write(sign)
        return Answer(ANSWER, (1,), True, Receipt("", 1, 0))

    monkeypatch.setattr("clampdown.engine.generation.stream", stream)
    monkeypatch.setattr("clampdown.cli.session.stream", stream)


def test_an_answer_cannot_hide_what_it_said(clampdown, loaded, answering, capsys):
    status, out, _ = clampdown("chat", "hi", "--no-recipe")
    assert status == 0 and harmless(out) and out.startswith("Sure\\x0d\\x1b[2J") and GOOD in out
    Session(loaded, None, Sampling(2)).turn("hi")
    out = capsys.readouterr().out
    assert harmless(out) and GOOD in out
    assert json.loads(clampdown("chat", "hi", "--no-recipe", "--json")[1])["answer"] == ANSWER


def test_a_progress_title_is_one_harmless_line(monkeypatch, capsys):
    monkeypatch.setattr("clampdown.cli.progress._LINE_EVERY", -1)
    with ProgressBar() as told:
        told(f"work{CLEAR}", 1, 4, f"arm{TITLE}\nclampdown: done")
    err = capsys.readouterr().err
    assert harmless(err) and err.count("\n") == 1


# ---- encodings

TEXTS = ["naïve café", "漢字 שלום", "😀👩‍👩‍👧", "a\x1b[31mb\x9b\x7f\u202e", "\u2028\ud800 half", "€ – − ‘x’"]


def rows_file(tmp_path):
    rows = [
        {"prompt": text.replace("\ud800", ""), "completion": f"I can't. {text}".replace("\ud800", "")} for text in TEXTS
    ]
    path = tmp_path / "uni.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path, rows


def run(*arguments, input=None, **environment):
    env = {
        key: value for key, value in os.environ.items() if not key.startswith(("LC_", "LANG", "PYTHONIO", "PYTHONUTF8"))
    }
    return subprocess.run([*COMMAND, *map(str, arguments)], env=env | environment, capture_output=True, input=input)


ENCODINGS = [
    ({"PYTHONIOENCODING": "cp1252"}, "cp1252"),
    ({"PYTHONIOENCODING": "ascii:strict"}, "ascii"),
    ({"PYTHONIOENCODING": "utf-16"}, "utf-16"),
    ({"PYTHONIOENCODING": "utf-8:strict"}, "utf-8"),
    ({"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}, "ascii"),
    ({"PYTHONUTF8": "1", "LANG": "C"}, "utf-8"),
]


@pytest.mark.parametrize("environment, encoding", ENCODINGS, ids=lambda value: str(value))
def test_json_holds_the_same_texts_in_every_encoding(tmp_path, environment, encoding):
    path, rows = rows_file(tmp_path)
    out_file = tmp_path / "labelled.jsonl"
    done = run("judge", path, "--json", "--out", out_file, **environment)
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.decode(encoding).splitlines()]
    written = [json.loads(line) for line in out_file.read_text("utf-8").splitlines()]
    assert [{key: row[key] for key in ("prompt", "completion")} for row in told] == rows
    assert written == told


@pytest.mark.parametrize("environment, encoding", ENCODINGS, ids=lambda value: str(value))
def test_plain_text_says_what_a_letter_was(tmp_path, environment, encoding):
    path = tmp_path / "r.toml"
    note = "漢字 − café 😀"
    Recipe("r", "m", "", (Direction(layer=3, strength=1.0, seed=0),), note=note).save(path)
    done = run("show", path, **environment)
    assert (done.returncode, done.stderr) == (0, b"")
    out = done.stdout.decode(encoding)
    assert "?" not in out
    if encoding.startswith("utf"):
        assert note in out
    else:
        assert "\\u6f22\\u5b57 - caf" in out and "\\U0001f600" in out


def test_a_receipt_can_be_read_in_every_encoding():
    receipt = str(Receipt("ab" * 32, 12, 11, 0.418, "sliced"))
    assert receipt.encode("ascii", terminal._ERRORS).decode() == (
        "steered by abababab | 11 of 12 tokens edited | mean ||delta||/||x|| 0.418 | sliced"
    )


def test_a_half_of_a_surrogate_pair_is_json_that_parses_back(capsys):
    body = {"text": TEXTS, "\ud800": ["\udfff"]}
    terminal.print_json(body)
    out = capsys.readouterr().out
    assert json.loads(out) == body and "漢字" in out and harmless(out)


def test_a_file_name_that_is_no_text_is_told(tmp_path):
    done = run("show", os.fsdecode(bytes(tmp_path) + b"/\xff\x1b.toml"))
    assert done.returncode == 2 and b"\\udcff\\x1b.toml" in done.stderr and done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_json_never_holds_what_json_has_no_word_for(clampdown, monkeypatch, number):
    monkeypatch.setattr(judge, "run", lambda args: terminal.print_json({"arms": [{"value": number}]}))
    monkeypatch.setattr(chat, "run", lambda args: terminal.print_json_lines([{"n": 1}, {"n": number}]))
    for command, place in (("judge", "arms[0].value"), ("chat", "n is")):
        status, out, err = clampdown(command)
        assert (status, out) == (2, "") and err.count("\n") == 1 and place in err and str(number) in err


# ---- streams that are closed


def test_a_full_disk_is_one_line(tmp_path):
    for arguments in (["show", "--help"], ["show"], ["sets", "--json"]):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([*COMMAND, *arguments], stdout=full, stderr=subprocess.PIPE)
        assert done.stderr.count(b"\n") <= 1 and b"Traceback" not in done.stderr and b"Exception" not in done.stderr
        assert done.returncode == (0 if "--help" in arguments else 2)


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_make_no_noise(tmp_path, closed):
    line = f"'{sys.executable}' -m clampdown show {closed}"
    done = subprocess.run(["bash", "-c", line], capture_output=True)
    assert done.returncode == 0 and b"Traceback" not in done.stderr


def test_a_chat_without_any_input_is_told(clampdown, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    status, out, err = clampdown("chat", "--no-recipe")
    assert (status, out) == (2, "") and err.count("\n") == 1 and "standard input" in err


@pytest.mark.parametrize("arguments", [["sets", "--json"], ["--help"], ["show"]])
def test_a_reader_that_leaves_at_once_is_no_error(arguments):
    line = f"'{sys.executable}' -m clampdown {' '.join(arguments)} | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True)
    assert done.stderr == b"" and done.stdout.strip() in (b"0", b"141")


# ---- commands of the conversation outside of it


@pytest.mark.parametrize("line", ["/help", "/clamp 12=8", "/quit"])
def test_a_command_that_is_piped_does_not_go_to_the_model(clampdown, monkeypatch, line):
    stream = SimpleNamespace(isatty=lambda: False, buffer=io.BytesIO(f"{line}\n".encode()))
    monkeypatch.setattr(sys, "stdin", stream)
    status, out, err = clampdown("chat", "--no-recipe")
    assert (status, out) == (2, "") and err.count("\n") == 1 and line.split()[0] in err
