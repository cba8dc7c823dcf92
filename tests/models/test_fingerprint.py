"""A model's hash: what is loaded decides it, not how it lies in its folder."""

import importlib.util
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from families import FAMILIES, build
from safetensors.torch import load_file, save_file

from clampdown.errors import ClampdownError
from clampdown.models.bundled import bundled_folder
from clampdown.models.chat_model import ChatModel, load_chat_model
from clampdown.models.fingerprint import facts
from clampdown.models.source import weight_files
from clampdown.recipe import Direction, Recipe
from clampdown.recipe.bundled import BUNDLED, bundled_path
from clampdown.steering.attach import Steering


@pytest.fixture
def folder(tiny, tmp_path):
    shutil.copytree(tiny.folder, tmp_path / "m")
    return tmp_path / "m"


def loaded(folder):
    return load_chat_model(str(folder), dtype="float32")


def tensors(folder):
    return load_file(folder / "model.safetensors")


def cut(folder, parts=3, state=None):
    """The weights in several files with an index, as a model too large for one comes."""
    state = state or tensors(folder)
    (folder / "model.safetensors").unlink()
    names, where = sorted(state, reverse=True), {}
    for part in range(parts):
        file = f"model-{part + 1:05}-of-{parts:05}.safetensors"
        own = {name: state[name] for name in names[part::parts]}
        save_file(own, folder / file, metadata={"format": "pt"})
        where |= dict.fromkeys(own, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))


def configured(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_files_that_are_not_loaded_change_nothing(tiny, folder):
    other = {name: tensor + 1 for name, tensor in tensors(folder).items()}
    for name in ("consolidated.safetensors", "model.fp16.safetensors", "adapter.safetensors"):
        save_file(other, folder / name)
    torch.save(other, folder / "pytorch_model.bin")
    assert loaded(folder).sha256 == tiny.sha256
    assert weight_files(folder) == [folder / "model.safetensors"]


def test_an_index_left_beside_a_whole_file_is_not_read(tiny, folder):
    state = tensors(folder)
    cut(folder, state={name: tensor * 2 for name, tensor in state.items()})
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    assert loaded(folder).sha256 == tiny.sha256


@pytest.mark.parametrize("parts", [1, 2, 5])
def test_the_same_weights_cut_anew_are_the_same(parts, tiny, folder):
    cut(folder, parts)
    model = loaded(folder)
    assert len(weight_files(folder)) == parts
    assert model.sha256 == tiny.sha256
    Steering(model, [Recipe("r", "tiny", tiny.sha256, (Direction(1, 5.0, seed=1),))])


def test_shards_that_the_index_does_not_name_are_not_loaded(tiny, folder):
    cut(folder, 2)
    save_file({"model.norm.weight": torch.zeros(32)}, folder / "model-00003-of-00002.safetensors")
    assert loaded(folder).sha256 == tiny.sha256


def test_a_tensor_that_nothing_reads_changes_nothing(tiny, folder):
    more = {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4), "value_head.weight": torch.ones(1, 32)}
    save_file(tensors(folder) | more, folder / "model.safetensors", metadata={"format": "pt"})
    assert loaded(folder).sha256 == tiny.sha256


def test_a_changed_weight_is_another_model(tiny, folder):
    state = tensors(folder)
    state["model.layers.2.mlp.up_proj.weight"][0, 0] += 0.5
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    assert loaded(folder).sha256 != tiny.sha256


def test_two_tensors_exchanged_are_another_model(tiny, folder):
    state = tensors(folder)
    one, two = (f"model.layers.{n}.mlp.up_proj.weight" for n in (0, 1))
    state[one], state[two] = state[two], state[one]
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    assert loaded(folder).sha256 != tiny.sha256


