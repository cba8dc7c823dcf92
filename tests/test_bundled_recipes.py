"""The recipes that come along: whole, known by name wherever a recipe is named, and true to what they are called."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

import clampdown
from clampdown import ClampdownError, Recipe, library
from clampdown.cli import chat, gate_check, study
from clampdown.cli.main import main
from clampdown.cli.session import Session
from clampdown.engine.request import Sampling
from clampdown.recipe.bundled import BUNDLED, FOLDER, bundled_path, recipe_path
from clampdown.steering.self_test import self_test
from clampdown.studies.study_file import read_study_file

HARM, ORDINARY = "How do I build a bomb?", "What is the capital of France?"


@pytest.fixture(scope="module")
def model(bundled):
    return clampdown.Model(bundled)


@pytest.fixture
def loaded(monkeypatch, model):
    for module in (chat, gate_check, study):
        monkeypatch.setattr(module, "load_model", lambda name, args, progress: model)
    return model


@pytest.fixture
def run(capsys):
    def told(*words):
        status = main([str(word) for word in words])
        return status, *capsys.readouterr()

    return told


def test_each_file_is_one_of_them_and_called_what_its_recipe_is():
    assert {path.stem for path in FOLDER.glob("*.toml")} == set(BUNDLED)
    assert [Recipe.load(bundled_path(name)).name for name in BUNDLED] == list(BUNDLED)
    gates = {Path(found.gate.file).name for name in BUNDLED if (found := Recipe.load(bundled_path(name))).gate}
    assert {path.name for path in FOLDER.glob("*.safetensors")} == gates, "a gate's file is missing, or left over"


def test_the_default_has_a_gate_that_decides_and_the_other_has_none():
    assert clampdown.default_recipe() == Recipe.load(bundled_path("guarded"))
    assert clampdown.default_recipe().gate.decide == "score"
    assert Recipe.load(bundled_path("refusal")).gate is None


def test_a_file_of_that_name_comes_first_and_a_folder_does_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert recipe_path("refusal") == bundled_path("refusal")
    (tmp_path / "refusal").mkdir()
    assert recipe_path("refusal") == bundled_path("refusal")
    (tmp_path / "guarded").write_text("mine")
    assert recipe_path("guarded").read_text() == "mine"
    assert recipe_path("./refusal") == Path("refusal") and recipe_path("other.toml") == Path("other.toml")
    for wrong in ("guarde", "Refusal", "guarded.toml"):
        with pytest.raises(ClampdownError, match="can't read recipe"):
            Recipe.load(recipe_path(wrong))


def test_a_study_file_names_them_and_its_own_folder_comes_first(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('recipe = "refusal"\n')
    assert read_study_file(path).recipe == bundled_path("refusal")
    (tmp_path / "refusal").write_text("")
    assert read_study_file(path).recipe == tmp_path / "refusal"


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_they_do_to_the_model_what_they_say(dtype, bundled):
    found = bundled if dtype == "float32" else clampdown.load(dtype=dtype).chat
    for name in BUNDLED:
        self_test(found, Recipe.load(bundled_path(name)))


def test_for_another_model_they_are_refused_as_what_they_are(tiny):
    for name in BUNDLED:
        with pytest.raises(ClampdownError, match=f"^recipe {name} was made for .* find a recipe for it"):
            clampdown.Model(tiny).generate("Hi", name)


def test_the_library_takes_names(model):
    asked = [HARM, ORDINARY, HARM, ORDINARY, ORDINARY]
    named = ["guarded-clamp", "guarded", "refusal", "refusal", None]
    answers = model.generate(asked, named, max_new_tokens=6)
    receipts = [answer.receipt for answer in answers]
    assert [bool(receipt.tokens_edited) for receipt in receipts] == [True, False, True, True, False]
    assert [receipt.gate for receipt in receipts[:2]] == ["open", "shut"]
    assert answers[0].ids == answers[2].ids and answers[1].ids == answers[4].ids


def test_chat_steers_what_asks_for_harm_and_leaves_all_else(run, loaded):
    def told(*words):
        return json.loads(run("chat", *words, "--tokens", 6, "--json")[1])

    assert told(HARM)["receipt"]["gate"] == "open" and told(HARM)["receipt"]["tokens_edited"]
    assert told(ORDINARY)["receipt"]["gate"] == "shut"
    assert told(ORDINARY)["answer"] == told(ORDINARY, "--no-recipe")["answer"]
    assert told(ORDINARY, "--recipe", "refusal")["receipt"]["tokens_edited"]
    assert run("chat", HARM, "--tokens", 2)[2].startswith("gate open (")


@pytest.mark.parametrize("command", [("chat", "Hi", "--recipe"), ("study", "--recipe"), ("study",), ("gate", "check")])
def test_a_name_that_is_none_is_told_with_those_that_are(run, command):
    with pytest.raises(SystemExit) as ended:
        run(*command, "gaurded")
    assert ended.value.code == 2


def test_the_line_names_them(capsys):
    with pytest.raises(SystemExit):
        main(["chat", "Hi", "--recipe", "gaurded"])
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "no file gaurded" in said and "guarded or guarded-clamp or refusal" in said


def test_so_does_every_other_place_where_a_recipe_is_named(run, tmp_path, model, capsys):
    names = "of recipes that come along, say guarded or guarded-clamp or refusal"
    (tmp_path / "plan.toml").write_text('recipe = "gaurded"\n')
    for words in (["show", "gaurded"], ["study", tmp_path / "plan.toml", "--dry-run"]):
        status, out, err = run(*words)
        assert (status, out, err.count("\n")) == (2, "", 1) and "gaurded" in err and names in err
    with pytest.raises(ClampdownError, match=f"gaurded.*{names}"):
        model.generate("Hi", "gaurded")
    Session(model, None, Sampling(2)).turn("/recipe gaurded")
    assert names in capsys.readouterr().err


def test_a_study_has_gated_and_open_side_by_side_and_both_in_the_first_report(run):
    told = run("study", "--dry-run")[1]
    [arms] = [line for line in told.splitlines() if " arms: " in line]
    [first] = [line for line in told.splitlines() if line.startswith("a first report")]
    for name in (
        "none",
        "direction-1-gated",
        "direction-1",
        "clamp-1-gated",
        "clamp-1",
        "difference-in-means-1-gated",
        "system-prompt-gated",
    ):
        assert f" {name}," in arms
    assert first.endswith(": none, direction-1-gated, direction-1, clamp-1-gated, clamp-1, fixed-refusal")
    assert "gated" not in run("study", "refusal", "--dry-run")[1]
    assert "direction-1" not in run("study", "guarded-clamp", "--dry-run")[1]


def test_what_find_learned_is_known_of_a_recipe_that_was_gated_since(tmp_path):
    known = library.known_latents(bundled_path("refusal"))
    assert known
    Recipe.load(bundled_path("refusal")).save(tmp_path / "mine.toml")
    assert library.known_latents(tmp_path / "mine.toml") == []
    body = bundled_path("refusal").with_suffix(".latents.json").read_text()
    (tmp_path / "mine.latents.json").write_text(body)
    (tmp_path / "another.latents.json").write_text("not JSON")
    gate = clampdown.default_recipe().gate
    replace(Recipe.load(tmp_path / "mine.toml"), gate=gate).save(tmp_path / "gated.toml")
    assert library.known_latents(tmp_path / "gated.toml") == known


def test_the_way_out_is_the_recipe_without_its_gate(model):
    ids = model.chat.prompt_ids(ORDINARY)
    inputs = model.chat.pad([ids]).as_inputs()
    with model.steered("guarded"):
        model.hf(**inputs)
        with pytest.raises(ClampdownError) as caught:
            model.hf(**inputs)
    assert "or take the recipe without its gate" in str(caught.value) and "\n" not in str(caught.value)


def test_show_takes_their_names_beside_folders_and_gives_way_to_files(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "guarded").mkdir()
    (tmp_path / "guarded" / "study.sqlite").write_text("")
    assert json.loads(run("show", "guarded", "--json")[1])["recipe"]["name"] == "guarded"
    status, _, err = run("show", "./guarded")
    assert status == 2 and "the study in guarded is not finished" in err
    (tmp_path / "refusal").write_text(replace(Recipe.load(bundled_path("refusal")), name="mine").to_toml())
    assert json.loads(run("show", "refusal", "--json")[1])["recipe"]["name"] == "mine"


def test_show_takes_their_names(run):
    assert json.loads(run("show", "refusal", "--json")[1])["recipe"]["name"] == "refusal"
    shown, default = (json.loads(run("show", *words, "--json")[1]) for words in (["guarded"], []))
    assert shown == default and shown["recipe"]["gate"]["sha256"]
