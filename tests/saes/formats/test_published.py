"""Formats that no library writes: files laid out as their publishers lay them out, read by SAELens' own loaders.

The loaders ask the hub for files; here they are handed files of this machine. Where a publisher's code does more than
SAELens, its formula is written out.
"""

import json
import math
import os
import zipfile

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from clampdown.errors import ClampdownError
from clampdown.saes.formats import tensors
from clampdown.saes.load import load_sae

D, N, K = 16, 48, 6


def draw(*shape, seed=0, scale=0.4):
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def weights(n=N, d=D):
    """Encoder [n, d], its bias, decoder [n, d], its bias."""
    return draw(n, d, seed=1), draw(n, seed=2), draw(n, d, seed=3), draw(d, seed=4)


def unit(rows):
    return rows / rows.norm(dim=1, keepdim=True)


@pytest.fixture
def saelens(monkeypatch):
    """SAELens' loader `how` on the files in `root`, as `SAE.from_pretrained` uses it: encode and decode."""
    pytest.importorskip("sae_lens")
    from sae_lens import SAE
    from sae_lens.loading import pretrained_sae_loaders as loaders

    def load(how, root, repo, folder, input_scale=None):
        def local(repo_id=None, filename=None, *_, subfolder=None, **__):
            file = root / (subfolder or "") / filename
            if not file.is_file():
                raise loaders.EntryNotFoundError(filename)
            return str(file)

        def shapes(_, filename):
            with safe_open(root / filename, framework="pt") as file:
                return {key: file.get_slice(key).get_shape() for key in file.keys()}  # noqa: SIM118

        monkeypatch.setattr(loaders, "hf_hub_download", local)
        monkeypatch.setattr(loaders, "get_safetensors_tensor_shapes", shapes)
        overrides = {"dtype": "float32", "device": "cpu"}
        config, state, _ = loaders.NAMED_PRETRAINED_SAE_LOADERS[how](repo, folder, "cpu", False, overrides)
        config = loaders.handle_config_defaulting(config)
        config["d_in"], config["d_sae"] = state["W_enc"].shape  # the loaders guess the size from names
        sae = SAE.from_dict(config)
        sae.load_state_dict(state)
        if input_scale:
            sae.fold_activation_norm_scaling_factor(input_scale)
        return sae.encode, lambda z, x: sae.decode(z)

    return load


# Gemma Scope


L20 = "layer_20/width_16k/average_l0_71"


def gemma_scope(root, release="gemma-scope-2b-pt-res", folder=L20, save=np.savez, **more):
    w_enc, b_enc, w_dec, b_dec = weights()
    parts = {"W_enc": w_enc.T, "b_enc": b_enc, "W_dec": w_dec, "b_dec": b_dec, "threshold": draw(N, seed=5).abs()}
    place = root / release / folder
    place.mkdir(parents=True)
    save(place / "params.npz", **{key: np.ascontiguousarray(t.numpy()) for key, t in parts.items()}, **more)
    return place


@pytest.mark.owners
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_gemma_scope(save, tmp_path, saelens, same_answers):
    place = gemma_scope(tmp_path, save=save)
    sae = load_sae(str(place))
    assert (sae.kind, sae.layer, sae.model) == ("jumprelu", 20, "google/gemma-2-2b")
    assert not sae.subtract_decoder_bias and load_sae(str(place / "params.npz")).sha256 == sae.sha256
    root = tmp_path / "gemma-scope-2b-pt-res"
    same_answers(sae, *saelens("gemma_2", root, "google/gemma-scope-2b-pt-res", L20))


def test_gemma_scope_of_the_instruct_model(tmp_path):
    sae = load_sae(str(gemma_scope(tmp_path, "gemma-scope-9b-it-res", "layer_9/width_16k/average_l0_88")))
    assert (sae.layer, sae.model) == (9, "google/gemma-2-9b-it")


@pytest.mark.parametrize(
    "release, folder, said",
    [
        ("gemma-scope-2b-pt-att", L20, "of 'att'"),
        ("gemma-scope-2b-pt-mlp", L20, "of 'mlp'"),
        ("gemma-scope-2b-pt-transcoders", L20, "of 'transcoders'"),
        ("gemma-scope-2b-pt-res", "embedding/width_4k/average_l0_6", "of the embeddings"),
        ("saes", "width_16k", "does not say its layer"),
    ],
)
def test_other_places_of_gemma_scope_are_refused(release, folder, said, tmp_path, monkeypatch, one_line):
    gemma_scope(tmp_path, release, folder)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ClampdownError) as caught:
        load_sae(f"{release}/{folder}")
    one_line(caught, said)


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


