"""The recipes that a server offers, by model name, and what a request may change in them."""

import os
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from clampdown.discovery.windows import window as window_named
from clampdown.errors import ClampdownError
from clampdown.models.chat_model import ChatModel
from clampdown.recipe import Clamp, Positions, Recipe
from clampdown.recipe.bundled import BUNDLED, bundled_path
from clampdown.saes.load import load_sae
from clampdown.serving.refusals import Refusal
from clampdown.serving.requests import Override
from clampdown.steering.scaling import scaled
from clampdown.steering.self_test import self_test

_KEPT = 512
"""Recipes whose self-tests are remembered."""
_EDITS, _LATENTS = 16, 256
"""The most of an inline recipe's."""


def recipes_in(folder: Path) -> dict[str, Recipe]:
    """The recipes of a folder, one a file, by the names of their files.

    Raises:
        ClampdownError: there is no such folder, no recipe in it, or one that can't be read.
    """
    if not folder.is_dir():
        raise ClampdownError(f"{folder} is no folder; name one that holds recipes, as TOML files")
    files = sorted(path for path in folder.iterdir() if path.suffix == ".toml")
    if not files:
        raise ClampdownError(f"{folder} holds no recipe: a file NAME.toml there is served as MODEL:NAME")
    for path in files:
        if not path.stem.isprintable() or ":" in path.stem:
            raise ClampdownError(f"{path} can't be part of a model's name; give it a name without a colon")
    return {path.stem: Recipe.load(path) for path in files}


def recipes_that_come_along(model: ChatModel) -> dict[str, Recipe]:
    """The bundled recipes, where they are for this model."""
    found = {name: Recipe.load(bundled_path(name)) for name in BUNDLED if bundled_path(name).is_file()}
    return {name: recipe for name, recipe in found.items() if model.is_named(recipe.model_sha256)}


