"""A chat model: weights, tokenizer and template, loaded so that its residual stream can be reached."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from clampdown.errors import ClampdownError
from clampdown.models import bundled, residual

Message = dict[str, str]
"""{"role": "system" | "user" | "assistant", "content": text}"""


class Batch(NamedTuple):
    """Token ids and attention mask, [row, position] each."""

    input_ids: Tensor
    attention_mask: Tensor

    def as_inputs(self) -> dict[str, Tensor]:
        return {"input_ids": self.input_ids, "attention_mask": self.attention_mask}


@dataclass(frozen=True, eq=False)
class ChatModel:
    """A causal language model with a chat template. Make one with `load_chat_model`."""

    name: str
    folder: Path
    hf: Any  # a transformers PreTrainedModel
    tokenizer: Any  # a transformers PreTrainedTokenizerBase

    @property
    def n_layers(self) -> int:
        return len(residual.blocks(self.hf))

    @property
    def d_model(self) -> int:
        return self.hf.get_input_embeddings().weight.shape[1]

    @property
    def dtype(self) -> torch.dtype:
        return self.hf.dtype

    @property
    def device(self) -> torch.device:
        return residual.embedding_device(self.hf)

    @property
    def context_length(self) -> int:
        return int(getattr(self.hf.config.get_text_config(), "max_position_embeddings", 0)) or 2048

    @cached_property
    def sha256(self) -> str:
        """Hash of the weight files, in the order of their names."""
        digest = hashlib.sha256()
        files = sorted(self.folder.glob("*.safetensors"))
        for path in files:
            with path.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
        return digest.hexdigest() if files else ""

    @cached_property
    def stop_ids(self) -> frozenset[int]:
        """Token ids that end an answer."""
        found = {self.tokenizer.eos_token_id, self.hf.config.eos_token_id, self.hf.generation_config.eos_token_id}
        flat = [i for item in found for i in (item if isinstance(item, list | tuple) else [item])]
        return frozenset(i for i in flat if i is not None)

    def render(self, messages: Sequence[Message], *, system: str | None = None, answer: bool = True) -> str:
        """The chat template applied; `answer` leaves it open for the assistant's turn."""
        from jinja2 import TemplateError

        chat = ([{"role": "system", "content": system}] if system else []) + list(messages)
        try:
            return self.tokenizer.apply_chat_template(chat, add_generation_prompt=answer, tokenize=False)
        except TemplateError as error:  # many templates refuse a system prompt, or two turns of one role
            told = ", ".join(message["role"] for message in chat) or "none"
            raise ClampdownError(f"model {self.name}'s chat template refuses these turns ({told}): {error}") from error

    def ids(self, text: str) -> list[int]:
        """Token ids of already rendered text: nothing is added."""
        return self.tokenizer(text, add_special_tokens=False).input_ids

    def prompt_ids(self, prompt: str | Sequence[Message], *, system: str | None = None, room: int = 1) -> list[int]:
        """Ids of a rendered prompt, which must leave `room` tokens of the context for the answer."""
        messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        ids = self.ids(self.render(messages, system=system))
        if len(ids) + room > self.context_length:
            start = str(messages[-1]["content"])[:40]
            raise ClampdownError(
                f"prompt {start!r}... has {len(ids)} tokens; with {room} for the answer that exceeds the model's "
                f"context of {self.context_length}: shorten it"
            )
        return ids

    def pad(self, rows: Sequence[Sequence[int]], side: str = "left") -> Batch:
        """Rows of ids as one padded batch on the model's device."""
        width = max(map(len, rows))
        fill = self.tokenizer.pad_token_id if self.tokenizer.pad_token_id is not None else 0
        ids, mask = [], []
        for row in rows:
            gap = width - len(row)
            before, after = (gap, 0) if side == "left" else (0, gap)
            ids.append([fill] * before + list(row) + [fill] * after)
            mask.append([0] * before + [1] * len(row) + [0] * after)
        return Batch(torch.tensor(ids, device=self.device), torch.tensor(mask, device=self.device))

    def residual(self, batch: Batch, layers: Sequence[int]) -> list[Tensor]:
        """Residual stream after each layer, [row, position, d_model] each, without gradients."""
        with torch.inference_mode():
            return residual.read_residual(self.hf, batch.as_inputs(), layers)


def load_chat_model(name: str = bundled.NAME, *, dtype: str = "auto", device: str | None = None) -> ChatModel:
    """Load a chat model by the bundled one's name, by local folder, or by hub id.

    `dtype` is a torch dtype's name or "auto": on a CPU whichever of float32 and bfloat16 a short probe finds
    faster, elsewhere the one the weights are stored in.

    Raises:
        ClampdownError: no such model, damaged weights, no chat template, unknown dtype.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    source = str(bundled.bundled_folder()) if name == bundled.NAME else name
    target = device or ("cuda" if torch.cuda.is_available() else "cpu")
    precision = _dtype(dtype, target)
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, padding_side="left")
        model, told = AutoModelForCausalLM.from_pretrained(source, dtype=precision, output_loading_info=True)
        model = model.to(target).eval().requires_grad_(False)
    except Exception as error:  # Transformers, safetensors and the hub each raise their own kinds
        remedy = "delete that folder to fetch it again" if name == bundled.NAME else "check the name, or the folder"
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ClampdownError(f"could not load model {source}: {reason}; {remedy}") from error
    if lacking := sorted(told["missing_keys"]):  # Transformers would fill them with random numbers
        raise ClampdownError(f"model {source} is not whole: its weights lack {lacking[0]} ({len(lacking)} missing)")
    if not tokenizer.chat_template:
        raise ClampdownError(f"model {name} has no chat template; Clampdown steers chat models only")
    return ChatModel(name, _folder(source, model), model, tokenizer)


def _folder(source: str, model: Any) -> Path:
    """Where the weight files lie: the folder itself, or the hub's local snapshot."""
    if Path(source).is_dir():
        return Path(source)
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(source, "config.json", revision=getattr(model.config, "_commit_hash", None))
    return Path(found).parent if isinstance(found, str) else Path(source)


def _dtype(name: str, device: str) -> Any:
    if name != "auto":
        found = getattr(torch, name, None)
        if not isinstance(found, torch.dtype) or not found.is_floating_point:
            raise ClampdownError(f"unknown dtype {name!r}; use auto, float32, bfloat16 or float16")
        return found
    if device != "cpu":
        return "auto"
    return torch.bfloat16 if _seconds(torch.float32) > 1.5 * _seconds(torch.bfloat16) else torch.float32


def _seconds(dtype: torch.dtype) -> float:
    """Fastest of a few products of the size a small model's blocks do."""
    a, b = torch.ones(256, 576, dtype=dtype), torch.ones(576, 1536, dtype=dtype)
    times = []
    for _ in range(4):
        start = time.perf_counter()
        a @ b
        times.append(time.perf_counter() - start)
    return min(times)