def test_an_npz_is_never_unpickled(tmp_path, monkeypatch, one_line):
    monkeypatch.chdir(tmp_path)
    for number, save in enumerate((np.savez, np.savez_compressed)):
        place = gemma_scope(tmp_path / str(number), save=save, bomb=np.array([Bomb()], dtype=object))
        with pytest.raises(ClampdownError) as caught:
            load_sae(str(place))
        one_line(caught, "params.npz is not readable")
    assert not (tmp_path / "exploded").exists()


def test_a_damaged_npz_is_refused(tmp_path, one_line):
    file = gemma_scope(tmp_path) / "params.npz"
    whole = file.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"PK\x03\x04nonsense"):
        file.write_bytes(content)
        with pytest.raises(ClampdownError) as caught:
            load_sae(str(file))
        one_line(caught, "params.npz")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("shape", ["(10000000000000, 48)", "(-1, 48)", "(((", "(16, 48"])
def test_an_npz_that_lies_about_a_shape_is_refused(shape, save, tmp_path, one_line):
    file = gemma_scope(tmp_path, save=save) / "params.npz"
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    head = members["W_enc.npy"][10:128].replace(b"(16, 48)", shape.encode())
    members["W_enc.npy"] = members["W_enc.npy"][:10] + head.rstrip().ljust(117)[:117] + b"\n" + bytes(4 * D * N)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED if save is np.savez else zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(ClampdownError) as caught:
        load_sae(str(file))
    one_line(caught, str(file), "memory" if len(shape) > 12 and save is np.savez_compressed else "params.npz")


# Gemma Scope 2


def gemma_scope_2(root, folder="resid_post/layer_17_width_16k_l0_big", config=True, **changes):
    w_enc, b_enc, w_dec, b_dec = weights()
    parts = {"w_enc": w_enc.T.contiguous(), "b_enc": b_enc, "w_dec": w_dec, "b_dec": b_dec}
    place = root / "gemma-scope-2-270m-pt" / folder
    place.mkdir(parents=True)
    save_file(parts | {"threshold": draw(N, seed=5).abs()}, place / "params.safetensors")
    facts = {
        "architecture": "jump_relu",
        "model_name": "gemma-v3-270m-pt",
        "hf_hook_point_in": "model.layers.17.output",
    }
    if config:
        (place / "config.json").write_text(json.dumps(facts | changes))
    return place


@pytest.mark.owners
@pytest.mark.parametrize("config", [True, False])
def test_gemma_scope_2(config, tmp_path, saelens, same_answers):
    place = gemma_scope_2(tmp_path, config=config)
    sae = load_sae(str(place))
    assert (sae.kind, sae.layer, sae.model) == ("jumprelu", 17, "google/gemma-3-270m")
    root, folder = tmp_path / "gemma-scope-2-270m-pt", "resid_post/layer_17_width_16k_l0_big"
    same_answers(sae, *saelens("gemma_3", root, "google/gemma-scope-2-270m-pt", folder))


@pytest.mark.parametrize(
    "folder, changes, said",
    [
        ("transcoder/layer_17_width_16k_l0_big", {}, "Gemma Scope 2 transcoder"),
        ("crosscoder/layer_16_22_width_65k", {}, "Gemma Scope 2 crosscoder"),
        ("attn_out_all/layer_17_width_16k_l0_big", {}, "Gemma Scope 2 attn_out"),
        ("mine", {"hf_hook_point_out": "model.layers.17.mlp.output"}, "transcoder to model.layers.17.mlp.output"),
        ("resid_post/layer_17_width_16k_l0_big", {"architecture": "topk"}, "unknown architecture 'topk'"),
        ("mine", {"hf_hook_point_in": "model.layers.17.self_attn.o_proj.input"}, "residual stream"),
        ("mine", {"hf_hook_point_in": None}, "does not say its layer"),
    ],
)
def test_other_models_of_gemma_scope_2_are_refused(folder, changes, said, tmp_path, one_line):
    with pytest.raises(ClampdownError) as caught:
        load_sae(str(gemma_scope_2(tmp_path, folder, **changes)))
    one_line(caught, said)


# Llama Scope


