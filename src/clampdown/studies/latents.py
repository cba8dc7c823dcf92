"""What a report says of a recipe's latents: the words each moves, whether that is a reading, and its page elsewhere."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from clampdown.discovery.words import Words, words
from clampdown.models.chat_model import ChatModel
from clampdown.recipe import Recipe
from clampdown.saes.directory import neuronpedia_page
from clampdown.saes.load import load_sae
from clampdown.steering.scaling import resolved

_NEURONPEDIA = re.compile(r"[a-z0-9][\w.-]*/[a-z0-9][\w.-]*", re.IGNORECASE)
_FEWEST = 2
"""Fewer whole words than this among the 30 tokens raised most are no reading."""


def held(recipe: Recipe) -> list[dict[str, Any]]:
    """The latents that a recipe clamps, each at its value."""
    return [
        {"latent": latent, "value": value} | ({} if clamp.operation == "set" else {"operation": clamp.operation})
        for clamp in recipe.clamps
        for latent, value in resolved(clamp).items()
    ]


def described(model: ChatModel, recipe: Recipe, known: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each latent with what is known of it, and the words that it `raises` and `lowers` in this model."""
    moved: dict[Any, Words] = {}
    for clamp in recipe.clamps:
        latents = list(clamp.values)
        moved |= dict(zip(latents, words(model, load_sae(clamp.sae), latents), strict=True))
    some = [dict(latent) for latent in known] or held(recipe)
    return [one | (moved[one["latent"]]._asdict() if one.get("latent") in moved else {}) for one in some]


def unclear(latent: Mapping[str, Any]) -> bool:
    """Whether a reader can't tell what a latent is about: too few whole words, or no place where it fires."""
    return len(latent.get("raises", latent.get("promotes")) or ()) < _FEWEST or not latent.get("contexts")


def published(sae: Mapping[str, Any] | None, latent: object) -> str | None:
    """The address of a latent's page on Neuronpedia; None where there is none."""
    name = str((sae or {}).get("neuronpedia") or "")
    named = _NEURONPEDIA.fullmatch(name) and isinstance(latent, int)
    return f"{neuronpedia_page(name)}/{latent}" if named else None