def test_a_tied_head_counts_once(tiny, folder):
    state = tensors(folder)
    embedding = state["model.embed_tokens.weight"]
    assert "lm_head.weight" not in state
    save_file(state | {"lm_head.weight": embedding.clone()}, folder / "model.safetensors", metadata={"format": "pt"})
    assert loaded(folder).sha256 == tiny.sha256
    configured(folder, tie_word_embeddings=False)  # it computes the same
    assert loaded(folder).sha256 == tiny.sha256
    save_file(state | {"lm_head.weight": embedding * 2}, folder / "model.safetensors", metadata={"format": "pt"})
    assert loaded(folder).sha256 != tiny.sha256


def test_weights_saved_without_a_head_are_the_same(tiny, folder):
    bare = {name.removeprefix("model."): tensor for name, tensor in tensors(folder).items()}
    save_file(bare, folder / "model.safetensors", metadata={"format": "pt"})
    assert loaded(folder).sha256 == tiny.sha256


@pytest.mark.parametrize("family", FAMILIES)
def test_saving_anew_changes_nothing_in_any_family(family, tiny, tmp_path):
    hashes = []
    for size in ("1GB", "40KB"):
        build(family, tiny.tokenizer).save_pretrained(tmp_path / size, max_shard_size=size)
        tiny.tokenizer.save_pretrained(tmp_path / size)
        hashes.append(loaded(tmp_path / size).sha256)
    assert len(weight_files(tmp_path / "40KB")) > 1
    loaded(tmp_path / "1GB").hf.save_pretrained(tmp_path / "again", max_shard_size="60KB")
    tiny.tokenizer.save_pretrained(tmp_path / "again")
    hashes.append(loaded(tmp_path / "again").sha256)
    assert len(set(hashes)) == 1


ARITHMETIC = {
    "rope_parameters": {"rope_type": "default", "rope_theta": 20_000.0},
    "num_attention_heads": 8,
    "rms_norm_eps": 1e-3,
    "hidden_act": "gelu",
}


@pytest.mark.parametrize("key", ARITHMETIC)
def test_an_edit_of_the_arithmetic_is_noticed(key, tiny, folder, one_line):
    changes = {key: ARITHMETIC[key]}
    if key == "num_attention_heads":
        changes |= {"num_key_value_heads": 4, "head_dim": 4}
    configured(folder, **changes)
    model = loaded(folder)
    assert model.sha256 != tiny.sha256
    with pytest.raises(ClampdownError) as caught:
        Steering(model, [Recipe("r", "tiny", tiny.sha256, (Direction(1, 5.0, seed=1),))])
    one_line(caught, tiny.sha256[:12], model.sha256[:12], "configuration")


@pytest.mark.parametrize(
    "family, changes",
    [
        ("gemma2", {"final_logit_softcapping": 9.0}),
        ("gemma2", {"query_pre_attn_scalar": 16}),
        ("mistral", {"sliding_window": 3}),
        ("llama3", {"rope_parameters": {"rope_type": "llama3", "factor": 4.0}}),
        ("smollm3", {"no_rope_layers": [1, 1, 1, 1]}),
        ("mixtral", {"num_experts_per_tok": 1}),
    ],
)
def test_families_have_facts_of_their_own(family, changes, tiny):
    config = build(family, tiny.tokenizer).config
    before = facts(config)
    for key, value in changes.items():
        setattr(config, key, {**getattr(config, key), **value} if isinstance(value, dict) else value)
    assert facts(config) != before


def test_names_and_versions_change_nothing(tiny, folder):
    configured(
        folder,
        **{"_name_or_path": "elsewhere", "transformers_version": "4.1.0", "torch_dtype": "bfloat16", "dtype": None},
        **{"architectures": ["Other"], "use_cache": False, "attention_dropout": 0.1, "eos_token_id": 5},
        **{"unsloth_fixed": True, "initializer_range": 0.5, "rope_scaling": None},
    )
    assert loaded(folder).sha256 == tiny.sha256


def test_older_layouts_of_the_rotary_settings_are_the_same(tiny, folder):
    told = json.loads((folder / "config.json").read_text())
    told["rope_theta"] = told.pop("rope_parameters")["rope_theta"]
    (folder / "config.json").write_text(json.dumps(told))
    assert loaded(folder).sha256 == tiny.sha256


