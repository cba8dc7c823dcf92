"""SAEs written by dictionary_learning itself, and files that are not what they say."""

import json

import pytest
import torch

from clampdown.errors import ClampdownError
from clampdown.recipe import Clamp
from clampdown.saes.formats import dictionary_learning
from clampdown.saes.formats import tensors as tensors_module
from clampdown.steering.edits import compile_edit

D, N, K = 16, 40, 6
LATENTS = (0, 3, 5, 8, 13, 21, 30, 34, 38, 39)
KINDS = {
    "StandardTrainer": "relu",
    "StandardTrainerAprilUpdate": "relu",
    "PAnnealTrainer": "relu",
    "GatedSAETrainer": "gated",
    "GatedAnnealTrainer": "gated",
    "TopKTrainer": "topk",
    "BatchTopKTrainer": "batchtopk",
    "JumpReluTrainer": "jumprelu",
    "MatryoshkaBatchTopKTrainer": "batchtopk",
}


def draw(*shape, seed=0, scale=2.0):
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def owner():
    return pytest.importorskip("dictionary_learning")


def trainer_class(name):
    from dictionary_learning.trainers import batch_top_k as batch
    from dictionary_learning.trainers import gated_anneal, gdm, jumprelu, p_anneal, standard, top_k
    from dictionary_learning.trainers import matryoshka_batch_top_k as matryoshka

    modules = (standard, p_anneal, gdm, gated_anneal, top_k, batch, jumprelu, matryoshka)
    return next(getattr(module, name) for module in modules if hasattr(module, name))


def trained(folder, name, n=N):
    """A few coarse steps by the library's own training, which writes the folder."""
    from dictionary_learning.training import trainSAE

    config = {
        "trainer": trainer_class(name),
        "activation_dim": D,
        "dict_size": n,
        "layer": 3,
        "lm_name": "some/model",
        "device": "cpu",
        "steps": 6,
        "warmup_steps": 1,
        "lr": 0.05,
        "seed": 0,
    }
    if "TopK" in name:
        config |= {"k": K, "threshold_start_step": 1}
    elif "Anneal" in name:
        config |= {"sparsity_warmup_steps": 1, "initial_sparsity_penalty": 0.01, "anneal_start": 2}
    else:
        config |= {"sparsity_warmup_steps": 1}
    if "Anneal" in name:
        config |= {"sparsity_function": "Lp^p", "n_sparsity_updates": 2}
    if "Matryoshka" in name:
        config |= {"group_fractions": [0.25, 0.75]}
    data = (3 + draw(64, D, seed=step) for step in range(9))
    trainSAE(data, [config], steps=6, save_dir=str(folder), device="cpu", normalize_activations=False)
    return folder / "trainer_0"