def llama_scope(root, norm=6.3125, decoder=unit, **changes):
    """As the files of Llama3_1-8B-Base-L8R-8x are laid out; norm and threshold are those of that layer."""
    w_enc, b_enc, w_dec, b_dec = weights()
    place = root / "Llama3_1-8B-Base-L8R-8x"
    (place / "checkpoints").mkdir(parents=True)
    parts = {"encoder.weight": w_enc, "encoder.bias": b_enc, "decoder.bias": b_dec}
    parts["decoder.weight"] = decoder(w_dec).T.contiguous()
    save_file({key: t.bfloat16() for key, t in parts.items()}, place / "checkpoints" / "final.safetensors")
    facts = {
        "hook_point_in": "blocks.8.hook_resid_post",
        "hook_point_out": "blocks.8.hook_resid_post",
        "d_model": D,
        "d_sae": N,
        "use_decoder_bias": True,
        "apply_decoder_bias_to_pre_encoder": False,
        "act_fn": "jumprelu",
        "jump_relu_threshold": 0.2021484375,
        "norm_activation": "dataset-wise",
        "dataset_average_activation_norm": {"in": norm, "out": norm},
        "top_k": 50,
    }
    (place / "hyperparams.json").write_text(json.dumps(facts | changes))
    return place


def unit_in_bfloat16(rows):
    """Rows whose length is one even as they are stored: a single one each, so that both readings must agree."""
    return torch.nn.functional.one_hot(rows.argmax(dim=1), rows.shape[1]).float()


@pytest.mark.owners
def test_llama_scope(tmp_path, saelens, same_answers):
    place = llama_scope(tmp_path, decoder=unit_in_bfloat16)
    sae = load_sae(str(place))
    assert (sae.kind, sae.layer, sae.model) == ("jumprelu", 8, "meta-llama/Llama-3.1-8B")
    assert load_sae(str(place / "checkpoints" / "final.safetensors")).layer == 8
    repo = "fnlp/Llama3_1-8B-Base-LXR-8x"
    same_answers(sae, *saelens("llama_scope", tmp_path, repo, place.name, math.sqrt(D) / 6.3125))


def openmoss(place, x, scale, threshold):
    """The publisher's own forward pass: which latents are on is told by pre-activation times decoder norm."""
    with safe_open(next(place.rglob("*.safetensors")), framework="pt") as file:
        w_enc, b_enc, w_dec, b_dec = (
            file.get_tensor(f"{part}.{what}").double() for part in ("encoder", "decoder") for what in ("weight", "bias")
        )
    pre = (scale * x.double()) @ w_enc.T + b_enc
    z = pre * (pre * w_dec.norm(dim=0) > threshold)
    return z.float(), ((z @ w_dec.T + b_dec) / scale).float()