class Shelf:
    """A model's recipes: `name` is the model unsteered, and name:RECIPE the model under one of them.

    overrides: whether requests may change recipes.
    latents: what is known of the latents of a recipe, by its name here.

    Raises:
        ClampdownError: a recipe's gate decides outside, where nobody is asked here; an SAE can't be read.
    """

    def __init__(
        self,
        model: ChatModel,
        name: str,
        recipes: Mapping[str, Recipe],
        *,
        overrides: bool = True,
        latents: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    ) -> None:
        self.model, self.name, self.overrides, self.latents = model, name, overrides, latents or {}
        self.recipes = dict(recipes)
        self._tested: OrderedDict[str, None] = OrderedDict()
        self._saes: dict[str, tuple[str, str]] = {}  # name and hash, by whatever a request may call them
        self._gates: dict[str, str] = {}  # their files, by hash
        for called, recipe in self.recipes.items():
            if recipe.gate is not None and recipe.gate.external and recipe.gate.asks:
                raise ClampdownError(
                    f"recipe {called}: its gate, {recipe.gate.external}, decides outside, and is not asked here; fit a "
                    "gate of its own with `clampdown gate fit`, or force it open"
                )
            if recipe.gate is not None and recipe.gate.file:
                self._gates[recipe.gate.sha256] = recipe.gate.file
            for clamp in recipe.clamps:
                sha256 = load_sae(clamp.sae).sha256
                for alias in (clamp.sae, shown_sae(clamp.sae), sha256):
                    self._saes[alias] = (clamp.sae, sha256)

    def check(self) -> None:
        """Test that every recipe does to this model what it says. Raises ClampdownError if one does not."""
        for called, recipe in self.recipes.items():
            try:
                self._test(recipe)
            except ClampdownError as error:
                raise ClampdownError(f"{self.name}:{called} can't be served: {error}") from error

    @property
    def names(self) -> list[str]:
        """The model's names, the unsteered one first."""
        return [self.name, *(f"{self.name}:{called}" for called in self.recipes)]

    def named(self, name: str) -> Recipe | None:
        """The recipe that a model's name stands for; None is unsteered.

        Raises:
            Refusal: there is no such model, or no such recipe.
        """
        if name == self.name:
            return None
        called = name.removeprefix(f"{self.name}:")
        if called in self.recipes and name != called:
            return self.recipes[called]
        known = ", ".join(self.names[:12])
        if name.startswith(f"{self.name}:"):
            told = f"there is no recipe {called[:80]!r} here, and nothing is served unsteered in its place"
            raise Refusal(400, f"{told}; there is {known}", code="recipe_not_found", param="model")
        raise Refusal(
            404, f"there is no model {name[:80]!r} here; there is {known}", code="model_not_found", param="model"
        )

    def under(self, name: str, override: Override | None) -> Recipe | None:
        """The recipe that a request asks for, tested on the model. For the engine's thread.

        Raises:
            Refusal: as `named` does; an override that is not allowed or has nothing to change.
            ClampdownError: the recipe is wrong in itself, or does not fit the model.
        """
        recipe = self.named(name)
        if override is not None:
            if not self.overrides:
                raise _wrong("this server takes recipes by their names only; leave out clampdown")
            recipe = self._overridden(recipe, override)
        if recipe is not None:
            self._test(recipe)
        return recipe

    def _overridden(self, base: Recipe | None, override: Override) -> Recipe | None:
        recipe = base if override.recipe is None else self.inline(override.recipe)
        asked = override.model_dump(exclude_none=True)
        if recipe is None:
            if asked:
                raise _wrong(f"{self.name} is unsteered, so there is no {next(iter(asked))} to change; name a recipe")
            return None
        if override.factor is not None:
            recipe = replace(recipe, edits=scaled(recipe, override.factor))
        if override.window is not None:
            recipe = replace(recipe, positions=_positions(override, recipe.positions.sink_norm))
        if override.threshold is not None or override.decide is not None:
            if recipe.gate is None:
                raise _wrong(f"recipe {recipe.name} has no gate; leave out threshold and decide")
            gate = recipe.gate
            threshold = gate.threshold if override.threshold is None else override.threshold
            recipe = replace(recipe, gate=replace(gate, threshold=threshold, decide=override.decide or gate.decide))
        return recipe

    def inline(self, given: Mapping[str, Any]) -> Recipe:
        """The recipe that a request brings, of SAEs and gates that are loaded already: no path is followed.

        Raises:
            Refusal, ClampdownError: it names what is not here, or is wrong in itself.
        """
        body = {"name": "inline", "model": {"name": self.name}, **given}
        if isinstance(edits := body.get("edits", []), list):
            if len(edits) > _EDITS:
                raise _wrong(f"a recipe may bring {_EDITS} edits, this one has {len(edits)}")
            body["edits"] = [self._edit(edit) for edit in edits]
        if isinstance(gate := body.get("gate"), Mapping):
            if gate.keys() & {"file", "external"}:
                raise _wrong(
                    "a gate is named by its sha256 alone here, which says what it is; leave out file and external"
                )
            if (file := self._gates.get(str(gate.get("sha256")))) is None:
                raise _wrong(f"no gate of that sha256 is loaded here{_some(self._gates)}")
            body["gate"] = {**gate, "file": file}
        recipe = Recipe.from_dict(body)
        if not recipe.edits and not recipe.system_prompt:
            raise _wrong(
                f"the recipe has no edits, so nothing would be steered; for that ask for the model {self.name}"
            )
        return recipe

    def _edit(self, edit: Any) -> Any:
        if not isinstance(edit, Mapping) or edit.get("kind") != "clamp":
            return edit
        if isinstance(latents := edit.get("latents"), Mapping) and len(latents) > _LATENTS:
            raise _wrong(f"a clamp may name {_LATENTS} latents, this one has {len(latents)}")
        asked = edit.get("sae") or edit.get("sae_sha256")
        if (known := self._saes.get(str(asked))) is None:
            raise _wrong(
                f"no SAE {str(asked)[:80]!r} is loaded here{_some({shown_sae(n): 0 for n, _ in self._saes.values()})}"
            )
        name, sha256 = known
        if edit.get("sae_sha256") not in (None, "", sha256):
            raise _wrong(f"SAE {str(asked)[:80]!r} has another hash here: {sha256}")
        return {**edit, "sae": name, "sae_sha256": sha256}

    def _test(self, recipe: Recipe) -> None:
        if recipe.sha256 in self._tested:
            self._tested.move_to_end(recipe.sha256)
            return
        self_test(self.model, recipe)
        self._tested[recipe.sha256] = None
        while len(self._tested) > _KEPT:
            self._tested.popitem(last=False)


def shown_sae(name: str) -> str:
    """An SAE's name as clients see it: of a file only what it is called."""
    return Path(name).name if os.path.isabs(os.path.expanduser(name)) else name


def shown_recipe(recipe: Recipe) -> dict[str, Any]:
    """A recipe as clients see it and may bring it: SAEs by their names here, and the gate by its hash alone."""
    body = recipe.to_dict()
    if "gate" in body:
        body["gate"].pop("file", None)
    for edit, table in zip(recipe.edits, body["edits"], strict=True):
        if isinstance(edit, Clamp):
            table["sae"] = shown_sae(edit.sae)
    return body


def told_of(recipe: Recipe) -> dict[str, Any]:
    """What the list of recipes tells of one: all but the numbers of its directions."""
    body = shown_recipe(recipe)
    for table in body["edits"]:
        table.pop("values", None)
    return {"sha256": recipe.sha256, "window": str(recipe.positions), **body}


def _positions(override: Override, sink_norm: float | None) -> Positions:
    asked = override.window
    if isinstance(asked, str):
        return window_named(asked, sink_norm)
    assert asked is not None
    return Positions(**asked.model_dump(), sink_norm=sink_norm)


def _some(names: Mapping[str, Any]) -> str:
    return f"; there is {', '.join(sorted(set(names))[:8])}" if names else ", nor any other"


def _wrong(message: str) -> Refusal:
    return Refusal(400, message, code="cannot_be_honoured", param="clampdown")
