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

from clampdown.models.key_values import disturb_states, empty_cache, keeps_keys_only
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
    """What this model's blocks bear. Ask first before it is steered, for it may be run; later it is known."""
    if model not in _KNOWN:
        with torch.no_grad():
            _KNOWN[model] = Bearing(True, True, True) if keeps_keys_only(model) else _measured(model)
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

    padding = not _leaks(model) and _same(padded, whole)
    return Bearing(padding, _same(in_parts, whole) and _heeds_states(model, ids, places), False)


def _leaks(model: nn.Module) -> bool:
    """Whether a bias is heard from padding: what is masked is nought before a projection, and then not any more.

    In low precision a leak can be as small as rounding at the one row that is tried, and larger at others.
    """
    return any(
        any(isinstance(child, nn.Conv1d) for child in module.children())
        and any(name.startswith("in_proj") and child.bias is not None for name, child in module.named_children()
                if hasattr(child, "bias"))
        for module in model.modules()
    )  # fmt: skip


def _heeds_states(model: nn.Module, ids: Tensor, places: Tensor) -> bool:
    """Whether several tokens after a cache depend on every kind of state in it: to the bit, in any precision."""

    def after(kind: str = "") -> Tensor | None:
        """The logits after a cache, that kind of state in it changed; None where it has none."""
        cache = empty_cache(model)
        first, rest = slice(0, _BEFORE), slice(_BEFORE, _TOKENS)
        model(input_ids=ids[:, first], position_ids=places[:, first], past_key_values=cache, use_cache=True)
        if kind and not disturb_states(cache, kind):
            return None
        inputs = {"input_ids": ids[:, rest], "position_ids": places[:, rest]}
        return model(**inputs, past_key_values=cache, use_cache=True).logits

    plain = after()
    changed = [after(kind) for kind in ("conv_states", "recurrent_states")]
    return all(told is None or plain is None or not torch.equal(told, plain) for told in changed)


def _same(told: Callable[[], Tensor], whole: Tensor) -> bool:
    """Whether logits are the same at every place but for rounding."""
    try:
        other = told()
    except Exception:  # what a model can't do it does not bear
        return False
    off = (other.float() - whole.float()).norm(dim=-1) / whole.float().norm(dim=-1)
    return bool((off < (_FINE if whole.dtype == torch.float32 else _COARSE)).all())