@pytest.mark.parametrize("decoder", [unit, lambda rows: rows])
def test_llama_scope_is_its_publishers_formula(decoder, tmp_path):
    place = llama_scope(tmp_path, decoder=decoder)
    sae, x, scale = load_sae(str(place)), draw(200, D, seed=9, scale=2.0), math.sqrt(D) / 6.3125
    z, reconstruction = openmoss(place, x, scale, 0.2021484375 * scale)
    assert 0 < (z > 0).float().mean() < 0.9
    torch.testing.assert_close(sae.encode(x), z.clamp_min(0), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(sae.reconstruct(x), reconstruction, atol=1e-4, rtol=1e-4)


def r1_distill(root, decoder=unit, norm=None, **changes):
    w_enc, b_enc, w_dec, b_dec = weights()
    place = root / "Llama-Scope-R1-Distill" / "L15R"
    place.mkdir(parents=True)
    parts = {"encoder.weight": w_enc, "encoder.bias": b_enc, "decoder.bias": b_dec}
    parts["decoder.weight"] = decoder(w_dec).T.contiguous()
    parts["log_jumprelu_threshold"] = draw(N, seed=5) - 1
    if norm:
        parts["dataset_average_activation_norm.blocks.15.hook_resid_post"] = torch.tensor(norm)
    save_file(parts, place / "sae_weights.safetensors")
    facts = {
        "sae_type": "sae",
        "hook_point_in": "blocks.15.hook_resid_post",
        "hook_point_out": "blocks.15.hook_resid_post",
        "d_model": D,
        "expansion_factor": 3,
        "act_fn": "jumprelu",
        "norm_activation": "dataset-wise",
        "sparsity_include_decoder_norm": True,
        "apply_decoder_bias_to_pre_encoder": False,
    }
    (place / "config.json").write_text(json.dumps(facts | changes))
    return place


@pytest.mark.owners
def test_llama_scope_of_r1_distill(tmp_path, saelens, same_answers):
    place = r1_distill(tmp_path, norm=5.0)
    sae = load_sae(str(place))
    assert (sae.kind, sae.layer, sae.model) == ("jumprelu", 15, "deepseek-ai/DeepSeek-R1-Distill-Llama-8B")
    root = tmp_path / "Llama-Scope-R1-Distill"
    same_answers(sae, *saelens("llama_scope_r1_distill", root, "fnlp/Llama-Scope-R1-Distill", "L15R", math.sqrt(D) / 5))


def test_r1_distill_is_its_publishers_formula_and_needs_its_norm(tmp_path, one_line):
    from clampdown.saes.formats import llama_scope

    place = r1_distill(tmp_path, decoder=lambda rows: rows)
    with pytest.raises(ClampdownError) as caught:
        load_sae(str(place))
    one_line(caught, "average norm", "SAELens release")
    sae, x = llama_scope.read(place, "r1", input_scale=0.8), draw(200, D, seed=9, scale=2.0)
    z, reconstruction = openmoss(place, x, 0.8, (draw(N, seed=5) - 1).double().exp())
    torch.testing.assert_close(sae.encode(x), z, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(sae.reconstruct(x), reconstruction, atol=1e-4, rtol=1e-4)


def test_a_norm_taken_of_each_token(tmp_path):
    sae, x = load_sae(str(r1_distill(tmp_path, norm_activation="token-wise"))), draw(50, D, seed=9, scale=2.0)
    scale = math.sqrt(D) / x.norm(dim=-1, keepdim=True)
    z, reconstruction = openmoss(tmp_path, x, scale, (draw(N, seed=5) - 1).double().exp())
    torch.testing.assert_close(sae.encode(x), z, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(sae.reconstruct(x), reconstruction, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"hook_point_in": "blocks.8.ln2.hook_normalized"}, "transcoder from blocks.8.ln2.hook_normalized"),
        ({"sae_type": "crosscoder"}, "is a crosscoder"),
        ({"sae_type": "lorsa"}, "is a lorsa"),
        ({"act_fn": "topk"}, "unknown activation 'topk'"),
        ({"use_glu_encoder": True}, "gated linear unit"),
        ({"norm_activation": "batch-wise"}, "unknown normalisation 'batch-wise'"),
        ({"d_sae": 99}, "encoder.weight has shape (48, 16), but hyperparams.json says (99, 16)"),
        ({"jump_relu_threshold": None}, "no thresholds"),
        ({"dataset_average_activation_norm": {"in": 0.0}}, "average norm"),
        ({"dataset_average_activation_norm": {"in": True}}, "average norm"),
        ({"hook_point_in": None, "hook_point_out": None}, "does not say where in the residual stream"),
        ({"sparsity_include_decoder_norm": "no"}, "sparsity_include_decoder_norm = 'no'"),
    ],
)
def test_other_models_of_llama_scope_are_refused(changes, said, tmp_path, one_line):
    with pytest.raises(ClampdownError) as caught:
        load_sae(str(llama_scope(tmp_path, **changes)))
    one_line(caught, said)


def test_llama_scope_does_without_its_width(tmp_path):
    told, silent = (load_sae(str(llama_scope(tmp_path / d, d_model=d_model))) for d, d_model in (("a", D), ("b", None)))
    assert torch.equal(told.w_enc, silent.w_enc)


@pytest.mark.parametrize("shape", [(), (0,), (3,), (D, N + 1), (2, 3, 4)])
def test_a_decoder_of_another_shape_is_refused(shape, tmp_path, one_line):
    file = llama_scope(tmp_path) / "checkpoints" / "final.safetensors"
    save_file(load_file(file) | {"decoder.weight": torch.ones(shape)}, file)
    with pytest.raises(ClampdownError) as caught:
        load_sae(str(tmp_path / "Llama3_1-8B-Base-L8R-8x"))
    one_line(caught, "decoder.weight has shape", "the encoder says (16, 48)")


