"""The one place that makes, copies, chooses, joins and replaces what a model's blocks keep of the tokens they saw.

Most keep keys and values, [row, head, column, d_head]; a sliding window keeps the last of these only. Hybrid models
keep recurrent and convolution states in some blocks instead, or beside them: these are rows too, without columns.
"""

import copy
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache, cache_utils
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from clampdown.errors import ClampdownError
from clampdown.models.room import RoomyLayer

_PLAIN = (DynamicLayer, DynamicSlidingWindowLayer, RoomyLayer)
_NOTHING = getattr(cache_utils, "DummyLayer", ())  # of blocks that keep nothing, or use what others keep
_STATES = getattr(cache_utils, "LinearAttentionCacheLayerMixin", ())


def empty_cache(model: nn.Module) -> DynamicCache:
    """An empty cache of the kinds that this model's blocks keep."""
    return DynamicCache(config=model.config.get_text_config())


def roomy_cache(model: nn.Module, columns: int) -> DynamicCache | None:
    """An empty cache with room for so many columns; None where a model's blocks keep more than keys and values."""
    if not keeps_keys_only(model):
        return None
    cache = empty_cache(model)
    cache.layers = [RoomyLayer(columns) if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


def keeps_keys_only(model: nn.Module) -> bool:
    """Whether every block keeps keys and values, and nothing else."""
    layers = empty_cache(model).layers
    return bool(layers) and all(type(layer) in _PLAIN for layer in layers)


def choose_rows(cache: Any, rows: Tensor) -> None:
    """Go on with these rows of a cache, some of them or some several times over."""
    cache.reorder_cache(rows)


def repeat_rows(cache: Any, rows: int, times: int) -> None:
    """Go on with each of a cache's rows so many times, side by side."""
    if times > 1:
        choose_rows(cache, torch.arange(rows).repeat_interleave(times))


def put_side_by_side(cache: Any, caches: Sequence[Any], rows: Sequence[int]) -> None:
    """Let row r of an empty cache of keys and values go on from the only row of caches[rows[r]], all of one length."""
    index = torch.tensor(rows, dtype=torch.long)
    for number, layers in enumerate(zip(*(one.layers for one in caches), strict=True)):
        keys, values = (torch.cat([getattr(layer, name) for layer in layers]) for name in ("keys", "values"))
        here = index.to(keys.device)
        cache.update(keys[here], values[here], number)


def held_bytes(cache: Any) -> int:
    """The memory that a cache of keys and values takes."""
    return sum(held.nbytes for layer in cache.layers for held in (layer.keys, layer.values))


def copied(cache: Any) -> Any:
    """A copy to go on with by itself, which shares the tensors that are held already."""
    found = copy.copy(cache)
    found.layers = [_copied(layer) for layer in cache.layers]
    return found


def lower_part(cache: Any, layer: int) -> tuple[Any, ...]:
    """What the blocks up to `layer` keep, as a copy; nothing of no cache."""
    return () if cache is None else tuple(map(_copied, cache.layers[: layer + 1]))


def put_lower(cache: Any, lower: Iterable[Any]) -> None:
    """Let the lowest blocks keep this, as `lower_part` gave it, which stays as it is."""
    found = [_copied(layer) for layer in lower]
    cache.layers[: len(found)] = found


def hollow_lower(cache: Any, layer: int) -> None:
    """Let the blocks up to `layer` keep next to nothing, but as many columns, as where they are passed over."""
    for number, held in enumerate(cache.layers[: layer + 1]):
        if getattr(held, "keys", None) is not None:
            cache.layers[number] = found = _copied(held)
            found.keys, found.values = held.keys[:, :1, :, :1], held.values[:, :1, :, :1]


def disturb_states(cache: Any, kind: str) -> bool:
    """Change all "conv_states" or "recurrent_states" of a cache; whether it has any."""
    held = [state for layer in cache.layers for state in getattr(layer, kind, {}).values() if state is not None]
    for state in held:
        state.add_(1)
    return bool(held)


def lengthen(cache: Any, number: int, hidden: Tensor) -> None:
    """Make a cache as long in block `number` as if these positions [batch, position, d_model] had run there."""
    layer = next(iter(getattr(cache, "layers", ())[number : number + 1]), None)
    if cache is None or (layer is not None and not hasattr(layer, "keys")):
        return  # a block without attention keeps no length
    held = getattr(layer, "keys", None)  # of what ran before, perhaps on another device
    empty = (hidden if held is None else held).new_zeros(hidden.shape[0], 1, hidden.shape[1], 1)
    cache.update(empty, empty, number)


def joined(caches: Sequence[Any], masks: Sequence[Tensor]) -> tuple[Any, Tensor]:
    """One cache of the rows of several, and the mask of its columns [row, column]: shorter ones are padded on the left.

    The rows then go on as they would by themselves, token by token, with positions of their own. masks: of each cache's
    columns. Recurrent states have no columns, so that padding runs through none. Columns before the first that any row
    uses are dropped: rows that come and go would else leave ever more of them behind.

    Raises:
        ClampdownError: a block keeps what can't be padded, such as a sliding window.
    """
    width = max(map(_used, masks))
    whole = copied(caches[0])
    whole.layers = [_joined(layers, width) for layers in zip(*(cache.layers for cache in caches), strict=True)]
    return whole, torch.cat([_padded(mask, width, -1) for mask in masks])


def crops(model: nn.Module) -> bool:
    """Whether the last columns can be taken from what a model's blocks keep: all their keys and values are there."""
    layers = empty_cache(model).layers
    return bool(layers) and all(type(layer) is DynamicLayer for layer in layers)


def without_last(cache: Any, rows: Tensor) -> Any:
    """A cache of these rows without their last column, where `crops` holds; the one given stays as it is."""
    found = copied(cache)
    choose_rows(found, rows)
    for layer in found.layers:
        layer.keys, layer.values = layer.keys[:, :, :-1], layer.values[:, :, :-1]
    return found


def joins(model: nn.Module) -> bool:
    """Whether rows of different lengths can be `joined`: what a model's blocks keep can be padded."""
    return all(map(_can_be_padded, empty_cache(model).layers))


def _can_be_padded(layer: Any) -> bool:
    known = isinstance(layer, (_STATES, _NOTHING)) or type(layer) in _PLAIN
    return known and not isinstance(layer, DynamicSlidingWindowLayer)


def _joined(layers: Sequence[Any], width: int) -> Any:
    found = _copied(layers[0])
    if isinstance(found, _NOTHING):
        return found
    keys = isinstance(found, DynamicLayer)
    if not _can_be_padded(found):
        raise ClampdownError(
            f"rows of different lengths can't be joined: this model's blocks keep a {type(found).__name__}; run them "
            "one after the other"
        )
    if keys:
        for name in ("keys", "values"):
            setattr(found, name, torch.cat([_padded(getattr(layer, name), width, -2) for layer in layers]))
    if isinstance(found, _STATES):
        for states in ("conv_states", "recurrent_states"):
            held = [getattr(layer, states) for layer in layers]
            for index, state in held[0].items():
                if state is not None:
                    getattr(found, states)[index] = torch.cat([each[index] for each in held])
    return found


def _used(mask: Tensor) -> int:
    """How many columns there are from the first that is text in some row."""
    return mask.shape[1] - int(mask.any(0).int().argmax())


def _padded(x: Tensor, width: int, dim: int) -> Tensor:
    """The last columns of x, so many, with zeros before where it holds fewer."""
    if x.shape[dim] >= width:
        return x.narrow(dim, x.shape[dim] - width, width)
    shape = list(x.shape)
    shape[dim] = width - x.shape[dim]
    return torch.cat([x.new_zeros(shape), x], dim=dim)


def _copied(layer: Any) -> Any:
    if isinstance(layer, RoomyLayer):
        return layer.alone()
    # Keys and values are replaced when they grow; whatever else a block keeps, some beside them, is changed in place.
    return copy.copy(layer) if type(layer) in _PLAIN else copy.deepcopy(layer)
