"""GGUF files, as far as Transformers' reader leaves something out: what it would get wrong is mended or refused."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from clampdown.errors import ClampdownError

_UNREAD_SCALE = {("gemma2", 46), ("gemma3", 62)}
"""Gemma's 27B by its number of blocks: its attention is scaled by another rule than the file's keys tell."""
_LONG_ROPE = "rope_factors_long.weight"


class Header(NamedTuple):
    """What the reader does not take from a GGUF file, though the model's arithmetic needs it.

    rope_divisors: what each rotary frequency (in Gemma 3, of the blocks that attend to everything) is divided by.
    """

    architecture: str
    rope_divisors: np.ndarray | None = None
    sliding_window: int | None = None
    head_width: int | None = None

    def mend_config(self, config: Any) -> None:
        if self.head_width and self.architecture == "qwen3":
            config.head_dim = self.head_width
        if self.sliding_window and self.architecture == "phi3":
            config.sliding_window = self.sliding_window

    def mend_model(self, decoder: Any) -> None:
        if self.rope_divisors is None:
            return
        import torch

        divisors = torch.tensor(self.rope_divisors)
        for prefix in ("", "full_attention_"):
            for name in ("inv_freq", "original_inv_freq"):
                if (frequencies := getattr(decoder.rotary_emb, prefix + name, None)) is not None:
                    frequencies.div_(divisors.to(frequencies))


def read_header(path: Path) -> Header:
    """Look a GGUF file over before it is loaded.

    Raises:
        ClampdownError: it is damaged, or stretches its positions, or scales its attention, in a way that is not read.
    """
    from gguf import GGUFReader

    try:
        reader = GGUFReader(path)
        tensors = {tensor.name: tensor for tensor in reader.tensors}

        def told(key: str, default: Any = None) -> Any:
            field = reader.fields.get(key)
            return default if field is None else field.contents()

        kind = told("general.architecture", "")
        stretched, factor = told(f"{kind}.rope.scaling.type", "none"), told(f"{kind}.rope.scaling.factor", 1.0)
        window, width = told(f"{kind}.attention.sliding_window"), told(f"{kind}.attention.key_length")
        blocks = told(f"{kind}.block_count")
    except Exception as error:  # whatever numpy makes of the bytes
        raise ClampdownError(f"could not load model {path}: it is no whole GGUF file; fetch it again") from error
    unread = "attention" if (kind, blocks) in _UNREAD_SCALE else ""
    if (stretched not in ("none", "linear") and factor != 1 and kind != "gpt-oss") or _LONG_ROPE in tensors:
        unread = "position"
    if unread:
        raise ClampdownError(
            f"could not load model {path}: its {unread} scaling is not read from GGUF; "
            "name the folder or hub id of the original weights"
        )
    divisors = np.array([factor], np.float32) if stretched == "linear" else None
    if "rope_freqs.weight" in tensors:  # Llama 3.1 and later
        divisors = np.array(tensors["rope_freqs.weight"].data, np.float32)
    return Header(kind, divisors, window, width)
