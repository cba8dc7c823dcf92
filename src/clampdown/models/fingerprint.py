"""One hash of what a loaded model computes with: its tensors by their names, and the facts of its configuration.

So the same weights have the same hash however they are cut into files, and files that nothing reads don't count; what
the configuration decides does (rotary frequencies, heads, norms, windows, scales), and names and versions don't.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch

from clampdown.models.safetensors_file import read_header
from clampdown.models.source import adapter_files, weight_files

_DTYPES = {
    **{torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"},
    **{torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8"},
    torch.bool: "BOOL",
}
"""As safetensors calls them, so that a .bin file and what it was converted to have the same hash."""
_EMBEDDING = re.compile(r"(?:^|\.)(?:embed_tokens|wte|embed_in|word_embeddings)\.weight$")
_HEAD = re.compile(r"(?:^|\.)(?:lm_head|embed_out)\.weight$")
_NO_ARITHMETIC = re.compile(
    r"^(?:architectures|(?:torch_)?dtype|.*_version|_?name_or_path|initializer_.*|use_cache|return_dict|output_.*"
    r"|tie_word_embeddings|quantization_config|vocab_size|pretraining_tp|id2label|label2id|problem_type|num_labels"
    r"|is_decoder|num_(?:local_)?experts|.*(?:dropout|pdrop|aux_loss).*|.*_token_id|_.*|.*implementation|chunk_size_feed_forward)$"
)
_PLAIN_ROPE = ("default", "linear", "llama3", "proportional")
"""Kinds of rotary positions for which the longest context changes nothing."""


def fingerprint(hf: Any, place: Path, unread: Iterable[str] = (), packed_here: bool = False) -> str:
    """SHA-256 in hex of what `hf`, loaded from `place`, computes with; empty where no weights lie there.

    Args:
        place: the folder, or a GGUF file, which holds its own configuration: then the hash is the file's.
        unread: tensors that lie in the files but were not loaded.
        packed_here: the weights were packed when loaded, which changes nothing; what was stored packed is told apart.
    """
    named = getattr(hf.config, "transformers_weights", None)
    files = weight_files(place, named)
    if place.is_file() or not files:
        return file_hash(files)
    tensors = _canonical(_tensors(files), hf, set(unread))
    told: dict[str, Any] = {"tensors": sorted(tensors.items()), "facts": facts(hf.config, tensors)}
    if not packed_here and (packing := _json(place / "config.json").get("quantization_config")):
        told["packing"] = packing
    if getattr(hf, "_hf_peft_config_loaded", False):
        told["adapter"] = [sorted(_tensors(adapter_files(place))), _adapter_facts(place)]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def file_hash(files: Iterable[Path]) -> str:
    """Hash of files in their order. Recipes of before named the weights by it, and those for a GGUF file still do."""
    digest, some = hashlib.sha256(), False
    for path in files:
        with path.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
        some = True
    return digest.hexdigest() if some else ""


def facts(config: Any, tensors: Iterable[str] = ()) -> dict[str, Any]:
    """What the configuration says about the arithmetic, as far as it differs from what its class says by itself.

    Written so that versions of Transformers agree: rotary settings in one form, defaults left out.
    """
    text = config.get_text_config()
    given, usual = text.to_dict(), _defaults(type(text))
    from transformers import GenerationConfig

    ignored = set(GenerationConfig().to_dict())
    found = {
        key: value
        for key, value in given.items()
        if key in usual and value != usual[key] and key not in ignored and not _NO_ARITHMETIC.match(key)
    }
    for key in ("rope_parameters", "rope_scaling", "rope_theta", "rope_local_base_freq", "partial_rotary_factor"):
        found.pop(key, None)
    found["model_type"] = text.model_type
    found["rope"] = rope = _rope(given)
    if all(one.get("rope_type") in (None, *_PLAIN_ROPE) for one in rope.values()):
        found.pop("max_position_embeddings", None)
    heads = given.get("num_attention_heads")
    if isinstance(heads, int) and isinstance(width := given.get("hidden_size"), int):
        found["head_dim"] = given.get("head_dim") or width // heads
    if set(found.get("layer_types") or ()) == {"full_attention"}:
        del found["layer_types"]
    if any(map(_HEAD.search, tensors)):  # else the head is the embedding, whatever the configuration says
        found["tied"] = bool(getattr(config, "tie_word_embeddings", False))
    return _plain(found)


def _defaults(kind: type) -> dict[str, Any]:
    try:
        return kind().to_dict()
    except Exception:  # a class that can't be made without settings
        return dict.fromkeys(getattr(kind, "__annotations__", {}), None)


def _rope(given: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Rotary settings by kind of block ("" for all), from one dict as today or from older versions' several keys."""
    new = given.get("rope_parameters")
    if not new:
        new = {"rope_theta": given.get("rope_theta"), **(given.get("rope_scaling") or {})}
        if local := given.get("rope_local_base_freq"):
            new = {"full_attention": new, "sliding_attention": {"rope_theta": local}}
    kinds = new if any(isinstance(one, dict) for one in new.values()) else {"": new}
    return {kind: _one_rope(one, given) for kind, one in kinds.items() if isinstance(one, dict)}


