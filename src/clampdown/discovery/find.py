"""Find the latents behind refusal and write them as a recipe: candidates, causal validation, choice, confirmation."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from clampdown.discovery import candidates as naming
from clampdown.discovery.choose import clamp_delta
from clampdown.discovery.confirm import doubt, unsteered
from clampdown.discovery.describe import Context, contexts, promoted
from clampdown.discovery.evidence import COMPLIANCE, Evidence, Scorer, Scores, gather
from clampdown.discovery.options import FindOptions
from clampdown.discovery.prompts import Divided, divided, few
from clampdown.discovery.tree import grow
from clampdown.discovery.trials import Trial, choose
from clampdown.engine.finite import NOT_FINITE
from clampdown.engine.generation import generate
from clampdown.engine.request import Sampling
from clampdown.errors import ClampdownError
from clampdown.measuring.judging.default.judge import Label, judge
from clampdown.measuring.sets.sets import builtin_set
from clampdown.models.chat_model import ChatModel
from clampdown.progress import Progress, quiet
from clampdown.recipe import Recipe
from clampdown.saes.sae import SAE

_OWN_REFUSAL = 16
"""Tokens of the model's own refusal of single-prompt's prompt."""


@dataclass(frozen=True)
class FoundLatent:
    """A candidate and what clamping it alone to `value` does."""

    latent: int
    value: float
    unsafe_gain: float
    safe_gain: float
    kl: float
    promotes: list[str]
    contexts: list[Context]
    chosen: bool


@dataclass(frozen=True)
class Found:
    """Candidates ranked by gap, the recipe of the chosen ones, and what should be known about the search.

    warning: why the recipe is not worth using, where its own confirmation says so; else empty.
    """

    latents: list[FoundLatent]
    recipe: Recipe
    notes: list[str]
    tried: list[Trial]
    warning: str = ""


def find(model: ChatModel, sae: SAE, options: FindOptions | None = None, progress: Progress = quiet) -> Found:
    """Find latents of `sae` that mediate refusal in `model`.

    Raises:
        ClampdownError: the SAE does not fit the model, a set is too small, most answers can't be scored, no candidate
            turns up, or none points towards refusing.
    """
    options = options or FindOptions()
    _check_fit(model, sae)
    sae = sae.to(model.device)  # where residuals are read to, on whichever device the layer is
    notes: list[str] = []
    evidence, *sides = _evidence(model, sae, options)
    prompts = (sides[0].confirming, sides[1].confirming)
    before = unsteered(model, *prompts, options.sampling)
    progress("confirming by generation", 0, 0, "unsteered")
    notes += [f"unsteered, the model {before}", *few(sides, options.effort.prompts, options.effort.answers)]
    maxima = naming.latent_maxima(sae, evidence)
    tested = maxima if options.value is None else torch.full_like(maxima, options.value)
    named = _candidates(model, sae, options, evidence, maxima, notes)
    if not named:
        raise ClampdownError(f"no latent of SAE {sae.name} fires on the refusal; try another method, or another layer")
    scored = _validate(sae, evidence, options, named, tested, progress)
    best, tried = choose(model, sae, options, evidence, list(scored), prompts, progress)
    recipe = best.recipe
    notes += [str(trial) for trial in tried]
    warning = doubt(best.confirmed, before)
    further = [*few(sides, options.effort.prompts, options.effort.answers), *([warning] if warning else [])]
    if further:
        recipe = replace(recipe, note="; ".join([recipe.note, *further]))
    chosen = set(best.latents)
    return Found(_described(model, sae, evidence, scored, chosen, tested), recipe, notes, tried, warning)


def _check_fit(model: ChatModel, sae: SAE) -> None:
    if sae.d_model != model.d_model:
        raise ClampdownError(
            f"SAE {sae.name} is for residuals of width {sae.d_model}, but {model.name}'s is {model.d_model}"
        )
    if sae.layer >= model.n_layers:
        raise ClampdownError(f"SAE {sae.name} is for layer {sae.layer}, but {model.name} has {model.n_layers} blocks")


def _evidence(model: ChatModel, sae: SAE, options: FindOptions) -> tuple[Evidence, Divided, Divided]:
    """Teacher-forced evidence, and the unsafe and safe prompts, of which it holds the choosing ones."""
    effort = options.effort
    unsafe, safe = (
        divided(given or builtin_set(kind), effort.prompts, effort.answers, options.seed)
        for kind, given in (("unsafe", options.unsafe), ("safe", options.safe))
    )
    texts = (options.text or builtin_set("text")).half("select").sample(effort.passages, options.seed)
    evidence = gather(
        model,
        sae.layer,
        unsafe.choosing,
        safe.choosing,
        [item.text for item in texts.items],
        refusal=options.refusal,
    )
    return evidence, unsafe, safe


def _candidates(
    model: ChatModel, sae: SAE, options: FindOptions, evidence: Evidence, maxima: torch.Tensor, notes: list[str]
) -> list[int]:
    if options.method == "contrast":
        return naming.contrast(sae, evidence, options.candidates)
    if options.method == "attribution":
        return naming.attribution(sae, evidence, options.candidates, maxima)
    answer = generate(model, [model.prompt_ids(options.prompt)], [None], Sampling(_OWN_REFUSAL))[0]
    refuses = judge(options.prompt, answer.text, truncated=not answer.finished) is Label.REFUSAL
    if not refuses:
        notes.append("the model complies with the prompt, so a given refusal was teacher-forced")
    refusal = answer.text if refuses else options.refusal
    found = naming.single_prompt(sae, grow(model, sae.layer, [options.prompt], refusal, COMPLIANCE).refusing())
    notes.append(f"{len(found)} latents are active on at least two tokens of the refusal")
    return found[: options.candidates]


def _validate(
    sae: SAE,
    evidence: Evidence,
    options: FindOptions,
    named: Sequence[int],
    values: torch.Tensor,
    progress: Progress,
) -> dict[int, Scores]:
    """Clamp each candidate alone to its value in `values` [n_latents] and score it; ranked by gap."""
    scorer = Scorer(evidence.some(options.effort.scored, options.effort.passages))
    scores: dict[int, Scores] = {}
    for start in range(0, len(named), size := scorer.at_once()):
        some = named[start : start + size]
        deltas = [clamp_delta(sae, [latent], values[[latent]].to(sae.w_dec.device)) for latent in some]
        scores |= dict(zip(some, scorer.scores(deltas), strict=True))
        progress("validating candidates", len(some), len(named), f"latent {some[-1]}")
    finite = {latent: each for latent, each in scores.items() if all(map(math.isfinite, each))}
    if scores and not finite:  # some overflow, and are no candidates; where all do, the value is too large
        raise ClampdownError(NOT_FINITE)
    return dict(sorted(finite.items(), key=lambda pair: -pair[1].gap))


def _described(
    model: ChatModel,
    sae: SAE,
    evidence: Evidence,
    scored: dict[int, Scores],
    chosen: set[int],
    values: torch.Tensor,
) -> list[FoundLatent]:
    latents = list(scored)
    where = contexts(sae, evidence, latents)
    what = promoted(model, sae, latents)
    return [
        FoundLatent(
            latent=latent,
            value=round(float(values[latent]), 3),
            unsafe_gain=round(scored[latent].unsafe_gain, 4),
            safe_gain=round(scored[latent].safe_gain, 4),
            kl=round(scored[latent].kl, 5),
            promotes=what[i],
            contexts=where[i],
            chosen=latent in chosen,
        )
        for i, latent in enumerate(latents)
    ]
