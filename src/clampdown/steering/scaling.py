"""Clamps' values in activation units, and the recipe at a multiple of them."""

from dataclasses import replace

from clampdown.errors import ClampdownError
from clampdown.recipe import Clamp, Edit, Recipe
from clampdown.saes.load import load_sae


def resolved(clamp: Clamp) -> dict[int, float]:
    """A clamp's values in activation units."""
    if not clamp.relative:
        return clamp.resolved({})
    sae = load_sae(clamp.sae)
    if sae.maximum is None or max(clamp.relative) >= sae.n_latents:
        raise ClampdownError(
            f"SAE {clamp.sae} does not say the maxima of latents {clamp.relative}: give values as numbers"
        )
    return clamp.resolved({latent: float(sae.maximum[latent]) for latent in clamp.relative})


def scaled(recipe: Recipe, factor: float, rule: str | None = None) -> tuple[Edit, ...]:
    """The recipe's edits with its clamps' values times `factor`; without a clamp, its directions' strengths."""

    def one(edit: Edit) -> Edit:
        if isinstance(edit, Clamp):
            values = {latent: value * factor for latent, value in resolved(edit).items()}
            return replace(edit, values=values, rule=rule or edit.rule)
        return edit if recipe.clamps else replace(edit, strength=edit.strength * factor)

    return tuple(one(edit) for edit in recipe.edits)


def set_to(recipe: Recipe, value: float, rule: str | None = None) -> tuple[Edit, ...]:
    """The recipe's edits with every clamped latent's value changed to `value`: its activation, or its factor."""
    return tuple(
        replace(edit, values=dict.fromkeys(edit.values, value), rule=rule or edit.rule)
        if isinstance(edit, Clamp)
        else edit
        for edit in recipe.edits
    )
