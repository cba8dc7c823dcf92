"""Where a decoder-only model keeps its blocks, and how to read the residual stream after some of them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from clampdown.errors import ClampdownError
from clampdown.models.exclusive import Turn, taken
from clampdown.models.key_values import lengthen

_BESIDE: WeakKeyDictionary[nn.Module, int | None] = WeakKeyDictionary()
"""How many things a model's blocks return beside the residual, None for a bare tensor; asked once of each."""


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
    """The residual in a block's output, [batch, position, d_model]: some return a tensor, others a tuple.

    Raises:
        ClampdownError: the blocks hand on something else, such as several streams at once.
    """
    found = output if isinstance(output, Tensor) else output[0]
    if found.dim() != 3:
        raise ClampdownError("this model's blocks hand on more than one residual stream; it can't be steered")
    return found


def with_block_output(output: Any, residual: Tensor) -> Any:
    """The same output with its residual replaced."""
    return residual if isinstance(output, Tensor) else (residual, *output[1:])


def read_residual(model: nn.Module, inputs: dict[str, Any], layers: Sequence[int]) -> list[Tensor]:
    """Residual stream after each of `layers`, [batch, position, d_model] each; no block above the last one runs.

    `inputs` may hold a cache (past_key_values), which then grows by this call in the blocks that ran. What is read
    lies where the ids do, on whichever devices the blocks are.

    Raises:
        ClampdownError: a layer does not exist.
    """
    found = blocks(model)
    for layer in layers:
        check_layer(layer, len(found))
    kept: dict[int, Tensor] = {}

    def keep(layer: int) -> Callable[..., None]:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            turn.check_mine()
            kept[layer] = block_output(output)
            if layer == max(layers):
                raise _Reached

        return hook

    with taken(decoder(model)) as turn, ExitStack() as hooks:
        for layer in set(layers):
            hooks.callback(found[layer].register_forward_hook(keep(layer)).remove)
        with suppress(_Reached):
            decoder(model)(**{"use_cache": "past_key_values" in inputs} | inputs)
    return [kept[layer].to(embedding_device(model)) for layer in layers]


@contextmanager
def starting_after(model: nn.Module, layer: int) -> Iterator[Callable[[Tensor], None]]:
    """Within, forward calls start after block `layer` with the residual last handed to the function given.

    The blocks up to it are passed over, whatever the call's ids; mask and positions must be those the residual
    [batch, position, d_model] was read with. A cache serves several calls as usual: where blocks are passed over, empty
    keys and values keep its length, which masks and positions are made from. Gradients flow to the residual.

    Raises:
        ClampdownError: the layer does not exist, or blocks above it use the keys of blocks below it.
    """
    found = blocks(model)
    check_layer(layer, len(found))
    config = decoder(model).config
    if getattr(config, "num_kv_shared_layers", 0) or any(getattr(config, "kv_sharing_modes", None) or ()):
        raise ClampdownError("this model's upper blocks use the keys of lower ones, so they can't be run alone")
    with taken(decoder(model)) as turn:
        yield from _passing_over(found[: layer + 1], _beside(model), turn)


def _passing_over(skipped: Sequence[nn.Module], beside: int | None, turn: Turn) -> Iterator[Callable[[Tensor], None]]:
    begin: list[Tensor] = []

    def passing(number: int) -> Callable[..., Any]:
        def forward(hidden: Tensor, *args: Any, **kwargs: Any) -> Any:
            turn.check_mine()
            lengthen(next(filter(_is_cache, (*args, *kwargs.values())), None), number, hidden)
            going_on = begin[-1] if number == len(skipped) - 1 else hidden
            return going_on if beside is None else (going_on, *[None] * beside)

        return forward

    before = [block.__dict__.get("forward") for block in skipped]  # accelerate keeps its own there
    try:
        for number, block in enumerate(skipped):
            block.forward = passing(number)
        yield begin.append
    finally:
        for block, forward in zip(skipped, before, strict=True):
            if forward is None:
                block.__dict__.pop("forward", None)
            else:
                block.forward = forward


def _is_cache(argument: Any) -> bool:
    return hasattr(argument, "get_seq_length")


def _beside(model: nn.Module) -> int | None:
    """What `_BESIDE` holds: newer blocks of Transformers return their residual bare, others first in a tuple."""
    if model not in _BESIDE:
        kinds: list[int | None] = []

        def look(_module: nn.Module, _inputs: Any, output: Any) -> None:
            kinds.append(None if isinstance(output, Tensor) else len(output) - 1)

        handle = blocks(model)[0].register_forward_hook(look)
        try:
            with torch.no_grad():
                decoder(model)(torch.zeros(1, 1, dtype=torch.long, device=embedding_device(model)), use_cache=False)
        finally:
            handle.remove()
        _BESIDE[model] = kinds[0]
    return _BESIDE[model]


def final_scale(model: nn.Module) -> Tensor | None:
    """What the final norm multiplies each coordinate by, [d_model]; None where there is no such norm.

    Asked of the norm itself, because some keep a weight w and multiply by 1 + w. A vector of alternating signs has mean
    0 and mean square 1, so that RMS and layer norms alike only scale it; the difference of two drops a bias.
    """
    inner = decoder(model)
    names = ("norm", "ln_f", "final_layernorm", "final_layer_norm")
    norm = next((found for name in names if (found := getattr(inner, name, None)) is not None), None)
    if norm is None:
        return None
    weight = next(norm.parameters())
    signs = torch.ones(weight.shape[-1], dtype=weight.dtype, device=device_of(norm))
    signs[1::2] = -1
    with torch.no_grad():
        return (norm(signs) - norm(-signs)) / 2 * signs


def check_layer(layer: int, count: int) -> None:
    """Raises ClampdownError unless 0 <= layer < count."""
    if not 0 <= layer < count:
        raise ClampdownError(f"layer {layer} does not exist: this model has blocks 0 to {count - 1}")


def embedding_device(model: nn.Module) -> torch.device:
    """Where input ids must lie."""
    return device_of(model.get_input_embeddings())


def device_of(module: nn.Module) -> torch.device:
    """Where a module computes: accelerate may keep its weights elsewhere in between."""
    place = getattr(getattr(module, "_hf_hook", None), "execution_device", None)
    return next(module.parameters()).device if place is None else torch.device(place)
