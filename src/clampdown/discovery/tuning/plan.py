"""What is trained, where, and how: told apart from tuning itself because most of what can't be done shows here."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from clampdown.discovery.answers import COMPLIANCE, REFUSAL
from clampdown.discovery.tree import grow
from clampdown.discovery.tuning.lesson import Lesson
from clampdown.discovery.tuning.optimise import optimise
from clampdown.discovery.tuning.options import TuneOptions
from clampdown.discovery.tuning.path import chosen_latents
from clampdown.discovery.tuning.trained import Trained, TrainedClamp, TrainedDirection
from clampdown.errors import ClampdownError
from clampdown.models.chat_model import ChatModel
from clampdown.models.residual import check_layer
from clampdown.progress import Progress
from clampdown.recipe import Clamp, Positions, Recipe
from clampdown.saes.load import load_sae
from clampdown.saes.sae import SAE
from clampdown.saes.sinks import sink_norm
from clampdown.steering.edits import resolved

_MEANS = 32
"""Prompts that a difference in means is taken over."""


class Plan:
    """What is trained, and where; it tells before anything is run that this can't be done."""

    def __init__(self, model: ChatModel, recipe: Recipe, options: TuneOptions, sae: SAE | None) -> None:
        self.model, self.recipe, self.options = model, recipe, options
        lowest = min((edit.layer for edit in recipe.edits), default=round(0.4 * model.n_layers))
        self.clamp: Clamp | None = None
        self.sae = sae
        if options.kind == "direction":
            if sae is not None:
                raise ClampdownError("a direction needs no SAE; leave it out, or tune a clamp")
            self.layer = lowest if options.layer is None else options.layer
            self.what = f"direction at layer {self.layer}"
        else:
            self._set_clamp(recipe, sae)
        check_layer(self.layer, model.n_layers)

    def _set_clamp(self, recipe: Recipe, sae: SAE | None) -> None:
        known = recipe.clamps
        if self.options.latents is None:
            if sae is not None:
                raise ClampdownError("an SAE goes with a number of its latents to be chosen; say how many")
            if len(recipe.edits) != 1 or not known or (known[0].rule, known[0].operation) != ("delta", "set"):
                raise ClampdownError(
                    f"recipe {recipe.name} is not one clamp under the rule delta that sets its latents, so it has no "
                    "values to tune; say how many latents to choose, or tune a direction"
                )
            self.clamp = known[0]
        elif sae is None and not known:
            raise ClampdownError(f"recipe {recipe.name} names no SAE to choose latents of; name one with --sae")
        self.sae = self.sae or load_sae(known[0].sae)
        if self.sae.d_model != self.model.d_model:
            raise ClampdownError(
                f"SAE {self.sae.name} is for residuals of width {self.sae.d_model}, but this model's is "
                f"{self.model.d_model}"
            )
        self.layer = self.sae.layer
        count = len(self.clamp.values) if self.clamp else self.options.latents
        self.what = f"clamp of {count} latents at layer {self.layer}"

    def positions(self, lesson: Lesson) -> Positions:
        """The window; where sinks are told by their norm, that of this layer."""
        given = self.options.window(self.recipe.positions)
        same = any(edit.layer == self.layer for edit in self.recipe.edits)
        if given.sinks or (same and given.sink_norm is not None):
            return given
        return replace(given, sink_norm=sink_norm(lesson.norms()))

    def trained(self, lesson: Lesson, texts: Sequence[str], progress: Progress) -> tuple[Trained, list[float]]:
        """What is trained, once it is, and the loss of each step."""
        options, typical = self.options, float(lesson.norms().median())
        how: dict[str, Any] = {"steps": options.steps, "batch": options.batch, "seed": options.seed}
        if options.kind == "direction":
            made: Trained = TrainedDirection(self.layer, self._start(texts))
            rate = options.rate * typical / self.model.d_model**0.5
            return made, optimise(lesson, made, rate=rate, progress=progress, **how)
        assert self.sae is not None
        unit = options.rate * self._unit(lesson, typical)
        if self.clamp is None:
            assert options.latents is not None
            count = options.latents
            values = chosen_latents(lesson, self.sae, count, rate=unit / count**0.5, progress=progress, **how)
        else:
            values = resolved(self.clamp, self.sae)
        made = TrainedClamp(self.sae, values, self.model.device)
        return made, optimise(lesson, made, rate=unit / len(values) ** 0.5, progress=progress, **how)

    def _start(self, texts: Sequence[str]) -> Tensor:
        if self.options.start == "zero":
            return torch.zeros(self.model.d_model, device=self.model.device)
        tree = grow(self.model, self.layer, texts[:_MEANS], REFUSAL, COMPLIANCE)
        return tree.refusing().mean(0) - tree.complying().mean(0)

    def _unit(self, lesson: Lesson, typical: float) -> float:
        """The value at which a latent's row is as long as a typical residual."""
        assert self.sae is not None
        scale = self.sae.normalised(lesson.residuals(range(min(8, len(lesson.examples))))).scale
        row = float(self.sae.w_dec.float().norm(dim=-1).median())
        return typical / (row * (float(scale.median()) if isinstance(scale, Tensor) else scale))
