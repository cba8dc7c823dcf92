"""Qwen Scope: TopK SAEs as layer<L>.sae.pt, whose k stands in the repository's name alone (…-W32K-L0_50).

The encoder takes the residual as it is; W_enc is [d_sae, d_in] and W_dec [d_in, d_sae].
"""

import re
from pathlib import Path

from clampdown.errors import ClampdownError
from clampdown.saes.formats.identity import identified
from clampdown.saes.formats.places import names_of
from clampdown.saes.formats.tensors import check_shape, open_tensors, take
from clampdown.saes.sae import SAE

_FILE = re.compile(r"layer(\d+)\.sae\.pt$")
_REPOSITORY = re.compile(r"SAE-Res-(.+?)-W(\d+)K-L0_(\d+)")


def matches(path: Path) -> bool:
    return bool(_FILE.fullmatch(path.name)) or (path.is_dir() and any(path.glob("layer*.sae.pt")))


def read(path: Path, name: str) -> SAE:
    """Read one layer's SAE.

    Raises:
        ClampdownError: a folder of several, or no k in the repository's name.
    """
    files = sorted(path.glob("layer*.sae.pt")) if path.is_dir() else [path]
    if len(files) != 1:
        raise ClampdownError(f"{name} holds {len(files)} SAEs; name one of its files, such as {name}/{files[0].name}")
    [file] = files
    named = _REPOSITORY.search(names_of(file, name))
    if named is None:
        raise ClampdownError(f"{name} does not say its k: keep the repository's name (SAE-Res-…-L0_50) on its folder")
    tensors = open_tensors(file, name)
    w_enc, b_enc, w_dec, b_dec = take(tensors, name, "W_enc", "b_enc", "W_dec", "b_dec")
    check_shape(w_enc, (int(named[2]) * 1024, b_dec.numel()), "W_enc", "its repository's name", name)
    layer = _FILE.search(file.name)
    assert layer is not None  # by `matches`
    return identified(
        file,
        name=name,
        kind="topk",
        layer=int(layer[1]),
        w_enc=w_enc,
        b_enc=b_enc,
        w_dec=w_dec.T,
        b_dec=b_dec,
        k=int(named[3]),
        subtract_decoder_bias=False,
        model=f"Qwen/{named[1]}",
        about={"format": "Qwen Scope"},
    )