def test_a_large_file_stays_mapped_whatever_its_factor(tmp_path, monkeypatch):
    monkeypatch.setattr(tensors, "LARGE", 0)
    large = load_sae(str(llama_scope(tmp_path / "large", decoder=lambda rows: rows)))
    monkeypatch.undo()
    small = load_sae(str(llama_scope(tmp_path / "small", decoder=lambda rows: rows)))
    for part in ("w_enc", "w_dec"):
        assert getattr(large, part).stored.dtype == torch.bfloat16
        torch.testing.assert_close(getattr(large, part)[:], getattr(small, part)[:])
    x = draw(20, D, seed=9, scale=2.0)
    torch.testing.assert_close(large.reconstruct(x), small.reconstruct(x))


# Qwen Scope


def qwen_scope(root, repository="SAE-Res-Qwen3-1.7B-Base-W1K-L0_6", n=1024):
    w_enc, b_enc, w_dec, b_dec = weights(n, 8)
    place = root / repository
    place.mkdir()
    parts = {"W_enc": w_enc, "b_enc": b_enc, "W_dec": w_dec.T.contiguous(), "b_dec": b_dec}
    torch.save(parts, place / "layer12.sae.pt")
    return place


@pytest.mark.owners
def test_qwen_scope(tmp_path, saelens, same_answers):
    place = qwen_scope(tmp_path)
    sae = load_sae(str(place / "layer12.sae.pt"))
    assert (sae.kind, sae.layer, sae.k, sae.model) == ("topk", 12, 6, "Qwen/Qwen3-1.7B-Base")
    assert load_sae(str(place)).layer == 12
    same_answers(sae, *saelens("qwen_scope", place, f"Qwen/{place.name}", "layer12.sae.pt"))


def test_qwen_scope_needs_its_repositorys_name(tmp_path, one_line):
    place = qwen_scope(tmp_path)
    (place / "layer3.sae.pt").write_bytes((place / "layer12.sae.pt").read_bytes())
    with pytest.raises(ClampdownError) as caught:
        load_sae(str(place))
    one_line(caught, "holds 2 SAEs; name one of its files")
    place.rename(tmp_path / "mine")
    with pytest.raises(ClampdownError) as caught:
        load_sae(str(tmp_path / "mine" / "layer12.sae.pt"))
    one_line(caught, "does not say its k")
    other = qwen_scope(tmp_path, "SAE-Res-Qwen3-1.7B-Base-W32K-L0_50")
    with pytest.raises(ClampdownError) as caught:
        load_sae(str(other))
    one_line(caught, "W_enc has shape (1024, 8)", "(32768, 8)")


# Goodfire, and qresearch in its manner


def goodfire(root, file, suffix="_linear", save=torch.save):
    w_enc, b_enc, w_dec, b_dec = weights()
    parts = {f"encoder{suffix}.weight": w_enc, f"encoder{suffix}.bias": b_enc}
    parts |= {f"decoder{suffix}.weight": w_dec.T.contiguous(), f"decoder{suffix}.bias": b_dec}
    save(parts, root / file)
    return root / file


@pytest.mark.owners
@pytest.mark.parametrize(
    "file, suffix, model, layer, how, repo",
    [
        (
            "Llama-3.1-8B-Instruct-SAE-l19.pth",
            "_linear",
            "meta-llama/Llama-3.1-8B-Instruct",
            19,
            "goodfire",
            "Goodfire/Llama-3.1-8B-Instruct-SAE-l19",
        ),
        (
            "Llama-3.3-70B-Instruct-SAE-l50.pt",
            "_linear",
            "meta-llama/Llama-3.3-70B-Instruct",
            50,
            "goodfire",
            "Goodfire/Llama-3.3-70B-Instruct-SAE-l50",
        ),
        (
            "DeepSeek-R1-Distill-Llama-8B-SAE-l19.pt",
            "",
            "deepseek-ai/DeepSeek-R1-Distill-Llama-8B",
            19,
            "deepseek_r1",
            "qresearch/DeepSeek-R1-Distill-Llama-8B-SAE-l19",
        ),
    ],
)
def test_goodfire(file, suffix, model, layer, how, repo, tmp_path, saelens, same_answers):
    sae = load_sae(str(goodfire(tmp_path, file, suffix)))
    assert (sae.kind, sae.layer, sae.model) == ("relu", layer, model)
    assert load_sae(str(tmp_path)).layer == layer  # by its folder
    same_answers(sae, *saelens(how, tmp_path, repo, file))


