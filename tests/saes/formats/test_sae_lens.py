"""SAEs written by SAELens itself, of every architecture; and files that are not what they say."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from clampdown.errors import ClampdownError
from clampdown.saes.formats import matching, sae_lens
from clampdown.saes.load import load_sae

D, N, K = 16, 48, 6
HOOK = "blocks.3.hook_resid_post"
KINDS = {"standard": "relu", "gated": "gated", "jumprelu": "jumprelu", "topk": "topk"}


@pytest.fixture(scope="module")
def lib():
    return pytest.importorskip("sae_lens")


def metadata(hook=HOOK, **more):
    from sae_lens.saes.sae import SAEMetadata

    return SAEMetadata(hook_name=hook, model_name="some/model", prepend_bos=True, **more)


def randomise(sae, seed=0):
    """Weights that make a fair share of latents fire, with decoder rows of all lengths."""
    draw = torch.Generator().manual_seed(seed)
    for name, weight in sae.named_parameters():
        weight.data.copy_(torch.randn(weight.shape, generator=draw) * (0.3 if weight.dim() == 2 else 0.5))
        if name == "threshold":
            weight.data.abs_()
    return sae


def made(lib, architecture, **config):
    """An SAE for use, not training."""
    sae_class, config_class = lib.registry.get_sae_class(architecture)
    if architecture in ("topk", "abstopk"):
        config.setdefault("k", K)
    return randomise(sae_class(config_class(d_in=D, d_sae=N, metadata=config.pop("metadata", metadata()), **config)))


def trained(lib, architecture, **config):
    """An SAE as it is while it trains."""
    sae_class, config_class = lib.registry.get_sae_training_class(architecture)
    if "topk" in architecture:
        config.setdefault("k", K)
    if architecture.startswith("matryoshka"):
        config.setdefault("matryoshka_widths", [12, 24, N])
    sae = randomise(sae_class(config_class(d_in=D, d_sae=N, metadata=metadata(), **config)))
    if hasattr(sae, "topk_threshold"):
        sae.topk_threshold = torch.tensor(0.8, dtype=torch.double)
    return sae


def theirs(lib, folder, **options):
    """What the library makes of a folder: its encode and decode. Its decode undoes the last input's normalisation."""
    sae = lib.SAE.load_from_disk(folder, **options)
    return calls(sae)


def calls(sae):
    def decode(z, x):
        sae.encode(x)
        return sae.decode(z)

    return sae.encode, decode


@pytest.mark.owners
@pytest.mark.parametrize("normalise", ["none", "layer_norm", "constant_norm_rescale"])
@pytest.mark.parametrize("subtract", [True, False])
@pytest.mark.parametrize("architecture", KINDS)
def test_every_architecture(architecture, subtract, normalise, lib, tmp_path, same_answers):
    sae = made(lib, architecture, apply_b_dec_to_input=subtract, normalize_activations=normalise)
    sae.save_model(tmp_path)
    ours = load_sae(str(tmp_path))
    assert (ours.kind, ours.layer, ours.model) == (KINDS[architecture], 3, "some/model")
    assert ours.k == (K if architecture == "topk" else None) and ours.subtract_decoder_bias is subtract
    assert ours.about["prepend_bos"] == "true" and len(ours.sha256) == 64
    same_answers(ours, *theirs(lib, tmp_path))


@pytest.mark.owners
@pytest.mark.parametrize("subtract", [True, False])
def test_topk_that_ranks_by_the_decoders_norm(subtract, lib, tmp_path, same_answers):
    made(lib, "topk", rescale_acts_by_decoder_norm=True, apply_b_dec_to_input=subtract).save_model(tmp_path)
    same_answers(load_sae(str(tmp_path)), *theirs(lib, tmp_path))


@pytest.mark.owners
@pytest.mark.parametrize("rescale", [True, False])
@pytest.mark.parametrize("architecture", ["standard", "gated", "jumprelu", "topk", "batchtopk", "matryoshka_batchtopk"])
def test_what_training_saves_for_use_and_as_a_checkpoint(architecture, rescale, lib, tmp_path, same_answers):
    """Both are the same SAE, which the library can load from what it saved for use."""
    options = {"rescale_acts_by_decoder_norm": rescale} if "topk" in architecture else {}
    sae = trained(lib, architecture, **options)
    sae.save_inference_model(tmp_path / "use")
    sae = trained(lib, architecture, **options)  # saving the first folds its weights
    sae.save_model(tmp_path / "checkpoint")
    encode, decode = theirs(lib, tmp_path / "use")
    same_answers(load_sae(str(tmp_path / "use")), encode, decode)
    checkpoint = load_sae(str(tmp_path / "checkpoint"))
    assert checkpoint.kind == KINDS.get(architecture, "batchtopk")
    same_answers(checkpoint, encode, decode)