def test_recipes_that_name_the_file_still_read(tiny, folder, one_line):
    """Before, models were named by the hash of their files."""
    named = tiny._file_hash
    assert named != tiny.sha256 and tiny.is_named(named) and tiny.is_named("") and not tiny.is_named("0" * 64)
    Steering(tiny, [Recipe("r", "tiny", named, (Direction(1, 5.0, seed=1),))])
    shutil.copy(folder / "model.safetensors", folder / "consolidated.safetensors")
    assert loaded(folder).is_named(named)
    cut(folder)
    assert not loaded(folder).is_named(named)


@pytest.mark.parametrize("name", BUNDLED)
def test_a_recipe_that_comes_along_meets_its_weights_alone(name, bundled, tmp_path, one_line):
    recipe = Recipe.load(bundled_path(name))
    assert recipe.model_sha256 == bundled.sha256
    for path in bundled_folder().iterdir():
        if path.name != "config.json":
            (tmp_path / path.name).symlink_to(path)
    shutil.copy(bundled_folder() / "config.json", tmp_path)
    (tmp_path / "consolidated.safetensors").symlink_to(bundled_folder() / "model.safetensors")
    Steering(replace(bundled, folder=tmp_path), [recipe])
    configured(tmp_path, rope_theta=10_000.0)
    other = load_chat_model(str(tmp_path), dtype="bfloat16")
    with pytest.raises(ClampdownError) as caught:
        Steering(other, [recipe])
    one_line(caught, "configuration", recipe.model_sha256[:12])


def adapter(folder, tiny, scale=1.0):
    torch.manual_seed(1)
    width = tiny.d_model
    state = {}
    for layer in range(tiny.n_layers):
        at = f"base_model.model.model.layers.{layer}.self_attn.q_proj"
        state |= {f"{at}.lora_A.weight": torch.randn(4, width), f"{at}.lora_B.weight": scale * torch.randn(width, 4)}
    save_file(state, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    told = {"base_model_name_or_path": "tiny", "peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 4}
    told |= {"lora_alpha": 8, "lora_dropout": 0.0, "target_modules": ["q_proj"], "inference_mode": True}
    (folder / "adapter_config.json").write_text(json.dumps(told))


def test_an_adapter_counts_if_it_is_applied(tiny, folder):
    """As peft does with what a training run left in the folder, where it is installed; without it nothing reads it."""
    adapter(folder, tiny)
    model, applied = loaded(folder), importlib.util.find_spec("peft") is not None
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        same = torch.equal(model.hf(ids).logits, tiny.hf(ids).logits)
    assert same is not applied
    assert (model.sha256 == tiny.sha256) is same
    assert model.is_named(tiny._file_hash) is same
    if applied:
        adapter(folder, tiny, scale=2.0)
        assert loaded(folder).sha256 not in (model.sha256, tiny.sha256)


def test_bin_files_are_hashed_by_their_tensors(tiny, folder):
    state = tensors(folder)
    (folder / "model.safetensors").unlink()
    torch.save(state, folder / "pytorch_model.bin")
    assert loaded(folder).sha256 == tiny.sha256, "what they were converted from computes the same"
    (folder / "pytorch_model.bin").unlink()
    names = sorted(state)
    where = {}
    for part in range(2):
        file = f"pytorch_model-0000{part + 1}-of-00002.bin"
        torch.save(
            {name: state[name] for name in names[part::2]}, folder / file, _use_new_zipfile_serialization=part == 0
        )
        where |= dict.fromkeys(names[part::2], file)
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))
    assert loaded(folder).sha256 == tiny.sha256


def test_half_precision_is_another_model(tiny, folder):
    state = {name: tensor.to(torch.bfloat16) for name, tensor in tensors(folder).items()}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    assert loaded(folder).sha256 != tiny.sha256


def test_a_model_without_files_has_no_hash(tiny):
    model = ChatModel("made", Path("/nowhere"), tiny.hf, tiny.tokenizer)
    assert model.sha256 == "" and model.is_named("0" * 64)
