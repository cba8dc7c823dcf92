"""Where a decoder-only model keeps its blocks, and how to read the residual stream after some of them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from clampdown.errors import ClampdownError

_BARE: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()
"""Whether a model's blocks return a bare tensor, asked once of each."""


class _Reached(Exception):
    """Raised inside a forward pass once the last layer asked for has run: the blocks above need not."""


def decoder(model: nn.Module) -> nn.Module:
    """The part of a causal language model that holds the blocks, without its head."""
    inner = model.get_decoder() if hasattr(model, "get_decoder") else None
    for candidate in (inner, getattr(model, "model", None), getattr(model, "transformer", None), model):
        if candidate is not None and _block_list(candidate) is not None:
            return candidate
    raise ClampdownError(f"found no decoder blocks in {type(model).__name__}; only decoder-only models can be steered")


def _block_list(module: nn.Module) -> nn.ModuleList | None:
    for name in ("layers", "h", "blocks"):
        if isinstance(found := getattr(module, name, None), nn.ModuleList) and len(found):
            return found
    return None


def blocks(model: nn.Module) -> nn.ModuleList:
    """The decoder blocks in order; block L's output is the residual stream at layer L."""
    found = _block_list(decoder(model))
    assert found is not None
    return found


def block_output(output: Any) -> Tensor:
    """The residual in a block's output, [batch, position, d_model]: some return a tensor, others a tuple."""
    return output if isinstance(output, Tensor) else output[0]


def with_block_output(output: Any, residual: Tensor) -> Any:
    """The same output with its residual replaced."""
    return residual if isinstance(output, Tensor) else (residual, *output[1:])


def read_residual(model: nn.Module, inputs: dict[str, Any], layers: Sequence[int]) -> list[Tensor]:
    """Residual stream after each of `layers`, [batch, position, d_model] each; no block above the last one runs.

    `inputs` may hold a cache (past_key_values), which then grows by this call in the blocks that ran.

    Raises:
        ClampdownError: a layer does not exist.
    """
    found = blocks(model)
    for layer in layers:
        check_layer(layer, len(found))
    kept: dict[int, Tensor] = {}

    def keep(layer: int) -> Callable[..., None]:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            kept[layer] = block_output(output)
            if layer == max(layers):
                raise _Reached

        return hook

    handles = [found[layer].register_forward_hook(keep(layer)) for layer in set(layers)]
    try:
        decoder(model)(**{"use_cache": "past_key_values" in inputs} | inputs)
    except _Reached:
        pass
    finally:
        for handle in handles:
            handle.remove()
    return [kept[layer] for layer in layers]


@contextmanager
def starting_after(model: nn.Module, layer: int) -> Iterator[Callable[[Tensor], None]]:
    """Within, forward calls start after block `layer` with the residual last handed to the function given.

    The blocks up to it are passed over, whatever the call's ids; mask and positions must be those the residual
    [batch, position, d_model] was read with. A cache serves several calls as usual: its length is kept in the first
    layer, by empty keys and values. Gradients flow to the residual.
    """
    found = blocks(model)
    check_layer(layer, len(found))
    as_tensor = _gives_tensor(model)
    begin: list[Tensor] = []

    def skip(hidden: Tensor, *_args: Any, **_kwargs: Any) -> Any:
        return hidden if as_tensor else (hidden,)

    def first(hidden: Tensor, *_args: Any, **kwargs: Any) -> Any:
        cache = kwargs.get("past_key_values")
        if cache is not None:
            empty = hidden.new_zeros(hidden.shape[0], 1, hidden.shape[1], 1)
            cache.update(empty, empty, 0)
        return skip(begin[-1])

    def last(_hidden: Tensor, *_args: Any, **_kwargs: Any) -> Any:
        return skip(begin[-1])

    try:
        for block in found[: layer + 1]:
            block.forward = skip
        found[layer].forward = last
        found[0].forward = first
        yield begin.append
    finally:
        for block in found[: layer + 1]:
            block.__dict__.pop("forward", None)


def _gives_tensor(model: nn.Module) -> bool:
    """Whether a block returns its residual bare (newer Transformers) or first in a tuple."""
    known = _BARE.get(model)
    if known is None:
        kinds: list[bool] = []
        handle = blocks(model)[0].register_forward_hook(lambda _m, _i, output: kinds.append(isinstance(output, Tensor)))
        try:
            with torch.no_grad():
                decoder(model)(torch.zeros(1, 1, dtype=torch.long, device=embedding_device(model)), use_cache=False)
        finally:
            handle.remove()
        _BARE[model] = known = kinds[0]
    return known


def check_layer(layer: int, count: int) -> None:
    """Raises ClampdownError unless 0 <= layer < count."""
    if not 0 <= layer < count:
        raise ClampdownError(f"layer {layer} does not exist: this model has blocks 0 to {count - 1}")


def embedding_device(model: nn.Module) -> torch.device:
    """Where input ids must lie."""
    return model.get_input_embeddings().weight.device
