"""One arm under several gates: what each is called, and its recipes."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from clampdown.recipe import Recipe

Parts = tuple[str, str, str, str, tuple[Recipe | None, ...]]
"""An arm's name, label, group, description and recipes."""
ENDS = {"": "", "recipe": "-gated", "open": "", "shut": "-shut", "watch": "-watch"}
"""What an arm's name ends on, by what decides; where gates are none, on nothing."""
LABELS = {"recipe": ", gated", "open": "", "shut": ", gate shut", "watch": ", only watched"}
_SAID = {
    "recipe": "The recipe's gate decides for each prompt whether anything is done.",
    "open": "The gate is forced open: every prompt is steered.",
    "shut": "The gate is forced shut: nothing is edited, so this must equal no steering.",
    "watch": "The gate scores each prompt, and nothing is edited.",
}


def under(gates: Sequence[str], parts: Parts) -> Iterator[Parts]:
    """The arm once for each of the gates (see `Plan.gates`); as it is where there are none, or it has no gate."""
    name, label, group, text, recipes = parts
    if not gates or all(recipe is None or recipe.gate is None for recipe in recipes):
        yield parts
        return
    for gate in gates:
        about = name + ENDS[gate], label + LABELS[gate], group, f"{text} {_SAID[gate]}"
        yield *about, tuple(recipe and _under(gate, recipe) for recipe in recipes)


def ends(gates: Sequence[str]) -> list[str]:
    """What the names of an arm under these gates end on."""
    return [ENDS[gate] for gate in gates or [""]]


def decider(recipe: Recipe | None) -> str | None:
    """What decides under a recipe, by the names of `Plan.gates`; None where it has no gate."""
    if recipe is None or recipe.gate is None:
        return None
    return "recipe" if recipe.gate.decide == "score" else recipe.gate.decide


def gate_found(recipe: Recipe, places: Sequence[Path]) -> Recipe:
    """The recipe, its gate's file named where it is: as it says, or else in the first of these places that has one."""
    gate = recipe.gate
    if gate is None or not gate.file or Path(gate.file).is_file():
        return recipe
    there = [place for place in places if place.is_file()]
    return replace(recipe, gate=replace(gate, file=str(there[0].absolute()))) if there else recipe


def _under(gate: str, recipe: Recipe) -> Recipe:
    if gate == "recipe":
        return recipe
    return replace(recipe.deciding(gate), name=f"{recipe.name}, {gate}")
