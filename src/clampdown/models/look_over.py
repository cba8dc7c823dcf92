"""A model's folder looked over before anything is loaded: what lies there that is no model, and what to do then."""

import json
import re
from pathlib import Path
from typing import Any

from clampdown.errors import ClampdownError
from clampdown.models.safetensors_file import read_header
from clampdown.models.source import adapter_files, weight_files
from clampdown.reading import stand_in

_SHARD = re.compile(r"-(\d{5})-of-(\d{5})\.(?:safetensors|bin)$")
_SAE_FILES = ("cfg.json", "sae.safetensors", "sae_weights.safetensors", "ae.pt", "params.npz", "hyperparams.json")
_SAE_KEYS = {"trainer", "activation_dim", "dict_size", "d_sae", "d_in", "expansion_factor", "num_latents"}
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json")
_BESIDE = (
    *(*_TOKENIZERS, "vocab.txt", "merges.txt", "spiece.model", "tekken.json", "special_tokens_map.json"),
    *("added_tokens.json", "chat_template.jinja", "chat_template.json", "generation_config.json"),
    *("model.safetensors.index.json", "pytorch_model.bin.index.json"),
)
"""What Transformers reads besides configuration and weights, some of it without a word where it is damaged."""
_WORDS = ("tokenizer.json", "*.model", "vocab*", "merges.txt", "*.tiktoken", "tekken.json", "spiece*")
"""Files of which any one may hold a tokenizer's vocabulary."""
_OTHERS = {  # what else weights come as, and what takes them
    "*.gguf": "GGUF",
    "*.onnx": "ONNX, which only ONNX Runtime runs",
    "openvino_model.xml": "OpenVINO's, which only OpenVINO runs",
    "*.mlmodelc": "Core ML's, which only Apple's runs",
    "*.tflite": "TFLite's",
    "tf_model.h5": "TensorFlow's",
    "flax_model.msgpack*": "Flax's",
    "rust_model.ot": "Rust's",
    "weights.*.npz": "MLX's, which only MLX runs",
    "weights.npz": "MLX's, which only MLX runs",
    "consolidated*.pth": "in Meta's own layout",
    "consolidated*.safetensors": "in Mistral's own layout",
    "*.nemo": "NeMo's",
    "*.distcp": "in parts, as PyTorch's distributed training saves them",
    "*.llamafile": "llamafile's",
}


def look_over(folder: Path) -> None:
    """Raises ClampdownError, naming what lies in the folder and what to do, unless Transformers might load it.

    Only beginnings of files are read, so it takes moments.
    """
    if not (folder / "config.json").is_file():
        raise _refusal(folder, _without_config(folder))
    config = _read_config(folder)
    if found := _no_language_model(folder, config):
        raise _refusal(folder, found)
    for path in map(folder.joinpath, _BESIDE):
        if path.is_file() and (found := stand_in(path)):
            raise _refusal(folder, f"its {path.name}: {found}")
    files = weight_files(folder, config.get("transformers_weights"))
    if not files:
        raise _refusal(folder, _without_weights(folder))
    if lacking := [path.name for path in files if not path.is_file()]:
        raise _refusal(
            folder,
            f"it lacks {lacking[0]}, which its index names ({len(lacking)} of {len(files)} missing); fetch it again",
        )
    for path in files:
        if found := stand_in(path) or _cut(path):
            raise _refusal(folder, f"its {path.name}: {found}")
    if not any(next(folder.glob(pattern), None) for pattern in _WORDS):
        raise _refusal(folder, "it has no tokenizer (no tokenizer.json); fetch that too")


def _refusal(folder: Path, found: str) -> ClampdownError:
    return ClampdownError(f"could not load model {folder}: {found}")


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    try:
        told = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        found = (stand_in(path) if path.stat().st_size < 1 << 20 else "") or "it is not valid JSON; fetch it again"
        raise _refusal(folder, f"its config.json: {found}") from error
    if not isinstance(told, dict):
        raise _refusal(folder, "its config.json: it is not a model's; fetch it again")
    return told