def _one_rope(one: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    one = {"partial_rotary_factor": given.get("partial_rotary_factor"), **one}
    one["rope_type"] = one.get("rope_type") or one.pop("type", None)
    one.pop("type", None)
    usual = {"rope_type": "default", "partial_rotary_factor": 1.0}
    return {key: value for key, value in one.items() if value is not None and value != usual.get(key)}


def _plain(value: Any) -> Any:
    """JSON whose numbers are written in one way: 10000 is 10000.0."""
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return value if isinstance(value, str | bool | None) else str(value)


def _tensors(files: Iterable[Path]) -> Iterator[tuple[str, list[Any]]]:
    """Name, and dtype, shape and hash of the bytes, of each tensor in the files."""
    for path in files:
        yield from (_safetensors if path.suffix == ".safetensors" else _pickled)(path)


def _safetensors(path: Path) -> Iterator[tuple[str, list[Any]]]:
    header, begin = read_header(path)
    with path.open("rb") as stream:
        for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
            start, end = entry["data_offsets"]
            stream.seek(begin + start)
            digest, left = hashlib.sha256(), end - start
            while left:
                piece = stream.read(min(left, 1 << 22))
                if not piece:
                    raise OSError(f"{path} ends inside {name}")
                digest.update(piece)
                left -= len(piece)
            yield name, [entry["dtype"], entry["shape"], digest.hexdigest()]


def _pickled(path: Path) -> Iterator[tuple[str, list[Any]]]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (RuntimeError, ValueError):  # the layout of before 2020 can't be mapped
        state = torch.load(path, map_location="cpu", weights_only=True)
    for name, tensor in state.items():
        if isinstance(tensor, torch.Tensor):
            content = tensor.contiguous().reshape(-1).view(torch.uint8).numpy()
            digest = hashlib.sha256(memoryview(content)).hexdigest()
            yield name, [_DTYPES.get(tensor.dtype, str(tensor.dtype)), list(tensor.shape), digest]


def _canonical(tensors: Iterable[tuple[str, list[Any]]], hf: Any, unread: set[str]) -> dict[str, list[Any]]:
    """The tensors that are loaded, named alike whether or not they were saved with a head, and a tied head once."""
    left_out = [*(getattr(hf, "_keys_to_ignore_on_load_unexpected", None) or ()), r"rotary_emb\.inv_freq"]
    ignored = re.compile("|".join(f"(?:{pattern})" for pattern in left_out))
    top = f"{hf.base_model_prefix}."
    found = {name.removeprefix(top): told for name, told in tensors if name not in unread and not ignored.search(name)}
    embedding = next(filter(_EMBEDDING.search, found), None)
    if head := next(filter(_HEAD.search, found), None):
        if embedding is None:
            where = next(n for n, module in hf.named_modules() if module is hf.get_input_embeddings())
            found[f"{where}.weight".removeprefix(top)] = found.pop(head)
        elif found[head] == found[embedding]:
            del found[head]
    return found


def _adapter_facts(place: Path) -> dict[str, Any]:
    told = _json(place / "adapter_config.json")
    return {key: value for key, value in told.items() if not re.search("path|version|revision|dropout|mode", key)}


def _json(path: Path) -> dict[str, Any]:
    told = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return told if isinstance(told, dict) else {}
