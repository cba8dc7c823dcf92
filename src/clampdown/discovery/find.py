"""Find the latents behind refusal and write them as a recipe: candidates, causal validation, choice, confirmation."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from clampdown.discovery import candidates as naming
from clampdown.discovery.choose import clamp_delta, pursue
from clampdown.discovery.confirm import Confirmed, confirm, doubt, strongest_needed, unsteered
from clampdown.discovery.describe import Context, contexts, promoted
from clampdown.discovery.evidence import COMPLIANCE, REFUSAL, Evidence, Scorer, Scores, gather
from clampdown.discovery.prompts import Divided, divided, few
from clampdown.discovery.tree import grow
from clampdown.engine.finite import NOT_FINITE
from clampdown.engine.generation import generate
from clampdown.engine.request import Sampling
from clampdown.errors import ClampdownError
from clampdown.measuring.judge import Label, judge
from clampdown.measuring.sets import ItemSet, builtin_set
from clampdown.models.chat_model import ChatModel
from clampdown.progress import Progress, quiet
from clampdown.recipe import Clamp, Positions, Recipe
from clampdown.saes.sae import SAE
from clampdown.saes.sinks import sink_norm

_FACTORS = (1.4, 1.9, 2.4)
"""Strengths tried: latents in a set share the work, so their own coefficients alone are too weak."""

METHODS = ("single-prompt", "contrast", "attribution")


@dataclass(frozen=True)
class FindOptions:
    """How to look. Sets default to the selecting halves of the built-in ones.

    With `value`, every candidate is tested at that clamp value, and the best by gap are clamped to it in the recipe, as
    the paper does; without, candidates are tested at their maximum, and the recipe's values are found.
    """

    method: str = "single-prompt"
    prompt: str = naming.PAPER_PROMPT
    refusal: str = REFUSAL
    unsafe: ItemSet | None = None
    safe: ItemSet | None = None
    text: ItemSet | None = None
    candidates: int = 64
    max_latents: int = 8
    value: float | None = None
    target: float = 0.9
    seed: int = 0
    tokens: int | None = None  # of each confirming answer; None is as the method has it

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ClampdownError(f"unknown method {self.method!r}; methods are {', '.join(METHODS)}")
        if self.candidates < 1 or self.max_latents < 1:
            raise ClampdownError("candidates and latents must be at least 1")
        if self.value is not None and not abs(self.value) < 3.4e38:
            raise ClampdownError(f"the clamp value must be a finite number, got {self.value}")
        if not self.prompt.strip() or not self.refusal.strip():
            raise ClampdownError("the prompt and the refusal must not be empty")
        if self.tokens is not None and self.tokens < 1:
            raise ClampdownError(f"answers need at least one token, got {self.tokens}")

    @property
    def effort(self) -> "Effort":
        return (
            Effort(4, 2, 1, 6, 16, (1.0,))
            if self.method == "single-prompt"
            else Effort(32, 6, 2, 24, 24, (1.0, 0.5, 2.0))
        )

    @property
    def sampling(self) -> Sampling:
        """How the answers are made that a choice is confirmed with."""
        return Sampling(self.tokens or self.effort.tokens)


@dataclass(frozen=True)
class Effort:
    """How much evidence a search uses.

    Prompts of a kind, those that candidates are scored on, passages of text, answers to confirm with, tokens of each.
    """

    prompts: int
    scored: int
    passages: int
    answers: int
    tokens: int
    sizes: tuple[float, ...]  # of sets tried, in shares of max_latents


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
class Trial:
    """A set of latents at one strength, and what it did."""

    recipe: Recipe
    confirmed: Confirmed


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
    recipe, tried = _choose(model, sae, options, evidence, list(scored), prompts, progress)
    notes += [_said(trial) for trial in tried]
    warning = doubt(next(trial.confirmed for trial in tried if trial.recipe is recipe), before)
    further = [*few(sides, options.effort.prompts, options.effort.answers), *([warning] if warning else [])]
    if further:
        recipe = replace(recipe, note="; ".join([recipe.note, *further]))
    chosen = set(_latents(recipe))
    return Found(_described(model, sae, evidence, scored, chosen, tested), recipe, notes, tried, warning)


def _latents(recipe: Recipe) -> list[int]:
    return [latent for edit in recipe.edits if isinstance(edit, Clamp) for latent in edit.values]


def _said(trial: Trial) -> str:
    count = len(_latents(trial.recipe))
    latents = "1 latent" if count == 1 else f"{count} latents"
    return f"{latents} ×{trial.confirmed.factor:g}: {trial.confirmed} (selecting half)"


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
    answer = generate(model, [model.prompt_ids(options.prompt)], [None], Sampling(options.effort.tokens))[0]
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


def _choose(
    model: ChatModel,
    sae: SAE,
    options: FindOptions,
    evidence: Evidence,
    named: Sequence[int],
    prompts: tuple[list[str], list[str]],
    progress: Progress,
) -> tuple[Recipe, list[Trial]]:
    """Sets of several sizes at several strengths, answered and judged, until one reaches the target.

    A candidate is not dropped for doing little alone: some of the best sets hold latents that only help the others.
    """
    tried: list[Trial] = []
    if options.value is not None:
        recipe = _recipe(model, sae, options, evidence, dict.fromkeys(named[: options.max_latents], options.value))
        result = confirm(model, recipe, 1.0, *prompts, options.sampling)
        progress("confirming by generation", 1, 1, f"{result.unsafe:.0%} refused")
        return recipe, [Trial(recipe, result)]
    total = len(options.effort.sizes) * len(_FACTORS)
    for share in options.effort.sizes:
        values = pursue(sae, evidence, named, max(1, round(options.max_latents * share)))
        if not values:
            continue
        at_factor = {
            factor: _recipe(model, sae, options, evidence, {k: round(v * factor, 3) for k, v in values.items()})
            for factor in _FACTORS
        }

        def at(factor: float, recipes: dict[float, Recipe] = at_factor) -> Confirmed:
            result = confirm(model, recipes[factor], factor, *prompts, options.sampling)
            progress("confirming by generation", 1, total, f"×{factor:g}: {result.unsafe:.0%} refused")
            return result

        best, all_ = strongest_needed(at, _FACTORS, options.target)
        tried += [Trial(at_factor[confirmed.factor], confirmed) for confirmed in all_]
        if best.reaches(options.target):
            break
    if not tried:
        raise ClampdownError(
            f"none of {len(named)} candidates of SAE {sae.name} points from complying towards refusing; try another "
            "method, more candidates or prompts, another layer, or another SAE"
        )
    chosen = max(tried, key=lambda t: (t.confirmed.reaches(options.target), t.confirmed.worth))
    return chosen.recipe, tried


def _recipe(model: ChatModel, sae: SAE, options: FindOptions, evidence: Evidence, values: dict[int, float]) -> Recipe:
    norms = torch.cat([level.tokens().norm(dim=-1) for level in evidence.levels()])
    return Recipe(
        name=f"refusal-{options.method}",
        model=model.name,
        model_sha256=model.sha256,
        edits=(Clamp(sae.name, sae.sha256, sae.layer, values),),
        positions=Positions(sink_norm=sink_norm(norms)),
        note=f"found by {options.method} on the selecting half",
    )


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
