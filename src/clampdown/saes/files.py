"""Read and write SAEs in Clampdown's own format: one safetensors file whose header says everything."""

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from clampdown.errors import ClampdownError
from clampdown.saes.sae import SAE

FORMAT = "clampdown-sae-1"
BUNDLED = "smollm2-135m-instruct/layer-12"
_BUNDLED_FILE = Path(__file__).parent / "bundled" / "smollm2-135m-instruct-layer-12.safetensors"

_PARTS = ("w_enc", "b_enc", "w_dec", "b_dec")
_OPTIONAL = ("threshold", "maximum")
_PROPERTIES: dict[str, tuple[type, ...]] = {
    "kind": (str,),
    "layer": (int,),
    "k": (int, type(None)),
    "normalise": (str,),
    "subtract_decoder_bias": (bool,),
    "model": (str,),
    "about": (dict,),
}


def load_sae(name: str) -> SAE:
    """Load an SAE by the bundled one's name, by file, or by a folder that holds one; weights come as float32.

    Raises:
        ClampdownError: no such file, not an SAE of ours, damaged, or with a value that is not finite.
    """
    path = _find(name).resolve()
    stat = path.stat()
    return _load(str(path), name, (stat.st_mtime_ns, stat.st_size))  # a file written anew is read anew


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
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(stored, temporary, metadata={"format": FORMAT, "sae": json.dumps(facts)})
        os.replace(temporary, path)
    except (OSError, SafetensorError) as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise ClampdownError(f"could not write {path}: {getattr(error, 'strerror', None) or error}") from error


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _find(name: str) -> Path:
    path = _BUNDLED_FILE if name == BUNDLED else Path(os.path.expanduser(name))
    if path.is_dir():
        files = sorted(path.glob("*.safetensors"))
        if len(files) != 1:
            raise ClampdownError(f"folder {path} holds {len(files)} safetensors files; name the SAE's file itself")
        path = files[0]
    if not path.is_file():
        raise ClampdownError(f"no SAE at {name!r}; name a file or folder, or {BUNDLED!r} for the bundled one")
    return path


@lru_cache(maxsize=4)
def _load(path: str, name: str, _version: tuple[int, int]) -> SAE:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ClampdownError(f"{name} is not a readable safetensors file ({error}); fetch or train it again") from error
    if header.get("format") != FORMAT:
        raise ClampdownError(f"{name} is not an SAE in Clampdown's format; its header lacks 'format = {FORMAT}'")
    return _build(name, _facts(header, name), tensors, file_sha256(Path(path)))


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


def _build(name: str, facts: dict, tensors: dict[str, Tensor], sha256: str) -> SAE:
    if unknown := set(tensors) - {*_PARTS, *_OPTIONAL}:
        raise ClampdownError(f"{name}: unknown SAE tensors {', '.join(sorted(unknown))}; a newer Clampdown wrote it")
    missing = [part for part in _PARTS if part not in tensors]
    if missing:
        raise ClampdownError(f"{name}: the SAE lacks {', '.join(missing)}")
    for part, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise ClampdownError(f"{name}: {part} holds a value that is not finite; fetch or train it again")
    return SAE(name=name, sha256=sha256, **facts, **tensors)
