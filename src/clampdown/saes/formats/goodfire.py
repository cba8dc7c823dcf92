"""Goodfire's ReLU SAEs, and others named as theirs: one state dict <model>-SAE-l<layer>.pt or .pth.

The encoder takes the residual as it is. Goodfire calls its layers encoder_linear and decoder_linear; qresearch, which
published an SAE of DeepSeek-R1-Distill-Llama-8B in the same way, encoder and decoder.
"""

import re
from pathlib import Path

from clampdown.errors import ClampdownError
from clampdown.saes.formats.identity import identified
from clampdown.saes.formats.tensors import check_shape, open_tensors, take
from clampdown.saes.sae import SAE

_FILE = re.compile(r"(.+)-SAE-l(\d+)\.pth?$")
_OWNERS = {"Llama-": "meta-llama/", "DeepSeek-": "deepseek-ai/"}


def matches(path: Path) -> bool:
    return bool(_files(path))


def read(path: Path, name: str) -> SAE:
    """Read the SAE; its model and layer are in the file's name.

    Raises:
        ClampdownError: a folder of several, or a state dict of something else.
    """
    files = _files(path)
    if len(files) != 1:
        raise ClampdownError(f"{name} holds {len(files)} SAEs; name one of its files, such as {files[0].name}")
    [file] = files
    named = _FILE.fullmatch(file.name)
    assert named is not None  # by `_files`
    tensors = open_tensors(file, name)
    suffix = "_linear" if "encoder_linear.weight" in tensors else ""
    keys = [f"{part}{suffix}.{what}" for part in ("encoder", "decoder") for what in ("weight", "bias")]
    w_enc, b_enc, w_dec, b_dec = take(tensors, name, *keys)
    check_shape(w_enc, (b_enc.numel(), b_dec.numel()), keys[0], "the biases' length", name)
    owner = next((owner for start, owner in _OWNERS.items() if named[1].startswith(start)), "")
    return identified(
        file,
        name=name,
        kind="relu",
        layer=int(named[2]),
        w_enc=w_enc,
        b_enc=b_enc,
        w_dec=w_dec.T,
        b_dec=b_dec,
        subtract_decoder_bias=False,
        model=owner + named[1],
        about={"format": "Goodfire" if suffix else "Goodfire's layout"},
    )


def _files(path: Path) -> list[Path]:
    candidates = sorted(path.iterdir()) if path.is_dir() else [path]
    return [file for file in candidates if _FILE.fullmatch(file.name)]
