"""What overflowed stays seen: zero and a maximum take −∞ for little, and a gate must open where it has no score."""

import torch
from torch import Tensor


def or_nan(x: Tensor) -> Tensor:
    """x, with NaN in place of infinities: whatever comes of it is not finite either."""
    return torch.where(x.isfinite(), x, torch.nan)
