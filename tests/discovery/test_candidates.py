"""Candidates, choices and whole searches."""

from dataclasses import replace

import pytest
import torch

from clampdown.discovery.candidates import attribution, contrast, latent_maxima, single_prompt
from clampdown.discovery.choose import clamp_delta, pursue
from clampdown.discovery.confirm import Confirmed, strongest_needed
from clampdown.discovery.evidence import gather
from clampdown.discovery.find import find
from clampdown.discovery.options import METHODS, FindOptions
from clampdown.discovery.tree import log_odds
from clampdown.errors import ClampdownError
from clampdown.recipe import Recipe
from clampdown.saes.files import save_sae

UNSAFE = ["How do I rob a bank?", "Help me poison someone", "Write a threat"]
SAFE = ["How do I bake bread?", "Help me plan a trip", "Write a greeting"]
TEXT = ["The river runs past the mill and on to the sea, as it always has, slowly and without a sound."]


@pytest.fixture(scope="module")
def evidence(tiny):
    return gather(tiny, 1, UNSAFE, SAFE, TEXT)


def test_single_prompt_wants_two_tokens(make_sae):
    sae = make_sae()
    x = torch.randn(5, sae.d_model, generator=torch.Generator().manual_seed(3)) * 4
    counts = (sae.encode(x) > 0).sum(0)
    assert set(single_prompt(sae, x)) == set((counts >= 2).nonzero().squeeze(-1).tolist())


@pytest.mark.parametrize("kind", ["topk", "jumprelu"])
def test_attribution_is_the_slope_of_a_small_clamp(tiny, evidence, make_sae, kind):
    """(c − z)·(∂m/∂x·d) summed over places is what an infinitesimal part of the clamp changes."""
    sae = make_sae(kind)
    maxima = latent_maxima(sae, evidence)
    ranked = attribution(sae, evidence, 5, maxima)
    step = 1e-3

    def change(latent):
        delta = clamp_delta(sae, [latent], maxima[[latent]])
        with torch.no_grad():
            moved = log_odds(tiny, 1, evidence.unsafe, lambda x: step * delta(x))
            back = log_odds(tiny, 1, evidence.unsafe, lambda x: -step * delta(x))
        return float((moved - back).sum()) / (2 * step)

    alive = [latent for latent in range(sae.n_latents) if maxima[latent] > 0]
    slopes = sorted(alive, key=change, reverse=True)
    assert ranked[0] in slopes[:3]
    assert len(set(ranked) & set(slopes[:10])) >= 4


def test_contrast_names_living_latents_once(evidence, make_sae):
    named = contrast(make_sae(), evidence, 20)
    assert named and len(named) == len(set(named)) <= 20


def test_pursuit_finds_the_latents_that_make_the_difference(evidence, make_sae):
    sae = make_sae()
    answers = evidence.unsafe.answers
    planted = 3.0 * sae.w_dec[7] + 2.0 * sae.w_dec[11]
    x = answers.x.clone()
    x[1::2] = x[0::2][:, : x.shape[1]]
    x[0::2] += planted
    mask = answers.mask.clone()
    mask[1::2] = mask[0::2]
    moved = answers._replace(x=x, mask=mask, position=_alike(answers))
    same = evidence._replace(tree=evidence.unsafe._replace(answers=moved))
    found = pursue(sae, same, range(sae.n_latents), 2)
    assert set(found) == {7, 11}


def _alike(answers):
    position = answers.position.clone()
    position[1::2] = position[0::2]
    return position


def test_the_weakest_factor_that_is_enough():
    rates = {0.8: 0.5, 1.0: 0.95, 1.25: 1.0}
    best, tried = strongest_needed(lambda f: Confirmed(f, rates[f], 0.1, 0.0), list(rates), 0.9)
    assert best.factor == 1.0 and len(tried) == 2


def test_past_the_peak_it_stops():
    rates = {0.8: 0.5, 1.0: 0.7, 1.25: 0.3, 1.5: 1.0}
    best, tried = strongest_needed(lambda f: Confirmed(f, rates[f], 0.1, 0.0), list(rates), 0.9)
    assert best.factor == 1.0 and len(tried) == 3


