"""SAEs written by sparsify itself, and folders that are not what they say."""

import json

import pytest
import torch
from safetensors.torch import save_file

from clampdown.errors import ClampdownError
from clampdown.recipe import Clamp
from clampdown.saes.formats import sparsify
from clampdown.saes.formats import tensors as tensors_module
from clampdown.steering.edits import compile_edit

D, N, K = 16, 48, 6
LATENTS = (0, 3, 5, 8, 13, 21, 30, 34, 40, 47)
CONFIG = {"k": K, "d_in": D, "expansion_factor": 3, "num_latents": 0, "activation": "topk", "normalize_decoder": True}


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def coder(**config):
    owner = pytest.importorskip("sparsify")
    made = owner.SparseCoder(D, owner.SparseCoderConfig(k=K, **config))
    with torch.no_grad():
        for number, part in enumerate(made.parameters()):
            part.copy_(0.5 * draw(*part.shape, seed=number))
    return made


@pytest.mark.owners
@pytest.mark.parametrize("config", [{"expansion_factor": 3}, {"num_latents": N}, {"num_latents": D}], ids=str)
def test_what_the_library_saved_is_read_as_it_computes_it(config, tmp_path):
    theirs = coder(**config)
    theirs.save_to_disk(tmp_path / "layers.6")
    assert sparsify.matches(tmp_path / "layers.6")
    sae = sparsify.read(tmp_path / "layers.6", "theirs")
    assert (sae.kind, sae.layer, sae.k, sae.n_latents) == ("topk", 6, K, theirs.num_latents)
    x = 1 + draw(200, D, seed=9)
    latents = [latent for latent in LATENTS if latent < sae.n_latents]
    with torch.no_grad():
        found = theirs.encode(x)
        z = torch.zeros(200, sae.n_latents).scatter(1, found.top_indices, found.top_acts)
        torch.testing.assert_close(sae.encode(x), z, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(sae.encode_latents(x, latents), z[:, latents], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(sae.reconstruct(x), theirs(x).sae_out, rtol=1e-5, atol=1e-5)
        set_to = z.clone()
        set_to[:, latents] = torch.arange(float(len(latents)))
        every = torch.arange(sae.n_latents).expand(200, -1)
        difference = theirs.decode(set_to, every) - theirs.decode(found.top_acts, found.top_indices)
        clamp = Clamp("theirs", "", 6, {latent: float(value) for value, latent in enumerate(latents)})
        edit = compile_edit(clamp, n_layers=8, d_model=D, device=torch.device("cpu"), saes=[sae])
        torch.testing.assert_close(edit.delta(x), difference, rtol=1e-5, atol=1e-4)


@pytest.mark.owners
def test_what_the_library_stores_in_bfloat16_stays_so_in_a_large_file(tmp_path, monkeypatch):
    monkeypatch.setattr(tensors_module, "LARGE", 0)
    theirs = coder(expansion_factor=3).bfloat16()
    theirs.save_to_disk(tmp_path / "layers.6")
    sae = sparsify.read(tmp_path / "layers.6", "theirs")
    assert sae.w_enc.dtype == sae.w_dec.dtype == torch.bfloat16
    x = draw(50, D, seed=9)
    with torch.no_grad():
        torch.testing.assert_close(sae.reconstruct(x), theirs.float()(x).sae_out, rtol=1e-5, atol=1e-5)


@pytest.mark.owners
@pytest.mark.parametrize(
    "config, word",
    [
        ({"transcode": True}, "transcoder"),
        ({"skip_connection": True}, "skip"),
        ({"activation": "groupmax"}, "groupmax"),
    ],
    ids=str,
)
def test_what_the_library_has_besides_saes_is_refused(one_line, config, word, tmp_path):
    coder(expansion_factor=3, **config).save_to_disk(tmp_path / "layers.6")
    refused(one_line, tmp_path / "layers.6", word)


def tensors(**changes):
    made = {"encoder.weight": draw(N, D), "encoder.bias": draw(N), "W_dec": draw(N, D, seed=1), "b_dec": draw(D)}
    return {key: t for key, t in (made | changes).items() if t is not None}


def written(folder, config=CONFIG, **changes):
    folder.mkdir(parents=True)
    save_file(tensors(**changes), folder / "sae.safetensors")
    (folder / "cfg.json").write_text(config if isinstance(config, str) else json.dumps(config))
    return folder


def refused(one_line, path, *words):
    with pytest.raises(ClampdownError) as caught:
        sparsify.read(path, "theirs")
    one_line(caught, "theirs", *words)


def test_a_folder_is_told_by_its_files(tmp_path):
    folder = written(tmp_path / "run" / "layers.6")
    assert sparsify.matches(folder)
    assert sparsify.matches(folder / "sae.safetensors")
    assert sparsify.matches(tmp_path / "run")
    assert not sparsify.matches(tmp_path / "none")
    assert not sparsify.matches(folder / "cfg.json")
    (tmp_path / "run" / "sae.safetensors").write_bytes(b"")
    assert not sparsify.matches(tmp_path / "run" / "sae.safetensors")
    (folder / "cfg.json").unlink()
    assert not sparsify.matches(folder)


@pytest.mark.parametrize(
    "place, layer",
    [("layers.6", 6), ("model.layers.12", 12), ("transformer.h.0", 0), ("layers.6/seed1", 6)],
)
def test_the_folder_tells_the_layer_and_the_run_the_model(place, layer, tmp_path):
    folder = written(tmp_path / place)
    (tmp_path / "config.json").write_text(json.dumps({"model": "some/model", "dataset": "some/text"}))
    sae = sparsify.read(folder, "theirs")
    assert (sae.layer, sae.model, sae.about["dataset"]) == (layer, "some/model", "some/text")
    assert len(sae.sha256) == 64


@pytest.mark.parametrize(
    "place, words",
    [
        ("layers.6.mlp", ["layers.6.mlp", "residual stream"]),
        ("embed_tokens", ["embed_tokens", "residual stream"]),
        ("my-sae", ["my-sae", "layers.6"]),
    ],
)
def test_other_hookpoints(one_line, place, words, tmp_path):
    refused(one_line, written(tmp_path / place), *words)


def test_a_folder_of_hookpoints_names_them_in_order(one_line, tmp_path):
    for place in ("layers.10", "layers.9/seed0", "layers.2"):
        written(tmp_path / place)
    refused(one_line, tmp_path, "3 SAEs", "layers.2, layers.9/seed0, layers.10")


def test_a_folder_of_one_hookpoint_is_that(tmp_path):
    written(tmp_path / "layers.3")
    assert sparsify.read(tmp_path, "theirs").layer == 3


def test_an_older_config_says_only_the_factor(tmp_path):
    older = {"expansion_factor": 3, "normalize_decoder": True, "num_latents": None, "k": K, "d_in": D, "signed": False}
    assert sparsify.read(written(tmp_path / "layers.3", older), "theirs").n_latents == N


@pytest.mark.parametrize(
    "config, changes, words",
    [
        ({"transcode": True}, {}, ["transcoder"]),
        ({}, {"W_skip": draw(D, D)}, ["skip connection"]),
        ({"activation": "softmax"}, {}, ["unknown activation 'softmax'"]),
        ({"signed": True}, {}, ["signed"]),
        ({}, {"W_dec": None}, ["lacks W_dec"]),
        ({}, {"extra": draw(3)}, ["unknown SAE tensors extra"]),
        ({"k": "six"}, {}, ["cfg.json", "k"]),
        ({"k": N + 1}, {}, ["k between 1 and 48"]),
        ({"expansion_factor": None}, {}, ["num_latents"]),
        ({"num_latents": 64}, {}, ["(64, 16)", "(48, 16)"]),
        ({"d_in": N}, {}, ["(144, 48)", "(48, 16)"]),
        ({}, {"W_dec": draw(D, N)}, ["w_dec", "expected"]),
        ({}, {"b_dec": draw(N)}, ["b_dec", "expected"]),
    ],
    ids=str,
)
def test_folders_that_lie(one_line, config, changes, words, tmp_path):
    refused(one_line, written(tmp_path / "layers.6", CONFIG | config, **changes), *words)


@pytest.mark.parametrize("content", ["{", "[1]"])
def test_a_config_that_is_none(one_line, content, tmp_path):
    refused(one_line, written(tmp_path / "layers.6", content), "cfg.json", "JSON")


def test_weights_cut_short(one_line, tmp_path):
    folder = written(tmp_path / "layers.6")
    path = folder / "sae.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    refused(one_line, folder, "sae.safetensors", "not readable")


def test_a_value_that_is_not_finite(one_line, tmp_path):
    sae = sparsify.read(written(tmp_path / "layers.6", b_dec=torch.full((D,), torch.inf)), "theirs")
    with pytest.raises(ClampdownError) as caught:
        sae.encode(draw(2, D))
    one_line(caught, "theirs", "not finite")
