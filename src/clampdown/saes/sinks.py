"""Attention sinks: positions whose residual is far larger than any other's. They are not edited, nor trained on."""

from jaxtyping import Float
from torch import Tensor

TIMES = 10.0
"""Norms of ordinary tokens stay within two or three times their median; those of sinks lie at dozens or hundreds of
times it (massive activations: Sun et al. 2024, arXiv 2402.17762)."""


def sink_norm(norms: Float[Tensor, " token"]) -> float:
    """The norm beyond which a position is a sink, given the norms [token] of residuals at one layer."""
    return round(TIMES * float(norms.float().median()), 1)
