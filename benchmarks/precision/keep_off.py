"""A direction kept off what ordinary prompts use: projected off the subspace of their residuals, or whitened by it.

What is left of a direction v pushes where ordinary residuals x [token, d_model] vary little: v − P v, with P on the
first k principal axes of x (about zero, so that their mean is among them), or (Σ + λI)⁻¹ v with Σ their covariance,
which is what linear discriminants do.
"""

import torch
from torch import Tensor

from clampdown.errors import ClampdownError

SHRINKAGE = 0.05
"""λ, as a share of Σ's mean eigenvalue."""


def axes(x: Tensor, count: int) -> Tensor:
    """The first principal axes of residuals x [token, d_model] about zero: [count, d_model], of unit length.

    Raises:
        ClampdownError: there are fewer than `count`.
    """
    if not 0 < count < min(x.shape):
        raise ClampdownError(
            f"{len(x)} residuals of width {x.shape[1]} have no {count} axes to keep off; ask for fewer, from 1"
        )
    _, vectors = torch.linalg.eigh(x.double().T @ x.double())  # eigenvalues ascend
    return vectors.T.flip(0)[:count].float()


def kept_off(direction: Tensor, axes: Tensor, restored: bool = True) -> Tensor:
    """A direction [d_model] without its part along some axes; `restored` to the length that it had.

    Raises:
        ClampdownError: nothing of it is left.
    """
    left = direction - (direction @ axes.T) @ axes
    return _as_long_as(direction, left) if restored else left


def whitened(direction: Tensor, x: Tensor, shrinkage: float = SHRINKAGE) -> Tensor:
    """(Σ + λI)⁻¹ v of a direction v [d_model], as long as v, with Σ the covariance of residuals x [token, d_model]."""
    centred = (x - x.mean(0)).double()
    covariance = centred.T @ centred / len(x)
    covariance += shrinkage * covariance.diagonal().mean() * torch.eye(len(covariance), dtype=torch.float64)
    return _as_long_as(direction, torch.linalg.solve(covariance, direction.double()).float())


def _as_long_as(direction: Tensor, other: Tensor) -> Tensor:
    length = other.norm()
    if not length > 1e-6 * direction.norm():
        raise ClampdownError("nothing of the direction is left beside what it is to keep off; ask for fewer axes")
    return other * (direction.norm() / length)
