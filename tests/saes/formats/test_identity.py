"""An SAE's hash: of its weights' file, and of whatever else decides its activations, but of no notes."""

import hashlib
import json

import pytest
import torch
from safetensors.torch import save_file

from clampdown.errors import ClampdownError
from clampdown.recipe import Clamp
from clampdown.saes.files import file_sha256, save_sae
from clampdown.saes.formats import llama_scope
from clampdown.saes.load import load_sae
from clampdown.steering.edits import compile_edit

D, N = 16, 48


def sae_lens(folder, **config):
    draw = torch.Generator().manual_seed(0)
    shapes = {"W_enc": (D, N), "b_enc": (N,), "W_dec": (N, D), "b_dec": (D,)}
    folder.mkdir(parents=True, exist_ok=True)
    parts = {key: torch.randn(*shape, generator=draw) for key, shape in shapes.items()}
    save_file(parts, folder / "sae_weights.safetensors")
    facts = {"architecture": "topk", "k": 6, "d_in": D, "d_sae": N, "hook_name": "blocks.3.hook_resid_post"}
    (folder / "cfg.json").write_text(json.dumps(facts | config))
    return folder


def llama(folder, **config):
    draw = torch.Generator().manual_seed(0)
    shapes = {"encoder.weight": (N, D), "encoder.bias": (N,), "decoder.weight": (D, N), "decoder.bias": (D,)}
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    parts = {key: torch.randn(*shape, generator=draw) for key, shape in shapes.items()}
    save_file(parts, folder / "checkpoints" / "final.safetensors")
    facts = {
        "hook_point_in": "blocks.3.hook_resid_post",
        "act_fn": "jumprelu",
        "jump_relu_threshold": 0.2,
        "norm_activation": "dataset-wise",
        "dataset_average_activation_norm": {"in": 5.0},
    }
    (folder / "hyperparams.json").write_text(json.dumps(facts | config))
    return folder


@pytest.mark.parametrize(
    "write, change",
    [
        (sae_lens, {"k": 5}),
        (sae_lens, {"apply_b_dec_to_input": False}),
        (sae_lens, {"normalize_activations": "layer_norm"}),
        (sae_lens, {"rescale_acts_by_decoder_norm": True}),
        (sae_lens, {"architecture": "standard"}),
        (llama, {"jump_relu_threshold": 0.3}),
        (llama, {"dataset_average_activation_norm": {"in": 5.1}}),
        (llama, {"sparsity_include_decoder_norm": False}),
        (llama, {"act_fn": "relu"}),
    ],
)
def test_what_decides_the_arithmetic_decides_the_hash(write, change, tmp_path):
    hashes = {load_sae(str(write(tmp_path / name, **config))).sha256 for name, config in (("a", {}), ("b", change))}
    assert len(hashes) == 2


@pytest.mark.parametrize("write", [sae_lens, llama])
def test_notes_and_places_leave_it_as_it_is(write, tmp_path):
    first = load_sae(str(write(tmp_path / "a")))
    noted = load_sae(str(write(tmp_path / "b", model_name="another", training_tokens=3)))
    assert first.sha256 == noted.sha256 == load_sae(str(tmp_path / "b")).only([3]).sha256


def test_a_factor_that_a_directory_tells_is_part_of_it(tmp_path):
    folder = llama(tmp_path, dataset_average_activation_norm=None)
    one, other = (llama_scope.read(folder, "llama", input_scale=scale) for scale in (0.8, 0.9))
    assert one.sha256 != other.sha256
    assert one.sha256 == llama_scope.read(folder, "renamed", input_scale=0.8).sha256


def test_our_own_format_is_its_bytes(tmp_path, make_sae):
    save_sae(make_sae(), tmp_path / "sae.safetensors")
    assert load_sae(str(tmp_path)).sha256 == hashlib.sha256((tmp_path / "sae.safetensors").read_bytes()).hexdigest()


def test_it_is_worked_out_when_asked_for_and_not_of_a_file_written_anew(tmp_path, one_line):
    sae, file = load_sae(str(sae_lens(tmp_path))), tmp_path / "sae_weights.safetensors"
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(ClampdownError) as caught:
        _ = sae.sha256
    one_line(caught, "changed or removed after it was loaded")


def test_a_recipe_made_with_another_k_is_refused(tmp_path, one_line):
    folder = sae_lens(tmp_path)
    made = Clamp(str(folder), load_sae(str(folder)).sha256, 3, {1: 2.0})
    assert made.sae_sha256 != file_sha256(folder / "sae_weights.safetensors")
    where = {"n_layers": 4, "d_model": D, "device": torch.device("cpu")}
    compile_edit(made, **where)
    sae_lens(tmp_path, k=40)
    with pytest.raises(ClampdownError) as caught:
        compile_edit(made, **where)
    one_line(caught, "but the recipe was made with")
