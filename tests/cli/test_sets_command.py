"""`clampdown sets`, and names of sets where a file is asked for."""

import json
import re
import subprocess
import sys

import pytest

from clampdown.cli import main, options
from clampdown.measuring.sets.named import NAMED


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """The command alone: its exit code, standard output and standard error; no set is at hand."""
    from huggingface_hub import constants

    monkeypatch.delenv("CLAMPDOWN_SETS", raising=False)
    monkeypatch.setenv("CLAMPDOWN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))

    def run(*arguments):
        try:
            status = main.main(["sets", *map(str, arguments)])
        except SystemExit as end:
            status = end.code
        out, err = capsys.readouterr()
        return status, out, err

    return run


def test_the_list_names_every_set(run):
    status, out, err = run()
    assert (status, err) == (0, "")
    rows = {line.split()[0]: line for line in out.splitlines() if line.strip()}
    assert set(NAMED) <= set(rows)
    assert "no; gated" in rows["sorry-bench"] and "440" in rows["sorry-bench"]
    assert "built-in unsafe" in out and "300" in out


def test_json_is_one_object(run, tmp_path, monkeypatch):
    monkeypatch.setenv("CLAMPDOWN_SETS", str(tmp_path))
    (tmp_path / "oktest.jsonl").write_text('{"prompt": "What is a killer app?"}\n')
    status, out, err = run("--json")
    told = {one["name"]: one for one in json.loads(out)["sets"]}
    assert (status, err) == (0, "") and len(told) == len(NAMED) + 5
    assert (told["oktest"]["items"], told["oktest"]["published"], told["oktest"]["at_hand"]) == (1, 300, "local")
    assert {
        "split",
        "columns",
        "keep",
        "licence",
        "gated",
        "revision",
        "verified",
        "paper",
        "kinds",
        "about",
        "source",
    } <= set(told["mmlu"])
    assert "1 of 300" in run()[1]


def test_fetching_what_is_at_hand_fetches_nothing(run, tmp_path, monkeypatch):
    monkeypatch.setenv("CLAMPDOWN_SETS", str(tmp_path))
    (tmp_path / "oktest.jsonl").write_text('{"prompt": "What is a killer app?"}\n')
    status, out, _ = run("--fetch", "oktest")
    assert status == 0 and "oktest" in out and "mmlu" not in out


def test_the_page_of_a_set_tells_all_of_it(run):
    status, out, err = run("wildguardmix-unsafe", "built-in unsafe")
    assert (status, err) == (0, "")
    for words in ("wildguardmix-unsafe\n", "prompt_harm_label is harmful", "category: subcategory", "no; gated"):
        assert words in out
    assert re.search("split +test\n", out) and re.search("at hand +built-in\n", out) and "mmlu" not in out
    assert run("nobody")[0] == 2


def test_what_comes_along_need_not_be_fetched(run):
    status, out, err = run("--fetch", "built-in unsafe")
    assert status == 0 and "built-in unsafe comes along" in err and "300" in out and "built-in safe" not in out


def test_a_wrong_name_is_told_before_anything_is_fetched(run):
    status, out, err = run("--fetch", "mmlu", "oktst")
    assert (status, out) == (2, "")
    assert err.count("\n") == 1 and "did you mean oktest?" in err


def test_a_problem_with_a_copy_is_told_below_the_list(run, tmp_path, monkeypatch):
    monkeypatch.setenv("CLAMPDOWN_SETS", str(tmp_path))
    (tmp_path / "advbench.jsonl").write_text("{")
    status, out, _ = run()
    assert status == 0 and f"advbench: set {tmp_path / 'advbench.jsonl'}, line 1 is not JSON" in out


def test_the_page_of_a_copy_of_ones_own(run, tmp_path):
    mine = tmp_path / "mine.jsonl"
    mine.write_text('{"prompt": "What is a killer app?"}\n')
    status, out, err = run(f"oktest={mine}")
    assert (status, err) == (0, "") and "1 of 300" in out and str(mine) in out and re.search("at hand +local\n", out)


@pytest.mark.parametrize(
    "names, said",
    [
        (["harmbench={folder}/none.csv"], "no file {folder}/none.csv"),
        (["harmbench={folder}/bad.csv"], "bad.csv, line 2, row 1 has no column FunctionalCategory"),
        (["harmbench="], "harmbench= names no file"),
        (["--fetch", "harmbench={folder}/bad.csv"], "is here already"),
    ],
)
def test_a_path_behind_a_name_is_not_left_out(run, tmp_path, names, said):
    (tmp_path / "bad.csv").write_text("prompt\nHow?\n")
    status, out, err = run(*(name.format(folder=tmp_path) for name in names))
    assert (status, out, err.count("\n")) == (2, "", 1) and said.format(folder=tmp_path) in err


def test_an_empty_path_behind_a_name_is_told_everywhere(clampdown, tmp_path):
    (tmp_path / "plan.toml").write_text('[sets]\nunsafe = "harmbench="\n')
    for told in (["--unsafe", "harmbench="], ["--attack", "best-of-n="], [tmp_path / "plan.toml"]):
        status, out, err = clampdown("study", *told, "--dry-run")
        assert (status, out, err.count("\n")) == (2, "", 1) and "= names no file" in err


def test_the_list_needs_no_heavy_library():
    code = "import sys; from clampdown.measuring.sets.named.listing import listing; listing(); "
    code += "assert not {'torch', 'transformers', 'pyarrow'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


# ---- names in place of files


def test_a_name_or_a_copy_passes_for_a_file(tmp_path):
    assert str(options.set_file("harmbench")) == "harmbench"
    assert str(options.set_file("built-in unsafe")) == "built-in unsafe"
    assert str(options.set_file(f"harmbench={tmp_path}/x.csv")) == f"harmbench={tmp_path}/x.csv"
    mine = tmp_path / "harmbench"
    mine.write_text("one\n")
    assert options.set_file(str(mine)) == mine


@pytest.mark.parametrize("name, said", [("nowhere.txt", "no file nowhere.txt"), ("harmbnch", "did you mean harmbench")])
def test_what_is_neither_is_told_by_the_parser(clampdown, name, said):
    for command in (["find", "--unsafe", name], ["study", "--unsafe", name]):
        status, out, err = clampdown(*command)
        assert (status, out) == (2, "") and err.count("\n") == 1
        assert said in err


def test_a_name_reaches_the_study(clampdown, monkeypatch, tmp_path):
    """A set that isn't at hand and can't be fetched is told before the model is loaded."""
    from clampdown.cli import study

    monkeypatch.setattr(study, "load_model", None)
    monkeypatch.setenv("CLAMPDOWN_SETS", str(tmp_path))
    (tmp_path / "advbench.jsonl").write_text("\n")
    status, out, err = clampdown("study", "--unsafe", "advbench", "--out", tmp_path / "out")
    assert (status, out) == (2, "") and "holds no item of set advbench" in err
    status, _, err = clampdown("study", "--safe", "advbench", "--out", tmp_path / "out")
    assert status == 2 and "advbench is of kind unsafe, not safe" in err
