"""dictionary_learning: ae.pt, a state dict, with config.json beside it (or one folder up from a checkpoint).

Encoders and decoders that it keeps as nn.Linear are [out, in], so the decoder is transposed here; those it keeps as
parameters (W_enc, W_dec) are [in, out], so the encoder is. Read from dictionary_learning 0.1.0 (`dictionary.py`,
`trainers/`), whose training folds its scaling of the inputs into the biases before it saves.
"""

import re
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from clampdown.errors import ClampdownError
from clampdown.saes.formats.config import read_json
from clampdown.saes.formats.identity import identified
from clampdown.saes.formats.tensors import check_shape, open_tensors, take
from clampdown.saes.sae import SAE
from clampdown.saes.scaled import scaled
from clampdown.saes.tiles import row_norms

_LINEAR = {"encoder.weight", "encoder.bias", "decoder.weight"}
_PARAMETERS = {"W_enc", "b_enc", "W_dec", "b_dec"}
_CLASSES: dict[str, tuple[set[str], set[str]]] = {
    "AutoEncoder": (_LINEAR | {"bias"}, set()),
    "AutoEncoderNew": (_LINEAR | {"decoder.bias"}, set()),
    "GatedAutoEncoder": (
        {"encoder.weight", "decoder.weight", "decoder_bias", "r_mag", "gate_bias", "mag_bias"},
        set(),
    ),
    "AutoEncoderTopK": (_LINEAR | {"b_dec"}, {"k", "threshold"}),  # older versions saved neither
    "BatchTopKSAE": (_LINEAR | {"b_dec", "threshold"}, {"k"}),
    "JumpReluAutoEncoder": (_PARAMETERS | {"threshold"}, set()),
    "MatryoshkaBatchTopKSAE": (_PARAMETERS | {"threshold", "group_sizes"}, {"k"}),
}
"""The tensors that a class must have, and those that it may have."""
_WEIGHTS = re.compile(r"ae(_[0-9]+)?\.pt")
_ELSEWHERE = re.compile("mlp|attn|attention|embed|resid_?pre", re.IGNORECASE)
_RESIDUAL = re.compile(r"resid_(?:post|out)_layer_?([0-9]{1,6})")


def matches(path: Path) -> bool:
    """Whether `path` is such a file, its folder, or a folder of several."""
    return bool(_files(path))


def read(path: Path, name: str) -> SAE:
    """Read an SAE, with activations in the library's own units: when loaded, its `AutoEncoder` gets unit decoder rows.

    Raises:
        ClampdownError: several SAEs to choose from, a file that only a full unpickling could read, an unknown class,
        another place than the residual stream after a block, or weights that are not as the config says.
    """
    files = _files(path)
    if len(files) != 1:
        found = ", ".join(str(file.parent.relative_to(path)) for file in files)
        raise ClampdownError(f"{name} holds {len(files)} SAEs; name one of {found}")
    [file] = files
    config, buffer = _config(file, name)
    state = open_tensors(file, name)
    which = _class(state, config, name)
    _check_shapes(state, config, name)
    made = partial(
        identified,
        file,
        {"unit_rows": which == "AutoEncoder"},
        name=name,
        layer=_layer(file, config, buffer, name),
        model=str(config.get("lm_name") or ""),
        about={"format": f"dictionary_learning {which}"},
    )
    parts = _parts(which, state, config, name)
    sae = made(**parts)  # which checks the shapes
    return made(**_unit_rows(parts)) if which == "AutoEncoder" else sae


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if _WEIGHTS.fullmatch(path.name) else []
    if (path / "ae.pt").is_file():
        return [path / "ae.pt"]
    return sorted([*path.glob("*/ae.pt"), *path.glob("*/*/ae.pt")])


