"""Llama Scope (OpenMOSS, arXiv 2410.20526) and its R1-Distill successors, in the layout of their Language-Model-SAEs.

- Llama Scope: hyperparams.json, checkpoints/final.safetensors, one threshold for all latents
- R1-Distill: config.json, sae_weights.safetensors, a threshold a latent, as its logarithm

Weights are encoder.weight [d_sae, d_model] and decoder.weight [d_model, d_sae].
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from clampdown.errors import ClampdownError
from clampdown.saes.formats.config import flag, positive, read_json
from clampdown.saes.formats.identity import identified
from clampdown.saes.formats.places import layer_after, names_of
from clampdown.saes.formats.tensors import check_shape, open_tensors, take
from clampdown.saes.sae import SAE
from clampdown.saes.scaled import scaled
from clampdown.saes.tiles import row_norms

_LAYOUTS = (("hyperparams.json", "checkpoints/final.safetensors"), ("config.json", "sae_weights.safetensors"))
_NORM = "dataset_average_activation_norm"
_THRESHOLD, _LOGS = "jump_relu_threshold", "log_jumprelu_threshold"
_MODEL, _DISTILLED = "meta-llama/Llama-3.1-8B", "deepseek-ai/DeepSeek-R1-Distill-Llama-8B"


def matches(path: Path) -> bool:
    return _find(path) is not None


def read(path: Path, name: str, input_scale: float | None = None) -> SAE:
    """Read an SAE. A release's directory may tell the factor of its inputs where the files do not.

    The publisher's code multiplies inputs by s = √d / (their average norm), switches a latent on where its
    pre-activation times ‖d_i‖ exceeds a threshold, and divides the output by s. Here s goes into the weights, so that
    activations keep the publisher's units, and ‖d_i‖ into the thresholds. Llama Scope's one threshold is in the
    residual's units, so it is multiplied by s too (SAELens pull request 483, by its authors).

    Raises:
        ClampdownError: a transcoder or another of their models, another activation, or no factor told.
    """
    found = _find(path)
    assert found is not None  # by `matches`
    config_file, weights_file = found
    config = read_json(config_file, name)
    _refuse(config, name)
    layer = layer_after(config.get("hook_point_in"), name)
    tensors = open_tensors(weights_file, name)
    w_enc, b_enc, w_dec, b_dec = take(tensors, name, "encoder.weight", "encoder.bias", "decoder.weight", "decoder.bias")
    check_shape(w_enc, (config.get("d_sae"), config.get("d_model")), "encoder.weight", config_file.name, name)
    check_shape(w_dec, tuple(w_enc.shape)[::-1], "decoder.weight", "the encoder", name)
    w_dec = w_dec.T
    normalise, scale = _normalisation(config, tensors, input_scale, w_enc.shape[1], name)
    by_norm = flag(config, "sparsity_include_decoder_norm", name, True)
    jumping = config["act_fn"] == "jumprelu"
    threshold = _threshold(config, tensors, len(w_enc), scale, name) if jumping else None
    if threshold is not None and by_norm:
        threshold = threshold / row_norms(w_dec).clamp_min(1e-8)
    noted: dict[str, str] = {}
    if scale != 1.0:
        one = torch.tensor(scale)
        w_enc, w_dec, b_dec = scaled(w_enc, one), scaled(w_dec, 1 / one), b_dec.float() / one
        noted = {"input scale": f"{scale:g}, folded into the weights"}
    return identified(
        weights_file,
        {"scale": scale, "by_norm": by_norm, "threshold": None if _LOGS in tensors else config.get(_THRESHOLD)},
        name=name,
        kind="jumprelu" if jumping else "relu",
        layer=layer,
        w_enc=w_enc,
        b_enc=b_enc,
        w_dec=w_dec,
        b_dec=b_dec,
        threshold=threshold,
        normalise=normalise,
        subtract_decoder_bias=flag(config, "apply_decoder_bias_to_pre_encoder", name),
        model=_DISTILLED if "R1-Distill" in names_of(weights_file, name) else _MODEL,
        about={"format": "Llama Scope", "hook": str(config["hook_point_in"]), "prepend_bos": "true"} | noted,
    )


def _find(path: Path) -> tuple[Path, Path] | None:
    """Configuration and weights, from their folder or from the weights' file."""
    folders = [path] if path.is_dir() else [path.parent, path.parent.parent]
    for folder in folders:
        for config, weights in _LAYOUTS:
            named = path.is_dir() or path == folder / weights
            if named and (folder / config).is_file() and (folder / weights).is_file():
                return folder / config, folder / weights
    return None


def _refuse(config: Mapping[str, Any], name: str) -> None:
    place, out = config.get("hook_point_in"), config.get("hook_point_out")
    if config.get("sae_type", "sae") != "sae" or (out or place) != place:
        what = config["sae_type"] if config.get("sae_type", "sae") != "sae" else f"transcoder from {place} to {out}"
        raise ClampdownError(f"{name} is a {what}, which can't be used here; name an SAE")
    if config.get("act_fn") not in ("jumprelu", "relu"):
        raise ClampdownError(f"{name}: unknown activation {str(config.get('act_fn'))!r}; known are jumprelu and relu")
    if config.get("use_glu_encoder"):
        raise ClampdownError(f"{name} has a gated linear unit in its encoder, which can't be used here")


def _normalisation(
    config: Mapping[str, Any], tensors: Mapping[str, Tensor], told: float | None, width: int, name: str
) -> tuple[str, float]:
    """The normalisation of each token that is left, and the fixed factor s of the inputs."""
    mode = config.get("norm_activation")
    if mode in ("token-wise", "inference"):
        return ("constant_norm" if mode == "token-wise" else "none"), 1.0
    if mode != "dataset-wise":
        raise ClampdownError(f"{name}: unknown normalisation {str(mode)!r}; known are dataset-wise and token-wise")
    norms = config.get(_NORM)
    norm = norms.get("in") if isinstance(norms, dict) else None
    if norm is None and (stored := tensors.get(f"{_NORM}.{config['hook_point_in']}")) is not None:
        norm = float(stored)
    if norm is None and (scale := positive(told)) is not None:
        return "none", scale
    if (norm := positive(norm)) is None:
        raise ClampdownError(
            f"{name} does not say its inputs' average norm; name it by SAELens release and id, whose directory does"
        )
    return "none", math.sqrt(width) / norm


def _threshold(
    config: Mapping[str, Any], tensors: Mapping[str, Tensor], n_latents: int, scale: float, name: str
) -> Tensor:
    if (stored := tensors.get(_LOGS)) is not None:
        check_shape(stored, (n_latents,), _LOGS, "the encoder", name)
        return stored.float().exp()
    told = config.get(_THRESHOLD)
    if not isinstance(told, int | float) or isinstance(told, bool):
        raise ClampdownError(f"{name}: no thresholds in its weights nor in its configuration; fetch it again")
    return torch.full((n_latents,), float(told)) * scale
