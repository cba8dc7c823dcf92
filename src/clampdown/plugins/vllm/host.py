"""The model that vLLM runs, as recipes and gates know models: its hash, its blocks and its tokenizer; no weights."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from clampdown.errors import ClampdownError, reason
from clampdown.models import residual, source
from clampdown.models.chat_model import ChatModel

CPU = torch.device("cpu")


@dataclass(frozen=True, eq=False)
class Host(ChatModel):
    """A chat model whose weights vLLM holds; `hf` has its shape alone.

    Attributes:
        runs_on: where its blocks run.
        computes_in: their dtype.
    """

    runs_on: torch.device = CPU
    computes_in: torch.dtype = torch.float32

    @property
    def dtype(self) -> torch.dtype:
        return self.computes_in

    @property
    def device(self) -> torch.device:
        return self.runs_on

    def device_at(self, layer: int) -> torch.device:
        residual.check_layer(layer, self.n_layers)
        return self.runs_on


def host_of(config: Any, device: torch.device) -> Host:
    """The model of vLLM's configuration. Raises ClampdownError where Transformers does not know its kind."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    told = config.model_config
    try:
        with torch.device("meta"):
            hf = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(told.model, revision=told.revision)).eval()
        tokenizer = AutoTokenizer.from_pretrained(told.tokenizer, padding_side="left")
    except (ValueError, OSError, KeyError) as error:
        raise ClampdownError(
            f"Clampdown can't tell which model vLLM runs: {reason(error)}; recipes name models by hash"
        ) from error
    place = source.weights_place(source.Source(str(told.model), told.revision), hf)
    name = source.bundled.NAME if Path(place).name == source.bundled.folder_name() else str(told.model)
    return Host(name, Path(place), hf, tokenizer, runs_on=device, computes_in=told.dtype)