@pytest.mark.owners
def test_an_older_checkpoint_holds_the_thresholds_logarithm(lib, tmp_path, same_answers):
    trained(lib, "jumprelu").save_inference_model(tmp_path / "use")
    trained(lib, "jumprelu").save_model(tmp_path / "old")
    stored = load_file(tmp_path / "old" / "sae_weights.safetensors")
    stored["log_threshold"] = stored.pop("threshold").log()
    save_file(stored, tmp_path / "old" / "sae_weights.safetensors")
    lib.TrainingSAE.load_from_disk(tmp_path / "old")  # the library takes it
    same_answers(load_sae(str(tmp_path / "old")), *theirs(lib, tmp_path / "use"))


@pytest.mark.owners
@pytest.mark.parametrize("told", ["directory", "checkpoint"])
@pytest.mark.parametrize("architecture", ["standard", "gated", "jumprelu", "topk", "batchtopk"])
def test_a_fixed_scale_of_the_inputs_is_folded(architecture, told, lib, tmp_path, same_answers):
    def one():
        return trained(lib, architecture, normalize_activations="expected_average_only_in")

    one().save_model(tmp_path / "raw")
    if told == "checkpoint":
        (tmp_path / "raw" / "activation_scaler.json").write_text('{"scaling_factor": 0.4}')
    ours = sae_lens.read(tmp_path / "raw", "raw", input_scale=0.4 if told == "directory" else None)
    folded = one()
    folded.fold_activation_norm_scaling_factor(0.4)
    folded.save_inference_model(tmp_path / "folded")
    same_answers(ours, *theirs(lib, tmp_path / "folded"))


@pytest.mark.owners
def test_weights_stored_in_half_the_bits(lib, tmp_path, same_answers):
    made(lib, "jumprelu", dtype="bfloat16").save_model(tmp_path)
    same_answers(load_sae(str(tmp_path)), *theirs(lib, tmp_path, dtype="float32"))


@pytest.mark.owners
@pytest.mark.parametrize("activation", ["relu", "topk"])
def test_a_configuration_from_before_version_6(activation, lib, tmp_path, same_answers):
    made(lib, "standard").save_model(tmp_path)
    old = {
        "d_in": D,
        "d_sae": N,
        "dtype": "torch.float32",
        "device": "cpu",
        "model_name": "gpt2-small",
        "hook_point": "blocks.4.hook_resid_pre",
        "hook_point_layer": 4,
        "hook_point_head_index": None,
        "activation_fn_str": activation,
        "activation_fn_kwargs": {"k": K} if activation == "topk" else {},
        "apply_b_dec_to_input": False,
        "normalize_activations": False,
        "sae_lens_version": "3.1.0",
    }
    (tmp_path / "cfg.json").write_text(json.dumps(old))
    ours = load_sae(str(tmp_path))
    assert (ours.layer, ours.model, ours.kind) == (3, "gpt2-small", "topk" if activation == "topk" else "relu")
    same_answers(ours, *theirs(lib, tmp_path))


@pytest.mark.owners
def test_a_release_may_correct_the_configuration(lib, tmp_path, same_answers):
    made(lib, "standard").save_model(tmp_path)
    overrides = {"normalize_activations": "constant_norm_rescale"}
    ours = sae_lens.read(tmp_path, "mistral", overrides)
    made(lib, "standard", **overrides).save_model(tmp_path / "corrected")
    same_answers(ours, *theirs(lib, tmp_path / "corrected"))


@pytest.mark.owners
@pytest.mark.parametrize(
    "architecture, said",
    [
        ("transcoder", "is a transcoder"),
        ("jumprelu_skip_transcoder", "is a jumprelu_skip_transcoder"),
        ("abstopk", "is a 'abstopk' SAE"),
        ("matching_pursuit", "is a 'matching_pursuit' SAE"),
    ],
)
def test_what_is_no_sae_of_ours_is_refused_by_name(architecture, said, lib, tmp_path, one_line):
    more = {"d_out": D, "apply_b_dec_to_input": False} if "transcoder" in architecture else {}
    made(lib, architecture, **more).save_model(tmp_path)
    with pytest.raises(ClampdownError) as caught:
        load_sae(str(tmp_path))
    one_line(caught, said, str(tmp_path))


def write(folder, tensors=None, **config):
    """A folder as SAELens lays it out, written by hand."""
    draw = torch.Generator().manual_seed(0)
    shapes = {"W_enc": (D, N), "b_enc": (N,), "W_dec": (N, D), "b_dec": (D,)}
    stored = {key: torch.randn(*shape, generator=draw) for key, shape in shapes.items()} | (tensors or {})
    save_file({key: t for key, t in stored.items() if t is not None}, folder / "sae_weights.safetensors")
    facts = {"architecture": "standard", "d_in": D, "d_sae": N, "metadata": {"hook_name": HOOK}}
    (folder / "cfg.json").write_text(json.dumps(facts | config))
    return folder


