"""SAELens' own format: a folder with cfg.json and sae_weights.safetensors, as its versions 1 to 6 write them.

Weights are stored as W_enc [d_in, d_sae] and W_dec [d_sae, d_in]. Training checkpoints are read too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from clampdown.errors import ClampdownError
from clampdown.saes.formats.config import flag, positive, read_json
from clampdown.saes.formats.identity import identified
from clampdown.saes.formats.places import layer_after
from clampdown.saes.formats.tensors import check_shape, open_tensors, take
from clampdown.saes.sae import SAE
from clampdown.saes.scaled import scaled
from clampdown.saes.tiles import row_norms

CONFIG, WEIGHTS, SCALER = "cfg.json", "sae_weights.safetensors", "activation_scaler.json"
_KINDS = {
    "standard": "relu",
    "gated": "gated",
    "jumprelu": "jumprelu",
    "topk": "topk",
    "batchtopk": "batchtopk",  # these two in training checkpoints only: finished, they are saved as jumprelu
    "matryoshka_batchtopk": "batchtopk",
}
_NORMALISATIONS = {"none": "none", "layer_norm": "layer_norm", "constant_norm_rescale": "constant_norm"}
_FIXED_SCALE = "expected_average_only_in"


@dataclass
class _Parts:
    w_enc: Tensor  # [d_sae, d_in]
    b_enc: Tensor
    w_dec: Tensor  # [d_sae, d_in]
    b_dec: Tensor
    threshold: Tensor | None = None
    gate_bias: Tensor | None = None
    magnitude_scale: Tensor | None = None


def matches(path: Path) -> bool:
    folder = path if path.is_dir() else path.parent
    return (path.is_dir() or path.name == WEIGHTS) and (folder / CONFIG).is_file() and (folder / WEIGHTS).is_file()


def read(path: Path, name: str, overrides: Mapping[str, Any] | None = None, input_scale: float | None = None) -> SAE:
    """Read an SAE. A release's directory may correct its configuration, and tell the factor of its inputs.

    Raises:
        ClampdownError: transcoders, crosscoders and whatever else is no SAE of a residual stream; an architecture,
            activation or normalisation that is not known; files that contradict each other.
    """
    folder = path if path.is_dir() else path.parent
    config = _flat(read_json(folder / CONFIG, name)) | dict(overrides or {})
    kind = _kind(config, name)
    layer = layer_after(config.get("hook_name"), name)
    _refuse(config, name)
    tensors = open_tensors(folder / WEIGHTS, name)
    parts = _parts(kind, tensors, config, name)
    about = {"format": "SAELens", "hook": str(config["hook_name"])}
    if config.get("prepend_bos") is not None:
        about["prepend_bos"] = str(bool(config["prepend_bos"])).lower()
    normalise, scale = _normalisation(config, name), None
    by_norm = flag(config, "rescale_acts_by_decoder_norm", name)
    if normalise == _FIXED_SCALE:
        normalise = "none"
        scale = _scale(folder, input_scale, name)
        if scale is None:
            about["input scale"] = "not told; taken as folded into the weights, as SAELens takes it"
        else:
            _fold_scale(parts, scale, by_norm)
            about["input scale"] = f"{scale:g}, folded into the weights"
    if by_norm:
        _fold_norms(parts)
    return identified(
        folder / WEIGHTS,
        {"scale": scale, "by_norm": by_norm},
        name=name,
        kind=kind,
        layer=layer,
        k=_k(config, name) if kind == "topk" else None,
        normalise=normalise,
        subtract_decoder_bias=flag(config, "apply_b_dec_to_input", name, True),
        model=str(config.get("model_name") or ""),
        about=about,
        **vars(parts),
    )


def _flat(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration with today's names: version 6 moved some of it under `metadata`, and renamed some."""
    metadata = config.get("metadata")
    flat = {**(metadata if isinstance(metadata, dict) else {}), **config}
    for old, new in {
        "hook_point": "hook_name",
        "hook_point_head_index": "hook_head_index",
        "activation_fn_str": "activation_fn",
    }.items():
        if flat.get(new) is None and old in flat:
            flat[new] = flat[old]
    options = flat.get("activation_fn_kwargs")
    if flat.get("activation_fn") == "topk":
        flat["architecture"] = "topk"
        flat["k"] = options.get("k") if isinstance(options, dict) else flat.get("k")
    return flat


def _kind(config: Mapping[str, Any], name: str) -> str:
    architecture = str(config.get("architecture") or "standard")
    if architecture in _KINDS:
        return _KINDS[architecture]
    if "transcoder" in architecture or "crosscoder" in architecture:
        raise ClampdownError(f"{name} is a {architecture}, which writes elsewhere than it reads; name an SAE")
    known = ", ".join(_KINDS)
    raise ClampdownError(f"{name} is a {architecture!r} SAE, which can't be used here; known are {known}")


