"""A tiny random model with the bundled model's tokenizer, and a tiny random SAE: fast, and wrong about everything."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).parent.parent / "steering"))

from gates import part, written

from clampdown.measuring.sets.sets import Item, ItemSet
from clampdown.models.bundled import bundled_folder
from clampdown.models.chat_model import ChatModel
from clampdown.recipe import Clamp, Recipe
from clampdown.saes.files import save_sae
from clampdown.saes.load import load_sae
from clampdown.saes.sae import SAE

LAYER = 1


def make_model(folder) -> ChatModel:
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(bundled_folder(), padding_side="left")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=tokenizer.bos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    hf = LlamaForCausalLM(config).eval().requires_grad_(False)
    # Residuals about as large as the SAE's rows, so that a clamp shows.
    hf.get_input_embeddings().weight.data *= 50
    hf.save_pretrained(folder)
    return ChatModel("tiny", folder, hf, tokenizer)


def make_sae(path) -> str:
    draw = torch.Generator().manual_seed(1)
    rows = torch.randn(96, 32, generator=draw)
    rows = rows / rows.norm(dim=-1, keepdim=True)
    sae = SAE("tiny", "topk", LAYER, rows.clone(), torch.zeros(96), rows, torch.zeros(32), k=8)
    save_sae(sae, path)
    return str(path)


def make_recipe(model: ChatModel, sae: str) -> Recipe:
    clamp = Clamp(sae, load_sae(sae).sha256, LAYER, {3: 2.0, 40: 1.0, 77: 1.5})
    return Recipe("tiny clamp", model.name, model.sha256, (clamp,))


def make_sets() -> list[ItemSet]:
    prompts = {
        kind: ItemSet(f"{kind} ones", kind, "here", kind, tuple(_prompt(kind, i) for i in range(7)), "report")
        for kind in ("unsafe", "safe", "lookalike")
    }
    words = ("red", "a rather long answer", "blue", "none")
    questions = tuple(Item(f"q{i}", f"Which is {i}?", "", f"c{i // 2}", words, i % 4) for i in range(6))
    passages = tuple(Item(f"t{i}", f"The {i}th robin sat on the fence and sang. " * 2, "", f"t{i}") for i in range(3))
    return [
        *prompts.values(),
        ItemSet("questions", "capability", "here", "q", questions),
        ItemSet("passages", "text", "here", "t", passages),
    ]


def _prompt(kind: str, i: int) -> Item:
    return Item(f"{kind}-{i}", f"{kind} request number {i}" + " please" * i, f"harm {i % 2}", f"goal {i // 2}")


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> ChatModel:
    return make_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def recipe(model, tmp_path_factory) -> Recipe:
    return make_recipe(model, make_sae(tmp_path_factory.mktemp("sae") / "tiny.safetensors"))


@pytest.fixture(scope="session")
def sets() -> list[ItemSet]:
    return make_sets()


@pytest.fixture(scope="session")
def gated(model, recipe, sets, tmp_path_factory) -> Recipe:
    """The tiny recipe behind a gate that is open for half of all prompts."""
    asked = [model.prompt_ids(item.text) for s in sets if s.kind != "text" for item in s.items]
    path = tmp_path_factory.mktemp("gate") / "gate.safetensors"
    return replace(recipe, gate=written(path, model, [part(1, pool="mean", d=32)], asked))
