"""GGUF files, as far as Transformers' reader leaves something out: what it would get wrong is mended or refused."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from clampdown.errors import ClampdownError
from clampdown.models.gguf_file import read_contents, read_floats
from clampdown.reading import stand_in

_UNREAD_SCALE = {("gemma2", 46), ("gemma3", 62)}
"""Gemma's 27B by its number of blocks: its attention is scaled by another rule than the file's keys tell."""
_LONG_ROPE = "rope_factors_long.weight"
_PART = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")


class Header(NamedTuple):
    """What the reader does not take from a GGUF file, though the model's arithmetic needs it.

    rope_divisors: what each rotary frequency (in Gemma 3, of the blocks that attend to everything) is divided by.
    """

    architecture: str
    rope_divisors: np.ndarray | None = None
    sliding_window: int | None = None
    head_width: int | None = None
    has_template: bool = False

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


def check_name(name: str) -> None:
    """Raises ClampdownError for one of several files that make a model together, before it is fetched."""
    if (part := _PART.search(name)) and int(part[2]) > 1:
        raise _split(name, int(part[1]), int(part[2]))


def read_header(path: Path) -> Header:
    """Look a GGUF file over before it is loaded, in moments.

    Raises:
        ClampdownError: it is damaged, or no model or not all of one, or stretches its positions, or scales its
            attention, in a way that is not read.
    """
    try:
        told = read_contents(path)
        kind, divisors = told.keys.get("general.architecture", ""), None
        stretched = told.keys.get(f"{kind}.rope.scaling.type", "none")
        factor = told.keys.get(f"{kind}.rope.scaling.factor", 1.0)
        if stretched == "linear":
            divisors = np.array([factor], np.float32)
        if "rope_freqs.weight" in told.tensors:  # Llama 3.1 and later
            divisors = np.array(read_floats(path, told.tensors["rope_freqs.weight"]), np.float32)
    except (OSError, ValueError) as error:
        found = (path.stat().st_size and stand_in(path)) or "it is no whole GGUF file; fetch it again"
        raise ClampdownError(f"could not load model {path}: {found}") from error
    if (parts := told.keys.get("split.count") or 1) > 1:
        raise _split(str(path), int(told.keys.get("split.no") or 0) + 1, parts)
    if (what := told.keys.get("general.type", "model")) != "model" or kind == "clip":
        what = {"adapter": "an adapter (LoRA)", "model": "a picture encoder"}.get(what, f"of type {what}")
        raise ClampdownError(
            f"could not load model {path}: it is {what}, not a language model; name the model's own file (an adapter "
            "has to be merged into its model first)"
        )
    unread = "attention" if (kind, told.keys.get(f"{kind}.block_count")) in _UNREAD_SCALE else ""
    if (stretched not in ("none", "linear") and factor != 1 and kind != "gpt-oss") or _LONG_ROPE in told.tensors:
        unread = "position"
    if unread:
        raise ClampdownError(
            f"could not load model {path}: its {unread} scaling is not read from GGUF; "
            "name the folder or hub id of the original weights"
        )
    window, width = (told.keys.get(f"{kind}.attention.{key}") for key in ("sliding_window", "key_length"))
    return Header(kind, divisors, window, width, bool(told.keys.get("tokenizer.chat_template")))


def _split(name: str, part: int, parts: int) -> ClampdownError:
    first = _PART.sub(rf"-00001-of-{parts:05}.gguf", name)
    return ClampdownError(
        f"could not load model {name}: it is part {part} of {parts} of a split GGUF, which Transformers does not read; "
        f"join the parts with `llama-gguf-split --merge {Path(first).name} whole.gguf` (llama.cpp), and name that file"
    )


@contextmanager
def read_once(path: Path) -> Iterator[None]:
    """Let Transformers read a file's header once: configuration, tokenizer and weights each would read it anew."""
    import gguf

    reader: Any = gguf.GGUFReader
    kept: list[Any] = []

    def read(name: Any, *rest: Any) -> Any:
        if rest or Path(name).resolve() != path.resolve():
            return reader(name, *rest)
        if not kept:
            kept.append(reader(name))
        return kept[0]

    vars(gguf)["GGUFReader"] = read
    try:
        yield
    finally:
        vars(gguf)["GGUFReader"] = reader
