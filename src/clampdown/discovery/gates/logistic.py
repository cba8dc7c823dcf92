"""Logistic regression with weighted rows, in float32: a square penalty by L-BFGS, an absolute one by FISTA.

Both minimise Σ ω_i · log(1 + exp(−y_i (w · x_i + b))) + penalty with weights ω that sum to 1; b is free.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

_STEPS = 200
_L1_STEPS = 400


class Line(NamedTuple):
    """w · x + b."""

    w: Tensor  # [feature]
    b: float

    def scores(self, x: Tensor) -> Tensor:
        return x @ self.w + self.b


class Scale(NamedTuple):
    """Means and standard deviations of features, by the weights of their rows."""

    mean: Tensor  # [feature]
    deviation: Tensor

    @classmethod
    def of(cls, x: Tensor, weight: Tensor) -> "Scale":
        share = weight / weight.sum()
        mean = share @ x
        return cls.from_moments(mean, share @ (x - mean).square_())

    @classmethod
    def from_moments(cls, mean: Tensor, variance: Tensor) -> "Scale":
        deviation = variance.sqrt()
        return cls(mean, deviation.clamp_min(1e-6 * float(deviation.max()) + 1e-12))

    def __call__(self, x: Tensor) -> Tensor:
        return (x - self.mean).div_(self.deviation)

    def undone(self, line: Line) -> Line:
        """The line that gives the same scores of features as they were."""
        w = line.w / self.deviation
        return Line(w, line.b - float(w.double() @ self.mean.double()))


def fit_l2(x: Tensor, y: Tensor, weight: Tensor, strength: float, start: Line | None = None) -> Line:
    """With the penalty strength · ‖w‖² / 2. x: [row, feature], y: [row] of 0 and 1, weight: [row]."""
    beta = torch.cat([x.new_zeros(x.shape[1] + 1) if start is None else torch.cat([start.w, x.new_tensor([start.b])])])

    def loss(beta: Tensor) -> tuple[Tensor, Tensor]:
        value, slope, offset = _logistic(x, y, weight, beta[:-1], beta[-1])
        value = value + strength * beta[:-1].square().sum() / 2
        return value, torch.cat([slope + strength * beta[:-1], offset[None]])

    beta = minimised(loss, beta)
    return Line(beta[:-1], float(beta[-1]))


def minimised(loss: Callable[[Tensor], tuple[Tensor, Tensor]], start: Tensor, steps: int = _STEPS) -> Tensor:
    """Where a smooth function is least, by L-BFGS; `loss` gives its value and slope."""
    beta = start.clone().requires_grad_()
    search = torch.optim.LBFGS(
        [beta],
        max_iter=steps,
        history_size=20,
        tolerance_grad=1e-6,
        tolerance_change=1e-9,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        with torch.no_grad():
            value, beta.grad = loss(beta.detach())
        return value

    search.step(closure)
    return beta.detach()


def fit_l1(x: Tensor, y: Tensor, weight: Tensor, strength: float, start: Line | None = None) -> Line:
    """With the penalty strength · ‖w‖₁ (Beck & Teboulle, SIAM J. Imaging Sci. 2, 2009), so that most of w is 0."""
    w = x.new_zeros(x.shape[1]) if start is None else start.w.clone()
    b = x.new_zeros(()) if start is None else x.new_tensor(start.b)
    step = 1 / _steepest(x, weight)
    ahead_w, ahead_b, pace = w, b, 1.0
    for _ in range(_L1_STEPS):
        _, slope, offset = _logistic(x, y, weight, ahead_w, ahead_b)
        moved = ahead_w - step * slope
        new_w = moved.sign() * (moved.abs() - step * strength).clamp_min(0)
        new_b = ahead_b - step * offset
        faster = (1 + (1 + 4 * pace * pace) ** 0.5) / 2
        change = float((new_w - w).abs().max())
        ahead_w = new_w + (pace - 1) / faster * (new_w - w)
        ahead_b = new_b + (pace - 1) / faster * (new_b - b)
        w, b, pace = new_w, new_b, faster
        if change < 1e-5:
            break
    return Line(w, float(b))


def l1_limit(x: Tensor, y: Tensor, weight: Tensor) -> float:
    """The strength from which on all of w is 0."""
    mean = (weight * y).sum() / weight.sum()
    return float((x.T @ (weight * (y - mean))).abs().max())


def _logistic(x: Tensor, y: Tensor, weight: Tensor, w: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The loss without its penalty, and its slope in w and b."""
    score = x @ w + b
    value = (weight * torch.nn.functional.binary_cross_entropy_with_logits(score, y, reduction="none")).sum()
    off = weight * (score.sigmoid() - y)
    return value, off @ x, off.sum()


def _steepest(x: Tensor, weight: Tensor) -> float:
    """A bound of the slope's steepness: a quarter of the largest eigenvalue of Σ ω x xᵀ, with a column of ones."""
    v, u = torch.ones(x.shape[1]) / x.shape[1] ** 0.5, torch.tensor(1.0)
    size = torch.tensor(1.0)
    for _ in range(30):
        product = weight * (x @ v + u)
        v, u = product @ x, product.sum()
        size = (v.square().sum() + u.square()).sqrt().clamp_min(1e-12)
        v, u = v / size, u / size
    return 1.05 * float(size) / 4 + 1e-9