def _config(file: Path, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the trainer and the buffer of activations were told; empty where no config came along."""
    for folder in (file.parent, file.parent.parent) if file.parent.name == "checkpoints" else (file.parent,):
        if (folder / "config.json").is_file():
            body = read_json(folder / "config.json", name)
            trainer, buffer = body.get("trainer", body), body.get("buffer") or {}
            if not isinstance(trainer, dict) or not isinstance(buffer, dict):
                raise ClampdownError(f"{name}: config.json holds no trainer's settings; fetch it again")
            return trainer, buffer
    return {}, {}


def _class(state: dict[str, Tensor], config: dict[str, Any], name: str) -> str:
    """The library's class of SAE: as the config says, or else as the tensors tell."""
    keys = set(state)
    fitting = [which for which, (must, may) in _CLASSES.items() if must <= keys <= must | may]
    if told := str(config.get("dict_class") or ""):
        if told not in _CLASSES:
            raise ClampdownError(f"{name}: class {told!r} is none that can be clamped; known are {', '.join(_CLASSES)}")
        if told not in fitting:
            raise ClampdownError(f"{name}: config.json says {told}, but ae.pt holds {_shown(keys)}; fetch it again")
        return told
    if len(fitting) > 1:  # the newer AutoEncoderTopK keeps a threshold too, which it does not use
        trainer = str(config.get("trainer_class") or "")
        fitting = [which for which in fitting if ("BatchTopK" in trainer) == (which == "BatchTopKSAE") and trainer]
        if not fitting:
            raise ClampdownError(
                f"{name}: its weights may be those of AutoEncoderTopK or BatchTopKSAE; put the config.json beside them"
            )
    if not fitting:
        raise ClampdownError(f"{name}: holds {_shown(keys)}, which is no known SAE of dictionary_learning")
    return fitting[0]


def _parts(which: str, state: dict[str, Tensor], config: dict[str, Any], name: str) -> dict[str, Any]:
    """The SAE's own fields from the library's tensors."""
    if which in ("JumpReluAutoEncoder", "MatryoshkaBatchTopKSAE"):
        w_enc, b_enc, w_dec, b_dec = take(state, name, "W_enc", "b_enc", "W_dec", "b_dec")
        w_enc = w_enc.T
    else:
        bias = "mag_bias" if which == "GatedAutoEncoder" else "encoder.bias"
        away = {"AutoEncoder": "bias", "AutoEncoderNew": "decoder.bias", "GatedAutoEncoder": "decoder_bias"}
        w_enc, b_enc, w_dec, b_dec = take(
            state, name, "encoder.weight", bias, "decoder.weight", away.get(which, "b_dec")
        )
        w_dec = w_dec.T
    parts = {"w_enc": w_enc, "b_enc": b_enc, "w_dec": w_dec, "b_dec": b_dec}
    if which in ("AutoEncoder", "AutoEncoderNew"):
        return {"kind": "relu", "subtract_decoder_bias": which == "AutoEncoder"} | parts
    if which == "GatedAutoEncoder":
        gate = {"gate_bias": state["gate_bias"], "magnitude_scale": state["r_mag"].float().exp()}
        return {"kind": "gated"} | gate | parts
    if which == "JumpReluAutoEncoder":
        return {"kind": "jumprelu", "threshold": state["threshold"], "subtract_decoder_bias": False} | parts
    k = _k(state, config, name)
    if which == "AutoEncoderTopK":
        return {"kind": "topk", "k": k} | parts
    if state["threshold"].numel() != 1:
        raise ClampdownError(f"{name}: {which} has one threshold for all latents, but its file holds several")
    # One that was never set is -1: every positive pre-activation is on, in the library too.
    return {"kind": "batchtopk", "k": k, "threshold": state["threshold"].expand(len(w_enc))} | parts


def _unit_rows(parts: dict[str, Any]) -> dict[str, Any]:
    """Decoder rows scaled to unit length and the encoder against them, as the library's AutoEncoder is loaded."""
    norms = row_norms(parts["w_dec"])
    if torch.allclose(norms, torch.ones_like(norms)):
        return parts
    norms = torch.where(norms > 0, norms, 1.0)  # a row of zeros writes nothing, whatever its activation
    return parts | {
        "w_enc": scaled(parts["w_enc"], norms),
        "b_enc": parts["b_enc"].float() * norms,
        "w_dec": scaled(parts["w_dec"], 1 / norms),
    }


def _k(state: dict[str, Tensor], config: dict[str, Any], name: str) -> int:
    told = {int(value) for value in (state.get("k"), config.get("k")) if value is not None and _whole(value)}
    if len(told) != 1:
        said = f"says both k = {' and '.join(map(str, sorted(told)))}" if told else "does not say its k"
        raise ClampdownError(f"{name} {said}; fetch ae.pt and config.json again")
    return told.pop()


def _whole(value: Any) -> bool:
    if isinstance(value, Tensor):
        return value.numel() == 1 and not value.is_floating_point()
    return type(value) is int


def _check_shapes(state: dict[str, Tensor], config: dict[str, Any], name: str) -> None:
    """Raises ClampdownError unless encoder and decoder are matrices of the size that the config says."""
    n, d = config.get("dict_size"), config.get("activation_dim")
    for key, expected in {"encoder.weight": (n, d), "decoder.weight": (d, n), "W_enc": (d, n), "W_dec": (n, d)}.items():
        if key in state and state[key].dim() != 2:
            raise ClampdownError(f"{name}: {key} has shape {tuple(state[key].shape)}, but should be a matrix")
        if key in state:
            check_shape(state[key], expected, key, "config.json", name)


def _layer(file: Path, config: dict[str, Any], buffer: dict[str, Any], name: str) -> int:
    """The block after which it reads: as the config says, or else a folder above it."""
    place = str(config.get("submodule_name") or "")
    if buffer.get("io", "out") != "out" or _ELSEWHERE.search(place):
        where = f"the input of {place or 'a module'}" if buffer.get("io", "out") != "out" else place
        raise ClampdownError(f"{name} reads {where}, not the residual stream after a block; only that is clamped")
    if type(layer := config.get("layer")) is int:
        return layer
    for folder in file.absolute().parents[:4]:
        if found := _RESIDUAL.search(folder.name):
            return int(found[1])
    raise ClampdownError(
        f"{name} does not say its layer; put its config.json beside it, or into a folder named resid_post_layer_6"
    )


def _shown(keys: set[Any]) -> str:
    return ", ".join(sorted(map(str, keys))[:8]) or "nothing"
