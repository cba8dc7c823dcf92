"""Gemma Scope 2: JumpReLU SAEs of Gemma 3 as params.safetensors, with a config.json beside most of them.

Arithmetic and orientation are those of Gemma Scope; tensors are spelled in lower case.
"""

import re
from pathlib import Path
from typing import Any

from clampdown.errors import ClampdownError
from clampdown.saes.formats.config import read_json
from clampdown.saes.formats.identity import identified
from clampdown.saes.formats.places import layer_after, names_of
from clampdown.saes.formats.tensors import check_shape, open_tensors, take
from clampdown.saes.sae import SAE

WEIGHTS, CONFIG = "params.safetensors", "config.json"
_FOLDER = re.compile(r"(?<![\w.-])(resid_post|attn_out|mlp_out|transcoder|crosscoder|clt)\w*/(?:layer_(\d+))?")
_REPOSITORY = re.compile(r"gemma-scope-2-(\w+)-(pt|it)")


def matches(path: Path) -> bool:
    return path.name == WEIGHTS or (path / WEIGHTS).is_file()


def read(path: Path, name: str) -> SAE:
    """Read an SAE from params.safetensors, or the folder that holds it.

    Raises:
        ClampdownError: an SAE of another place, a transcoder or crosscoder, another architecture, or no layer told.
    """
    file = path / WEIGHTS if path.is_dir() else path
    named = names_of(file, name)
    found = _FOLDER.findall(named)
    place, number = found[-1] if found else ("", "")
    config = read_json(file.parent / CONFIG, name) if (file.parent / CONFIG).is_file() else {}
    if place not in ("", "resid_post") or config.get("hf_hook_point_out"):
        what = place or f"transcoder to {config['hf_hook_point_out']}"
        raise ClampdownError(f"{name} is a Gemma Scope 2 {what}; only its SAEs in resid_post can be used here")
    if config.get("architecture", "jump_relu") != "jump_relu":
        raise ClampdownError(f"{name}: unknown architecture {str(config['architecture'])!r}; known is jump_relu")
    tensors = open_tensors(file, name)
    if "affine_skip_connection" in tensors:
        raise ClampdownError(f"{name} has a skip connection, as transcoders have; name an SAE in resid_post")
    w_enc, b_enc, w_dec, b_dec, threshold = take(tensors, name, "w_enc", "b_enc", "w_dec", "b_dec", "threshold")
    check_shape(w_enc, (b_dec.numel(), b_enc.numel()), "w_enc", "the biases' length", name)
    return identified(
        file,
        name=name,
        kind="jumprelu",
        layer=_layer(config, number, name),
        w_enc=w_enc.T,
        b_enc=b_enc,
        w_dec=w_dec,
        b_dec=b_dec,
        threshold=threshold,
        subtract_decoder_bias=False,
        model=_model(config, named),
        about={"format": "Gemma Scope 2", "prepend_bos": "true"},
    )


def _layer(config: dict[str, Any], number: str, name: str) -> int:
    if place := config.get("hf_hook_point_in"):
        return layer_after(place, name)
    if not number:
        raise ClampdownError(
            f"{name} does not say its layer: keep {CONFIG} beside it, or the folder's name (resid_post/layer_17_…)"
        )
    return int(number)


def _model(config: dict[str, Any], named: str) -> str:
    if told := str(config.get("model_name") or ""):
        model = told if told.startswith("google/") else f"google/{told}"
    elif repository := _REPOSITORY.search(named):
        model = f"google/gemma-3-{repository[1]}-{repository[2]}"
    else:
        return ""
    # Their names for two models differ from the hub's.
    return model.replace("-v3", "-3").replace("-270m-pt", "-270m")
