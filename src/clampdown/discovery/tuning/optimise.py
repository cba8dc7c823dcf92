"""The optimiser: Adam (Kingma & Ba 2015) on the targets' cross-entropy, its rate falling to a tenth."""

import random
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from clampdown.discovery.tuning.lesson import Lesson
from clampdown.discovery.tuning.trained import Trained, TrainedSum
from clampdown.engine.finite import NOT_FINITE
from clampdown.errors import ClampdownError
from clampdown.progress import Progress
from clampdown.saes.sae import SAE

_TOGETHER = 4
"""Batches that are drawn at once and sorted by length, so that little of each is padding."""
_GROWTH = 60.0
"""How much the penalty of a path grows from its first step to its last, where it outweighs any gradient."""


def optimise(
    lesson: Lesson,
    trained: Trained,
    *,
    steps: int,
    batch: int,
    rate: float,
    seed: int,
    progress: Progress,
    stage: str = "tuning",
    after: Callable[[int, float], bool] = lambda step, rate: False,
) -> list[float]:
    """Train in place; the loss of each step, in nats a token.

    Args:
        rate: the most that a step moves a parameter by, at first.
        after: called after each step with its number and rate; True ends the training.

    Raises:
        ClampdownError: the loss is not finite.
    """
    adam = torch.optim.Adam([trained.parameter], lr=rate)
    batches, losses = _batches(lesson, batch, seed), []
    with _frozen(lesson.model.hf), torch.enable_grad():
        for step in range(steps):
            now = adam.param_groups[0]["lr"] = rate * (1 - 0.9 * step / steps)
            loss = -lesson.log_likelihoods(next(batches), trained.delta).mean()
            losses.append(float(loss.detach()))
            if not torch.isfinite(loss.detach()):
                raise ClampdownError(NOT_FINITE)
            [trained.parameter.grad] = torch.autograd.grad(loss, [trained.parameter])
            adam.step()
            trained.within()
            progress(stage, 1, steps, f"{losses[-1]:.2f} nats a token")
            if after(step, now):
                break
    return losses


def chosen_latents(
    lesson: Lesson, sae: SAE, count: int, *, steps: int, batch: int, rate: float, seed: int, progress: Progress
) -> dict[int, float]:
    """At most `count` latents and their coefficients: those that hold out longest on a path of growing L1 penalties.

    Every step shrinks all coefficients by the penalty (proximal gradient, as ISTA does), in units of what Adam's step
    moves a parameter by whose gradient does not change its sign; the path ends when few enough are left.
    """
    every = TrainedSum(sae, lesson.model.device)

    def shrink(step: int, now: float) -> bool:
        penalty = 0.03 * _GROWTH ** (step / max(1, steps - 1))
        with torch.no_grad():
            left = (every.parameter - penalty * now).clamp_min(0)
            few = int((left > 0).sum())
            if few >= count or step < steps // 2:  # else the step before was the last that held enough
                every.parameter.copy_(left)
        return few <= count and step >= steps // 2

    optimise(
        lesson, every, steps=steps, batch=batch, rate=rate, seed=seed, progress=progress, stage="choosing latents",
        after=shrink,
    )  # fmt: skip
    best = every.parameter.detach().topk(min(count, sae.n_latents))
    found = {int(i): float(v) for i, v in zip(best.indices, best.values, strict=True) if v > 0}
    if not found:
        raise ClampdownError(
            f"no latent of SAE {sae.name} makes the refusals likelier; tune a direction, or try more steps"
        )
    return found


def _batches(lesson: Lesson, size: int, seed: int) -> Iterator[Sequence[int]]:
    """Places of examples, every one once before any comes again."""
    rng = random.Random(f"{seed} batches")
    lengths = [len(example.ids) for example in lesson.examples]
    while True:
        order = rng.sample(range(len(lengths)), len(lengths))
        groups = [order[i : i + size * _TOGETHER] for i in range(0, len(order), size * _TOGETHER)]
        parts = []
        for group in groups:
            group.sort(key=lengths.__getitem__)
            parts += [group[i : i + size] for i in range(0, len(group), size)]
        rng.shuffle(parts)
        yield from parts


class _frozen:
    """Within, the model's own weights take no gradients, which would cost memory and time."""

    def __init__(self, hf: torch.nn.Module) -> None:
        self.taking: list[Tensor] = [weight for weight in hf.parameters() if weight.requires_grad]

    def __enter__(self) -> None:
        for weight in self.taking:
            weight.requires_grad_(False)

    def __exit__(self, *_: object) -> None:
        for weight in self.taking:
            weight.requires_grad_(True)
