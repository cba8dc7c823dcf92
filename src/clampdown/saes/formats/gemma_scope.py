"""Gemma Scope: JumpReLU SAEs as params.npz, in folders whose names alone say the layer, such as layer_20/width_16k/….

The encoder takes the residual as it is, and its thresholds are per latent (arXiv 2408.05147).
"""

import re
from pathlib import Path

from clampdown.errors import ClampdownError
from clampdown.saes.formats.identity import identified
from clampdown.saes.formats.places import names_of
from clampdown.saes.formats.tensors import check_shape, open_tensors, take
from clampdown.saes.sae import SAE

WEIGHTS = "params.npz"
_REPOSITORY = re.compile(r"gemma-scope-(\d+b)-(pt|it)-(\w+)")
_LAYER = re.compile(r"layer_(\d+)")


def matches(path: Path) -> bool:
    return path.name == WEIGHTS or (path / WEIGHTS).is_file()


def read(path: Path, name: str) -> SAE:
    """Read an SAE from params.npz, or the folder that holds it.

    Raises:
        ClampdownError: an SAE of attention, MLP or embeddings, a transcoder, or no layer in the folders' names.
    """
    file = path / WEIGHTS if path.is_dir() else path
    named = names_of(file, name)
    repository = _REPOSITORY.search(named)
    if repository and repository[3] != "res":
        raise ClampdownError(
            f"{name} is a Gemma Scope SAE of {repository[3]!r}; only those of the residual stream (-res) can be used"
        )
    if "/embedding/" in named:
        raise ClampdownError(f"{name} is a Gemma Scope SAE of the embeddings; only those after a block can be used")
    layers = _LAYER.findall(named)
    if not layers:
        raise ClampdownError(f"{name} does not say its layer: keep the publisher's folder names (layer_20/…/{WEIGHTS})")
    stored = open_tensors(file, name)
    tensors = {key.replace("w_", "W_"): tensor for key, tensor in stored.items()}  # both spellings are about
    w_enc, b_enc, w_dec, b_dec, threshold = take(tensors, name, "W_enc", "b_enc", "W_dec", "b_dec", "threshold")
    check_shape(w_enc, (b_dec.numel(), b_enc.numel()), "W_enc", "the biases' length", name)
    model = f"google/gemma-2-{repository[1]}{'-it' if repository[2] == 'it' else ''}" if repository else ""
    return identified(
        file,
        name=name,
        kind="jumprelu",
        layer=int(layers[-1]),
        w_enc=w_enc.T,
        b_enc=b_enc,
        w_dec=w_dec,
        b_dec=b_dec,
        threshold=threshold,
        subtract_decoder_bias=False,
        model=model,
        about={"format": "Gemma Scope", "prepend_bos": "true"},
    )
