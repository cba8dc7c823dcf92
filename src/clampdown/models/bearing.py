"""What a model's blocks bear without a change in what they say, measured once where that is not plain.

Keys and values bear padding before a row and between its parts, for masks hide it, and they bear parts of several
tokens. Recurrent states run through whatever lies between; some models' projections have a bias that leaks from padding
into a convolution; some blocks begin anew where several tokens follow a cache.
"""

from collections.abc import Callable
from typing import NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from clampdown.models.key_values import empty_cache, keeps_keys_only
from clampdown.models.residual import embedding_device

_TOKENS, _BEFORE = 12, 5
"""Of the row that is tried; and of the padding before it, or of its first part."""
_FINE, _COARSE = 1e-5, 3e-2
"""The largest relative difference of logits, in float32 and below, that is only rounding."""
_KNOWN: WeakKeyDictionary[nn.Module, "Bearing"] = WeakKeyDictionary()


class Bearing(NamedTuple):
    """What may be done.

    padding: rows of different lengths may be read together, padded on the left.
    parts: several tokens at once may follow what a cache holds.
    gaps: padding may lie between what a cache holds and what follows. (A sliding window looks less far then.)
    """

    padding: bool
    parts: bool
    gaps: bool


def bearing(model: nn.Module) -> Bearing:
    """What this model's blocks bear. Ask before it is steered: it may be run."""
    if keeps_keys_only(model):
        return Bearing(True, True, True)
    if model not in _KNOWN:
        with torch.no_grad():
            _KNOWN[model] = _measured(model)
    return _KNOWN[model]


def _measured(model: nn.Module) -> Bearing:
    most = min(1000, model.config.get_text_config().vocab_size - 3)
    ids = 2 + torch.randint(most, (1, _TOKENS), generator=torch.Generator().manual_seed(0)).to(embedding_device(model))
    places = torch.arange(_TOKENS, device=ids.device)[None]
    whole = model(input_ids=ids, use_cache=False).logits

    def padded() -> Tensor:
        before = ids.new_zeros(1, _BEFORE)
        row = torch.cat([before, ids], dim=1)
        mask = torch.cat([before, torch.ones_like(ids)], dim=1)
        position = (mask.cumsum(-1) - 1).clamp_min(0)
        return model(input_ids=row, attention_mask=mask, position_ids=position, use_cache=False).logits[:, _BEFORE:]

    def in_parts() -> Tensor:
        cache, told = empty_cache(model), []
        for part in (slice(0, _BEFORE), slice(_BEFORE, _TOKENS)):
            inputs = {"input_ids": ids[:, part], "position_ids": places[:, part]}
            told.append(model(**inputs, past_key_values=cache, use_cache=True).logits)
        return torch.cat(told, dim=1)

    return Bearing(_same(padded, whole), _same(in_parts, whole), False)


def _same(told: Callable[[], Tensor], whole: Tensor) -> bool:
    """Whether logits are the same at every place but for rounding."""
    try:
        other = told()
    except Exception:  # what a model can't do it does not bear
        return False
    off = (other.float() - whole.float()).norm(dim=-1) / whole.float().norm(dim=-1)
    return bool((off < (_FINE if whole.dtype == torch.float32 else _COARSE)).all())
