"""The clamp that comes along, beside a recipe for the same model that clamps no latents: what the paper would do."""

from dataclasses import replace

from clampdown.recipe import Recipe
from clampdown.recipe.bundled import REFUSAL, bundled_path


def clamp_beside(recipe: Recipe) -> Recipe | None:
    """The recipe `refusal` in its own window, with the given recipe's gate; None where that clamps latents itself, or
    is for another model."""
    if recipe.clamps:
        return None
    found = Recipe.load(bundled_path(REFUSAL))
    same = (recipe.model, recipe.model_sha256) == (found.model, found.model_sha256)
    return replace(found, gate=recipe.gate) if same else None
