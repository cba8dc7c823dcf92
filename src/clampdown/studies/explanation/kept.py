"""Surveys that were measured before: the one that comes along, and those in the cache folder."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clampdown.cache import cache_folder
from clampdown.errors import ClampdownError
from clampdown.models.chat_model import ChatModel
from clampdown.recipe import Recipe
from clampdown.saes.sae import SAE
from clampdown.studies.explanation.survey import SCHEMA
from clampdown.writing import json_text, write_whole

BUNDLED = Path(__file__).parent / "surveys"


def find_survey(model: ChatModel, sae: SAE, recipe: Recipe) -> dict[str, Any] | None:
    """The survey of this SAE on this model, by their hashes, that is nearest to a recipe without its gate.

    First one of the same edits, then one in the same window, then any; its "same_edits" and "same_window" say which.
    """
    window = recipe.positions.to_dict()
    found = []
    for body in _all():
        if body["sae_sha256"] == sae.sha256 and body["model_sha256"] and model.is_named(body["model_sha256"]):
            body |= {"same_edits": body["edits_sha256"] == recipe.sha256, "same_window": body["positions"] == window}
            found.append(body)
    return max(found, key=lambda body: (body["same_edits"], body["same_window"], body["created"]), default=None)


def keep_survey(body: dict[str, Any]) -> Path | None:
    """Keep a survey in the cache folder; where it lies, or None where it can't be written."""
    names = (body["model_sha256"], body["sae_sha256"], body["edits_sha256"])
    path = _own() / ("-".join(name[:12] or "none" for name in names) + ".json")
    try:
        write_whole(path, json_text(body, indent=1))
    except ClampdownError:
        return None
    return path


def _own() -> Path:
    return cache_folder() / "surveys"


def _all() -> Iterator[dict[str, Any]]:
    """Those that can be read: a damaged one is decoration that is missing."""
    for folder in (BUNDLED, _own()):
        for path in sorted(folder.glob("*.json")):
            try:
                body = json.loads(path.read_text(encoding="utf-8"))
                if body["schema"] == SCHEMA and all(isinstance(body[key], str) for key in _TEXTS):
                    yield body
            except (OSError, ValueError, KeyError, TypeError, RecursionError):
                continue


_TEXTS = ("model_sha256", "sae_sha256", "edits_sha256", "created")
