"""What clamping one latent adds where the recipe edits, for any latent and value, without encoding anew.

Under the rule delta Δ = s · (c − z) d; under reconstruct the SAE's error comes to it, decode(z) − x.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from clampdown.saes.sae import SAE
from clampdown.saes.tiles import tokens_at_a_time
from clampdown.studies.calibration import scale_to

_EXACT = 1e-6


@dataclass(frozen=True)
class Pushes:
    """Tokens x [token, d_model] as an SAE reads them, and its error on them.

    Attributes:
        z: activations, [token, n_latents].
        scale: what the SAE multiplies a token's Δ by, [token, 1].
        base: Δ of an edit that changes no latent, [token, d_model].
    """

    sae: SAE
    x: Tensor
    z: Tensor
    scale: Tensor
    base: Tensor
    rows: Tensor = field(repr=False)

    @classmethod
    @torch.inference_mode()
    def of(cls, sae: SAE, x: Tensor, rule: str) -> "Pushes":
        own = sae.to(x.device)
        tiles = x.float().split(tokens_at_a_time(sae.n_latents))
        z = torch.cat([own.encode(tile) for tile in tiles])
        scale = torch.cat([_scale(own, tile) for tile in tiles]).double()
        base = torch.zeros_like(x, dtype=torch.float64)
        if rule == "reconstruct":
            base = torch.cat([(own.reconstruct(tile) - tile).double() for tile in tiles])
        return cls(sae, x.double(), z, scale, base, own.w_dec)

    def delta(self, latent: int, value: float) -> Tensor:
        """Δ of clamping a latent to a value, [token, d_model] in float64."""
        step = (value - self.z[:, latent, None].double()) * self.scale
        return self.base + step * self.rows[latent].double()

    def mean_norm(self, latent: int, value: float) -> float:
        """Mean ‖Δ‖."""
        return float(self.delta(latent, value).norm(dim=-1).mean())

    def matched(self, latent: int, target: float) -> float | None:
        """The value at which the mean ‖Δ‖ is the target; None where there is none above 0."""
        return scale_to(lambda value: self.mean_norm(latent, value), target, _EXACT)


def _scale(sae: SAE, x: Tensor) -> Tensor:
    scale = sae.normalised(x).scale
    return scale if isinstance(scale, Tensor) else torch.full((len(x), 1), float(scale), device=x.device)
