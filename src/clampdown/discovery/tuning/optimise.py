"""The optimiser: Adam (Kingma & Ba 2015) on the targets' cross-entropy, its rate falling to a tenth."""

import random
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from clampdown.discovery.tuning.lesson import Lesson
from clampdown.discovery.tuning.trained import Trainable
from clampdown.engine.finite import NOT_FINITE
from clampdown.errors import ClampdownError
from clampdown.progress import Progress

_TOGETHER = 4
"""Batches that are drawn at once and sorted by length, so that little of each is padding."""
_HALF_SCALE = 1024.0
"""What the loss is multiplied by where gradients pass in float16, which holds nothing below 6e-8."""


def optimise(
    lesson: Lesson, trained: Trainable, *, steps: int, batch: int, rate: float, seed: int, progress: Progress
) -> list[float]:
    """Train in place; the loss of each step, in nats a token.

    Args:
        rate: the most that a step moves a parameter by, at first.

    Raises:
        ClampdownError: the loss is not finite.
    """
    adam = torch.optim.Adam([trained.parameter], lr=rate)
    rows, losses = batches(lesson, batch, seed), []
    for step in range(steps):
        adam.param_groups[0]["lr"] = rate * (1 - 0.9 * step / steps)
        loss, trained.parameter.grad = slope(lesson, trained, next(rows))
        adam.step()
        trained.within()
        losses.append(loss)
        progress("tuning", 1, steps, f"{loss:.2f} nats a token")
    return losses


def slope(lesson: Lesson, trained: Trainable, places: Sequence[int]) -> tuple[float, Tensor]:
    """The loss on some examples, in nats a token, and its gradient. Raises ClampdownError where one is not finite."""
    scale = _HALF_SCALE if lesson.model.dtype is torch.float16 else 1.0
    with _frozen(lesson.model.hf), torch.enable_grad():
        loss = -lesson.log_likelihoods(places, trained.delta).mean()
        [found] = torch.autograd.grad(loss * scale, [trained.parameter])
    if not (loss.isfinite() and found.isfinite().all()):
        raise ClampdownError(NOT_FINITE)
    return float(loss.detach()), found / scale


def batches(lesson: Lesson, size: int, seed: int) -> Iterator[Sequence[int]]:
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
