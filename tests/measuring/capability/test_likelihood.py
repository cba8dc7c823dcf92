"""Scores of choices and of plain text, against one sequence at a time without cache or padding."""

import math

import pytest
import torch

from clampdown.errors import ClampdownError
from clampdown.measuring.capability.likelihood import bits_per_byte, choice_scores, text_nats
from clampdown.measuring.sets.sets import Item
from clampdown.models import residual
from clampdown.recipe import Direction, Positions, Recipe
from clampdown.steering.attach import Steering
from clampdown.steering.edits import direction_vector

EDITS = (Direction(1, 20.0, seed=1),)
RECIPES = {
    "none": None,
    "steered": Recipe("r", "tiny", "", EDITS),
    "answers only": Recipe("r", "tiny", "", EDITS, Positions("generated")),
    "with a system prompt": Recipe("r", "tiny", "", EDITS, system_prompt="Be brief."),
}
QUESTIONS = [
    ("What is the capital of France?", ("Paris", "a small town in the north of the country", "Rome")),
    ("2+2?", ("four", "22", "five or six")),
    ("Is water wet, would you say?", ("yes", "no")),
    ("Pick.", ("one", "two", "three")),
]
ITEMS = [Item(str(n), text, "", str(n), choices, 0) for n, (text, choices) in enumerate(QUESTIONS)]
TEXTS = ["The sea is blue, and so is the sky.", "One", "Löwen 🦁 brüllen – laut.", "def f(x):\n    return x * 2\n"]


@torch.inference_mode()
def nats(model, ids, start, recipe):
    """Log-likelihood of ids[start:], one forward call of one row."""
    with Steering(model, recipe, prompt_lengths=[start]):
        logits = model.hf(input_ids=torch.tensor([ids])).logits[0]
    told = logits.double().log_softmax(-1)
    return sum(float(told[i - 1, ids[i]]) for i in range(start, len(ids)))


@pytest.mark.parametrize("name", RECIPES)
def test_choice_scores_are_the_naive_ones(name, tiny):
    recipe = RECIPES[name]
    for item, found in zip(ITEMS, choice_scores(tiny, ITEMS, recipe), strict=True):
        prompt = tiny.prompt_ids(item.text, system=recipe.system_prompt if recipe else None)
        for choice, score in zip(item.choices, found, strict=True):
            naive = nats(tiny, prompt + tiny.ids(choice), len(prompt), recipe) / len(choice)
            assert score == pytest.approx(naive, rel=1e-4, abs=1e-4)


PASSAGES = {name: RECIPES[name] for name in ("none", "steered", "answers only")} | {
    "a window": Recipe("r", "tiny", "", EDITS, Positions(generated=3, fade=2)),
    "what the user says, and a window": Recipe("r", "tiny", "", EDITS, Positions(prompt="user", generated=4)),
    "sinks too": Recipe("r", "tiny", "", EDITS, Positions(prompt="last", generated=1, sinks=True)),
    "the prompt alone": Recipe("r", "tiny", "", EDITS, Positions(generated="none", sinks=True)),
}


def passage_nats(model, ids, positions):
    """A passage's log-likelihood, edited token by token: its first token is the prompt, and no user's."""

    def weight(place):
        if not place:
            return float(positions.sinks and positions.prompt in ("all", "last"))
        if positions.generated in ("all", "none"):
            return float(positions.generated == "all")
        return min(1, max(0, (positions.generated + positions.fade - (place - 1)) / (positions.fade + 1)))

    weights = torch.tensor([weight(place) for place in range(len(ids))])[:, None]
    vector = EDITS[0].strength * direction_vector(EDITS[0], model.d_model)

    def edit(_module, _inputs, output):
        return residual.with_block_output(output, residual.block_output(output) + weights * vector)

    handle = residual.blocks(model.hf)[1].register_forward_hook(edit)
    try:
        told = model.hf(input_ids=torch.tensor([ids])).logits[0].double().log_softmax(-1)
    finally:
        handle.remove()
    return sum(float(told[i - 1, ids[i]]) for i in range(1, len(ids)))


@pytest.mark.parametrize("name", [name for name in PASSAGES if name != "none"])
def test_a_passage_is_answer_after_its_first_token(name, tiny):
    recipe = PASSAGES[name]
    with torch.inference_mode():
        wanted = [-passage_nats(tiny, tiny.ids(text), recipe.positions) for text in TEXTS]
    assert [nats for nats, _ in text_nats(tiny, TEXTS, recipe)] == pytest.approx(wanted, rel=1e-4, abs=1e-4)
    moved = text_nats(tiny, TEXTS, recipe) != text_nats(tiny, TEXTS, None)
    assert moved, "bits per byte see every window"


@pytest.mark.parametrize("name", ["none", "steered", "answers only"])
def test_text_nats_are_the_naive_ones(name, tiny):
    recipe = RECIPES[name]
    for text, (found, covered) in zip(TEXTS, text_nats(tiny, TEXTS, recipe), strict=True):
        ids = tiny.ids(text)
        with_prompt = nats(tiny, ids, 1, recipe) if len(ids) > 1 else 0.0
        assert found == pytest.approx(-with_prompt, rel=1e-4, abs=1e-4)
        assert covered == len(text.encode()) - len(tiny.tokenizer.decode(ids[:1]).encode())


def test_steering_changes_the_scores(tiny):
    assert choice_scores(tiny, ITEMS, None) != choice_scores(tiny, ITEMS, RECIPES["steered"])
    assert text_nats(tiny, TEXTS, None) != text_nats(tiny, TEXTS, RECIPES["steered"])


def test_the_bundled_model_is_scored_alike(bundled):
    for item, found in zip(ITEMS, choice_scores(bundled, ITEMS, None), strict=True):
        prompt = bundled.prompt_ids(item.text)
        naive = [nats(bundled, prompt + bundled.ids(c), len(prompt), None) / len(c) for c in item.choices]
        assert found == pytest.approx(naive, rel=1e-3, abs=1e-3)
    [(found, covered)] = text_nats(bundled, ["The cat sat on the mat, and the dog sat on the floor."], None)
    assert 0.5 < bits_per_byte(found, covered) < 2


def test_bits_per_byte():
    assert bits_per_byte(16 * math.log(2), 8) == pytest.approx(2)


def test_edges(tiny, one_line):
    assert choice_scores(tiny, [], None) == []
    long = Item("l", "Which?", "", "l", ("word " * 600, "b"), 0)
    with pytest.raises(ClampdownError) as caught:
        choice_scores(tiny, [long], None)
    one_line(caught, "512")
    [(_, covered)] = text_nats(tiny, ["word " * 600], None)
    assert covered == len(" word") * 511  # cut at the context


def test_scores_that_are_not_finite_are_refused(tiny, monkeypatch, one_line):
    forward = tiny.hf.lm_head.forward
    monkeypatch.setattr(tiny.hf.lm_head, "forward", lambda x: forward(x) * torch.nan)
    for score in (lambda: choice_scores(tiny, ITEMS, None), lambda: text_nats(tiny, TEXTS, None)):
        with pytest.raises(ClampdownError) as caught:
            score()
        one_line(caught, "not finite")
