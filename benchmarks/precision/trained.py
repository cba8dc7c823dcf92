"""Directions that are tuned here: at other layers, and on what ordinary prompts are answered beside refusals."""

import random
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from clampdown.discovery.gates.rows import GateRow, shipped_rows, without_reported
from clampdown.discovery.tuning.lesson import Lesson
from clampdown.discovery.tuning.optimise import batches, optimise, slope
from clampdown.discovery.tuning.prompts import divided, unsafe_rows
from clampdown.discovery.tuning.targets import Target, targets
from clampdown.discovery.tuning.trained import TrainedDirection
from clampdown.discovery.windows import window
from clampdown.engine.generation import generate
from clampdown.engine.request import Sampling
from clampdown.progress import quiet

if TYPE_CHECKING:
    from arm_families import Workshop

ROWS, STEPS, BATCH, RATE = 64, 14, 8, 0.15
"""Fewer than the shipped direction was tuned with: an arm is not to take an hour."""
OWN_ANSWER = 24
"""Tokens of the model's own answer to an ordinary prompt."""


def refusals(shop: "Workshop") -> list[Target]:
    if not hasattr(shop, "refusals"):
        rows, kinds = unsafe_rows([], False)
        training = divided(rows, kinds, (ROWS, 8, 8), shop.seed).training
        shop.refusals = targets(shop.model, training, None, quiet)  # type: ignore[attr-defined]
    return shop.refusals  # type: ignore[attr-defined,no-any-return]


def own_answers(shop: "Workshop") -> list[Target]:
    """What the model says to safe prompts and look-alikes of the gate's items by itself."""
    if not hasattr(shop, "own"):
        safe = [row for row in without_reported(shipped_rows()) if not row.unsafe and short(row)]
        random.Random(f"{shop.seed} ordinary").shuffle(safe)
        found = []
        for start in range(0, ROWS, 32):
            prompts = [shop.model.prompt_ids(row.chat, room=OWN_ANSWER) for row in safe[start : start + 32]]
            answers = generate(shop.model, prompts, [None] * len(prompts), Sampling(OWN_ANSWER))
            found += [Target(p, tuple(a.ids), a.text) for p, a in zip(prompts, answers, strict=True) if a.ids]
        shop.own = found  # type: ignore[attr-defined]
    return shop.own  # type: ignore[attr-defined,no-any-return]


def short(row: GateRow) -> bool:
    return len(row.messages) == 1 and not row.raw and len(row.text) < 200


def lesson(shop: "Workshop", layer: int, told: list[Target], where: str) -> Lesson:
    return Lesson(shop.model, layer, told, lambda _: window(where, shop.norm(layer)), quiet)


def tuned_at(shop: "Workshop", layer: int) -> Tensor:
    """A direction at another layer, tuned as the shipped one was, on less."""
    taught = lesson(shop, layer, refusals(shop), "last")
    made = TrainedDirection(layer, torch.zeros(shop.model.d_model))
    rate = RATE * float(taught.norms().median()) / shop.model.d_model**0.5
    optimise(taught, made, steps=STEPS, batch=BATCH, rate=rate, seed=shop.seed, progress=quiet)
    return made.parameter.detach()


def kept_off_by_training(shop: "Workshop", weight: float, where: str) -> Tensor:
    """The shipped direction tuned on: refusals of unsafe prompts, and, times `weight`, own answers to ordinary ones."""
    sides = [lesson(shop, shop.layer, told, where) for told in (refusals(shop), own_answers(shop))]
    made = TrainedDirection(shop.layer, shop.vector)
    rate = RATE * float(sides[0].norms().median()) / shop.model.d_model**0.5 / 2
    adam = torch.optim.Adam([made.parameter], lr=rate)
    drawn = [batches(side, BATCH, shop.seed) for side in sides]
    for step in range(STEPS):
        adam.param_groups[0]["lr"] = rate * (1 - 0.9 * step / STEPS)
        (_, first), (_, second) = (slope(side, made, next(rows)) for side, rows in zip(sides, drawn, strict=True))
        made.parameter.grad = first + weight * second
        adam.step()
    return made.parameter.detach()