def agree(sae, theirs, seed=5):
    """Encode, decode and a clamp of ten latents, ours against the library's own."""
    x = 3 + draw(200, D, seed=seed)
    with torch.no_grad():
        z = theirs.encode(x)
        torch.testing.assert_close(sae.encode(x), z, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(sae.encode_latents(x, LATENTS), z[:, list(LATENTS)], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(sae.reconstruct(x), theirs(x), rtol=1e-5, atol=1e-4)
        set_to = z.clone()
        set_to[:, list(LATENTS)] = torch.arange(10.0)
        difference = theirs.decode(set_to) - theirs.decode(z)
        clamp = Clamp(sae.name, "", sae.layer, dict(zip(LATENTS, map(float, range(10)), strict=True)))
        edit = compile_edit(clamp, n_layers=8, d_model=D, device=torch.device("cpu"), saes=[sae])
        torch.testing.assert_close(edit.delta(x), difference, rtol=1e-5, atol=1e-4)
    on = (z > 0).float().sum(-1).mean()
    assert 0 < on < sae.n_latents  # else it would show nothing


@pytest.mark.owners
@pytest.mark.parametrize("name", KINDS)
def test_what_the_library_trained_is_read_as_it_reads_it(name, owner, tmp_path):
    from dictionary_learning.utils import load_dictionary

    folder = trained(tmp_path, name)
    theirs, config = load_dictionary(str(folder), "cpu")
    assert dictionary_learning.matches(folder)
    sae = dictionary_learning.read(folder, "theirs")
    assert (sae.kind, sae.layer, sae.model) == (KINDS[name], 3, "some/model")
    assert (sae.n_latents, sae.d_model, sae.k) == (N, D, config["trainer"].get("k"))
    agree(sae, theirs)


@pytest.mark.owners
def test_a_square_decoder_is_transposed_too(owner, tmp_path):
    from dictionary_learning.utils import load_dictionary

    folder = trained(tmp_path, "TopKTrainer", n=D)
    sae = dictionary_learning.read(folder, "theirs")
    with torch.no_grad():
        x = draw(50, D)
        torch.testing.assert_close(sae.reconstruct(x), load_dictionary(str(folder), "cpu")[0](x), rtol=1e-5, atol=1e-4)


@pytest.mark.owners
def test_inputs_scaled_in_training_need_no_scaling_after_it(owner, tmp_path):
    """`normalize_activations` is folded into the biases before they are saved."""
    from dictionary_learning.trainers.batch_top_k import BatchTopKTrainer
    from dictionary_learning.training import trainSAE
    from dictionary_learning.utils import load_dictionary

    config = {"trainer": BatchTopKTrainer, "activation_dim": D, "dict_size": N, "k": K, "layer": 3, "lm_name": "m"}
    config |= {"steps": 6, "warmup_steps": 1, "lr": 0.05, "threshold_start_step": 1, "device": "cpu"}
    data = [3 + draw(64, D, seed=step) for step in range(9)]
    trainSAE(data, [config], steps=6, save_dir=str(tmp_path), device="cpu", normalize_activations=True)
    folder = tmp_path / "trainer_0"
    sae = dictionary_learning.read(folder, "theirs")
    assert float(sae.threshold[0]) > 0
    agree(sae, load_dictionary(str(folder), "cpu")[0])


@pytest.mark.owners
def test_the_class_without_a_trainer(owner, tmp_path):
    from dictionary_learning.dictionary import AutoEncoderNew

    theirs = AutoEncoderNew(D, N)
    for number, part in enumerate(theirs.parameters()):
        part.data = draw(*part.shape, seed=number, scale=0.3)
    torch.save(theirs.state_dict(), tmp_path / "ae.pt")
    (tmp_path / "config.json").write_text(json.dumps({"trainer": {"dict_class": "AutoEncoderNew", "layer": 3}}))
    agree(dictionary_learning.read(tmp_path, "theirs"), theirs)


def state(which="AutoEncoderTopK", n=N, d=D, **changes):
    linear = {"encoder.weight": draw(n, d), "encoder.bias": draw(n), "decoder.weight": draw(d, n, seed=1)}
    parameters = {"W_enc": draw(d, n), "b_enc": draw(n), "W_dec": draw(n, d, seed=1), "b_dec": draw(d)}
    gated = {key: draw(n) for key in ("r_mag", "gate_bias", "mag_bias")}
    made = {
        "AutoEncoder": linear | {"bias": draw(d)},
        "AutoEncoderTopK": linear | {"b_dec": draw(d), "k": torch.tensor(K)},
        "BatchTopKSAE": linear | {"b_dec": draw(d), "k": torch.tensor(K), "threshold": torch.tensor(0.7)},
        "GatedAutoEncoder": gated
        | {"encoder.weight": draw(n, d), "decoder.weight": draw(d, n), "decoder_bias": draw(d)},
        "JumpReluAutoEncoder": parameters | {"threshold": draw(n).abs()},
    }[which]
    return made | changes


def written(folder, tensors, config=None):
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(tensors, folder / "ae.pt")
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    return folder


TOPK = {"trainer": {"dict_class": "AutoEncoderTopK", "layer": 3, "k": K}}


def test_a_folder_is_told_by_its_file(tmp_path):
    assert not dictionary_learning.matches(tmp_path)
    assert not dictionary_learning.matches(tmp_path / "none")
    folder = written(tmp_path / "a", state())
    assert dictionary_learning.matches(folder)
    assert dictionary_learning.matches(folder / "ae.pt")
    (folder / "other.pt").write_bytes(b"")
    assert not dictionary_learning.matches(folder / "other.pt")


def test_a_large_files_weights_stay_as_they_are_stored(tmp_path, monkeypatch):
    monkeypatch.setattr(tensors_module, "LARGE", 0)
    tensors = {key: t.bfloat16() if t.is_floating_point() else t for key, t in state().items()}
    sae = dictionary_learning.read(written(tmp_path, tensors, TOPK), "theirs")
    assert sae.w_enc.dtype == sae.w_dec.dtype == torch.bfloat16
    torch.testing.assert_close(sae.w_dec, tensors["decoder.weight"].T)
    assert len(sae.sha256) == 64


@pytest.mark.parametrize("which", ["AutoEncoder", "GatedAutoEncoder", "JumpReluAutoEncoder"])
def test_without_a_config_the_tensors_tell_the_class_and_a_folder_the_layer(which, tmp_path):
    sae = dictionary_learning.read(written(tmp_path / "resid_post_layer_7" / "trainer_0", state(which)), "theirs")
    assert sae.layer == 7
    assert sae.about["format"] == f"dictionary_learning {which}"


def test_a_checkpoint_finds_its_config_one_folder_up(tmp_path):
    folder = written(tmp_path, state(), TOPK)
    (folder / "checkpoints").mkdir()
    (folder / "ae.pt").rename(folder / "checkpoints" / "ae_500.pt")
    assert dictionary_learning.read(folder / "checkpoints" / "ae_500.pt", "theirs").k == K


def test_an_older_topk_has_its_k_in_the_config_only(tmp_path):
    tensors = state()
    del tensors["k"]
    assert dictionary_learning.read(written(tmp_path, tensors, TOPK), "theirs").k == K


def test_the_older_configs_trainer_tells_two_classes_apart(tmp_path):
    config = {"trainer_class": "BatchTopKTrainer", "layer": 3}
    sae = dictionary_learning.read(written(tmp_path, state("BatchTopKSAE"), config), "theirs")
    assert sae.kind == "batchtopk"
    torch.testing.assert_close(sae.threshold, torch.full((N,), 0.7))


def refused(one_line, path, *words):
    with pytest.raises(ClampdownError) as caught:
        dictionary_learning.read(path, "theirs")
    one_line(caught, "theirs", *words)


class Thing:
    """What only a full unpickling could read."""


def test_what_needs_unpickling_is_refused(one_line, tmp_path):
    refused(one_line, written(tmp_path, {"sae": Thing()}, TOPK), "ae.pt", "more than tensors")


@pytest.mark.parametrize("content", [b"", b"no archive at all", b"PK\x03\x04 cut off"])
def test_a_damaged_file(one_line, content, tmp_path):
    folder = written(tmp_path, state(), TOPK)
    (folder / "ae.pt").write_bytes(content)
    refused(one_line, folder, "ae.pt", "damaged")


def test_a_cut_file(one_line, tmp_path):
    folder = written(tmp_path, state(), TOPK)
    whole = (folder / "ae.pt").read_bytes()
    (folder / "ae.pt").write_bytes(whole[: len(whole) // 2])
    refused(one_line, folder, "ae.pt", "damaged")


@pytest.mark.parametrize(
    "tensors, config, words",
    [
        (state(), {"trainer": {"dict_class": "CrossCoder", "layer": 3}}, ["CrossCoder", "known are"]),
        (state(), {"trainer": {"dict_class": ["AutoEncoder"], "layer": 3}}, ["AutoEncoder"]),
        (state(), {"trainer": {"dict_class": "GatedAutoEncoder", "layer": 3}}, ["GatedAutoEncoder", "holds"]),
        (state("BatchTopKSAE"), None, ["AutoEncoderTopK or BatchTopKSAE", "config.json"]),
        (state(), {"trainer": {"dict_class": "AutoEncoderTopK", "layer": 3, "k": 5}}, ["5 and 6"]),
        (state(k=torch.tensor([1, 2])), {"trainer": {"dict_class": "AutoEncoderTopK", "layer": 3}}, ["its k"]),
        (state(), {"trainer": TOPK["trainer"] | {"dict_size": 41}}, ["41", "40"]),
        (
            state(),
            {"trainer": TOPK["trainer"] | {"submodule_name": "mlp_out_layer_3"}},
            ["mlp_out_layer_3", "residual"],
        ),
        (state(), TOPK | {"buffer": {"io": "in"}}, ["input", "residual"]),
        (state(), {"trainer": {"dict_class": "AutoEncoderTopK", "k": K}}, ["layer"]),
        (state(), {"trainer": 3}, ["config.json"]),
        (state(**{"encoder.weight": draw(N)}), TOPK, ["encoder.weight", "matrix"]),
        (
            state(**{"decoder.weight": draw(N, D)}),
            {"trainer": TOPK["trainer"] | {"dict_size": None}},
            ["w_dec", "expected"],
        ),
        (state(**{"encoder.bias": draw(N + 1)}), TOPK, ["b_enc", "expected"]),
        (state("AutoEncoder", bias=draw(3)), {"layer": 3}, ["b_dec", "expected"]),
        (state("BatchTopKSAE", threshold=draw(N)), {"dict_class": "BatchTopKSAE", "layer": 3}, ["threshold"]),
        ({"weights": draw(3)}, TOPK, ["weights"]),
        ([draw(3)], TOPK, ["list"]),
        ({"weights": 3}, TOPK, ["nothing"]),
    ],
)
def test_files_that_lie(one_line, tensors, config, words, tmp_path):
    refused(one_line, written(tmp_path / "sae", tensors, config), *words)


def test_a_value_that_is_not_finite(one_line, tmp_path):
    sae = dictionary_learning.read(written(tmp_path, state(b_dec=torch.full((D,), torch.nan)), TOPK), "theirs")
    with pytest.raises(ClampdownError) as caught:
        sae.encode(draw(2, D))
    one_line(caught, "theirs", "not finite")


def test_a_folder_of_several_names_them(one_line, tmp_path):
    for number in (0, 1):
        written(tmp_path / f"trainer_{number}", state(), TOPK)
    refused(one_line, tmp_path, "2 SAEs", "trainer_0, trainer_1")
    assert dictionary_learning.read(tmp_path / "trainer_1", "theirs").layer == 3


@pytest.mark.parametrize("content", ["{", "[1]"])
def test_a_config_that_is_none(one_line, content, tmp_path):
    folder = written(tmp_path, state())
    (folder / "config.json").write_text(content)
    refused(one_line, folder, "config.json", "JSON")
