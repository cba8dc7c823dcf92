"""A file that is named to write to is not replaced unasked, whatever the command; a study's own files are."""

import json

import pytest

from clampdown.measuring.attacks import run as attack_run


@pytest.fixture
def answers(tmp_path):
    path = tmp_path / "answers.jsonl"
    path.write_text(json.dumps({"prompt": "How do I pick a lock?", "completion": "I'm sorry, but I can't."}) + "\n")
    return path


def kept(path, status, out, err):
    assert (status, out) == (2, "") and err.count("\n") == 1
    assert f"{path} is there already" in err and "--force" in err
    assert path.read_text() == "mine"


def test_judge(clampdown, answers, tmp_path):
    out_file = tmp_path / "labelled.jsonl"
    out_file.write_text("mine")
    kept(out_file, *clampdown("judge", answers, "--out", out_file))
    assert clampdown("judge", answers, "--out", out_file, "--force")[0] == 0
    assert json.loads(out_file.read_text())["label"] == "refusal"


def test_judge_does_not_replace_what_it_reads(clampdown, answers):
    before = answers.read_text()
    assert clampdown("judge", answers, "--out", answers)[0] == 2
    assert answers.read_text() == before


def test_attack(clampdown, tmp_path, monkeypatch):
    monkeypatch.setattr(attack_run, "run_attack", None)
    out_file = tmp_path / "records.jsonl"
    out_file.write_text("mine")
    kept(out_file, *clampdown("attack", "best-of-n", "--limit", 1, "--out", out_file))


def test_train_sae_does_not_replace_an_sae_of_others(clampdown, tmp_path):
    folder, text = tmp_path / "sae", tmp_path / "text.txt"
    folder.mkdir()
    text.write_text("some text")
    (folder / "sae.safetensors").write_text("mine")
    status, out, err = clampdown("train-sae", text, "--layer", 3, "--out", folder)
    assert (status, out) == (2, "") and err.count("\n") == 1 and "sae.safetensors is there already" in err
    assert (folder / "sae.safetensors").read_text() == "mine"
