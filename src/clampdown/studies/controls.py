"""Arms to compare a clamp with: pushes of the same size that should not work, and the dense direction that does."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from clampdown.discovery.answers import COMPLIANCE, REFUSAL
from clampdown.errors import ClampdownError
from clampdown.measuring.sets.sets import selecting_prompts
from clampdown.models.chat_model import ChatModel
from clampdown.recipe import Clamp, Direction, Edit, Recipe
from clampdown.saes.load import load_sae
from clampdown.steering.scaling import resolved
from clampdown.studies.calibration import Calibration, scale_to
from clampdown.studies.gated import Parts
from clampdown.studies.plan import Plan

_ROWS = 16
_TRIES = 20
_MEANS = 32
"""Unsafe prompts of the selecting half that the difference in means is taken over."""
_UNRELATED = 64
"""Latents among which the unrelated one is looked for."""


def random_latents(recipe: Recipe, calibration: Calibration, target: float, plan: Plan) -> Iterator[Parts]:
    """As many latents as the recipe clamps, drawn by seed from the SAE's living ones, at the same mean ‖Δ‖."""
    if not recipe.clamps:
        return
    pools = {
        number: _pool(recipe, edit, calibration) for number, edit in enumerate(recipe.edits) if isinstance(edit, Clamp)
    }

    def draw(name: str) -> Callable[[float], list[Edit]]:
        rng = random.Random(name)
        chosen: dict[int, dict[int, float]] = {}
        for number, pool in pools.items():
            edit = recipe.edits[number]
            assert isinstance(edit, Clamp)
            drawn = {latent for other in chosen if _same_place(recipe.edits[other], edit) for latent in chosen[other]}
            rest = [latent for latent in pool if latent not in drawn]
            chosen[number] = dict(zip(rng.sample(rest, len(edit.values)), _pushes(edit), strict=True))
        return lambda scale: [
            replace(edit, values={k: v * scale for k, v in chosen[number].items()}) if isinstance(edit, Clamp) else edit
            for number, edit in enumerate(recipe.edits)
        ]

    matched = _matched("random-latents", draw, recipe, calibration, target, plan)
    text = (
        f"As many latents as the recipe clamps, drawn by seed from those that fire and are not in it, their values "
        f"scaled "
        f"to the recipe's mean ‖Δ‖ ({target:.3g}). {plan.draws} draws; each item is answered under one of them."
    )
    yield "random-latents", "Random latents", "control", text, matched


def random_directions(recipe: Recipe, calibration: Calibration, target: float, plan: Plan) -> Iterator[Parts]:
    """Random unit vectors added at the recipe's layers, at the same mean ‖Δ‖."""

    def draw(name: str) -> Callable[[float], list[Edit]]:
        seeds = [random.Random(f"{name} {layer}").randrange(2**31) for layer in calibration.layers]
        return lambda scale: [
            Direction(layer, scale, seed=seed) for layer, seed in zip(calibration.layers, seeds, strict=True)
        ]

    matched = _matched("random-directions", draw, recipe, calibration, target, plan)
    text = (
        f"A random direction added at its layer, as long as the recipe's mean ‖Δ‖ ({target:.3g}). {plan.draws} "
        f"draws; each item is answered under one of them."
    )
    yield "random-directions", "Random directions", "control", text, matched


def unrelated_latent(recipe: Recipe, calibration: Calibration, target: float, plan: Plan) -> Iterator[Parts]:
    """One living latent whose decoder row is nearly orthogonal to what the recipe adds, at the same mean ‖Δ‖."""
    found = recipe.clamps
    if not found:
        return
    first = found[0]
    order = _by_angle(first, _pool(recipe, first, calibration), plan.seed)

    def edits(latent: int) -> Callable[[float], list[Edit]]:
        return lambda scale: [replace(first, values={latent: scale}, operation="set")]

    for latent in order:
        make = edits(latent)
        scale = _scale(make, calibration, target)
        if scale is not None:
            text = (
                f"Latent {latent} alone, clamped to {scale:.3g} for the recipe's mean ‖Δ‖; of {len(order)} latents "
                f"drawn by "
                f"seed, the one whose decoder row is closest to a right angle with what the recipe adds."
            )
            made = replace(recipe, name="unrelated-latent", edits=tuple(make(scale)))
            yield "unrelated-latent", "Unrelated latent", "control", text, (made,)
            return


