"""Show: recipes, SAEs and studies; and one clear line for anything else."""

import json
import os
import re
from dataclasses import replace

import pytest
import torch

from clampdown.cli.in_words import in_words
from clampdown.recipe import Clamp, Direction, Recipe
from clampdown.recipe.bundled import bundled_path
from clampdown.saes.files import save_sae
from clampdown.saes.sae import SAE
from clampdown.steering.gates.gate_file import GateFile, Sample, save_gate
from clampdown.steering.gates.hidden import Hidden
from clampdown.steering.gates.parts import Part

RESULTS = {
    "schema": "clampdown-study/1",
    "title": "a study",
    "model": {"name": "m"},
    "plan": {"name": "quick", "seed": 0},
    "sets": [{"name": "s", "kind": "unsafe"}, {"name": "q", "kind": "capability"}],
    "arms": [
        {
            "name": "none",
            "label": "no [steering]",
            "recipe": None,
            "measures": [{"set": "s", "kind": "unsafe", "metric": "refusal", "n": 40, "value": 0.25}],
        }
    ],
}


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "r.toml"
    edits = (Clamp("some/sae", "a" * 64, 12, {7: 2.5, 9: "1.5x"}), Direction(layer=3, strength=2.0, seed=4))
    edits += (Clamp("some/sae", "a" * 64, 12, {11: 3.0}, operation="at-least"),)
    edits += (Clamp("some/sae", "a" * 64, 12, {12: 250.0}, operation="multiply"),)
    Recipe("mine", "some-model", "b" * 64, edits).save(path)
    return path


@pytest.fixture
def sae(tmp_path):
    rows = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))
    path = tmp_path / "made" / "sae.safetensors"
    save_sae(SAE("s", "topk", 5, rows, torch.zeros(8), rows.clone(), torch.zeros(4), k=2, about={"text": "wiki"}), path)
    return path


def test_a_recipe(clampdown, recipe):
    status, out, _ = clampdown("show", recipe)
    assert status == 0
    assert all(said in out for said in ("mine", "some-model", "7 = 2.5", "9 = 1.5x", "seed 4", "layer 3"))
    assert all(said in out for said in ("rule delta, at-least", "11 ≥ 3", "rule delta, multiply", "12 × 250"))
    _, out, _ = clampdown("show", recipe, "--json")
    assert Recipe.from_dict(json.loads(out)["recipe"]) == Recipe.load(recipe)


def test_a_recipe_with_a_gate(clampdown, recipe, tmp_path):
    parts = (
        Part(12, torch.ones(1), w=torch.ones(1, 4), pool="max", window=8),
        Part(17, torch.ones(2), features="sae", sae="some/sae", latents=(5, 9), pool="request-last"),
        Part(20, features="hidden", w=torch.ones(6, 4), pool="mean"),
    )
    layer = Hidden(torch.ones(6), torch.ones(6))
    samples = Sample(2.0, (1, 2), None, "no"), Sample(-2.0, (1, 2), None, "yes")
    gate = save_gate(
        GateFile(0.5, *samples, parts=parts, hidden=layer, about={"fitted on": "pairs"}), tmp_path / "g.safetensors"
    )
    gated = replace(Recipe.load(recipe), gate=replace(gate, threshold=0.75))
    gated.save(recipe)
    status, out, _ = clampdown("show", recipe)
    assert status == 0
    for said in ("g.safetensors, open from 0.75 on", "reaches 0.75", "layer 12: 1 linear feature, max of windows of 8"):
        assert said in out
    assert "layer 20: 6 hidden units fed, mean over the request\nhidden layer: 6 units" in out
    assert "layer 17: latents 5, 9 of some/sae, the request's last token" in out and "pairs" in out
    body = json.loads(clampdown("show", recipe, "--json")[1])
    assert body["recipe"]["gate"]["threshold"] == 0.75 and body["sha256"] == gated.sha256
    (tmp_path / "g.safetensors").unlink()
    status, out, err = clampdown("show", recipe)
    assert (status, out) == (2, "") and "g.safetensors" in err and err.count("\n") == 1
    assert "it goes with the recipe: copy it beside, or fit a new one" in err


PYTHONS = re.compile(r"[\[{(]['\"\[{]|\w\(\w+=|: \[|\b(?:None|True|False)\b|\w_\w")
"""What reads like Python: a list, a dict, an object with its fields, a name."""


