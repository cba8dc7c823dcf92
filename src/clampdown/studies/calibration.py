"""Make a control push as hard as the clamp: equal mean ‖Δ‖ on prompts that no report uses."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from clampdown.discovery.answers import COMPLIANCE
from clampdown.errors import ClampdownError
from clampdown.measuring.sets.kinds import PROMPTS
from clampdown.measuring.sets.sets import selecting_prompts
from clampdown.models.chat_model import ChatModel
from clampdown.recipe import Edit, Recipe
from clampdown.saes.load import load_sae
from clampdown.saes.sae import SAE
from clampdown.steering.edits import CompiledEdit, compile_edit
from clampdown.steering.positions import PlaceTracker, check_told

TOLERANCE = 0.01
"""How far from the target a matched mean ‖Δ‖ may lie, as a share of it."""
_PROMPTS = 6
"""Prompts of each kind in the calibration batch."""


class Calibration:
    """Residuals at a recipe's layers on a fixed batch, where the recipe would edit them.

    The batch is prompts of the built-in selecting halves, drawn by seed, each continued by a short complying answer, so
    that scopes which edit generated tokens only are measured too.

    Args:
        kinds: of prompts, `prompts` of each.
        saes: used by name before any is loaded.

    Attributes:
        x: by layer, [token, d_model] in float32.
    """

    def __init__(
        self,
        model: ChatModel,
        recipe: Recipe,
        seed: int,
        *,
        kinds: Sequence[str] = PROMPTS,
        prompts: int = _PROMPTS,
        saes: Sequence[SAE] = (),
    ) -> None:
        self.model, self.saes = model, list(saes)
        asked = [prompt for kind in kinds for prompt in selecting_prompts(kind, prompts, seed)]
        starts = [model.prompt_ids(prompt, system=recipe.system_prompt or None) for prompt in asked]
        batch = model.pad([ids + model.ids(COMPLIANCE) for ids in starts], side="right")
        turns = [ids.user for ids in starts]
        check_told([recipe] * len(starts), turns)
        places = PlaceTracker([len(ids) for ids in starts], turns).places((), batch.as_inputs())
        self.layers = sorted({edit.layer for edit in recipe.edits})
        self.x: dict[int, Tensor] = {}
        with model.unsteered():
            found = model.residual(batch, self.layers)
        for layer, x in zip(self.layers, found, strict=True):
            norm = x.float().norm(dim=-1)
            self.x[layer] = x[places.selected(recipe.positions, norm)].float()

    @torch.inference_mode()
    def mean_norm(self, edits: Sequence[Edit]) -> float:
        """Mean ‖Δ‖ over edited tokens and layers, in the residual's units.

        Every layer sees the unsteered residual, so for edits at several layers this leaves out what the lower ones do
        to the upper.
        """
        norms = [self.deltas(layer, edits).norm(dim=-1).double() for layer in self.layers]
        return float(sum(norm.sum() for norm in norms)) / max(1, sum(map(len, norms)))

    @torch.inference_mode()
    def deltas(self, layer: int, edits: Sequence[Edit]) -> Tensor:
        """Δ of the edits at one layer, one upon the other, at each place: [token, d_model]."""
        before = after = self.x[layer]
        for edit in edits:
            if edit.layer == layer:
                after = after + self._compiled(edit).delta(after)
        return after - before

    def alive(self, layer: int, sae_name: str) -> list[int]:
        """Latents of an SAE that are known to fire: on its reference text, or else on this batch."""
        sae = load_sae(sae_name)
        peak = sae.maximum if sae.maximum is not None else sae.to(self.x[layer].device).largest(self.x[layer])
        return (peak > 0).nonzero().squeeze(-1).tolist()

    def _compiled(self, edit: Edit) -> CompiledEdit:
        model = self.model
        return compile_edit(edit, n_layers=model.n_layers, d_model=model.d_model, device=model.device, saes=self.saes)


def scale_to(norm: Callable[[float], float], target: float, tolerance: float = TOLERANCE / 2) -> float | None:
    """The scale s > 0 at which norm(s) is `target` to within a share of it; None where there is none.

    A mean of norms of vectors affine in s is convex, so above norm(0) < target there is exactly one crossing: it is
    bracketed by doubling, then closed in on by the Illinois variant of false position.
    """
    low, high = 0.0, 1.0
    below, above = norm(low) - target, norm(high) - target
    if below >= 0:
        return None
    while above < 0:
        low, below, high = high, above, high * 2
        if high > 1e12:
            return None
        above = norm(high) - target
    side = 0
    for _ in range(60):
        middle = (low * above - high * below) / (above - below)
        error = norm(middle) - target
        if abs(error) <= tolerance * target:
            return middle
        if error < 0:
            low, below, above = middle, error, above / 2 if side < 0 else above
            side = -1
        else:
            high, above, below = middle, error, below / 2 if side > 0 else below
            side = 1
    raise ClampdownError(
        f"could not match a control's ‖Δ‖ to {target:.3g}; leave the random controls out of the plan's arms"
    )
