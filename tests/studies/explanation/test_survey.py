"""The survey: which latents, what it says of them, that a predictor is judged by latents it was not chosen on."""

import json
from dataclasses import replace

import pytest
import torch

from clampdown.recipe import Clamp, Positions, Recipe
from clampdown.saes.files import save_sae
from clampdown.saes.load import load_sae
from clampdown.studies.explanation import kept, survey
from clampdown.studies.explanation.activations import Firing
from clampdown.studies.explanation.correlate import correlations, predicted, spread
from clampdown.studies.explanation.draws import drawn, halves
from clampdown.studies.explanation.explain import explain
from clampdown.studies.explanation.options import ExplainOptions
from clampdown.studies.explanation.page import render_page
from clampdown.studies.explanation.predictors import NAMES

FEW = ExplainOptions(questions=4, passages=1, passage_tokens=16, draws=1, latents=16)


@pytest.fixture
def sae(make_sae, tmp_path):
    save_sae(make_sae("topk", layer=1), tmp_path / "one.safetensors")
    return load_sae(str(tmp_path / "one.safetensors"))


@pytest.fixture
def recipe(tiny, sae):
    edit = Clamp(sae.name, sae.sha256, 1, {3: 9.0, 40: 7.0})
    return Recipe("clamp", "tiny", tiny.sha256, (edit,), Positions(prompt="all", generated=3))


@pytest.fixture
def small(monkeypatch, tmp_path):
    monkeypatch.setenv("CLAMPDOWN_CACHE", str(tmp_path / "cache"))
    for name, value in (("_QUESTIONS", 6), ("_PASSAGES", 1), ("_PASSAGE_TOKENS", 16), ("_DIRECTIONS", 2)):
        monkeypatch.setattr(survey, name, value)


def test_a_survey_is_made_kept_and_cited(tiny, recipe, sae, small):
    body = explain(tiny, recipe, FEW, surveyed=True).to_dict()
    found = body["survey"]
    assert found["schema"] == "clampdown-survey/1"
    assert set(body["correlation"]) == {"value", "low", "high", "n"}
    assert body["predictors"] == found["settings"]["natural"]["predictors"] and set(body["predictors"]) == set(NAMES)
    assert "relative" not in found["settings"]["equal"]["predictors"]
    chance = [one for one in found["latents"] if one["why"] == "drawn"]
    assert len(chance) == 16 and {one["latent"] for one in found["latents"] if one["why"] == "recipe"} == {3, 40}
    assert body["correlation"]["n"] == 8
    for one in found["latents"]:
        assert one["equal"]["norm"] == pytest.approx(found["norm"], rel=1e-3)
        assert one["natural"]["value"] == pytest.approx(float(sae.maximum[one["latent"]]), rel=1e-3)
        assert all(one["equal"]["predictors"][name] is not None for name in NAMES)
    assert found["random"]["loss"]["n"] == 2
    render_page(body)

    again = explain(tiny, recipe, FEW).to_dict()
    assert again["survey"]["same_edits"] and again["correlation"] == body["correlation"]
    wider = explain(tiny, replace(recipe, positions=Positions()), FEW).to_dict()
    assert wider["survey"] is not None and not wider["survey"]["same_window"]


def test_a_survey_of_another_sae_or_model_is_not_cited(tiny, recipe, sae, small):
    explain(tiny, recipe, FEW, surveyed=True)
    (path,) = (kept.cache_folder() / "surveys").glob("*.json")
    body = json.loads(path.read_text())
    assert kept.find_survey(tiny, sae, recipe) is not None
    for key in ("sae_sha256", "model_sha256"):
        path.write_text(json.dumps({**body, key: "0" * 64}))
        assert kept.find_survey(tiny, sae, recipe) is None
    path.write_text("{damaged")
    assert kept.find_survey(tiny, sae, recipe) is None


def test_latents_are_drawn_from_every_eighth_of_the_firing_rates():
    n = 160
    firing = Firing(torch.arange(n) / n, torch.zeros(n), torch.zeros(n), torch.ones(n))
    some = drawn(firing, [5, 70], 32, 0)
    chance = [one.latent for one in some if one.why == "drawn"]
    assert len(set(chance)) == 32 and not {5, 70} & set(chance)
    assert [one.latent for one in some if one.why == "recipe"] == [5, 70]
    pool = [latent for latent in range(n) if latent not in (5, 70)]
    eighths = [sum(pool.index(latent) * 8 // len(pool) == k for latent in chance) for k in range(8)]
    assert min(eighths) >= 3 and max(eighths) <= 5
    assert drawn(firing, [5, 70], 32, 0) == some != drawn(firing, [5, 70], 32, 1)


def test_dead_latents_are_not_drawn_and_philosophy_is_found():
    rate, philosophy, largest = torch.full((40,), 0.01), torch.full((40,), 0.01), torch.ones(40)
    philosophy[7], largest[20:] = 0.5, 0.0
    some = drawn(Firing(rate, torch.zeros(40), philosophy, largest), [], 100, 0)
    assert {one.latent for one in some} == set(range(20))
    assert [one.latent for one in some if one.why == "philosophy"] == [7]


def test_halves_part_the_latents():
    choosing, reporting = halves(list(range(21)), 0)
    assert sorted([*choosing, *reporting]) == list(range(21)) and abs(len(choosing) - len(reporting)) == 1


def test_a_predictor_is_chosen_on_one_half_and_reported_on_the_other():
    losses = [float(i) for i in range(20)]
    choosing, reporting = list(range(10)), list(range(10, 20))
    fits_first = [*losses[:10], *(-loss for loss in losses[10:])]
    fits_second = [*(-loss for loss in losses[:10]), *losses[10:]]
    told = correlations(losses, {"a": fits_first, "b": fits_second, "c": [1.0] * 20}, choosing, reporting, 0)
    assert told["chosen"] == "a"
    assert told["correlation"]["value"] == pytest.approx(-1.0) and told["correlation"]["n"] == 10
    assert told["predictors"]["b"]["value"] == pytest.approx(1.0)
    assert told["predictors"]["c"]["value"] is None


def test_a_predictor_that_could_not_be_measured_is_none():
    told = correlations([1.0, 2.0, 3.0, 4.0], {"a": [None] * 4}, [0, 1], [2, 3], 0)
    assert told["chosen"] is None and told["correlation"] is None and told["predictors"]["a"]["n"] == 0


def test_a_prediction_is_the_mean_of_the_nearest():
    known, losses = [float(i) for i in range(10)], [10.0 * i for i in range(10)]
    assert predicted(4.0, known, losses) == pytest.approx(40.0)
    assert predicted(100.0, known, losses) == pytest.approx(70.0)


def test_spread_takes_the_items_noise_out():
    told = spread([1.0, 2.0, 3.0], [0.5, 0.5, 0.5])
    assert told["mean"] == 2.0 and told["sd"] == pytest.approx(1.0)
    assert told["sd_beyond_noise"] == pytest.approx(0.75**0.5)
    assert spread([1.0, 2.0], [9.0, 9.0])["sd_beyond_noise"] == 0.0