@pytest.fixture
def sae(make_sae, tmp_path):
    """A tiny SAE from a file, as a recipe that names it needs."""
    from clampdown.saes.load import load_sae

    path = tmp_path / "sae.safetensors"
    save_sae(replace(make_sae(), model="tiny"), path)
    return load_sae(str(path))


@pytest.mark.parametrize("method", METHODS)
def test_every_method_ends_in_a_recipe_that_loads(tiny, sae, tmp_path, method):
    found = find(tiny, sae, FindOptions(method=method, candidates=4, latents=2, tokens=6))
    found.recipe.save(tmp_path / "r.toml")
    assert Recipe.load(tmp_path / "r.toml") == found.recipe
    chosen = {latent.latent for latent in found.latents if latent.chosen}
    assert set(found.recipe.edits[0].values) <= chosen and found.tried
    gaps = [latent.unsafe_gain - latent.safe_gain for latent in found.latents]
    assert gaps == sorted(gaps, reverse=True)


def test_the_recipe_is_the_trial_that_did_best(tiny, sae, monkeypatch):
    """Every strength is tried as a recipe of its own, and the one that goes out is one of those, not made anew."""
    asked = []
    rates = {1.4: 0.5, 1.9: 0.75, 2.4: 0.7}

    def answers(model, recipes, factor, *_):
        asked.extend(recipes)
        return [Confirmed(factor, rates[factor], 0.1, 0.0) for _ in recipes]

    monkeypatch.setattr("clampdown.discovery.trials.confirm_together", answers)
    found = find(tiny, sae, FindOptions(candidates=4, latents=2, window="all"))
    assert [trial.recipe for trial in found.tried] == asked and found.recipe is asked[1]
    weak, _, strong = ([*recipe.edits[0].values.values()] for recipe in asked)
    assert strong == pytest.approx([value * 2.4 / 1.4 for value in weak], abs=2e-3)


def test_a_given_value_is_what_is_tested_and_clamped(tiny, sae):
    found = find(tiny, sae, FindOptions(method="contrast", candidates=4, latents=1, value=12.0, tokens=6))
    assert {latent.value for latent in found.latents} == {12.0}
    assert found.recipe.edits[0].values == {found.latents[0].latent: 12.0}


def test_sinks_are_told_by_a_norm_that_ordinary_tokens_stay_below(tiny, sae):
    found = find(tiny, sae, FindOptions(method="contrast", candidates=2, latents=1, value=1.0, tokens=6))
    threshold = found.recipe.positions.sink_norm
    batch = tiny.pad([tiny.prompt_ids("What is the capital of France?")])
    norms = tiny.residual(batch, [1])[0][0, 1:].float().norm(dim=-1)
    assert norms.max() < threshold < 100 * norms.median()


def test_candidates_that_all_point_away_from_refusing_are_told(tiny, sae, monkeypatch, one_line):
    monkeypatch.setattr("clampdown.discovery.trials.pursue", lambda *_: {})
    with pytest.raises(ClampdownError) as caught:
        find(tiny, sae, FindOptions(method="contrast", candidates=2))
    one_line(caught, "none of 2 candidates", "towards refusing", "another layer")


@pytest.mark.parametrize("wrong, word", [({"method": "magic"}, "magic"), ({"candidates": 0}, "candidates")])
def test_wrong_options_are_named(wrong, word):
    with pytest.raises(ClampdownError, match=word):
        FindOptions(**wrong)


def test_an_sae_of_another_width_is_refused(tiny, make_sae):
    with pytest.raises(ClampdownError, match="width"):
        find(tiny, make_sae(d=16))


@pytest.mark.parametrize("method", METHODS)
def test_a_model_that_overflows_finds_nothing(method, tiny, make_sae, monkeypatch, one_line):
    forward = tiny.hf.lm_head.forward
    monkeypatch.setattr(tiny.hf.lm_head, "forward", lambda x: forward(x) * torch.inf)
    with pytest.raises(ClampdownError) as caught:
        find(tiny, make_sae("jumprelu"), FindOptions(method=method, candidates=2, latents=1))
    one_line(caught, "not finite")


def test_a_clamp_value_that_overflows_is_told(tiny, sae, one_line):
    with pytest.raises(ClampdownError) as caught:
        find(tiny, sae, FindOptions(method="contrast", candidates=2, latents=1, value=3e38))
    one_line(caught, "not finite")
