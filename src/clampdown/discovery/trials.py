"""Sets of latents at several strengths in several windows: each is tried on prompts, and the best is the recipe."""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from clampdown.discovery.choose import pursue
from clampdown.discovery.confirm import Confirmed, confirm, confirm_together, strongest_needed
from clampdown.discovery.evidence import Evidence
from clampdown.discovery.options import FindOptions
from clampdown.discovery.windows import window
from clampdown.errors import ClampdownError
from clampdown.models.chat_model import ChatModel
from clampdown.progress import Progress
from clampdown.recipe import Clamp, Recipe
from clampdown.saes.sae import SAE
from clampdown.saes.sinks import sink_norm

_FACTORS = (1.4, 1.9, 2.4)
"""Strengths tried: latents in a set share the work, so their own coefficients alone are too weak."""


class Trial(NamedTuple):
    """A set of latents at one strength in one window, and what it did."""

    recipe: Recipe
    window: str
    confirmed: Confirmed

    @property
    def latents(self) -> dict[int, float | str]:
        """Latent → clamp value."""
        return {k: v for clamp in self.recipe.clamps for k, v in clamp.values.items()}

    def __str__(self) -> str:
        """Such as: 4 latents ×1.9, window all+8: refuses 67% of 6 unsafe prompts ..., (selecting half)."""
        count = "1 latent" if len(self.latents) == 1 else f"{len(self.latents)} latents"
        clamp = f"{count} ×{self.confirmed.factor:g}, window {self.window}"
        return f"{clamp}: {self.confirmed} (selecting half)"


def choose(
    model: ChatModel,
    sae: SAE,
    options: FindOptions,
    evidence: Evidence,
    named: Sequence[int],
    prompts: tuple[list[str], list[str]],
    progress: Progress,
) -> tuple[Trial, list[Trial]]:
    """The best trial and all of them: sets of several sizes, until one reaches the target.

    A candidate is not dropped for doing little alone: some of the best sets hold latents that only help the others.
    Where a few prompts screen the trials, the best of them meet again on all prompts.

    Raises:
        ClampdownError: no candidate points towards refusing.
    """
    trials = _Trials(model, sae, options, evidence, prompts, progress)
    if options.value is not None:
        trials.at(1.0, dict.fromkeys(named[: options.latents], options.value))
    for share in options.effort.sizes if options.value is None else ():
        values = pursue(sae, evidence, named, max(1, round(options.latents * share)))
        if values and trials.at_every_strength(values).reaches(options.target):
            break
    if not trials.tried:
        raise ClampdownError(
            f"none of {len(named)} candidates of SAE {sae.name} points from complying towards refusing; try another "
            "method, more candidates or prompts, another layer, or another SAE"
        )
    finalists = trials.again() if options.effort.screened else trials.tried
    return ranked(finalists, options.target)[0], trials.tried


def ranked(trials: Sequence[Trial], target: float) -> list[Trial]:
    """Those that reach the target first, then by worth; the earliest of equals first."""
    return sorted(trials, key=lambda trial: (not trial.confirmed.reaches(target), -trial.confirmed.worth))


class _Trials:
    """What was tried so far, and how one more is."""

    def __init__(
        self,
        model: ChatModel,
        sae: SAE,
        options: FindOptions,
        evidence: Evidence,
        prompts: tuple[list[str], list[str]],
        progress: Progress,
    ) -> None:
        self.model, self.sae, self.options, self.prompts, self.progress = model, sae, options, prompts, progress
        self.tried: list[Trial] = []
        norms = torch.cat([level.tokens().norm(dim=-1) for level in evidence.levels()])
        self._sink_norm = sink_norm(norms)

    def at(self, factor: float, values: dict[int, float]) -> Confirmed:
        """The best of all windows at clamp values, tried side by side on the prompts that screen."""
        options = self.options
        unsafe, safe = options.effort.screened or map(len, self.prompts)
        recipes = [self._recipe(values, name) for name in options.windows]
        some = self.prompts[0][:unsafe], self.prompts[1][:safe]
        results = confirm_together(self.model, recipes, factor, *some, options.sampling)
        new = [Trial(*each) for each in zip(recipes, options.windows, results, strict=True)]
        self.tried += new
        best = ranked(new, options.target)[0]
        total = 1 if options.value is not None else len(options.effort.sizes) * len(_FACTORS)
        told = f"×{factor:g}, window {best.window}: {best.confirmed.unsafe:.0%} refused without looping"
        self.progress("confirming by generation", 1, total, told)
        return best.confirmed

    def at_every_strength(self, values: dict[int, float]) -> Confirmed:
        """The weakest strength of a set that reaches the target, else the best."""

        def scaled(factor: float) -> Confirmed:
            return self.at(factor, {latent: round(value * factor, 3) for latent, value in values.items()})

        return strongest_needed(scaled, _FACTORS, self.options.target)[0]

    def again(self) -> list[Trial]:
        """The best of all trials, each once more on all prompts."""
        finalists = []
        for recipe, name, before in ranked(self.tried, self.options.target)[: self.options.effort.finalists]:
            result = confirm(self.model, recipe, before.factor, *self.prompts, self.options.sampling)
            finalists.append(Trial(recipe, name, result))
            told = f"window {name}: {result.unsafe:.0%} refused without looping"
            self.progress("the best on all prompts", 1, self.options.effort.finalists, told)
        self.tried += finalists
        return finalists

    def _recipe(self, values: dict[int, float], name: str) -> Recipe:
        sae = self.sae
        return Recipe(
            name=f"refusal-{self.options.method}",
            model=self.model.name,
            model_sha256=self.model.sha256,
            edits=(Clamp(sae.name, sae.sha256, sae.layer, values),),
            positions=window(name, self._sink_norm),
            note=f"found by {self.options.method} on the selecting half",
        )
