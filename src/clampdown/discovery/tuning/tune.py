"""Tune a recipe: targets, training, the choice of a strength, and what came of it on prompts that nothing saw."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from clampdown.discovery.evidence import COMPLIANCE, REFUSAL
from clampdown.discovery.gates.rows import GateRow
from clampdown.discovery.tree import grow
from clampdown.discovery.tuning.held_out import FACTORS, HeldOut, held_out, ungated, weakest
from clampdown.discovery.tuning.lesson import Example, Lesson
from clampdown.discovery.tuning.optimise import optimise
from clampdown.discovery.tuning.options import TuneOptions
from clampdown.discovery.tuning.path import chosen_latents
from clampdown.discovery.tuning.prompts import NONE_REPORTED, divided
from clampdown.discovery.tuning.targets import targets
from clampdown.discovery.tuning.trained import Trained, TrainedClamp, TrainedDirection
from clampdown.errors import ClampdownError
from clampdown.measuring.sets import builtin_set
from clampdown.models.chat_model import ChatModel
from clampdown.models.residual import check_layer
from clampdown.progress import Progress, quiet
from clampdown.recipe import Clamp, Positions, Recipe
from clampdown.saes.load import load_sae
from clampdown.saes.sae import SAE
from clampdown.saes.sinks import sink_norm
from clampdown.steering.self_test import self_test

_MEANS = 32
"""Prompts that a difference in means is taken over."""


@dataclass(frozen=True)
class Tuned:
    """A tuned recipe, and what it does to held-out prompts beside what the recipe did before.

    Attributes:
        unsafe, safe: [before, after], on prompts that neither trained nor chose, the edit forced on.
        tried: (factor, result) of every strength, on the prompts that chose.
        losses: of each step, nats a token.
        warning: why the recipe is not worth using; empty where it is.
    """

    recipe: Recipe
    unsafe: tuple[HeldOut, HeldOut]
    safe: tuple[HeldOut, HeldOut]
    tried: list[tuple[float, HeldOut]]
    losses: list[float]
    trained_on: int
    warning: str

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        sides = {"unsafe": self.unsafe, "safe": self.safe}
        return {
            "note": self.recipe.note,
            "held_out": {
                kind: {"before": before.to_dict(), "after": after.to_dict()} for kind, (before, after) in sides.items()
            },
            "tried": [{"factor": factor} | result.to_dict() for factor, result in self.tried],
            "losses": [round(loss, 4) for loss in self.losses],
            "trained_on": self.trained_on,
            "warning": self.warning,
        }


def tune(
    model: ChatModel,
    recipe: Recipe | None,
    rows: Sequence[GateRow],
    options: TuneOptions | None = None,
    *,
    sae: SAE | None = None,
    named: Collection[str] = (),
    progress: Progress = quiet,
) -> Tuned:
    """Learn what the recipe adds, so that the model gives its own refusals to unsafe prompts.

    The window, the gate and the system prompt stay the recipe's, the window unless the options say another.

    Args:
        recipe: None begins with a recipe for this model that does nothing yet.
        rows: unsafe prompts; see `prompts.unsafe_rows`.
        sae: of a clamp whose latents are chosen; None is the one that the recipe clamps.
        named: kinds of rows that make up half of the prompts.

    Raises:
        ClampdownError: recipe, model and SAE do not fit; too few prompts; the model finishes no refusal; something is
            not finite.
    """
    options = options or TuneOptions()
    start = recipe or Recipe("tuned", model.name, model.sha256)
    if not model.is_named(start.model_sha256):
        raise ClampdownError(
            f"recipe {start.name} is for {start.model} with weights {start.model_sha256[:12]}, but the loaded model "
            f"has {model.sha256[:12]}; tune a recipe for this one"
        )
    if start.edits:
        self_test(model, ungated(start))
    plan = _Plan(model, start, options, sae)
    parts = divided(rows, named, options.counts, options.seed)
    system = start.system_prompt or None
    told = targets(model, parts.training, system, progress)
    lesson = Lesson(model, plan.layer, told, plan.positions, progress)
    trained, losses = plan.trained(lesson, [row.text for row in parts.training], progress)

    name = start.name if "tuned" in start.name else f"{start.name}-tuned"

    def at(factor: float) -> Recipe:
        return replace(start, name=name, edits=(trained.edit(factor),), positions=lesson.positions)

    self_test(model, ungated(at(FACTORS[-1])))
    results = held_out(
        model, [at(f) for f in FACTORS], parts.choosing, options.sampling, progress, "choosing the strength"
    )
    tried = list(zip(FACTORS, results, strict=True))
    factor = weakest(tried)
    note = (
        f"{plan.what} tuned on {len(told)} refusals of the model's own in {len(losses)} steps; strength {factor:g} of "
        f"what was trained, chosen on {len(parts.choosing)} other prompts; {NONE_REPORTED}"
    )
    made = replace(at(factor), note=note)
    safe = [
        GateRow((("user", item.text),), False, "built-in safe", item.cluster)
        for item in builtin_set("safe").half("select").sample(min(options.safe, options.rows), options.seed).items
    ]
    plain, before = _unedited(start), start if start.edits else _unedited(start)
    unsafe, forced = (
        held_out(model, arms, side, options.sampling, progress, f"confirming on {kind} prompts")
        for kind, side, arms in (
            ("unsafe", parts.confirming, [plain, before, made] if start.edits else [before, made]),
            ("safe", safe, [before, made]),
        )
    )
    warning = _doubt(start, unsafe[0], unsafe[-2], unsafe[-1])
    made = replace(made, note="; ".join(filter(None, [note, warning])))
    return Tuned(made, (unsafe[-2], unsafe[-1]), (forced[0], forced[1]), tried, losses, len(told), warning)


def _unedited(start: Recipe) -> Recipe | None:
    """No steering, and the system prompt that the recipe has; None where it has none."""
    return replace(start, edits=(), gate=None) if start.system_prompt else None


def _doubt(start: Recipe, plain: HeldOut, before: HeldOut, after: HeldOut) -> str:
    """Why what came of it is not worth using; the same as `before` is no reason, for that may be as good as it gets."""
    refuses = f"it refuses {after.rate:.0%} of {after.n} held-out unsafe prompts coherently"
    if after.rate <= plain.rate:
        beside = "and without an edit it is" if start.edits else "and before it was"
        return (
            f"this recipe does not work: {refuses}, {beside} {plain.rate:.0%}; try more rows or steps, another layer, "
            "or a wider window"
        )
    if after.coherent and after.coherent.high < before.rate:
        return (
            f"it refuses fewer than {start.name}, the recipe it was made from ({after.rate:.0%} of {after.n} held-out "
            f"unsafe prompts coherently, before {before.rate:.0%}): keep that one, or try more steps"
        )
    return ""


class _Plan:
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
            if len(recipe.edits) != 1 or not known or known[0].rule != "delta":
                raise ClampdownError(
                    f"recipe {recipe.name} is not one clamp under the rule delta, so it has no values to tune; say how "
                    "many latents to choose, or tune a direction"
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

    def positions(self, examples: Sequence[Example]) -> Positions:
        """The window; where sinks are told by their norm, that of this layer."""
        given = self.options.window(self.recipe.positions)
        same = any(edit.layer == self.layer for edit in self.recipe.edits)
        if given.sinks or (same and given.sink_norm is not None):
            return given
        norms = torch.cat([example.x[1:].float().norm(dim=-1) for example in examples])
        return replace(given, sink_norm=sink_norm(norms))

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
            values = self._resolved(self.clamp, self.sae)
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

    @staticmethod
    def _resolved(clamp: Clamp, sae: SAE) -> dict[int, float]:
        if clamp.relative and sae.maximum is None:
            raise ClampdownError(f"SAE {sae.name} does not say its latents' maxima: give clamp values as numbers")
        maxima = {} if sae.maximum is None else {latent: float(sae.maximum[latent]) for latent in clamp.relative}
        return clamp.resolved(maxima)