def _no_language_model(folder: Path, config: dict[str, Any]) -> str:
    """What a folder with a config.json is that is not a language model's."""
    packing = config.get("quantization")
    if isinstance(packing, dict) and "bits" in packing and "quant_method" not in packing:
        return "its weights are packed by MLX, which only MLX reads; name the model that it was made from"
    if "model_type" in config or "auto_map" in config:
        return ""
    if adapter := _adapter(folder):
        return adapter
    if _SAE_KEYS & {*config, *(config.get("trainer") or {} if isinstance(config.get("trainer"), dict) else {})}:
        return _SAE
    if (folder / "model_index.json").is_file() or "_diffusers_version" in config or "_class_name" in config:
        return _DIFFUSERS
    return "its config.json names no model_type, so it is no model of Transformers'; check what the folder holds"


_SAE = "it is an SAE's, not a language model's; name the model here, and the SAE where SAEs are named"
_DIFFUSERS = "it is a diffusers pipeline, which makes pictures; name a language model"


def _adapter(folder: Path) -> str:
    path = folder / "adapter_config.json"
    if not path.is_file() and not adapter_files(folder):
        return ""
    try:
        base = json.loads(path.read_text(encoding="utf-8"))["base_model_name_or_path"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        base = None
    of = f" of {base}" if base and isinstance(base, str) else ""
    return (
        f"it holds an adapter (LoRA or its like){of}, not a whole model; merge it into that model with peft "
        "(merge_and_unload, then save_pretrained), and name the folder that it is saved in"
    )


def _without_config(folder: Path) -> str:
    inside = sorted(path.name for path in folder.iterdir())
    if not inside:
        return "the folder is empty; name a model's folder"
    if adapter := _adapter(folder):
        return adapter
    if (folder / "model_index.json").is_file():
        return _DIFFUSERS
    if other := _other(folder):
        return other
    if any(name in inside for name in _SAE_FILES):
        return _SAE
    below = [
        path.parent for layout in ("*", "snapshots/*", "*/snapshots/*") for path in folder.glob(f"{layout}/config.json")
    ]
    models = [path for path in sorted(below) if (path / "config.json").is_file() and weight_files(path)]
    if models:
        return f"it holds no model itself, but {models[-1]} does; name that"
    if any(name in inside for name in _TOKENIZERS):
        return "it holds a tokenizer, but neither a config.json nor weights; fetch the whole model"
    return "it has no config.json, so it is no model of Transformers'; name a model's folder"


def _without_weights(folder: Path) -> str:
    if adapter := _adapter(folder):
        return adapter
    cut = sorted(path.name for path in folder.iterdir() if _SHARD.search(path.name))
    if cut:
        kind = "model.safetensors" if cut[0].endswith(".safetensors") else "pytorch_model.bin"
        return f"it has shards of weights ({len(cut)}), but not {kind}.index.json, which lists them; fetch that too"
    if other := _other(folder):
        return other
    kinds = sorted(path.name for path in folder.glob("*.safetensors")) or sorted(p.name for p in folder.glob("*.bin"))
    if kinds:
        return f"it has {kinds[0]}, but no model.safetensors, which is read; if that is the whole model, rename it"
    return "it holds no weights (no model.safetensors); fetch the whole model"


def _other(folder: Path) -> str:
    """Weights of a layout that Transformers does not read."""
    for pattern, layout in _OTHERS.items():
        if found := next(iter(sorted([*folder.glob(pattern), *folder.glob(f"onnx/{pattern}")])), None):
            if layout == "GGUF":
                return f"the folder holds GGUF; name the file itself, such as {found}"
            return f"its weights ({found.name}) are {layout}; name the model's folder of safetensors"
    return ""


def _cut(path: Path) -> str:
    """What is wrong with a weight file by its length or its beginning."""
    size = path.stat().st_size
    if path.suffix != ".safetensors":
        with path.open("rb") as stream:
            return "" if stream.read(2) in (b"PK", b"\x80\x02") else "it is no PyTorch file; fetch it again"
    try:
        header, begin = read_header(path)
        end = begin + max((entry["data_offsets"][1] for entry in header.values()), default=0)
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        return "it is no safetensors file, or a damaged one; fetch it again"
    return f"it is cut short ({size:,} of {end:,} bytes); fetch it again" if size < end else ""