def test_what_a_latent_means_is_told_with_its_value(clampdown):
    out = clampdown("show", "refusal")[1]
    [line] = [line for line in out.splitlines() if line.startswith("     405 = 30.585")]
    assert "fires at" in line and "I'm sorry‹,›" in line
    assert out.count("raises  ") == 4 and "translate" in out and not PYTHONS.search(out)


def test_a_recipe_made_by_hand_has_the_readings_of_the_bundled_sae(clampdown, tmp_path):
    refusal = Recipe.load(bundled_path("refusal"))
    replace(refusal, edits=(replace(refusal.clamps[0], values={405: 9.0, 12: "1.5x"}),)).save(tmp_path / "mine.toml")
    out = clampdown("show", tmp_path / "mine.toml")[1]
    assert re.search(r"^ +405 = 9 .*fires at", out, re.M)
    assert re.search(r"^ +12 = 1.5x +no reading is known$", out, re.M)


def test_where_no_reading_is_known_that_is_said(clampdown, recipe, sae):
    for thing in (recipe, sae):
        out = clampdown("show", thing)[1]
        assert "no reading is known of" in out and "`clampdown find" in out


def test_latents_of_a_published_sae_have_their_page_on_neuronpedia(clampdown, tmp_path):
    name = "llama_scope_lxr_8x/l15r_8x"
    for told in (name, f"{name}@{'0' * 40}"):
        Recipe("mine", "llama", "b" * 64, (Clamp(told, "a" * 64, 15, {7: 2.5, 9: 1.0}),)).save(tmp_path / "r.toml")
        _, out, _ = clampdown("show", tmp_path / "r.toml")
        page = "https://www.neuronpedia.org/llama3.1-8b/15-llamascope-res-32k/"
        assert f"{page}7\n" in out and f"{page}9\n" in out


def test_the_bundled_sae_tells_its_readings_and_its_settings_in_words(clampdown):
    out = clampdown("show", "smollm2-135m-instruct/layer-12")[1]
    assert re.search(r"^latent 405 +fires at", out, re.M) and not PYTHONS.search(out.replace("_", " "))
    assert "kind topk, latents 4608, k 32" in out and "different tokens" in out


@pytest.mark.parametrize("thing", ["guarded", "guarded-clamp", "plan"])
def test_nothing_reads_like_python(clampdown, tmp_path, thing):
    if thing == "plan":
        (thing := tmp_path / "plan.toml").write_text('plan = "quick"\nseed = 5\n')
    out = clampdown("show", thing)[1]
    assert out and not PYTHONS.search(out)


@pytest.mark.parametrize(
    "value, said",
    [
        ({"a_b": [1, 2.0], "c": {}}, "a b 1, 2, c "),
        ((), ""),
        (None, ""),
        (True, "yes"),
        ("false", "no"),
        (0.25, "0.25"),
        ("Settings(kind='topk', top_k=3, scale=None)", "kind topk, top k 3, scale none"),
        ("f(x) is linear", "f(x) is linear"),
        (["a", "b"], "a, b"),
    ],
)
def test_plain_data_in_words(value, said):
    assert in_words(value) == said


def test_an_sae_by_file_and_by_folder(clampdown, sae):
    for thing in (sae, sae.parent):
        _, out, _ = clampdown("show", thing)
        assert all(said in out for said in ("topk", "wiki"))
    facts = json.loads(clampdown("show", sae, "--json")[1])
    assert (facts["layer"], facts["latents"], facts["k"], len(facts["sha256"])) == (5, 8, 2, 64)


def test_a_study_by_folder_database_and_results(clampdown, tmp_path):
    (tmp_path / "results.json").write_text(json.dumps(RESULTS))
    (tmp_path / "study.sqlite").write_text("")
    for thing in (tmp_path, tmp_path / "results.json", tmp_path / "study.sqlite"):
        status, out, _ = clampdown("show", thing)
        assert status == 0
        assert all(said in out for said in ("a study", "no [steering]", "25% of 40", "capability right"))
    assert json.loads(clampdown("show", tmp_path, "--json")[1]) == RESULTS


def test_of_a_study_that_is_not_over_the_missing_arms_are_told(clampdown, tmp_path):
    assert "missing" not in clampdown("show", _written(tmp_path, RESULTS))[1]
    told = RESULTS | {"missing": [{"name": "zeroed", "label": "Same latents at zero"}]}
    assert "missing  Same latents at zero" in clampdown("show", _written(tmp_path, told))[1]


