"""The recipe and its parts: pure data."""

from clampdown.recipe.edits import CLAMP_OPERATIONS, OPERATIONS, RULES, Clamp, Direction, Edit
from clampdown.recipe.gate import DECIDE, Gate
from clampdown.recipe.positions import SCOPES, Positions
from clampdown.recipe.recipe import Recipe

__all__ = [
    "CLAMP_OPERATIONS",
    "DECIDE",
    "OPERATIONS",
    "RULES",
    "SCOPES",
    "Clamp",
    "Direction",
    "Edit",
    "Gate",
    "Positions",
    "Recipe",
]
