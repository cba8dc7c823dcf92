"""Weights and tokenizer through Transformers: on which devices, in which precision, and whole or not at all."""

import inspect
import os
import re
import time
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import torch

from clampdown.errors import ClampdownError
from clampdown.models import bundled, gguf, residual
from clampdown.models.look_over import look_over
from clampdown.models.packing import check_packing, check_told, check_unpacked
from clampdown.models.source import Source, failure, fetched, is_bundled, need, weights_place
from clampdown.models.template_choice import Wish

QUANTIZATIONS = ("8bit", "4bit")
_SPREADS = ("auto", "balanced", "balanced_low_0", "sequential")
"""accelerate's ways to share a model out."""


class Placing(NamedTuple):
    """Where the weights go and what they become there, as `load_chat_model` takes it."""

    dtype: str = "auto"
    device: str | None = None
    device_map: str | Mapping[str, Any] | None = None
    quantization: str | None = None

    def check(self, source: Source) -> None:
        """Raises ClampdownError for what does not go together, and for packages that are missing."""
        if self.device and self.device_map:
            raise ClampdownError("give either a device or a device map, not both")
        wrong = f"could not load model {bundled.NAME if is_bundled(source) else source}: unknown device"
        if self.device is not None and not _is_device(self.device):
            raise ClampdownError(f"{wrong} {self.device!r}; use cpu, cuda, or one such as cuda:1")
        spread = self.device_map
        if isinstance(spread, str) and spread not in _SPREADS and not _is_device(spread):
            raise ClampdownError(f"{wrong} map {spread!r}; use auto, balanced or sequential")
        if self.quantization is not None:
            if self.quantization not in QUANTIZATIONS:
                raise ClampdownError(f"unknown quantization {self.quantization!r}; use {' or '.join(QUANTIZATIONS)}")
            if source.gguf:
                raise ClampdownError(f"model {source} is GGUF, so packed already; leave the quantization out")
            need("bitsandbytes", f"{self.quantization} quantization")
        if self.quantization or self.device_map:
            need("accelerate", "a device map" if self.device_map else f"{self.quantization} quantization")
        if source.gguf:
            need("accelerate", "reading GGUF")

    @property
    def target(self) -> str:
        return self.device or ("cuda" if torch.cuda.is_available() else "cpu")


class Loaded(NamedTuple):
    """A model, in evaluation mode and without gradients of its weights, its tokenizer, and where its weights lie.

    unread: names of tensors in its files that were not loaded.
    template_options: what the chat template has to be told, for what was wished of it.
    """

    model: Any
    tokenizer: Any
    place: Path
    unread: frozenset[str]
    template_options: dict[str, Any]


def load(source: Source, placing: Placing, wish: Wish = Wish()) -> Loaded:  # noqa: B008  # a constant
    """Load a model, its chat template as wished.

    What is cheap to find wrong is looked at before the weights are read.

    Raises:
        ClampdownError: whatever `load_chat_model` says.
    """
    from huggingface_hub.utils import logging as hub_logging
    from transformers.utils import logging

    logging.set_verbosity_error()
    hub_logging.set_verbosity_error()  # it would tell of every one of its many tries
    logging.disable_progress_bar()
    placing.check(source)
    if source.gguf:
        gguf.check_name(source.gguf)
    elif os.path.isdir(source.path) and not is_bundled(source):
        look_over(Path(source.path))
    precision, header, options = _dtype(placing), None, {}
    try:
        source = fetched(source)
        if source.gguf:
            header = gguf.read_header(weights_place(source, None))
            wish.check(str(source), header.has_template)
        with gguf.read_once(weights_place(source, None)) if header else nullcontext():
            config = _config(source)
            tokenizer = _tokenizer(source)
            options = wish.fulfil(bundled.NAME if is_bundled(source) else str(source), tokenizer)
            if header:
                header.mend_config(config)
            model, unread = _weights(source, placing, config, precision)
    except ClampdownError:
        raise
    except Exception as error:  # Transformers, safetensors and the hub each raise their own kinds
        raise failure(source, error) from error
    if header:
        header.mend_model(residual.decoder(model))
    return Loaded(model, tokenizer, weights_place(source, model), unread, options)


def _config(source: Source) -> Any:
    """The configuration of a decoder-only language model."""
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoConfig

    config = AutoConfig.from_pretrained(source.path, **source.options())
    if getattr(config, "is_encoder_decoder", False):
        raise ClampdownError(
            f"model {source} is an encoder-decoder ({config.model_type}); name a decoder-only chat model"
        )
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise ClampdownError(
            f"model {source} is no language model ({config.model_type}); name a decoder-only chat model"
        )
    if "past_key_values" not in inspect.signature(MODEL_FOR_CAUSAL_LM_MAPPING[type(config)].forward).parameters:
        raise ClampdownError(
            f"model {source} keeps no keys and values ({config.model_type}); Clampdown steers decoder-only models with "
            "attention, in some blocks at least"
        )
    check_packing(str(source), config)
    return config