def _written(folder, results):
    (folder / "results.json").write_text(json.dumps(results))
    return folder


def test_a_study_file(clampdown, tmp_path):
    path = tmp_path / "plan.toml"
    path.write_text('plan = "quick"\nseed = 5\n')
    assert json.loads(clampdown("show", path, "--json")[1])["plan"]["seed"] == 5


@pytest.mark.parametrize(
    "name, content, said",
    [
        ("x.toml", "nonsense [", "not valid TOML"),
        ("x.safetensors", "nonsense", "not a readable safetensors file"),
        ("x.json", "{}", "not a study's results"),
        ("x.json", "nonsense", "not a study's results"),
        ("x.txt", "nonsense", "no recipe (.toml), SAE (.safetensors) or study"),
        ("study.sqlite", "", "not finished"),
        ("nowhere", None, "nothing to show at"),
    ],
)
def test_anything_else_is_one_line(clampdown, tmp_path, name, content, said):
    if content is not None:
        (tmp_path / name).write_text(content)
    status, out, err = clampdown("show", tmp_path / name)
    assert (status, out) == (2, "")
    assert err.startswith("clampdown: ") and err.count("\n") == 1 and said in err


def test_damaged_results_of_a_study_that_is_kept_can_be_written_again(clampdown, tmp_path):
    (tmp_path / "study.sqlite").write_text("")
    (tmp_path / "results.json").write_text("[" * 100_000)
    status, _, err = clampdown("show", tmp_path)
    assert status == 2 and f"`clampdown report {tmp_path}` writes it again" in err


def test_an_empty_folder_is_told(clampdown, tmp_path):
    status, _, err = clampdown("show", tmp_path)
    assert status == 2 and "neither a study's results.json nor an SAE" in err


def test_a_pipe_is_told_and_not_waited_for(clampdown, tmp_path):
    (tmp_path / "sae").mkdir()
    for name in ("pipe", "pipe.toml", "pipe.json", "pipe.safetensors", "sae/sae.safetensors"):
        os.mkfifo(tmp_path / name)
        status, out, err = clampdown("show", tmp_path / name)
        assert (status, out, err.count("\n")) == (2, "", 1) and "it is a pipe, not a file" in err
    assert clampdown("show", tmp_path / "sae")[0] == 2
    for command in (["study"], ["study", "--recipe"], ["study", "--unsafe"], ["judge"], ["find", "--unsafe"]):
        status, out, err = clampdown(*command, tmp_path / "pipe")
        assert (status, out, err.count("\n")) == (2, "", 1) and "it is a pipe, not a file" in err
    (tmp_path / "a.jsonl").write_text('{"prompt": "p", "completion": "c"}\n')
    status, out, err = clampdown("judge", tmp_path / "a.jsonl", "--out", tmp_path / "pipe")
    assert (status, out) == (2, "") and "is a pipe or a device" in err and (tmp_path / "pipe").is_fifo()


def test_a_mark_before_a_recipe_or_a_plan_is_no_fault(clampdown, tmp_path):
    (tmp_path / "plan.toml").write_text('plan = "quick"\nseed = 5\n', encoding="utf-8-sig")
    assert clampdown("study", tmp_path / "plan.toml", "--dry-run")[0] == 0
    assert clampdown("show", tmp_path / "plan.toml")[0] == 0
    (tmp_path / "plan.toml").write_text('plan = "quick"\n', encoding="utf-16")
    for command in ("study", "show"):
        status, out, err = clampdown(command, tmp_path / "plan.toml")
        assert (status, out, err.count("\n")) == (2, "", 1) and "UTF-16 text; save it as UTF-8" in err


def test_what_is_nested_without_end_is_told_in_one_line(clampdown, tmp_path):
    recipe, results = tmp_path / "deep.toml", tmp_path / "results.json"
    recipe.write_text("edits = " + "[" * 50_000)
    results.write_text('{"schema": ' + "[" * 50_000)
    for arguments in (["show", recipe], ["study", recipe], ["show", results], ["show", tmp_path], ["report", tmp_path]):
        status, out, err = clampdown(*arguments)
        assert (status, out) == (2, "") and err.count("\n") == 1 and err.startswith("clampdown: ")


@pytest.mark.parametrize("command", ["show", "report", "export"])
def test_a_home_that_nobody_has_is_told(clampdown, command):
    status, out, err = clampdown(command, "~no-such-user-here/x")
    assert (status, out) == (2, "") and err.count("\n") == 1