def _refuse(config: Mapping[str, Any], name: str) -> None:
    if (out := config.get("hook_name_out")) not in (None, config.get("hook_name")):
        raise ClampdownError(f"{name} is a transcoder to {str(out)!r}, which can't be used here; name an SAE")
    if config.get("hook_head_index") is not None:
        raise ClampdownError(f"{name} is an SAE of one attention head; only the residual stream can be used here")
    if config.get("activation_fn", "relu") not in ("relu", "topk"):
        raise ClampdownError(f"{name}: unknown activation {str(config['activation_fn'])!r}; known are relu and topk")
    loaded = config.get("model_from_pretrained_kwargs")
    if isinstance(loaded, dict) and loaded.get("center_writing_weights"):
        raise ClampdownError(
            f"{name} was trained on weights that TransformerLens centres, so it misreads the model as Transformers "
            "runs it; name another SAE"
        )


def _normalisation(config: Mapping[str, Any], name: str) -> str:
    said = config.get("normalize_activations") or "none"
    if said is True or said == _FIXED_SCALE:
        return _FIXED_SCALE
    if str(said) not in _NORMALISATIONS:
        raise ClampdownError(f"{name}: unknown normalisation {str(said)!r}; known are {', '.join(_NORMALISATIONS)}")
    return _NORMALISATIONS[str(said)]


def _k(config: Mapping[str, Any], name: str) -> int:
    k = config.get("k")
    if type(k) is not int:
        raise ClampdownError(f"{name}: {CONFIG} does not say k; fetch it again")
    return k


def _parts(kind: str, tensors: dict[str, Tensor], config: Mapping[str, Any], name: str) -> _Parts:
    """The tensors by our names. Views of the file where nothing needs to be computed."""
    finetuned = tensors.get("scaling_factor")
    if finetuned is not None and not torch.allclose(finetuned, torch.ones_like(finetuned)):
        raise ClampdownError(f"{name} has fine-tuned scaling factors, which can't be used here; name another SAE")
    first = "b_mag" if kind == "gated" else "b_enc"
    w_enc, b_enc, w_dec, b_dec = take(tensors, name, "W_enc", first, "W_dec", "b_dec")
    check_shape(w_enc, (config.get("d_in"), config.get("d_sae")), "W_enc", CONFIG, name)
    d, n = w_enc.shape
    for key, tensor, shape in ((first, b_enc, (n,)), ("W_dec", w_dec, (n, d)), ("b_dec", b_dec, (d,))):
        check_shape(tensor, shape, key, "W_enc", name)
    parts = _Parts(w_enc.T, b_enc, w_dec, b_dec)
    if kind == "gated":
        parts.gate_bias, rate = take(tensors, name, "b_gate", "r_mag")
        parts.magnitude_scale = rate.float().exp()
    elif kind == "batchtopk":
        [cut] = take(tensors, name, "topk_threshold")
        check_shape(cut, (), "topk_threshold", "its architecture", name)
        parts.threshold = cut.float().expand(len(b_enc)).clone()
    elif "log_threshold" in tensors and kind == "jumprelu":  # older training checkpoints
        parts.threshold = tensors["log_threshold"].float().exp()
    elif kind == "jumprelu":
        [parts.threshold] = take(tensors, name, "threshold")
    return parts


def _scale(folder: Path, told: float | None, name: str) -> float | None:
    """The factor of the inputs: as the directory says, or a training checkpoint; None where neither does."""
    if told is None and (folder / SCALER).is_file():
        told = read_json(folder / SCALER, name).get("scaling_factor")
    scale = positive(told)
    if scale is None and told is not None:
        raise ClampdownError(f"{name}: the factor of its inputs is {told!r}, not a positive number; fetch it again")
    return scale


def _fold_scale(parts: _Parts, scale: float, by_norm: bool) -> None:
    """Trained on s·x: W_enc (s·x − b_dec) = (s·W_enc)(x − b_dec/s), and the output is divided by s.

    So activations and thresholds stay as they are. A threshold that is compared after a product with ‖d_i‖ shrinks
    with d_i.
    """
    one = torch.tensor(scale)
    parts.w_enc = scaled(parts.w_enc, one)
    parts.w_dec = scaled(parts.w_dec, 1 / one)
    parts.b_dec = parts.b_dec.float() / one
    if by_norm and parts.threshold is not None:
        parts.threshold = parts.threshold / one


def _fold_norms(parts: _Parts) -> None:
    """Trained with activations times ‖d_i‖, decoded by unit rows: the factor goes into the encoder."""
    norms = row_norms(parts.w_dec).clamp_min(1e-8)
    parts.w_enc = scaled(parts.w_enc, norms)
    parts.b_enc = parts.b_enc.float() * norms
    parts.w_dec = scaled(parts.w_dec, 1 / norms)
