"""The change that a recipe makes to a residual [row, column, d_model]: where, what comes of it, and how large it is."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from clampdown.errors import ClampdownError
from clampdown.recipe import Recipe
from clampdown.steering.edits import CompiledEdit
from clampdown.steering.positions import Places


class Change(NamedTuple):
    """A residual after its edits, [row, column, d_model]; where they were made, and by what ‖Δ‖/‖x‖ (else 0).

    `sizes` are the ‖x‖ of edited residuals that nobody has looked at yet: see `check_finite`.
    """

    x: Tensor
    mask: Tensor
    ratio: Tensor
    sizes: Tensor | None = None


def change(x: Tensor, places: Places, edits: Sequence[CompiledEdit], recipe: Recipe) -> Change | None:
    """Some rows' residual with a recipe's edits at one layer made; None where it is known that none were.

    Raises:
        ClampdownError: an edited residual is not finite, where that can be asked at once.
    """
    return _of_token(x, places, edits, recipe) if x.shape[1] == 1 else _of_places(x, places, edits, recipe)


def check_finite(sizes: Tensor, layer: int, recipe: Recipe) -> None:
    """Raise ClampdownError unless all these ‖x‖ are finite."""
    if not torch.isfinite(sizes).all():
        raise ClampdownError(
            f"recipe {recipe.name}: steering at layer {layer} gave a residual that is not finite or too large; "
            "nothing was returned"
        )


def placed(part: Change, rows: Tensor, x: Tensor, into: Change | None) -> Change:
    """The change of some rows as one of all, joined to what was changed before."""
    if into is None:
        nothing = x.new_zeros(x.shape[:2], dtype=torch.float32)
        into = Change(x.clone(), nothing.bool(), nothing)
    into.x[rows], into.mask[rows], into.ratio[rows] = part.x, part.mask, part.ratio
    return into


def _of_places(x: Tensor, places: Places, edits: Sequence[CompiledEdit], recipe: Recipe) -> Change | None:
    """Several columns: only the places to edit are computed, for many may be padding."""
    limited = recipe.positions.sink_norm is not None
    mask = _chosen(places, recipe, x, x.float().norm(dim=-1) if limited else None)
    if not mask.any():
        return None
    before = x[mask].float()
    after, stored = _edited(before, edits, x.dtype)
    check_finite(_size(stored), edits[0].layer, recipe)
    changed = x.clone()
    changed[mask] = stored
    ratio = x.new_zeros(mask.shape, dtype=torch.float32)
    ratio[mask] = _ratio(before, after, before.norm(dim=-1))
    return Change(changed, mask, ratio)


def _of_token(x: Tensor, places: Places, edits: Sequence[CompiledEdit], recipe: Recipe) -> Change | None:
    """One column: all rows are computed, and nothing is asked that an accelerator would have to wait for."""
    before = x[:, 0].float()
    size = before.norm(dim=-1)
    mask = _chosen(places, recipe, x, size[:, None])
    if _free_to_ask(x) and not mask.any():
        return None
    after, stored = _edited(before, edits, x.dtype)
    zero = size.new_zeros(())
    sizes: Tensor | None = torch.where(mask[:, 0], _size(stored), zero)
    if _free_to_ask(x):
        assert sizes is not None
        check_finite(sizes, edits[0].layer, recipe)
        sizes = None
    ratio = torch.where(mask, _ratio(before, after, size)[:, None], zero)
    return Change(torch.where(mask[..., None], stored[:, None], x), mask, ratio, sizes)


def _free_to_ask(x: Tensor) -> bool:
    """Whether a number can be read from the device without waiting for all that it still has to do."""
    return x.device.type == "cpu"


def _chosen(places: Places, recipe: Recipe, x: Tensor, norm: Tensor | None) -> Tensor:
    """Which columns the recipe edits, [row, column], where x is."""
    here = None if norm is None else norm.to(places.real.device)
    return places.selected(recipe.positions, here).to(x.device)


def _edited(before: Tensor, edits: Sequence[CompiledEdit], dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Residuals [token, d_model] after the edits, one upon the other: in float32, and as the model keeps them."""
    after = before
    for edit in edits:
        after = after + edit.delta(after)
    return after, after.to(dtype)


def _size(stored: Tensor) -> Tensor:
    """‖x‖ of each residual as stored: float16 overflows where float32 does not.

    It squares, because the next block's norm does: where that overflows it gives zeros, and no warning.
    """
    return torch.linalg.vector_norm(stored, dim=-1, dtype=torch.float32)


def _ratio(before: Tensor, after: Tensor, size: Tensor) -> Tensor:
    return (after - before).norm(dim=-1) / size.clamp_min(1e-12)
