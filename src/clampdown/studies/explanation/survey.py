"""The survey: many latents clamped alone, what each costs, and what could have told so without a benchmark.

Each is clamped by the recipe's rule in the recipe's window, once at a value that gives it the recipe's mean ‖Δ‖ and
once at its own largest activation. The loss is the fall of the right choice's margin. At equal norm only the direction
can differ, so what varies there is the direction's own doing; random directions of that norm stand beside them.
"""

import statistics
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

from torch import Tensor

from clampdown.errors import ClampdownError
from clampdown.models.chat_model import ChatModel
from clampdown.progress import Progress, quiet
from clampdown.recipe import Clamp, Recipe
from clampdown.saes.sae import SAE
from clampdown.studies.calibration import Calibration
from clampdown.studies.explanation import predictors
from clampdown.studies.explanation.activations import Firing, Ordinary
from clampdown.studies.explanation.attention import Attention
from clampdown.studies.explanation.divide import fall
from clampdown.studies.explanation.draws import Drawn, drawn
from clampdown.studies.explanation.inputs import Material, quick_material
from clampdown.studies.explanation.losses import Outcome, outcomes
from clampdown.studies.explanation.options import ExplainOptions
from clampdown.studies.explanation.pushes import Pushes
from clampdown.studies.explanation.summary import described, in_setting, of_directions, shortened
from clampdown.studies.explanation.variants import Sizes, random_direction

SCHEMA = "clampdown-survey/1"
_QUESTIONS, _PASSAGES, _PASSAGE_TOKENS = 80, 4, 40
"""Of each of a few hundred pushes less is asked than of a recipe."""
_DIRECTIONS = 8
_CALIBRATING = 12


class Push(NamedTuple):
    """One thing that is measured: a latent (or None: a random direction) in one of the two settings."""

    latent: int | None
    setting: str
    value: float
    recipe: Recipe
    delta: Tensor


def survey(
    model: ChatModel,
    sae: SAE,
    recipe: Recipe,
    sizes: Sizes,
    options: ExplainOptions,
    progress: Progress = quiet,
) -> dict[str, Any]:
    """Measure the survey of an SAE at the layer that a recipe, whose gate is left out, edits.

    Returns:
        An object of schema "clampdown-survey/1".

    Raises:
        ClampdownError: too few latents live, or can be brought to the recipe's ‖Δ‖; something is not finite.
    """
    progress("reading ordinary prompts", 0, 0, "")
    ordinary = Ordinary.read(model, sae.layer, options.seed, recipe.positions.sink_norm)
    firing = Firing.of(sae, ordinary)
    own = [latent for clamp in recipe.clamps if clamp.sae_sha256 == sae.sha256 for latent in clamp.values]
    some = drawn(firing, own, options.latents, options.seed)
    rule = recipe.clamps[0].rule if recipe.clamps else "delta"
    calibration = Calibration(model, recipe, options.seed, kinds=("safe",), prompts=_CALIBRATING)
    target = sizes.delta[sae.layer]
    pushes = [*_latents(sae, recipe, some, firing, calibration, target, rule)]
    pushes += _directions(recipe, sizes, calibration, options.seed)
    asked = quick_material(model, recipe.system_prompt, _QUESTIONS, _PASSAGES, _PASSAGE_TOKENS, options.seed)
    plain, told = outcomes(
        model, [push.recipe for push in pushes], asked, saes=[sae], progress=progress, stage="measuring losses"
    )
    values = _predictors(model, sae, recipe, pushes, told, asked, calibration, ordinary, options, progress)
    rows = [_row(push, plain, one, own_values) for push, one, own_values in zip(pushes, told, values, strict=True)]
    settings = {name: in_setting(name, rows, some, options.seed) for name in ("natural", "equal")}
    body = {
        "schema": SCHEMA,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "model_sha256": model.sha256,
        "sae": sae.name,
        "sae_sha256": sae.sha256,
        "layer": sae.layer,
        "edits_sha256": recipe.sha256,
        "window": str(recipe.positions),
        "positions": recipe.positions.to_dict(),
        "rule": rule,
        "dtype": str(model.dtype).removeprefix("torch."),
        "norm": target,
        "residual": sizes.residual[sae.layer],
        "seed": options.seed,
        "questions": len(asked.items),
        "passage_tokens": sum(asked.predicted),
        "philosophy": next((one.latent for one in some if one.why == "philosophy"), None),
        **{key: settings["natural"][key] for key in ("chosen", "correlation", "predictors")},
        "settings": settings,
        "random": of_directions(rows),
        "latents": described(model, sae, some, firing, rows),
    }
    return dict(shortened(body))


