"""The change that a recipe makes to a residual [row, column, d_model]: where, what comes of it, and how large it is."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from clampdown.recipe import Positions
from clampdown.steering.edits import CompiledEdit
from clampdown.steering.positions import Places


class Change(NamedTuple):
    """A residual after its edits, [row, column, d_model]; where they were made, and by what ‖Δ‖/‖x‖ (else 0).

    `sizes` are the ‖x‖ of edited residuals, the largest of each row, [row], which are to be finite. `now` is whether
    that can be asked at once.
    """

    x: Tensor
    mask: Tensor
    ratio: Tensor
    sizes: Tensor
    now: bool

    def without(self, rows: Tensor, before: Tensor) -> "Change":
        """The same, undone in rows where `rows` [row] is true, to the residual that was before."""
        of, whole = rows[:, None], rows[:, None, None]
        return self._replace(
            x=torch.where(whole, before, self.x), mask=self.mask & ~of, ratio=self.ratio.masked_fill(of, 0.0)
        )


def change(x: Tensor, places: Places, edits: Sequence[CompiledEdit], positions: Positions) -> Change | None:
    """Some rows' residual with a recipe's edits at one layer made; None where it is known that none were."""
    return _of_token(x, places, edits, positions) if x.shape[1] == 1 else _of_places(x, places, edits, positions)


def placed(part: Change, rows: Tensor, x: Tensor, into: Change | None) -> Change:
    """The change of some rows as one of all, joined to what was changed before."""
    if into is None:
        nothing = x.new_zeros(x.shape[:2], dtype=torch.float32)
        into = Change(x.clone(), nothing.bool(), nothing, part.sizes, part.now)
    into.x[rows], into.mask[rows], into.ratio[rows] = part.x, part.mask, part.ratio
    return into


def _of_places(x: Tensor, places: Places, edits: Sequence[CompiledEdit], positions: Positions) -> Change | None:
    """Several columns: only the places to edit are computed, for many may be padding."""
    limited = positions.sink_norm is not None
    mask = _chosen(places, positions, x, x.float().norm(dim=-1) if limited else None)
    if not mask.any():
        return None
    before = x[mask].float()
    after, stored = _edited(before, edits, x.dtype)
    changed = x.clone()
    changed[mask] = stored
    sizes = x.new_zeros(mask.shape, dtype=torch.float32)
    ratio = torch.zeros_like(sizes)
    sizes[mask] = _size(stored)
    ratio[mask] = _ratio(before, after, before.norm(dim=-1))
    return Change(changed, mask, ratio, sizes.amax(-1), True)


def _of_token(x: Tensor, places: Places, edits: Sequence[CompiledEdit], positions: Positions) -> Change | None:
    """One column: all rows are computed, and nothing is asked that an accelerator would have to wait for."""
    before = x[:, 0].float()
    size = before.norm(dim=-1)
    mask = _chosen(places, positions, x, size[:, None])
    now = _free_to_ask(x)
    if now and not mask.any():
        return None
    after, stored = _edited(before, edits, x.dtype)
    zero = size.new_zeros(())
    sizes = torch.where(mask[:, 0], _size(stored), zero)
    ratio = torch.where(mask, _ratio(before, after, size)[:, None], zero)
    return Change(torch.where(mask[..., None], stored[:, None], x), mask, ratio, sizes, now)


def _free_to_ask(x: Tensor) -> bool:
    """Whether a number can be read from the device without waiting for all that it still has to do."""
    return x.device.type == "cpu"


def _chosen(places: Places, positions: Positions, x: Tensor, norm: Tensor | None) -> Tensor:
    """Which columns `positions` edits, [row, column], where x is."""
    here = None if norm is None else norm.to(places.real.device)
    return places.selected(positions, here).to(x.device)


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
