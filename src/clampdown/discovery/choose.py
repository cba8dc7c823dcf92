"""From validated candidates to a set of latents with a value each: matching pursuit of what refusing looks like."""

from collections.abc import Sequence

import torch
from torch import Tensor

from clampdown.discovery.evidence import Evidence
from clampdown.discovery.tree import Delta
from clampdown.saes.sae import SAE
from clampdown.steering.edits import DeltaClamp


def clamp_delta(sae: SAE, latents: Sequence[int], values: Tensor) -> Delta:
    """The delta rule's Δ as a function of residuals, for clamp values [n]."""
    return DeltaClamp(sae, sae.layer, dict(zip(latents, values.tolist(), strict=True))).delta


def pursue(sae: SAE, evidence: Evidence, candidates: Sequence[int], count: int) -> dict[int, float]:
    """Orthogonal matching pursuit, coefficients not negative: latent → clamp value.

    The target is the mean residual on refusing minus complying answer tokens; a value is the latent's mean activation
    on complying answers plus its coefficient.
    """
    complying = evidence.unsafe.complying()
    target = evidence.unsafe.refusing().mean(0) - complying.mean(0)
    every = sae.only(candidates).w_dec
    chosen: list[int] = []
    coefficients = torch.zeros(0)
    left = target
    while len(chosen) < min(count, len(candidates)):
        fit = every @ left
        for latent in chosen:
            fit[list(candidates).index(latent)] = -torch.inf
        if fit.max() <= 0:
            break
        chosen.append(candidates[int(fit.argmax())])
        rows = every[[list(candidates).index(latent) for latent in chosen]]
        coefficients = torch.linalg.lstsq(rows.T, target[:, None]).solution.squeeze(-1).clamp_min(0)
        left = target - coefficients @ rows
    base = sae.encode_latents(complying, chosen).mean(0)
    return {latent: float(b + c) for latent, b, c in zip(chosen, base, coefficients, strict=True) if c > 0}
