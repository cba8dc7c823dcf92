"""EleutherAI's sparsify: a folder a hookpoint ("layers.6"), with cfg.json and sae.safetensors; TopK, none transposed.

Its encode (eai-sparsify 1.3.3, `SparseCoder.encode`) takes b_dec off, applies max(., 0) and keeps the k largest. Where
several tie for the k-th place it keeps whichever the sort finds, ours keeps all.
"""

import re
from pathlib import Path
from typing import Any

from torch import Tensor

from clampdown.errors import ClampdownError
from clampdown.saes.formats.config import read_json
from clampdown.saes.formats.identity import identified
from clampdown.saes.formats.places import layer_after
from clampdown.saes.formats.tensors import check_shape, open_tensors, take
from clampdown.saes.sae import SAE

_CONFIG, _WEIGHTS = "cfg.json", "sae.safetensors"
_PARTS = ("encoder.weight", "encoder.bias", "W_dec", "b_dec")
_HOOKPOINT = re.compile(r"(?:layers|h|blocks)\.[0-9]|embed")


def matches(path: Path) -> bool:
    """Whether `path` is a hookpoint's folder or weights, or a folder of hookpoints."""
    return bool(_folders(path))


def read(path: Path, name: str) -> SAE:
    """Read a hookpoint's SAE.

    Raises:
        ClampdownError: several hookpoints to choose from, a transcoder, another activation than topk, a hookpoint that
        is not the residual stream after a block, or a file that is damaged or lies about its shape.
    """
    folders = _folders(path)
    if len(folders) != 1:
        found = ", ".join(str(folder.relative_to(path)) for folder in folders)
        raise ClampdownError(f"{name} holds {len(folders)} SAEs, one a hookpoint; name one of {found}")
    [folder] = folders
    config = read_json(folder / _CONFIG, name)
    tensors = open_tensors(folder / _WEIGHTS, name)
    _check(config, tensors, name)
    w_enc, b_enc, w_dec, b_dec = take(tensors, name, *_PARTS)
    check_shape(w_enc, _shape(config, name), "encoder.weight", _CONFIG, name)
    run = folder.parent.parent if _seed(folder) else folder.parent
    trained = read_json(run / "config.json", name) if (run / "config.json").is_file() else {}
    return identified(
        folder / _WEIGHTS,
        name=name,
        kind="topk",
        layer=_layer(folder, name),
        w_enc=w_enc,
        b_enc=b_enc,
        w_dec=w_dec,
        b_dec=b_dec,
        k=config["k"],
        model=str(trained.get("model") or ""),
        about={"format": "sparsify"} | {key: str(trained[key]) for key in ("dataset", "split") if trained.get(key)},
    )


def _folders(path: Path) -> list[Path]:
    """The hookpoints' folders: the one that `path` is, or those below it."""
    folder = path if path.is_dir() else path.parent
    if path in (folder, folder / _WEIGHTS) and all((folder / file).is_file() for file in (_CONFIG, _WEIGHTS)):
        return [folder]
    if path != folder:
        return []
    below = [*folder.glob(f"*/{_WEIGHTS}"), *folder.glob(f"*/seed*/{_WEIGHTS}")]
    return sorted((file.parent for file in below if (file.parent / _CONFIG).is_file()), key=_natural)


def _natural(folder: Path) -> list[tuple[int, str]]:
    """A key that sorts layers.10 behind layers.9."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split("([0-9]+)", str(folder))]


def _seed(folder: Path) -> bool:
    return re.fullmatch("seed[0-9]+", folder.name) is not None


def _layer(folder: Path, name: str) -> int:
    hookpoint = (folder.parent if _seed(folder) else folder).absolute().name
    if not _HOOKPOINT.search(hookpoint):
        raise ClampdownError(
            f"{name}: the folder's name {hookpoint!r} does not tell the layer; name it after its hookpoint (layers.6)"
        )
    return layer_after(hookpoint, name)


def _check(config: dict[str, Any], tensors: dict[str, Tensor], name: str) -> None:
    """Raises ClampdownError unless this is a plain TopK SAE."""
    if config.get("transcode"):
        raise ClampdownError(
            f"{name} is a transcoder, which predicts another place than it reads; only SAEs are clamped"
        )
    if config.get("skip_connection") or "W_skip" in tensors:
        raise ClampdownError(
            f"{name} has a skip connection, past which a clamp says little; only plain SAEs are clamped"
        )
    if (activation := config.get("activation", "topk")) != "topk":
        raise ClampdownError(f"{name}: unknown activation {activation!r}; of sparsify's, topk is known here")
    if config.get("signed"):
        raise ClampdownError(f"{name} keeps negative activations (signed), which can't be clamped here")
    if unknown := sorted(set(tensors) - set(_PARTS)):
        raise ClampdownError(f"{name}: unknown SAE tensors {', '.join(unknown)}; a newer sparsify wrote it")


def _shape(config: dict[str, Any], name: str) -> tuple[int, int]:
    """Latents and width, as the config says."""
    width, factor = config.get("d_in"), config.get("expansion_factor")
    latents = config.get("num_latents") or (width * factor if type(width) is int and type(factor) is int else None)
    said = {"k": config.get("k"), "d_in": width, "num_latents": latents}
    if wrong := [key for key, value in said.items() if type(value) is not int]:
        raise ClampdownError(f"{name}: {_CONFIG} does not say {', '.join(wrong)} as a whole number; fetch it again")
    return latents, width  # type: ignore[return-value]