BAD = {
    "shape": ({"tensors": {"W_enc": torch.zeros(N, D)}}, ["W_enc has shape (48, 16)", "cfg.json says (16, 48)"]),
    "decoder's shape": ({"tensors": {"W_dec": torch.zeros(N, D + 1)}}, ["W_dec has shape"]),
    "lacks a tensor": ({"tensors": {"W_dec": None}}, ["lacks W_dec", "W_enc, b_dec, b_enc"]),
    "NaN": ({"tensors": {"W_enc": torch.full((D, N), torch.nan)}}, ["w_enc holds a value that is not finite"]),
    "no thresholds": ({"architecture": "jumprelu"}, ["lacks threshold"]),
    "no k": ({"architecture": "topk"}, ["does not say k"]),
    "fine-tuned": ({"tensors": {"scaling_factor": torch.full((N,), 2.0)}}, ["fine-tuned"]),
    "architecture": ({"architecture": "crosscoder"}, ["is a crosscoder"]),
    "temporal": ({"architecture": "temporal"}, ["'temporal'"]),
    "activation": ({"activation_fn": "tanh-relu"}, ["unknown activation 'tanh-relu'"]),
    "normalisation": ({"normalize_activations": "covariance_whitening"}, ["unknown normalisation 'covariance_whiten"]),
    "attention": ({"metadata": {"hook_name": "blocks.3.attn.hook_z"}}, ["'blocks.3.attn.hook_z'", "residual stream"]),
    "MLP": ({"metadata": {"hook_name": "blocks.3.hook_mlp_out"}}, ["residual stream"]),
    "embeddings": ({"metadata": {"hook_name": "blocks.0.hook_resid_pre"}}, ["residual stream"]),
    "no place": ({"metadata": {}}, ["residual stream"]),
    "biases": ({"tensors": {"b_enc": torch.zeros(1)}, "rescale_acts_by_decoder_norm": True}, ["b_enc has shape (1,)"]),
    "cut": (
        {"tensors": {"topk_threshold": torch.ones(3)}, "architecture": "batchtopk"},
        ["topk_threshold has shape (3,)"],
    ),
    "a list": ({"architecture": ["topk"]}, ["'topk'"]),
    "an object": ({"normalize_activations": {"a": 1}}, ["unknown normalisation"]),
    "no flag": ({"apply_b_dec_to_input": "false"}, ["apply_b_dec_to_input = 'false'"]),
    "transcoder by its output": ({"hook_name_out": "blocks.4.hook_mlp_out"}, ["transcoder to 'blocks.4.hook_mlp_out'"]),
    "one head": ({"hook_head_index": 2}, ["one attention head"]),
    "centred": ({"model_from_pretrained_kwargs": {"center_writing_weights": True}}, ["TransformerLens centres"]),
}


@pytest.mark.parametrize("case", BAD)
def test_a_folder_that_lies_or_is_something_else_is_refused(case, tmp_path, one_line):
    change, words = BAD[case]
    with pytest.raises(ClampdownError) as caught:
        load_sae(str(write(tmp_path, **change)))
    one_line(caught, *words)


def test_a_place_that_is_also_where_it_writes_is_an_sae(tmp_path):
    assert load_sae(str(write(tmp_path, hook_name_out=HOOK))).layer == 3


@pytest.mark.parametrize("factor", ["0", "-1", "NaN", "1e400", '"x"', "true", "[1]"])
def test_a_factor_of_the_inputs_that_is_none_is_refused(factor, tmp_path, one_line):
    write(tmp_path, normalize_activations="expected_average_only_in")
    (tmp_path / "activation_scaler.json").write_text(f'{{"scaling_factor": {factor}}}')
    with pytest.raises(ClampdownError) as caught:
        load_sae(str(tmp_path))
    one_line(caught, "not a positive number")


def test_damaged_files_are_refused(tmp_path, one_line):
    write(tmp_path)
    whole = (tmp_path / "sae_weights.safetensors").read_bytes()
    for name, content in {"cfg.json": b'{"d_in": ', "sae_weights.safetensors": whole[:-50]}.items():
        write(tmp_path)
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ClampdownError) as caught:
            load_sae(str(tmp_path))
        one_line(caught, name)


def test_a_folder_or_its_weights_name_the_sae_and_a_new_file_is_read_anew(tmp_path):
    folder = write(tmp_path)
    first = load_sae(str(folder))
    assert load_sae(str(folder)) is first
    assert load_sae(str(folder / "sae_weights.safetensors")).sha256 == first.sha256
    other = load_file(folder / "sae_weights.safetensors") | {"b_dec": torch.ones(D)}
    save_file(other, folder / "sae_weights.safetensors")
    assert load_sae(str(folder)).b_dec.eq(1).all()


def test_modern_hook_names_are_blocks_too(tmp_path):
    for hook, layer in {"model.layers.5": 5, "model.layers.5.output": 5, "transformer.h.7": 7}.items():
        assert load_sae(str(write(tmp_path, metadata={"hook_name": hook}))).layer == layer


def test_an_unknown_folder_is_told_the_formats(tmp_path, one_line):
    (tmp_path / "words.txt").write_text("words")
    assert matching(tmp_path) is None
    with pytest.raises(ClampdownError) as caught:
        load_sae(str(tmp_path))
    one_line(caught)
