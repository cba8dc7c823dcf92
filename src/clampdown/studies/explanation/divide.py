"""How the damage divides: the edit beside other pushes of its size, at the same positions of the same material."""

import random
from collections.abc import Sequence
from typing import Any

from clampdown.discovery.describe import promoted
from clampdown.measuring.capability.likelihood import bits_per_byte
from clampdown.measuring.statistics.rates import Interval, cluster_bootstrap_mean
from clampdown.models.chat_model import ChatModel
from clampdown.progress import Progress, quiet
from clampdown.recipe import Recipe
from clampdown.saes.sae import SAE
from clampdown.studies.explanation.activations import Firing
from clampdown.studies.explanation.inputs import Material
from clampdown.studies.explanation.losses import Outcome, outcomes
from clampdown.studies.explanation.options import ExplainOptions
from clampdown.studies.explanation.variants import (
    Sizes,
    Variant,
    latent_rows,
    parted,
    random_directions,
    reconstructed,
    rescaled,
    whole,
)

_POOL = 64
"""Latents among which the one that has nothing to do with safety is looked for."""


def variants(
    model: ChatModel, recipe: Recipe, sizes: Sizes, sae: SAE | None, firing: Firing | None, options: ExplainOptions
) -> list[Variant]:
    """All rows of the table; those of an SAE where there is one for the one layer that the recipe edits."""
    found = [reconstructed(recipe, sae)] if sae is not None else []
    found += rescaled(recipe, sizes, model.d_model)
    found.append(random_directions(recipe, sizes, options.draws, options.seed))
    if sae is not None and firing is not None:
        found += _other_latents(model, recipe, sizes, sae, firing, options)
    return [*found, whole(recipe), *parted(recipe)]


def _other_latents(
    model: ChatModel, recipe: Recipe, sizes: Sizes, sae: SAE, firing: Firing, options: ExplainOptions
) -> list[Variant]:
    own = {latent for clamp in recipe.clamps for latent in clamp.values}
    pool = [latent for latent in firing.alive if latent not in own]
    rng = random.Random(f"{options.seed} explain other latents")
    drawn = rng.sample(pool, min(options.draws, len(pool)))
    found = []
    if drawn:
        about = f"Decoder rows of latents {', '.join(map(str, drawn))}, drawn by seed, added; mean of {len(drawn)}."
        made = latent_rows(recipe, sizes, sae, drawn)
        found.append(Variant("latents", "other latents' rows", about, made, latents=tuple(drawn)))
    apart = firing.innocent(rng.sample(pool, min(_POOL, len(pool))))
    if apart is not None:
        words = " ".join(promoted(model, sae, [apart])[0][:4])
        about = (
            f"Decoder row of latent {apart}, which fires on {float(firing.rate[apart]):.1%} of ordinary tokens and on "
            f"no token of unsafe prompts or a refusal (promotes: {words}), added."
        )
        made = latent_rows(recipe, sizes, sae, [apart])
        found.append(Variant("innocent", f"latent {apart}, not of safety", about, made, latents=(apart,)))
    return found


def divided(
    model: ChatModel,
    found: Sequence[Variant],
    material: Material,
    options: ExplainOptions,
    progress: Progress = quiet,
) -> list[dict[str, Any]]:
    """The table: what each variant costs beside no steering, paired by item, with 95% intervals.

    The edit's row has besides what it costs "beyond_random" directions of its size.

    Raises:
        ClampdownError: a variant does not fit the model, or logits are not finite.
    """
    recipes = [recipe for variant in found for recipe in variant.recipes]
    saes = [sae for variant in found for sae in variant.saes]
    plain, told = outcomes(model, recipes, material, saes=saes, progress=progress, stage="dividing the damage")
    rows, falls, start = [], {}, 0
    for variant in found:
        some = told[start : start + len(variant.recipes)]
        start += len(some)
        falls[variant.name] = _mean([fall(plain, one) for one in some])
        rows.append(_row(variant, plain, some, material, options.seed))
    beyond = [own - other for own, other in zip(falls["edit"], falls["random"], strict=True)]
    clusters = [item.cluster for item in material.items]
    next(row for row in rows if row["name"] == "edit")["beyond_random"] = _interval(beyond, clusters, options.seed)
    return rows


def _row(variant: Variant, plain: Outcome, some: Sequence[Outcome], material: Material, seed: int) -> dict[str, Any]:
    clusters = [item.cluster for item in material.items]
    falls = [fall(plain, one) for one in some]
    changes = [
        [float(after) - float(before) for before, after in zip(plain.right, one.right, strict=True)] for one in some
    ]
    receipts = [one.receipt for one in some]
    row: dict[str, Any] = {"name": variant.name, "label": variant.label, "about": variant.about, "draws": len(some)}
    row["matched"] = variant.matched
    row["relative_norm"] = sum(receipt.relative_norm for receipt in receipts) / len(receipts)
    row["tokens_edited"] = sum(receipt.tokens_edited for receipt in receipts) // len(receipts)
    row["margin_fall"] = _interval(_mean(falls), clusters, seed)
    row["accuracy_change"] = _interval(_mean(changes), clusters, seed)
    nowhere = not any(one.text_edited for one in some)  # of a passage the first token alone is prompt, and a sink
    kls = [sum(one.kl) / sum(material.predicted) for one in some]
    bits = [_bits(one, material) - _bits(plain, material) for one in some]
    row["kl"] = None if nowhere else sum(kls) / len(kls)
    row["bits_per_byte_rise"] = None if nowhere else sum(bits) / len(bits)
    if len(some) > 1:
        each = zip(falls, kls, strict=True)
        row["each"] = [{"margin_fall": sum(own) / len(own), "kl": kl} for own, kl in each]
        for place, latent in enumerate(variant.latents):
            row["each"][place]["latent"] = latent
    return row


def fall(plain: Outcome, steered: Outcome) -> list[float]:
    """How far each question's margin falls, in nats; below 0 where it rises."""
    return [before - after for before, after in zip(plain.margins, steered.margins, strict=True)]


def _mean(draws: Sequence[Sequence[float]]) -> list[float]:
    """Each item's mean over draws."""
    return [sum(some) / len(some) for some in zip(*draws, strict=True)]


def _interval(values: Sequence[float], clusters: Sequence[str], seed: int) -> dict[str, Any]:
    return interval_dict(cluster_bootstrap_mean(values, clusters, seed=seed), len(values))


def interval_dict(found: Interval, n: int) -> dict[str, Any]:
    """As JSON holds it: bounds that are not known are null."""
    bounds = {key: bound if abs(bound) != float("inf") else None for key, bound in found._asdict().items()}
    return {**bounds, "n": n}


def _bits(outcome: Outcome, material: Material) -> float:
    return bits_per_byte(sum(outcome.nats), sum(material.covered))
