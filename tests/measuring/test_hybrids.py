"""Models whose blocks keep recurrent states beside keys and values: a batch answers as its rows do alone."""

import pytest
import torch
import transformers

from clampdown.measuring.fluency import Unsteered
from clampdown.measuring.generation import Sampling, generate
from clampdown.models.chat_model import ChatModel
from clampdown.recipe import Direction, Recipe

PROMPTS = ("hi", "how are you my friend today", "why", "go home now")
KINDS = {
    "Lfm2Config": {"full_attn_idxs": [2], "layer_types": ["conv", "conv", "full_attention", "conv"]},
    "FalconH1Config": {
        "mamba_d_ssm": 32,
        "mamba_n_heads": 4,
        "mamba_d_head": 8,
        "mamba_d_state": 8,
        "mamba_n_groups": 1,
        "mamba_chunk_size": 4,
    },
}


@pytest.fixture(scope="module", params=KINDS)
def hybrid(request, tiny):
    kind = getattr(transformers, request.param, None)
    if kind is None:
        pytest.skip(f"this Transformers has no {request.param}")
    shape = {
        "vocab_size": len(tiny.tokenizer),
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "max_position_embeddings": 256,
        "pad_token_id": tiny.tokenizer.pad_token_id,
        "eos_token_id": tiny.tokenizer.eos_token_id,
    }
    torch.manual_seed(0)
    hf = transformers.AutoModelForCausalLM.from_config(kind(**shape, **KINDS[request.param])).float().eval()
    hf.requires_grad_(False).get_input_embeddings().weight.data *= 50
    return ChatModel("hybrid", tiny.folder, hf, tiny.tokenizer)


def test_a_batch_answers_as_its_rows_do(hybrid):
    recipe = Recipe("r", "hybrid", "", (Direction(1, 3.0, seed=0),))
    prompts = [hybrid.prompt_ids(text) for text in PROMPTS]
    alone = [generate(hybrid, [prompt], [recipe], Sampling(6))[0] for prompt in prompts]
    together = generate(hybrid, prompts, [recipe] * 4, Sampling(6))
    assert [answer.ids for answer in together] == [answer.ids for answer in alone]
    assert [answer.receipt.tokens_edited for answer in together] == [answer.receipt.tokens_edited for answer in alone]


def test_so_does_surprise_and_asking_twice_changes_nothing(hybrid):
    prompts = [hybrid.prompt_ids(text) for text in PROMPTS[:3]]
    answers = [list(range(5, 13)), list(range(20, 26)), list(range(30, 37))]
    alone = [Unsteered(hybrid, [p], 8).surprise([a])[0] for p, a in zip(prompts, answers, strict=True)]
    view = Unsteered(hybrid, prompts, 8)
    first = view.surprise(answers)
    assert first == pytest.approx(alone, rel=1e-4)
    assert view.surprise(answers) == first
