"""Which latents a clamp is to have: those that carry the refusals on a path of growing L1 penalties."""

import torch

from clampdown.discovery.tuning.lesson import Lesson
from clampdown.discovery.tuning.optimise import batches, slope
from clampdown.discovery.tuning.trained import TrainedSum
from clampdown.errors import ClampdownError
from clampdown.progress import Progress
from clampdown.saes.sae import SAE

_FIRST, _LAST = 0.3, 0.9
"""The penalty, as a share of the steepest latent's slope, at the first step and at the last."""
_KEPT = 0.8
"""Of the slope, from step to step: batches differ."""


def chosen_latents(
    lesson: Lesson, sae: SAE, count: int, *, steps: int, batch: int, rate: float, seed: int, progress: Progress
) -> dict[int, float]:
    """At most `count` latents and their coefficients: the largest where the path last had as many.

    Proximal gradient, as ISTA does (Daubechies et al. 2004): c ← max(0, c − rate · (g / max|g| + penalty)). The slope
    is taken relative to the steepest, not coordinate by coordinate as Adam would: then all latents would move at once.

    Raises:
        ClampdownError: no latent makes the refusals likelier.
    """
    every, rows = TrainedSum(sae, lesson.model.device), batches(lesson, batch, seed)
    mean, held = torch.zeros_like(every.parameter), every.parameter.detach().clone()
    for step in range(steps):
        loss, found = slope(lesson, every, next(rows))
        mean = _KEPT * mean + (1 - _KEPT) * found
        steepest = (-mean).max()
        if steepest > 0:
            penalty = _FIRST + (_LAST - _FIRST) * step / max(1, steps - 1)
            with torch.no_grad():
                every.parameter -= rate * (mean / steepest + penalty)
            every.within()
        left = int((every.parameter > 0).sum())
        progress("choosing latents", 1, steps, f"{left} left, {loss:.2f} nats a token")
        if left < count <= int((held > 0).sum()):
            break
        held = every.parameter.detach().clone()
    best = held.topk(min(count, sae.n_latents))
    chosen = {int(i): float(v) for i, v in zip(best.indices, best.values, strict=True) if v > 0}
    if not chosen:
        raise ClampdownError(f"no latent of SAE {sae.name} makes the refusals likelier; tune a direction instead")
    return chosen
