"""Explain a recipe: the damage divided, what it changes downstream, the drift over letters, and a survey beside it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from clampdown.errors import ClampdownError
from clampdown.models.chat_model import ChatModel
from clampdown.progress import Progress, quiet
from clampdown.recipe import Recipe
from clampdown.saes.directory import BUNDLED
from clampdown.saes.load import load_sae
from clampdown.saes.sae import SAE
from clampdown.steering.self_test import self_test
from clampdown.steering.weights import check_weights
from clampdown.studies.calibration import Calibration
from clampdown.studies.explanation.activations import Firing, Ordinary
from clampdown.studies.explanation.divide import divided, variants
from clampdown.studies.explanation.downstream import changed_latents, first_tokens
from clampdown.studies.explanation.inputs import material
from clampdown.studies.explanation.kept import find_survey, keep_survey
from clampdown.studies.explanation.letter_drift import letter_drift
from clampdown.studies.explanation.options import ExplainOptions
from clampdown.studies.explanation.shares import sentences, shares
from clampdown.studies.explanation.survey import survey
from clampdown.studies.explanation.variants import Sizes

SCHEMA = "clampdown-explanation/1"
_CALIBRATING = 24
"""Ordinary prompts on which an edit's size is measured."""
_LETTERED = 64
"""Questions that are asked for letters: with their choices in the prompt they are long."""


@dataclass(frozen=True)
class Explanation:
    """What was found: `body` is of schema "clampdown-explanation/1"."""

    body: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return self.body


def explain(
    model: ChatModel,
    recipe: Recipe,
    options: ExplainOptions | None = None,
    *,
    saes: Sequence[SAE] = (),
    surveyed: bool = False,
    progress: Progress = quiet,
) -> Explanation:
    """Say why a recipe costs what it costs, its gate forced open.

    Args:
        saes: one of the edit's layer tells its reconstruction error and other latents (default: the one that the recipe
            clamps, or the bundled one where it fits); those of later layers tell which latents change downstream.
        surveyed: measure the survey anew, and keep it.

    Raises:
        ClampdownError: the recipe edits nothing, or does not fit the model; an SAE fits neither; something is not
            finite.
    """
    began = time.monotonic()
    options = options or ExplainOptions()
    opened = checked(model, recipe)
    layers = sorted({edit.layer for edit in opened.edits})
    known = [*saes, *_own_saes(model, opened, saes)]
    _check_saes(model, known, layers)
    sae = next((one for one in known if [one.layer] == layers), None)
    progress("measuring the edit", 0, 0, "")
    sizes = sized(model, opened, options.seed)
    asked = material(model, opened.system_prompt, options)
    firing = ordinary = None
    if sae is not None:
        progress("reading ordinary prompts", 0, 0, "")
        ordinary = Ordinary.read(model, sae.layer, options.seed, opened.positions.sink_norm)
        firing = Firing.of(sae, ordinary)
    rows = divided(model, variants(model, opened, sizes, sae, firing, options), asked, options, progress)
    progress("asking for letters", 0, 0, "")
    letters = letter_drift(model, asked.items[:_LETTERED], opened)
    progress("looking downstream", 0, 0, "")
    changed = changed_latents(model, opened, known, options.seed)
    tokens = first_tokens(model, opened, options.seed)
    body: dict[str, Any] = {
        "schema": SCHEMA,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "recipe": {"name": recipe.name, "sha256": recipe.sha256, "window": str(recipe.positions), "layers": layers},
        "gate": "forced open" if recipe.gate else "none",
        "model": {"name": model.name, "sha256": model.sha256, "dtype": str(model.dtype).removeprefix("torch.")},
        "sae": None if sae is None else {"name": sae.name, "sha256": sae.sha256, "layer": sae.layer},
        "size": {
            "delta": list(sizes.delta.values()),
            "residual": list(sizes.residual.values()),
            "relative": list(sizes.ratio.values()),
        },
        "material": {
            "questions": len(asked.items),
            "passages": len(asked.passages),
            "passage_tokens": sum(asked.predicted),
            "source": "the reporting halves of the built-in sets",
        },
        "variants": rows,
        "shares": shares(rows),
        "findings": sentences(rows),
        "letters": letters,
        "latents": changed,
        "first_tokens": tokens,
    }
    body["notes"] = _notes(opened, sae, known, layers)
    found = _survey(model, recipe, opened, sae, sizes, options, surveyed, progress)
    body |= {
        "survey": found,
        "correlation": found and found["correlation"],
        "predictors": found and found["predictors"],
    }
    body["seconds"] = round(time.monotonic() - began, 1)
    return Explanation(body)


