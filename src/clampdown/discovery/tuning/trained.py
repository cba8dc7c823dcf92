"""What is trained: a direction's values, or a clamp's. Each computes its Δ as steering does."""

from typing import Protocol

import torch
from torch import Tensor

from clampdown.recipe import Clamp, Direction, Edit
from clampdown.saes.sae import SAE
from clampdown.steering.edits import DeltaClamp


class Trainable(Protocol):
    """Something added to residuals whose parameter is a leaf that takes gradients."""

    parameter: Tensor

    def delta(self, x: Tensor) -> Tensor:
        """Δ for float32 residuals x [token, d_model]: [token, d_model], or as broadcast."""
        ...

    def within(self) -> None:
        """Bring the parameter back to where it may be, after a step."""
        ...


class Trained(Trainable, Protocol):
    """One that a recipe can hold."""

    def edit(self, factor: float) -> Edit:
        """As a recipe holds it, at this multiple of what was trained."""
        ...


class TrainedDirection:
    """A vector that is added, from `start` [d_model] on."""

    def __init__(self, layer: int, start: Tensor) -> None:
        self.layer = layer
        self.parameter = start.detach().clone().float().requires_grad_()

    def delta(self, x: Tensor) -> Tensor:
        return self.parameter

    def within(self) -> None:
        pass

    def edit(self, factor: float) -> Direction:
        return Direction(self.layer, factor, values=tuple(map(_short, self.parameter.tolist())))


class TrainedClamp:
    """The values of some latents of an SAE under the rule delta; a latent's activation is never below 0."""

    def __init__(self, sae: SAE, values: dict[int, float], device: torch.device) -> None:
        self.sae, self.inner = sae, DeltaClamp(sae, sae.layer, values, device)
        self.parameter = self.inner.values = self.inner.values.clone().requires_grad_()
        self.within()

    def delta(self, x: Tensor) -> Tensor:
        return self.inner.delta(x)

    @torch.no_grad()
    def within(self) -> None:
        self.parameter.clamp_(min=0)

    def edit(self, factor: float) -> Clamp:
        values = zip(self.inner.latents, self.parameter.tolist(), strict=True)
        found = {latent: _short(factor * value) for latent, value in values}
        return Clamp(self.sae.name, self.sae.sha256, self.sae.layer, found)


class TrainedSum:
    """Every latent's decoder row times a coefficient, which is never below 0: what some of the latents are chosen by.

    What a clamp also does, to take away what its latents are at, is left out: of all of them that would be everything.
    """

    def __init__(self, sae: SAE, device: torch.device) -> None:
        self.sae, self.rows = sae, sae.w_dec.float().to(device)
        self.parameter = torch.zeros(sae.n_latents, device=device, requires_grad=True)

    def delta(self, x: Tensor) -> Tensor:
        scale = self.sae.normalised(x).scale
        return (self.parameter @ self.rows) * scale

    @torch.no_grad()
    def within(self) -> None:
        self.parameter.clamp_(min=0)


def _short(value: float) -> float:
    """To five digits, which is more than half precision keeps: a recipe is read by people too."""
    return float(f"{value:.5g}")