def difference_in_means(model: ChatModel, recipe: Recipe, plan: Plan) -> Iterator[Parts]:
    """The dense baseline (Arditi et al. 2024, arXiv 2406.11717): mean refusing minus mean complying residual, added.

    The means are over the tokens of one refusing and one complying answer, teacher-forced after the same unsafe prompts
    of the selecting half, at the lowest layer that the recipe edits.
    """
    layer = min(edit.layer for edit in recipe.edits)
    prompts = selecting_prompts("unsafe", _MEANS, plan.seed)
    refusing, complying = (_answer_mean(model, layer, prompts, answer) for answer in (REFUSAL, COMPLIANCE))
    vector = tuple((refusing - complying).tolist())
    length = float((refusing - complying).norm())
    for strength in plan.strengths:
        name = f"difference-in-means-{strength:g}"
        edit = Direction(layer, strength, values=vector)
        text = (
            f"{strength:g} times the difference in means (refusing minus complying answers to {len(prompts)} unsafe "
            f"prompts of "
            f"the selecting half) added after layer {layer}: ‖Δ‖ {strength * length:.3g} on every edited token."
        )
        made = replace(recipe, name=name, edits=(edit,), note="")
        yield name, f"Diff. in means ×{strength:g}", "baseline", text, (made,)


def _scale(make: Callable[[float], list[Edit]], calibration: Calibration, target: float) -> float | None:
    return scale_to(lambda scale: calibration.mean_norm(make(scale)), target)


def _answer_mean(model: ChatModel, layer: int, prompts: Sequence[str], answer: str) -> Tensor:
    """Mean residual over the tokens of `answer` after each prompt, in float64: [d_model]."""
    told = model.ids(answer)
    total = torch.zeros(model.d_model, dtype=torch.float64, device=model.device)
    for start in range(0, len(prompts), _ROWS):
        rows = [model.prompt_ids(prompt) + told for prompt in prompts[start : start + _ROWS]]
        with model.unsteered():
            x = model.residual(model.pad(rows, side="right"), [layer])[0]  # no model hears padding on the right
        total += sum(x[row, len(ids) - len(told) : len(ids)].double().sum(0) for row, ids in enumerate(rows))
    return total / (len(prompts) * len(told))


def _matched(
    arm: str,
    draw: Callable[[str], Callable[[float], list[Edit]]],
    recipe: Recipe,
    calibration: Calibration,
    target: float,
    plan: Plan,
) -> tuple[Recipe, ...]:
    """The plan's number of draws, each scaled to the target; a draw that can't be is replaced by the next."""
    found: list[Recipe] = []
    for attempt in range(plan.draws + _TRIES):
        make = draw(f"{plan.seed} {arm} {attempt}")
        scale = _scale(make, calibration, target)
        if scale is not None:
            name = f"{arm}-{len(found) + 1}"
            found.append(replace(recipe, name=name, note="", edits=tuple(make(scale))))
        if len(found) == plan.draws:
            return tuple(found)
    raise ClampdownError(
        f"could not match {arm} to the recipe's mean ‖Δ‖ of {target:.3g}; leave {arm} out of the plan's arms"
    )


def _pool(recipe: Recipe, edit: Edit, calibration: Calibration) -> list[int]:
    assert isinstance(edit, Clamp)
    taken = {latent for clamp in recipe.clamps if clamp.sae == edit.sae for latent in clamp.values}
    pool = [latent for latent in calibration.alive(edit.layer, edit.sae) if latent not in taken]
    if len(pool) < max(1, sum(len(clamp.values) for clamp in recipe.clamps if _same_place(clamp, edit))):
        raise ClampdownError(
            f"SAE {edit.sae} has only {len(pool)} living latents outside the recipe; leave random-latents and "
            "unrelated-latent out of the plan's arms"
        )
    return pool


def _same_place(one: Edit, other: Edit) -> bool:
    """Whether two clamps set latents of one SAE at one layer."""
    if not (isinstance(one, Clamp) and isinstance(other, Clamp)):
        return False
    return (one.sae, one.layer) == (other.sae, other.layer)


def _pushes(edit: Clamp) -> Sequence[float]:
    """The recipe's values, to be scaled; ones where they are all zero."""
    values = list(resolved(edit).values())
    return values if any(values) else [1.0] * len(values)


def _by_angle(clamp: Clamp, pool: list[int], seed: int) -> list[int]:
    """Some latents of the pool, the one most nearly orthogonal to Σ c_i d_i first."""
    sae = load_sae(clamp.sae)
    rng = random.Random(f"{seed} unrelated latent")
    some = sorted(rng.sample(pool, min(_UNRELATED, len(pool))))
    push = torch.tensor(_pushes(clamp)) @ sae.only(list(clamp.values)).w_dec
    rows = sae.only(some).w_dec
    cosine = (rows @ push).abs() / (rows.norm(dim=-1) * push.norm()).clamp_min(1e-12)
    return [some[i] for i in cosine.argsort(stable=True).tolist()]