def checked(model: ChatModel, recipe: Recipe) -> Recipe:
    """The recipe without its gate, once it has passed its self-test.

    Raises:
        ClampdownError: it edits nothing, is for another model, or does not do what it says.
    """
    check_weights(model, recipe)
    if not recipe.edits:
        raise ClampdownError(
            f"recipe {recipe.name} edits nothing, so there is no damage to explain; name one with edits"
        )
    opened = replace(recipe, gate=None)
    self_test(model, opened)
    return opened


def sized(model: ChatModel, recipe: Recipe, seed: int) -> Sizes:
    """How large the edit is on ordinary prompts.

    Raises:
        ClampdownError: at some layer it adds nothing there.
    """
    sizes = Sizes.of(calibrated(model, recipe, seed), recipe)
    for layer, length in sizes.delta.items():
        if not length > 0:
            raise ClampdownError(
                f"recipe {recipe.name} adds nothing at layer {layer} to ordinary prompts: there is nothing to match; "
                "give it a value or strength that does"
            )
    return sizes


def calibrated(model: ChatModel, recipe: Recipe, seed: int, saes: Sequence[SAE] = ()) -> Calibration:
    """Ordinary prompts of the selecting half, each with the beginning of an answer, where the recipe edits them."""
    return Calibration(model, recipe, seed, kinds=("safe",), prompts=_CALIBRATING, saes=saes)


def _own_saes(model: ChatModel, recipe: Recipe, given: Sequence[SAE]) -> list[SAE]:
    """The SAEs that the recipe clamps, or where it clamps none the bundled one, if that is for this model and layer."""
    names = list(dict.fromkeys(clamp.sae for clamp in recipe.clamps))
    found = [load_sae(name) for name in names if all(sae.name != name for sae in given)]
    layers = {edit.layer for edit in recipe.edits}
    if names or any({sae.layer} == layers for sae in given):
        return found
    sae = load_sae(BUNDLED)
    fits = sae.d_model == model.d_model and model.is_named(sae.about.get("model_sha256", "?"))
    return [sae] if fits and sae.layer >= min(layers) else []


def _check_saes(model: ChatModel, saes: Sequence[SAE], layers: Sequence[int]) -> None:
    for sae in saes:
        if sae.d_model != model.d_model:
            raise ClampdownError(
                f"SAE {sae.name} is for residuals of width {sae.d_model}, but {model.name}'s is {model.d_model}"
            )
        if sae.layer >= model.n_layers:
            raise ClampdownError(
                f"SAE {sae.name} is for layer {sae.layer}, but {model.name} has blocks 0 to {model.n_layers - 1}"
            )
        if sae.layer < layers[0]:
            raise ClampdownError(
                f"SAE {sae.name} is of layer {sae.layer}, below layer {layers[0]}, where the edit begins: nothing "
                "changes there; name one of that layer or a later one"
            )


def _notes(recipe: Recipe, sae: SAE | None, known: Sequence[SAE], layers: Sequence[int]) -> list[str]:
    notes = []
    if sae is None:
        one = f"No SAE of layer {layers[0]} was named (--sae)"
        why = one if len(layers) == 1 else "The recipe edits several layers"
        notes.append(f"{why}, so neither reconstruction error nor other latents can be told, and no survey cited.")
    if not any(one.layer > layers[0] for one in known):
        notes.append(
            f"Which latents change downstream can't be told: no SAE above layer {layers[0]} was named (--sae). Latents "
            "at the edit's own layer show what the edit looks like there, not what came of it."
        )
    if recipe.positions.prompt != "none" and recipe.positions.generated == "none":
        notes.append("The window holds no answer, so plain passages, which count as answer, show next to nothing.")
    return notes


def _survey(
    model: ChatModel,
    recipe: Recipe,
    opened: Recipe,
    sae: SAE | None,
    sizes: Sizes,
    options: ExplainOptions,
    anew: bool,
    progress: Progress,
) -> dict[str, Any] | None:
    if sae is None:
        if anew:
            raise ClampdownError(
                f"a survey needs an SAE of the one layer that recipe {recipe.name} edits; name one with --sae"
            )
        return None
    if not anew:
        return find_survey(model, sae, opened)
    found = survey(model, sae, opened, sizes, options, progress)
    keep_survey(found)
    return {**found, "same_edits": True, "same_window": True}
