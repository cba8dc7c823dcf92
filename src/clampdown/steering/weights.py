"""A recipe is for one model's weights: its edits and its gate mean nothing in others."""

from clampdown.errors import ClampdownError
from clampdown.models.chat_model import ChatModel
from clampdown.recipe import Recipe


def check_weights(model: ChatModel, recipe: Recipe) -> None:
    """Raises ClampdownError if a recipe was made for another model; it is told before anything of it is looked at."""
    if not model.is_named(recipe.model_sha256):
        raise ClampdownError(
            f"recipe {recipe.name} was made for {recipe.model} with weights {recipe.model_sha256[:12]}, but the loaded "
            f"{model.name} has {model.sha256[:12]}: other weights or another configuration; find a recipe for it"
        )
