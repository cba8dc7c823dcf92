"""A chat model: weights, tokenizer and template, loaded so that its residual stream can be reached."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from clampdown.models import bundled, exclusive, fingerprint, residual, source
from clampdown.models.dialogue import Dialogue
from clampdown.models.template_choice import Wish


class Batch(NamedTuple):
    """Token ids and attention mask, [row, position] each."""

    input_ids: Tensor
    attention_mask: Tensor

    def as_inputs(self) -> dict[str, Tensor]:
        return {"input_ids": self.input_ids, "attention_mask": self.attention_mask}


@dataclass(frozen=True, eq=False)
class ChatModel(Dialogue):
    """A causal language model, with a chat template mostly: a dialogue and its weights. Made by `load_chat_model`.

    Attributes:
        name: what it was loaded by, the hub's revision included.
        folder: where the weight files lie, or the GGUF file.
        hf: a transformers PreTrainedModel.
        tokenizer: a transformers PreTrainedTokenizerBase.
        template_options: passed to every rendering of the chat template, such as {"enable_thinking": False}.
        quantization: "8bit" or "4bit" where the weights were packed when loaded, else empty.
        unread: names of tensors in the weight files that were not loaded.
        loaded_by: arguments that make `load_chat_model` load the same; empty where it did not.
    """

    name: str
    folder: Path
    hf: Any
    tokenizer: Any
    template_options: Mapping[str, Any] = field(default_factory=dict)
    quantization: str = ""
    unread: frozenset[str] = frozenset()
    loaded_by: Mapping[str, Any] = field(default_factory=dict)

    @property
    def configs(self) -> tuple[Any, Any]:
        return self.hf.config, self.hf.generation_config

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

    def device_at(self, layer: int) -> torch.device:
        """Where block `layer` runs: with a device map, not every block is where the ids are."""
        residual.check_layer(layer, self.n_layers)
        return residual.device_of(residual.blocks(self.hf)[layer])

    @cached_property
    def window(self) -> int | None:
        """How far back the blocks that see least look, in columns of the cache; None where all see everything."""
        from transformers import DynamicCache

        layers = DynamicCache(config=self.hf.config).layers
        return min((w for layer in layers if (w := getattr(layer, "sliding_window", None))), default=None)

    @cached_property
    def sha256(self) -> str:
        """Hash of what is loaded: tensors by name and the configuration's facts, however the files are cut.

        How the weights were packed when loaded changes nothing; an adapter that peft added does.
        """
        return fingerprint.fingerprint(self.hf, self.folder, self.unread, bool(self.quantization))

    def is_named(self, sha256: str) -> bool:
        """Whether a recipe or an SAE that names its model's hash means this one.

        By `sha256`, or by the hash of the weight files themselves, which named models before. An empty hash is any.
        """
        if not sha256 or not self.sha256 or sha256 == self.sha256:
            return True
        return not getattr(self.hf, "_hf_peft_config_loaded", False) and sha256 == self._file_hash

    @cached_property
    def _file_hash(self) -> str:
        return fingerprint.file_hash(source.weight_files(self.folder))

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
        kind = {"dtype": torch.long, "device": self.device}
        return Batch(torch.tensor(ids, **kind), torch.tensor(mask, **kind))

    def unsteered(self) -> AbstractContextManager[Any]:
        """Within, this thread alone runs the model, and no steering is on.

        Raises:
            ClampdownError: on entering, this thread steers the model already.
        """
        return exclusive.unsteered(residual.decoder(self.hf))

    def residual(self, batch: Batch, layers: Sequence[int]) -> list[Tensor]:
        """Residual stream after each layer, [row, position, d_model] each, without gradients."""
        with torch.inference_mode():
            return residual.read_residual(self.hf, batch.as_inputs(), layers)


def load_chat_model(
    name: str = bundled.NAME,
    *,
    dtype: str = "auto",
    device: str | None = None,
    device_map: str | Mapping[str, Any] | None = None,
    quantization: str | None = None,
    revision: str | None = None,
    template_options: Mapping[str, Any] | None = None,
    chat_template: str | Path | None = None,
    thinking: bool = True,
    chat: bool = True,
) -> ChatModel:
    """Load a chat model by the bundled one's name, by local folder, by hub id, or from a .gguf file here or on the hub.

    Args:
        name: a hub id may carry its revision: "org/model@main", "org/model/file.gguf@main".
        dtype: a torch dtype's name or "auto": on a CPU whichever of float32 and bfloat16 a short probe finds faster,
            elsewhere the one the weights are stored in.
        device: such as "cpu" or "cuda:1"; None takes the GPU if there is one.
        device_map: spreads the blocks over devices, as accelerate does: "auto", or a dict of module names.
        quantization: "8bit" or "4bit" packs the weights by bitsandbytes.
        revision: of a hub repository: a branch, a tag or a commit.
        template_options: passed to the chat template whenever it is applied, such as {"enable_thinking": False}.
        chat_template: a Jinja file, or the template itself, in place of the model's own; base models have none.
        thinking: False asks for answers without thoughts, in whatever way the template knows, or by closing the
            thought that it opens; refused where it knows none.
        chat: False loads a model without a chat template too, for plain text; rendering a chat is then refused.

    Raises:
        ClampdownError: no such model, gated or out of reach, damaged weights, not a decoder-only language model, no
            chat template, a model that keeps no keys and values, unknown dtype, or a package that is missing.
    """
    from clampdown.models.loading import Placing, load

    found = source.find_source(name, revision)
    wish = Wish.read(chat_template, thinking, chat, template_options)
    got = load(found, Placing(dtype, device, device_map, quantization), wish)
    called = f"{name}@{revision}" if revision and not name.endswith(f"@{revision}") else name
    again: dict[str, Any] = {
        "name": name,
        "dtype": dtype,
        "device": device,
        "device_map": device_map,
        "quantization": quantization,
    }
    again |= {"revision": revision, "template_options": template_options, "chat_template": wish.text or None}
    again |= {"thinking": thinking, "chat": chat}
    told = got.template_options, quantization or "", got.unread
    return ChatModel(called, got.place, got.model, got.tokenizer, *told, again)
