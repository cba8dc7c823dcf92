"""Read and write SAEs in Clampdown's own format: one safetensors file whose header says everything."""

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from clampdown.errors import ClampdownError
from clampdown.reading import check_file, stand_in
from clampdown.saes.hashes import LARGE, file_version, sha256_when_asked
from clampdown.saes.hashes import file_sha256 as file_sha256
from clampdown.saes.sae import SAE
from clampdown.writing import beside

FORMAT = "clampdown-sae-1"

_PARTS = ("w_enc", "b_enc", "w_dec", "b_dec")
_OPTIONAL = ("threshold", "maximum", "gate_bias", "magnitude_scale")
_DTYPES = (torch.float32, torch.bfloat16, torch.float16)
_PROPERTIES: dict[str, tuple[type, ...]] = {
    "kind": (str,),
    "layer": (int,),
    "k": (int, type(None)),
    "normalise": (str,),
    "subtract_decoder_bias": (bool,),
    "model": (str,),
    "about": (dict,),
}


def read_sae(path: Path, name: str) -> SAE:
    """Read an SAE in our own format from its file, and call it `name`.

    A small file's weights come as float32. A large one stays on the disk, mapped, in the dtype it is stored in: its
    values are read and checked when they are used, and its hash is worked out when somebody asks for it.

    Raises:
        ClampdownError: not an SAE of ours, damaged, or with a value that is not finite.
    """
    path = path.resolve()
    check_file(path, "SAE")
    return _load(path, name, tuple(file_version(path)))  # a file written anew is read anew


def save_sae(sae: SAE, path: Path, dtype: torch.dtype = torch.float32) -> None:
    """Write an SAE atomically, in `dtype`."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    tensors: dict[str, Tensor] = {n: getattr(sae, n) for n in _PARTS}
    tensors |= {n: part for n in _OPTIONAL if (part := getattr(sae, n)) is not None}
    # Copies: the format refuses tensors that share memory, as tied weights do.
    stored = {name: tensor.detach().to("cpu", dtype, copy=True).contiguous() for name, tensor in tensors.items()}
    for name, tensor in stored.items():
        if not torch.isfinite(tensor).all():
            raise ClampdownError(
                f"SAE {sae.name}: {name} holds a value that is not finite in {dtype}; nothing was written"
            )
    facts = {
        "kind": sae.kind,
        "layer": sae.layer,
        "k": sae.k,
        "normalise": sae.normalise,
        "subtract_decoder_bias": sae.subtract_decoder_bias,
        "model": sae.model,
        "about": sae.about,
    }
    with beside(path) as part:
        try:
            save_file(stored, part, metadata={"format": FORMAT, "sae": json.dumps(facts)})
        except SafetensorError as error:
            raise ClampdownError(f"could not write {path}: {error}") from error


@lru_cache(maxsize=4)
def _load(path: Path, name: str, version: tuple[int, ...]) -> SAE:
    from safetensors import SafetensorError, safe_open

    sha256 = sha256_when_asked(path, name)
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        if found := stand_in(path):
            raise ClampdownError(f"{name}: {found}") from error
        raise ClampdownError(f"{name} is not a readable safetensors file ({error}); fetch or train it again") from error
    if header.get("format") != FORMAT:
        raise ClampdownError(f"{name} is not an SAE in Clampdown's format; its header lacks 'format = {FORMAT}'")
    facts = _facts(header, name)
    _check_names(name, tensors)
    if version[0] > LARGE:
        kept = {part: t if t.dtype in _DTYPES else t.float() for part, t in tensors.items()}
        return SAE(name=name, sha256=sha256, **facts, **kept)
    sae = SAE(name=name, sha256=sha256(), **facts, **{part: t.float() for part, t in tensors.items()})
    sae.check_finite()
    return sae


def _facts(header: Mapping[str, str], name: str) -> dict:
    """The header's properties, each of its type."""
    try:
        facts = json.loads(header["sae"])
        if not isinstance(facts, dict):
            raise TypeError("not an object")
        unknown = sorted(set(facts) - set(_PROPERTIES))
        wrong = [key for key, kinds in _PROPERTIES.items() if key in facts and type(facts[key]) not in kinds]
        lacking = [key for key in ("kind", "layer") if key not in facts]
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ClampdownError(f"{name}: the SAE's header is damaged ({error}); fetch or train it again") from error
    if unknown:
        raise ClampdownError(f"{name}: unknown SAE properties {', '.join(unknown)}; a newer Clampdown wrote it")
    if wrong or lacking:
        which = ", ".join(wrong + lacking)
        raise ClampdownError(f"{name}: the SAE's header is damaged ({which}); fetch or train it again")
    return facts


def _check_names(name: str, tensors: Mapping[str, Tensor]) -> None:
    if unknown := set(tensors) - {*_PARTS, *_OPTIONAL}:
        raise ClampdownError(f"{name}: unknown SAE tensors {', '.join(sorted(unknown))}; a newer Clampdown wrote it")
    missing = [part for part in _PARTS if part not in tensors]
    if missing:
        raise ClampdownError(f"{name}: the SAE lacks {', '.join(missing)}")
