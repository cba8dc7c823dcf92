"""The system prompt of a conversation under a recipe."""

from clampdown.recipe.recipe import Recipe


def system_text(recipe: Recipe | None, own: str = "") -> str | None:
    """The system prompt of a conversation: the recipe's, then the user's own; None leaves the template's default."""
    parts = [part for part in (recipe.system_prompt if recipe else "", own) if part]
    return "\n\n".join(parts) or None