def _tokenizer(source: Source) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(source.path, padding_side="left", **source.options())


def _weights(source: Source, placing: Placing, config: Any, precision: Any) -> tuple[Any, frozenset[str]]:
    """The model, and the names of the tensors that it did not take."""
    from transformers import AutoModelForCausalLM

    packing = _packing(source, placing, config)
    spread: Any = placing.device_map
    if spread is None and (placing.quantization or getattr(config, "quantization_config", None)):
        need("accelerate", "a model of packed weights")
        spread = {"": placing.target}  # packed weights can't be moved afterwards
    model, told = AutoModelForCausalLM.from_pretrained(
        source.path,
        config=config,
        dtype=precision,
        device_map=spread,
        output_loading_info=True,
        **({"quantization_config": packing} if packing is not None else {}),
        **source.options(),
    )
    if lacking := sorted(told["missing_keys"]):  # Transformers would fill them with random numbers
        check_told(str(source), told["unexpected_keys"])
        raise ClampdownError(f"model {source} is not whole: its weights lack {lacking[0]} ({len(lacking)} missing)")
    _check_depth(source, model, told["unexpected_keys"])
    check_unpacked(str(source), model)
    if spread is None:
        model = model.to(placing.target)
    _feed_head_whole(model)
    return model.eval().requires_grad_(False), frozenset(told["unexpected_keys"])


def _feed_head_whole(model: Any) -> None:
    """Hand the head its residuals in one piece of memory.

    Where only the last column is wanted they are a slice, and in bfloat16 PyTorch then multiplies row by row on a
    processor, with a copy of the head's weights for each: 5 GB for 87 rows of a small model.
    """
    head = model.get_output_embeddings()
    if isinstance(head, torch.nn.Module):
        head.register_forward_pre_hook(lambda _module, args: (args[0].contiguous(), *args[1:]))


def _check_depth(source: Source, model: Any, unexpected: Iterable[str]) -> None:
    """Raises ClampdownError where the weights hold more blocks than the configuration tells, which would not run.

    Weights that only predict further tokens, as DeepSeek's, are stored as blocks after the last; nobody misses them.
    """
    found = residual.blocks(model)
    name = next(name for name, module in model.named_modules() if module is found)
    top = f"{model.base_model_prefix}."  # which is left out where the weights were saved without a head
    block = re.compile(rf"(?:{re.escape(top)})?{re.escape(name.removeprefix(top))}\.(\d+)\.")
    numbers = [int(at[1]) for key in unexpected if (at := block.match(key))]
    further = any(told for key, told in model.config.get_text_config().to_dict().items() if re.search("nextn|mtp", key))
    if numbers and not further:
        raise ClampdownError(
            f"model {source} is not whole: its weights hold blocks up to {max(numbers)}, but its configuration tells "
            f"of {len(found)} blocks only; mend num_hidden_layers in its config.json, or fetch it again"
        )


def _packing(source: Source, placing: Placing, config: Any) -> Any:
    """How Transformers should pack weights, or for GGUF unpack them: dense ones are exact and let gradients pass."""
    import transformers

    if source.gguf:
        unpacking = getattr(transformers, "GgufConfig", None)  # older versions always unpack
        return unpacking(dequantize=True) if unpacking else None
    if placing.quantization is None:
        return None
    if getattr(config, "quantization_config", None):
        raise ClampdownError(f"model {source} is stored packed already; leave the quantization out")
    if placing.quantization == "8bit":
        return transformers.BitsAndBytesConfig(load_in_8bit=True)
    return transformers.BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_compute_dtype=torch.bfloat16)


def _is_device(name: str) -> bool:
    try:
        torch.device(name)
    except RuntimeError:
        return False
    return True


def _dtype(placing: Placing) -> Any:
    name = placing.dtype
    if name != "auto":
        found = getattr(torch, name, None)
        if not isinstance(found, torch.dtype) or not found.is_floating_point:
            raise ClampdownError(f"unknown dtype {name!r}; use auto, float32, bfloat16 or float16")
        return found
    if placing.target != "cpu" or placing.device_map or placing.quantization:
        return "auto"
    return torch.bfloat16 if _seconds(torch.float32) > 1.5 * _seconds(torch.bfloat16) else torch.float32


def _seconds(dtype: torch.dtype) -> float:
    """Fastest of a few products of the size a small model's blocks do."""
    a, b = torch.ones(64, 576, dtype=dtype), torch.ones(576, 1536, dtype=dtype)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        a @ b
        times.append(time.perf_counter() - start)
    return min(times)
