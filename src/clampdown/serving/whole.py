"""Recipes told whole, as a request may bring them back: by name, and as the points of a study's frontier."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from clampdown.errors import ClampdownError
from clampdown.recipe import Clamp, Gate
from clampdown.saes.load import load_sae
from clampdown.serving.refusals import Refusal, as_refusal
from clampdown.serving.service import Service
from clampdown.serving.shelf import Shelf, shown_recipe
from clampdown.steering.gates.compiled import read_gate
from clampdown.steering.scaling import resolved


def whole(shelf: Shelf, name: str) -> dict[str, Any]:
    """A recipe, by the model's name that stands for it.

    Its "recipe" may be sent back inline, as it is or changed; "gate_file" is what a recipe's own file calls the gate's,
    and "opens_from" the score from which that opens; "latents" are described as far as `clampdown find` did.

    Raises:
        Refusal: there is no such recipe, or it is the unsteered model's name.
    """
    recipe = shelf.named(name)
    if recipe is None:
        raise Refusal(404, f"{name[:80]} is unsteered and has no recipe", code="recipe_not_found", param="model")
    known = {int(latent["latent"]): latent for latent in shelf.latents.get(name.removeprefix(f"{shelf.name}:"), ())}
    return {
        "model": name,
        "sha256": recipe.sha256,
        "window": str(recipe.positions),
        "recipe": shown_recipe(recipe),
        "gate_file": _gate_file(recipe.gate),
        "opens_from": _opens_from(recipe.gate),
        "latents": [described for clamp in recipe.clamps for described in _latents(clamp, known)],
    }


def frontier(service: Service) -> dict[str, Any]:
    """What the operator's study found, its points as recipes that can be loaded here; "study" is null without one."""
    if service.frontier is None:
        return {"study": None, "title": "", "created": None, "charts": [], "points": []}
    points = [{**point, **_loadable(service.shelf, point)} for point in service.frontier["points"]]
    return {**service.frontier, "points": points}


def _loadable(shelf: Shelf, point: Mapping[str, Any]) -> dict[str, Any]:
    """A point's recipe for a request, or why this server could not honour it."""
    if point["recipe"] is None:
        return {"recipe": None}
    body = shown_recipe(point["recipe"])
    try:
        recipe = shelf.inline(body)
    except (Refusal, ClampdownError) as error:
        return {"recipe": None, "why": as_refusal(error).message}
    return {"recipe": body, "gate_file": _gate_file(recipe.gate), "opens_from": _opens_from(recipe.gate)}


def _gate_file(gate: Gate | None) -> str | None:
    return gate.kept_name if gate is not None and gate.file else None


@cache
def _opens_from(gate: Gate | None) -> float | None:
    """The threshold of a recipe's gate, which its file says where the recipe does not."""
    if gate is None or not gate.file:
        return None
    return read_gate(gate).threshold if gate.threshold is None else gate.threshold


def _latents(clamp: Clamp, known: Mapping[int, Mapping[str, Any]]) -> list[dict[str, Any]]:
    maximum = load_sae(clamp.sae).maximum
    told = []
    for latent, value in resolved(clamp).items():
        most = None if maximum is None else round(float(maximum[latent]), 3)
        about = {key: value for key, value in known.get(latent, {}).items() if key not in ("latent", "value", "chosen")}
        told.append({"latent": latent, "layer": clamp.layer, "value": value, "maximum": most, **about})
    return told