def _latents(
    sae: SAE,
    recipe: Recipe,
    some: Sequence[Drawn],
    firing: Firing,
    calibration: Calibration,
    target: float,
    rule: str,
) -> list[Push]:
    made = Pushes.of(sae, calibration.x[sae.layer], rule)
    found = []
    for latent, _ in some:
        equal = made.matched(latent, target)
        if equal is None:
            continue
        for setting, value in (("equal", equal), ("natural", float(firing.largest[latent]))):
            clamp = Clamp(sae.name, sae.sha256, sae.layer, {latent: value}, rule)
            own = replace(recipe, name=f"latent {latent}, {setting}", note="", edits=(clamp,))
            found.append(Push(latent, setting, value, own, made.delta(latent, value)))
    if len({push.latent for push in found}) < 8:
        raise ClampdownError(
            f"only {len(found) // 2} latents of SAE {sae.name} live and can be brought to the recipe's ‖Δ‖; a survey "
            "needs 8 at least: name another SAE, or more --latents"
        )
    return found


def _directions(recipe: Recipe, sizes: Sizes, calibration: Calibration, seed: int) -> list[Push]:
    found = []
    for draw in range(_DIRECTIONS):
        own = random_direction(recipe, sizes, f"{seed} survey direction {draw}")
        (layer,) = sizes.delta
        found.append(Push(None, "random", sizes.delta[layer], own, calibration.deltas(layer, own.edits).double()))
    return found


def _predictors(
    model: ChatModel,
    sae: SAE,
    recipe: Recipe,
    pushes: Sequence[Push],
    told: Sequence[Outcome],
    asked: Material,
    calibration: Calibration,
    ordinary: Ordinary,
    options: ExplainOptions,
    progress: Progress,
) -> list[dict[str, float | None]]:
    """Each push's predictors by name."""
    sigma = ordinary.covariance
    basis, x = predictors.active_subspace(sigma), calibration.x[sae.layer].double()
    direct = predictors.DirectLogits(model, options.seed)
    attention = Attention(model, sae.layer, recipe.system_prompt, options.seed, [sae])
    found = []
    for push, outcome in zip(pushes, told, strict=True):
        footprint, entropy = direct.of(push.delta.mean(0))
        found.append(
            {
                "relative": predictors.relative(push.delta, x),
                "energy": predictors.energy(push.delta, sigma),
                "overlap": predictors.overlap(push.delta, basis),
                "footprint": footprint,
                "entropy": entropy,
                "attention": attention.turned(push.recipe),
                "kl": sum(outcome.kl) / sum(asked.predicted),
            }
        )
        progress("measuring predictors", 1, len(pushes), "")
    return found


def _row(push: Push, plain: Outcome, outcome: Outcome, values: dict[str, float | None]) -> dict[str, Any]:
    falls = fall(plain, outcome)
    error = statistics.stdev(falls) / len(falls) ** 0.5
    change = sum(outcome.right) / len(falls) - sum(plain.right) / len(falls)
    row = {"latent": push.latent, "setting": push.setting, "value": push.value}
    row |= {"norm": float(push.delta.norm(dim=-1).mean()), "loss": statistics.fmean(falls), "error": error}
    return {**row, "accuracy_change": change, "predictors": values}
