"""Read and write SAEs in Clampdown's own format: one safetensors file whose header says everything."""

import hashlib
import json
import os
import tempfile
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


def load_sae(name: str) -> SAE:
    """Load an SAE by the bundled one's name, by file, or by a folder that holds one; weights come as float32.

    Raises:
        ClampdownError: no such file, not an SAE of ours, damaged, or with a value that is not finite.
    """
    return _load(str(_find(name).resolve()), name)


def save_sae(sae: SAE, path: Path, dtype: torch.dtype = torch.float32) -> None:
    """Write an SAE atomically, in `dtype`."""
    from safetensors.torch import save_file

    tensors: dict[str, Tensor] = {n: getattr(sae, n) for n in ("w_enc", "b_enc", "w_dec", "b_dec")}
    tensors |= {n: part for n in ("threshold", "maximum") if (part := getattr(sae, n)) is not None}
    stored = {name: tensor.to(dtype).contiguous() for name, tensor in tensors.items()}
    facts = {
        "kind": sae.kind,
        "layer": sae.layer,
        "k": sae.k,
        "normalise": sae.normalise,
        "subtract_decoder_bias": sae.subtract_decoder_bias,
        "model": sae.model,
        "about": sae.about,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
    os.close(handle)
    try:
        save_file(stored, temporary, metadata={"format": FORMAT, "sae": json.dumps(facts)})
        os.replace(temporary, path)
    except OSError as error:
        raise ClampdownError(f"could not write {path}: {error.strerror or error}") from error
    finally:
        Path(temporary).unlink(missing_ok=True)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _find(name: str) -> Path:
    path = _BUNDLED_FILE if name == BUNDLED else Path(name).expanduser()
    if path.is_dir():
        files = sorted(path.glob("*.safetensors"))
        if len(files) != 1:
            raise ClampdownError(f"folder {path} holds {len(files)} safetensors files; name the SAE's file itself")
        path = files[0]
    if not path.is_file():
        raise ClampdownError(f"no SAE at {name!r}; name a file or folder, or {BUNDLED!r} for the bundled one")
    return path


@lru_cache(maxsize=4)
def _load(path: str, name: str) -> SAE:
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
    try:
        facts = json.loads(header["sae"])
        return {"kind": str(facts["kind"]), "layer": int(facts["layer"]), **facts}
    except (KeyError, TypeError, ValueError) as error:
        raise ClampdownError(f"{name}: the SAE's header is damaged ({error}); fetch or train it again") from error


def _build(name: str, facts: dict, tensors: dict[str, Tensor], sha256: str) -> SAE:
    missing = [part for part in ("w_enc", "b_enc", "w_dec", "b_dec") if part not in tensors]
    if missing:
        raise ClampdownError(f"{name}: the SAE lacks {', '.join(missing)}")
    for part, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise ClampdownError(f"{name}: {part} holds a value that is not finite; fetch or train it again")
    known = {"kind", "layer", "k", "normalise", "subtract_decoder_bias", "model", "about"}
    if unknown := set(facts) - known:
        raise ClampdownError(f"{name}: unknown SAE properties {', '.join(sorted(unknown))}; a newer Clampdown wrote it")
    return SAE(name=name, sha256=sha256, **facts, **tensors)