@pytest.mark.parametrize("key", ["encoder_linear.bias", "decoder_linear.bias"])
def test_a_bias_that_is_one_number_is_refused(key, tmp_path, one_line):
    file = goodfire(tmp_path, "Llama-3.1-8B-Instruct-SAE-l19.pth")
    torch.save(torch.load(file) | {key: torch.tensor(1.0)}, file)
    with pytest.raises(ClampdownError) as caught:
        load_sae(str(file))
    one_line(caught, "encoder_linear.weight has shape")


@pytest.mark.parametrize("odd", [torch.eye(N, D).to_sparse(), torch.ones(N, D, dtype=torch.complex64)])
def test_tensors_of_another_sort_are_refused(odd, tmp_path, one_line):
    file = goodfire(tmp_path, "Llama-3.1-8B-Instruct-SAE-l19.pth")
    torch.save(torch.load(file) | {"encoder_linear.weight": odd}, file)
    with pytest.raises(ClampdownError) as caught:
        load_sae(str(file))
    one_line(caught, "encoder_linear.weight is not an ordinary tensor")


def test_what_no_reader_thought_of_is_one_line(tmp_path, monkeypatch, one_line):
    file = goodfire(tmp_path, "Llama-3.1-8B-Instruct-SAE-l19.pth")
    for raised, said in (
        (RuntimeError("one\ntwo"), "contradict each other (RuntimeError: one); fetch them again"),
        (MemoryError(), "more memory than is free"),
        (PermissionError(13, "Permission denied"), "can't read its files (Permission denied)"),
    ):

        def fail(*_, raised=raised):
            raise raised

        monkeypatch.setattr("clampdown.saes.formats.goodfire.open_tensors", fail)
        with pytest.raises(ClampdownError) as caught:
            load_sae(str(file))
        one_line(caught, str(file), said)


def test_a_state_dict_of_the_old_kind_is_read_too(tmp_path):
    def old(parts, path):
        torch.save(parts, path, _use_new_zipfile_serialization=False)

    assert load_sae(str(goodfire(tmp_path, "Llama-3.1-8B-Instruct-SAE-l19.pth", save=old))).n_latents == N


def test_a_pickle_is_never_run(tmp_path, monkeypatch, one_line):
    monkeypatch.chdir(tmp_path)
    file = goodfire(tmp_path, "Llama-3.1-8B-Instruct-SAE-l19.pth")
    torch.save({"encoder_linear.weight": Bomb()}, file)
    for content, said in ((file.read_bytes(), "damaged, or holds more than tensors"), (b"no such thing", "damaged")):
        file.write_bytes(content)
        with pytest.raises(ClampdownError) as caught:
            load_sae(str(file))
        one_line(caught, file.name, said)
    torch.save({"weights": torch.zeros(3)}, file)
    with pytest.raises(ClampdownError) as caught:
        load_sae(str(file))
    one_line(caught, "lacks encoder.weight", "weights")
    assert not (tmp_path / "exploded").exists()


# andyrdt's SAEs: trained by dictionary_learning, whose reader serves them


@pytest.mark.owners
def test_andyrdt(tmp_path, saelens, same_answers):
    theirs = pytest.importorskip("dictionary_learning.trainers.batch_top_k").BatchTopKSAE(D, N, K)
    for name, tensor in theirs.state_dict().items():
        if tensor.is_floating_point():
            tensor.copy_(torch.tensor(0.7) if name == "threshold" else draw(*tensor.shape, seed=len(name)))
    place = tmp_path / "resid_post_layer_3" / "trainer_1"
    place.mkdir(parents=True)
    torch.save(theirs.state_dict(), place / "ae.pt")
    trainer = {"dict_class": "BatchTopKSAE", "layer": 3, "lm_name": "meta-llama/Llama-3.1-8B-Instruct", "k": K}
    trainer |= {"activation_dim": D, "dict_size": N, "submodule_name": "resid_post_layer_3"}
    (place / "config.json").write_text(json.dumps({"trainer": trainer, "buffer": {"ctx_len": 1024, "io": "out"}}))
    sae = load_sae(str(place))
    assert (sae.kind, sae.layer, sae.model) == ("batchtopk", 3, "meta-llama/Llama-3.1-8B-Instruct")
    repo = "andyrdt/saes-llama-3.1-8b-instruct"
    same_answers(sae, *saelens("dictionary_learning_1", tmp_path, repo, "resid_post_layer_3/trainer_1"))
