"""Each predictor's arithmetic beside a plain twin of it, and what single latents add beside what steering adds."""

import math
from dataclasses import replace

import pytest
import torch

from clampdown.recipe import Clamp, Direction, Positions, Recipe
from clampdown.saes.files import save_sae
from clampdown.saes.load import load_sae
from clampdown.studies.calibration import Calibration
from clampdown.studies.explanation import predictors
from clampdown.studies.explanation.activations import covariance
from clampdown.studies.explanation.attention import Attention, moved
from clampdown.studies.explanation.losses import divergence, margin
from clampdown.studies.explanation.pushes import Pushes

DRAW = torch.Generator().manual_seed(5)
DELTA, X = torch.randn(7, 12, generator=DRAW).double(), torch.randn(40, 12, generator=DRAW).double()


def test_relative_norm_is_the_mean_of_ratios():
    plain = sum(
        math.dist(d, [0] * 12) / math.dist(x, [0] * 12) for d, x in zip(DELTA.tolist(), X[:7].tolist(), strict=True)
    )
    assert predictors.relative(DELTA, X[:7]) == pytest.approx(plain / 7)


def test_energy_is_the_quadratic_form_of_the_covariance():
    rows = X.tolist()
    mean = [sum(column) / 40 for column in zip(*rows, strict=True)]
    sigma = [[sum((r[i] - mean[i]) * (r[j] - mean[j]) for r in rows) / 39 for j in range(12)] for i in range(12)]
    forms = [sum(d[i] * sigma[i][j] * d[j] for i in range(12) for j in range(12)) for d in DELTA.tolist()]
    plain = sum(forms) / 7 / sum(sigma[i][i] for i in range(12))
    assert predictors.energy(DELTA, covariance(X)) == pytest.approx(plain)


def test_energy_is_the_variance_that_activations_have_along_a_push():
    direction = torch.zeros(1, 12).double()
    direction[0, 3] = 2.0
    plain = 4 * X[:, 3].var() / sum(X[:, i].var() for i in range(12))
    assert predictors.energy(direction, covariance(X)) == pytest.approx(float(plain))


def test_overlap_is_whole_inside_the_active_subspace_and_none_beside_it():
    stretched = X * torch.tensor([30.0, *[1.0] * 11]).double()
    basis = predictors.active_subspace(covariance(stretched))
    assert basis.shape == (1, 12)
    top = basis[0]
    beside = DELTA - (DELTA @ top)[:, None] * top
    assert predictors.overlap(top[None] * 3, basis) == pytest.approx(1.0)
    assert predictors.overlap(beside, basis) == pytest.approx(0.0, abs=1e-12)
    assert predictors.overlap(DELTA, basis) == pytest.approx(float(((DELTA @ top) ** 2).sum() / (DELTA**2).sum()))


def test_direct_logits_are_those_of_the_final_norm_and_head(tiny):
    direct = predictors.DirectLogits(tiny, 0)
    push = torch.randn(tiny.d_model, generator=torch.Generator().manual_seed(2))
    norm, head = tiny.hf.model.norm, tiny.hf.lm_head
    with torch.inference_mode():
        plain, pushed = head(norm(direct.x)), head(norm(direct.x + push))
    spread = (pushed - plain).std(-1).mean()
    chances = [logits.softmax(-1) for logits in (plain, pushed)]
    entropies = [-(p * p.log()).sum(-1) for p in chances]
    footprint, entropy = direct.of(push)
    assert footprint == pytest.approx(float(spread), rel=1e-4)
    assert entropy == pytest.approx(float((entropies[1] - entropies[0]).abs().mean()), rel=1e-3, abs=1e-5)
    assert direct.of(torch.zeros(tiny.d_model)) == (0.0, 0.0)


def test_attention_moved_is_the_total_variation_over_real_places():
    before = torch.tensor([[[[1.0, 0.0], [0.5, 0.5]], [[1.0, 0.0], [0.2, 0.8]]]])
    after = torch.tensor([[[[1.0, 0.0], [1.0, 0.0]], [[1.0, 0.0], [0.3, 0.7]]]])
    assert moved(before, after, torch.tensor([[1, 1]])) == pytest.approx((0 + (0.5 + 0.1) / 2) / 2)
    assert moved(before, after, torch.tensor([[0, 1]])) == pytest.approx(0.3)


def test_attention_turns_under_an_edit_and_is_computed_as_before_afterwards(tiny):
    recipe = Recipe("push", "tiny", "", (Direction(1, 20.0, seed=3),))
    implementation = tiny.hf.config._attn_implementation
    attention = Attention(tiny, 1, "", 0)
    assert len(attention.plain) == tiny.n_layers - 2
    turned, gently = attention.turned(recipe), attention.turned(replace(recipe, edits=(Direction(1, 0.5, seed=3),)))
    assert turned is not None and gently is not None and 0 < gently < turned < 1
    assert attention.turned(replace(recipe, edits=())) == 0.0
    assert tiny.hf.config._attn_implementation == implementation


def test_divergence_and_margin():
    p, q = torch.tensor([0.7, 0.2, 0.1]), torch.tensor([0.1, 0.6, 0.3])
    plain = sum(a * math.log(a / b) for a, b in zip(p.tolist(), q.tolist(), strict=True))
    assert float(divergence(p.log(), q.log())) == pytest.approx(plain, rel=1e-5)
    assert margin([-3.0, -1.0, -2.5], 1) == 1.5
    assert margin([-3.0, -1.0, -2.5], 0) == -2.0


@pytest.mark.parametrize("kind,normalise", [("topk", "none"), ("jumprelu", "layer_norm"), ("relu", "constant_norm")])
@pytest.mark.parametrize("rule", ["delta", "reconstruct"])
def test_a_latents_push_is_what_steering_adds_and_is_matched_exactly(tiny, make_sae, tmp_path, kind, normalise, rule):
    save_sae(make_sae(kind, normalise), tmp_path / "sae.safetensors")
    sae = load_sae(str(tmp_path / "sae.safetensors"))
    recipe = Recipe("r", "tiny", "", (Direction(1, 1.0, seed=1),), Positions(prompt="all", generated=4))
    calibration = Calibration(tiny, recipe, 0, kinds=("safe",), prompts=4)
    pushes = Pushes.of(sae, calibration.x[1], rule)
    clamp = Clamp(sae.name, sae.sha256, 1, {5: 3.0}, rule)
    torch.testing.assert_close(pushes.delta(5, 3.0).float(), calibration.deltas(1, [clamp]), atol=2e-3, rtol=1e-3)
    target = 1.5 * max(pushes.mean_norm(5, 0.0), 1.0)
    value = pushes.matched(5, target)
    assert value is not None and value > 0
    assert pushes.mean_norm(5, value) == pytest.approx(target, rel=1e-5)
    assert calibration.mean_norm([replace(clamp, values={5: value})]) == pytest.approx(target, rel=1e-3)
