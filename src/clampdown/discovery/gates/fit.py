"""Fitting a gate: split the rows, fit on some, set the threshold with others, and confirm with the rest."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from clampdown.discovery.gates import word_baseline
from clampdown.discovery.gates.calibrate import Calibration, calibrated, shows
from clampdown.discovery.gates.fitted import Fitted
from clampdown.discovery.gates.kinds import Material, fitted_kind, fitted_words
from clampdown.discovery.gates.options import OF_LATENTS, FitOptions
from clampdown.discovery.gates.outcome import Outcome, outcome, outcomes
from clampdown.discovery.gates.rows import GateRow
from clampdown.discovery.gates.scores import compiled, prompt_scores
from clampdown.discovery.gates.split import ORDINARY, Parts, split
from clampdown.errors import ClampdownError
from clampdown.models.chat_model import ChatModel
from clampdown.models.prompt import Prompt
from clampdown.progress import Progress, quiet
from clampdown.saes.sae import SAE
from clampdown.steering.gates.gate_file import GateFile, Sample

_LEAST = 10
"""Rows of each label that each part must have."""


@dataclass(frozen=True, eq=False)
class FittedGate:
    """A gate that was fitted, and what is known of it.

    Attributes:
        calibration: by the calibrating kinds.
        stricter: by the look-alikes, where they ask for a higher threshold, which is then the gate's.
        lookalike: what it does to the calibrating part's rows of other kinds.
        confirmed: what it does to rows that nothing was chosen by: all together, then each kind.
        baseline: the same of TF-IDF, fitted on the same rows, its threshold set alike.
        warning: what must be said of it; empty where nothing.
        counts: rows to fit on, to calibrate and to confirm with.
    """

    file: GateFile
    calibration: Calibration
    stricter: Calibration | None
    lookalike: Outcome
    confirmed: list[Outcome]
    baseline: Outcome
    warning: str
    counts: tuple[int, int, int]

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "threshold": self.file.threshold,
            "calibration": _as_dict(self.calibration),
            "stricter": None if self.stricter is None else _as_dict(self.stricter),
            "other_kinds": self.lookalike.to_dict(),
            "confirmed": [one.to_dict() for one in self.confirmed],
            "baseline": self.baseline.to_dict(),
            "rows": dict(zip(("fit", "calibrate", "confirm"), self.counts, strict=True)),
            "about": dict(self.file.about),
            "warning": self.warning,
        }


def fit_gate(
    model: ChatModel,
    rows: Sequence[GateRow],
    options: FitOptions,
    *,
    sae: SAE | None = None,
    system: str | None = None,
    progress: Progress = quiet,
) -> FittedGate:
    """Fit a gate of the kind that the options say.

    Args:
        rows: those to learn from, of many kinds best.
        sae: whose latents are read, by the kinds that read any.
        system: a system prompt that every prompt will have.

    Raises:
        ClampdownError: too few rows of a label, or of those that set the threshold; a block that does not exist; a
            score that is not finite; or it opens on nothing unsafe that was held out.
    """
    calibrating = _calibrating(rows, options)
    parts = split(rows, calibrating, options.seed)
    _check(rows, parts, calibrating, options)
    reads = options.reads(model.n_layers, sae.layer if sae is not None and options.kind in OF_LATENTS else None)
    prompts = []
    for row in rows:
        progress("rendering prompts", 1, len(rows), "")
        prompts.append(row.prompt(model, system))
    some = Material(model, [rows[i] for i in parts.fit], [prompts[i] for i in parts.fit], calibrating, progress)
    fitted = fitted_kind(some, reads, sae, options)
    words = fitted if options.kind == "words" else fitted_words(some)
    later = [*parts.calibrate, *parts.confirm]
    gates = [compiled(model, each.file(model)) for each in (fitted, words)]
    told = prompt_scores(model, gates, [prompts[i] for i in later], progress)
    scored = [dict(zip(later, own.tolist(), strict=True)) for own in told]
    return _finished(model, rows, prompts, parts, calibrating, options, fitted, scored)


def _calibrating(rows: Sequence[GateRow], options: FitOptions) -> frozenset[str]:
    """The kinds whose safe prompts set the threshold; where no row is of an ordinary kind, all of them."""
    known = {row.kind for row in rows if not row.unsafe}
    if wrong := sorted(set(options.calibrate) - known):
        raise ClampdownError(f"no safe prompt is of the kind {wrong[0]}; kinds are {', '.join(sorted(known))}")
    return frozenset(options.calibrate or set(ORDINARY) & known or known)


def _check(rows: Sequence[GateRow], parts: Parts, calibrating: frozenset[str], options: FitOptions) -> None:
    """Raises ClampdownError where there are too few rows, before anything is read by the model."""
    for name, places in (("fit", parts.fit), ("confirm", parts.confirm)):
        for side in (True, False):
            n = sum(rows[place].unsafe == side for place in places)
            if n < _LEAST:
                raise ClampdownError(
                    f"there are {n} {'unsafe' if side else 'safe'} prompts to {name} the gate with, and it takes "
                    f"{_LEAST}: add {'--unsafe' if side else '--safe'} files, or leave out --only"
                )
    n = len(_safe(rows, parts.calibrate, calibrating))
    calibrated([0.0] * n, options.false_positives, conformal=options.conformal)


def _safe(rows: Sequence[GateRow], places: Sequence[int], calibrating: frozenset[str]) -> list[int]:
    return [place for place in places if not rows[place].unsafe and rows[place].kind in calibrating]


def _finished(
    model: ChatModel,
    rows: Sequence[GateRow],
    prompts: Sequence[Prompt],
    parts: Parts,
    calibrating: frozenset[str],
    options: FitOptions,
    fitted: Fitted,
    scored: Sequence[dict[int, float]],
) -> FittedGate:
    own, words = scored
    safe = _safe(rows, parts.calibrate, calibrating)
    others = [i for i in parts.calibrate if i not in set(safe)]
    alike = [i for i in others if not rows[i].unsafe]
    (limit, stricter), of_words = (_limits(each, safe, alike, options) for each in scored)
    threshold = (stricter or limit).threshold
    confirm = [rows[i] for i in parts.confirm]
    confirmed = outcomes(confirm, [own[i] for i in parts.confirm], threshold)
    baseline = outcome("all", confirm, [words[i] for i in parts.confirm], (of_words[1] or of_words[0]).threshold)
    before = "" if stricter is None else f" (at threshold {limit.threshold:.4g})"
    about = {
        "command": options.command,
        "kind": options.kind,
        "rows": f"{len(parts.fit)} to fit on, {len(parts.calibrate)} to calibrate, {len(confirm)} to confirm with",
        "rows_sha256": rows_hash(rows),
        "kinds": ", ".join(sorted({row.kind for row in rows})),
        "calibrated on": f"safe prompts of the kinds {', '.join(sorted(calibrating))}: {limit}{before}",
        **({} if stricter is None else {"and raised for": f"look-alikes, safe prompts of the other kinds: {stricter}"}),
        "confirmed": _told(confirmed[0]),
        "TF-IDF on the same rows": _told(baseline),
        "seed": str(options.seed),
    }
    samples = _samples(model, fitted, threshold, prompts, rows, own)
    assert confirmed[0].auc is not None and baseline.auc is not None
    behind = options.kind != "words" and confirmed[0].auc.value <= baseline.auc.value
    warning = (
        f"the gate tells held-out prompts apart no better (AUC {confirmed[0].auc.value:.3f}) than their words alone do "
        f"({baseline.auc.value:.3f}); fit another kind, or on more prompts"
    )
    return FittedGate(
        fitted.file(model, threshold, samples, **about),
        limit,
        stricter,
        outcome("other kinds", [rows[i] for i in others], [own[i] for i in others], threshold),
        confirmed,
        baseline,
        warning if behind else "",
        (len(parts.fit), len(parts.calibrate), len(parts.confirm)),
    )


def _limits(
    scores: dict[int, float], safe: Sequence[int], alike: Sequence[int], options: FitOptions
) -> tuple[Calibration, Calibration | None]:
    """The threshold by the calibrating kinds, and by look-alikes if that one is higher."""
    conformal = options.conformal
    limit = calibrated([scores[i] for i in safe], options.false_positives, conformal=conformal)
    if options.look_alikes == 1 or not shows(len(alike), options.look_alikes, conformal=conformal):
        return limit, None
    other = calibrated([scores[i] for i in alike], options.look_alikes, conformal=conformal)
    return limit, other if other.threshold > limit.threshold else None


def _samples(
    model: ChatModel,
    fitted: Fitted,
    threshold: float,
    prompts: Sequence[Prompt],
    rows: Sequence[GateRow],
    scores: dict[int, float],
) -> tuple[Sample, Sample]:
    """A held-out prompt on each side of the threshold, far from it, each scored by itself.

    Raises:
        ClampdownError: none is on one of the sides.
    """
    gate = compiled(model, fitted.file(model))
    found = []
    for unsafe in (True, False):
        own = sorted((i for i in scores if rows[i].unsafe == unsafe), key=lambda i: (abs(scores[i] - threshold), i))
        own = [i for i in own if (scores[i] >= threshold) == unsafe]
        for place in reversed(own[: 1 + len(own) // 2]):  # from the middle one on towards the threshold
            (score,) = prompt_scores(model, [gate], [prompts[place]])[0].tolist()
            if (score >= threshold) == unsafe:
                user = prompts[place].user
                found.append(
                    Sample(score, tuple(prompts[place]), user, word_baseline.request_text(model, prompts[place]))
                )
                break
        else:
            what = "opens on none of the held-out unsafe" if unsafe else "opens on all of the held-out safe"
            do = "raise" if unsafe else "lower"
            raise ClampdownError(
                f"the gate {what} prompts; {do} --false-positives and --look-alikes, or fit another kind"
            )
    return found[0], found[1]


def _as_dict(one: Calibration) -> dict[str, Any]:
    return {k: getattr(one, k) for k in ("threshold", "passed", "n", "bound", "rule")}


def _told(one: Outcome) -> str:
    assert one.unsafe and one.safe and one.auc
    return (
        f"opens on {one.unsafe.value:.1%} of {one.unsafe_n} unsafe and {one.safe.value:.1%} of {one.safe_n} safe "
        f"prompts, AUC {one.auc.value:.3f} ({one.auc.low:.3f} to {one.auc.high:.3f})"
    )


def rows_hash(rows: Sequence[GateRow]) -> str:
    """Of all that a gate was fitted on; the order of the rows is none of it."""
    told = sorted(json.dumps([row.messages, row.unsafe, row.kind, row.cluster, *(["raw"] * row.raw)]) for row in rows)
    return hashlib.sha256("\n".join(told).encode()).hexdigest()
