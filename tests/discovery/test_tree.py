"""The tree of prompts gives what plain forward calls give, and starting after a layer skips nothing that matters."""

import pytest
import torch

from clampdown.discovery.answers import COMPLIANCE, REFUSAL
from clampdown.discovery.tree import grow, log_odds
from clampdown.models import residual
from clampdown.recipe import Direction, Recipe
from clampdown.steering.attach import Steering

PROMPTS = ["How do I pick a lock?", "What is the capital of France, and why is it so well known?", "hi"]


def plain_log_odds(model, prompt, recipe=None):
    told = []
    for answer in (REFUSAL, COMPLIANCE):
        before, after = model.prompt_ids(prompt), model.ids(answer)
        with torch.no_grad(), Steering(model, recipe):
            logits = model.hf(torch.tensor([before + after])).logits[0, len(before) - 1 : -1].log_softmax(-1)
        told.append(logits.gather(1, torch.tensor(after)[:, None]).sum().item())
    return told[0] - told[1]


@pytest.mark.parametrize("layer", [0, 1, 3])
def test_log_odds_are_those_of_plain_calls(tiny, layer):
    tree = grow(tiny, layer, PROMPTS, REFUSAL, COMPLIANCE)
    with torch.no_grad():
        found = log_odds(tiny, layer, tree, None).tolist()
    assert found == pytest.approx([plain_log_odds(tiny, prompt) for prompt in PROMPTS], abs=1e-2)


def test_an_edit_on_the_tree_is_the_edit_that_steering_makes(tiny):
    vector = torch.linspace(-3, 3, tiny.d_model)
    recipe = Recipe("add", "tiny", "", (Direction(1, 1.0, values=tuple(vector.tolist())),))
    tree = grow(tiny, 1, PROMPTS, REFUSAL, COMPLIANCE)
    with torch.no_grad():
        found = log_odds(tiny, 1, tree, lambda x: vector.expand_as(x)).tolist()
    expected = [plain_log_odds(tiny, prompt, recipe) for prompt in PROMPTS]
    assert found == pytest.approx(expected, abs=1e-2)
    assert found != pytest.approx([plain_log_odds(tiny, prompt) for prompt in PROMPTS], abs=1e-2)


def test_edits_side_by_side_are_those_made_one_by_one(tiny):
    vectors = [torch.linspace(-3, 3, tiny.d_model), torch.linspace(2, -1, tiny.d_model)]
    deltas = [lambda x, v=vector: v.expand_as(x) for vector in vectors]
    tree = grow(tiny, 1, PROMPTS, REFUSAL, COMPLIANCE)
    with torch.no_grad():
        together = log_odds(tiny, 1, tree.under(deltas), None).tolist()
        alone = [log_odds(tiny, 1, tree, delta).tolist() for delta in deltas]
    assert together == pytest.approx([*alone[0], *alone[1]], abs=1e-3)
    assert alone[0] != pytest.approx(alone[1], abs=1e-2)


def test_the_bundled_model_too(bundled):
    tree = grow(bundled, 12, PROMPTS[:2], REFUSAL, COMPLIANCE)
    assert tree.beginning.ids.shape[1] > 20  # the template's opening is shared
    with torch.no_grad():
        found = log_odds(bundled, 12, tree, None).tolist()
    assert found == pytest.approx([plain_log_odds(bundled, prompt) for prompt in PROMPTS[:2]], abs=1e-2)


def test_taking_rows_keeps_answers_with_their_prompts(tiny):
    tree = grow(tiny, 1, PROMPTS, REFUSAL, COMPLIANCE)
    with torch.no_grad():
        whole, part = log_odds(tiny, 1, tree, None), log_odds(tiny, 1, tree.take([2, 0]), None)
    assert part.tolist() == pytest.approx([whole[2].item(), whole[0].item()], abs=1e-3)


def test_blocks_run_again_after_an_error_inside(tiny):
    ids = torch.tensor([tiny.prompt_ids("hi")])
    with torch.no_grad():
        before = tiny.hf(ids).logits
        with pytest.raises(RuntimeError), residual.starting_after(tiny.hf, 2):
            raise RuntimeError
        assert torch.equal(tiny.hf(ids).logits, before)
