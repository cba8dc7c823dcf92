"""Tune a recipe: targets, training, the choice of a strength, and what came of it on prompts that nothing saw."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from clampdown.discovery.gates.rows import GateRow
from clampdown.discovery.tuning.held_out import FACTORS, HeldOut, held_out, ungated, weakest
from clampdown.discovery.tuning.lesson import Lesson
from clampdown.discovery.tuning.options import TuneOptions
from clampdown.discovery.tuning.plan import Plan
from clampdown.discovery.tuning.prompts import NONE_REPORTED, divided
from clampdown.discovery.tuning.targets import targets
from clampdown.errors import ClampdownError
from clampdown.measuring.sets.sets import builtin_set
from clampdown.models.chat_model import ChatModel
from clampdown.progress import Progress, quiet
from clampdown.recipe import Recipe
from clampdown.saes.sae import SAE
from clampdown.steering.self_test import self_test


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
    plan = Plan(model, start, options, sae)
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
