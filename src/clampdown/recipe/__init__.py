"""The recipe and its parts: pure data."""

from clampdown.recipe.edits import OPERATIONS, RULES, Clamp, Direction, Edit
from clampdown.recipe.positions import SCOPES, Positions
from clampdown.recipe.recipe import Recipe

__all__ = ["OPERATIONS", "RULES", "SCOPES", "Clamp", "Direction", "Edit", "Positions", "Recipe"]
